import type { ChannelEvent } from '../../lib/core/channel/channel-event.js';
import type { BrokerListener, BrokerState, SignalMessage } from '../../lib/core/ports/broker.js';
import type { ControlMessage } from '../../lib/core/ports/control.js';
import type { MaybePromise } from '../../lib/core/ports/maybe-promise.js';
import type { PresenceDiff } from '../../lib/protocol/messages.js';

/** A node's end of a broker that writes down what it is told. The hooks run after the writing. */
export class RecordingListener implements BrokerListener {
  readonly batches: { readonly channel: string; readonly events: readonly ChannelEvent[] }[] = [];
  readonly signals: { readonly channel: string; readonly signal: SignalMessage }[] = [];
  readonly diffs: { readonly channel: string; readonly diff: PresenceDiff }[] = [];
  readonly controls: ControlMessage[] = [];
  readonly states: BrokerState[] = [];
  /** For how long the view of the control records was proved, in milliseconds, each time. */
  readonly proofs: number[] = [];
  /** How often control records were lost. */
  losses = 0;

  eventsHook: ((channel: string, events: readonly ChannelEvent[]) => void) | undefined;
  /** What confirms a control record; left out, it is confirmed at once. */
  controlHook: ((message: ControlMessage) => MaybePromise<void>) | undefined;

  /** What makes up for lost control records; left out, nothing has to. */
  lossHook: (() => MaybePromise<void>) | undefined;

  onEvents(channel: string, events: readonly ChannelEvent[]): void {
    this.batches.push({ channel, events });
    this.eventsHook?.(channel, events);
  }

  onSignal(channel: string, signal: SignalMessage): void {
    this.signals.push({ channel, signal });
  }

  onPresence(channel: string, diff: PresenceDiff): void {
    this.diffs.push({ channel, diff });
  }

  onControl(message: ControlMessage): MaybePromise<void> {
    this.controls.push(message);
    return this.controlHook?.(message);
  }

  onControlCurrent(forMs: number): void {
    this.proofs.push(forMs);
  }

  onControlLost(): MaybePromise<void> {
    this.losses++;
    return this.lossHook?.();
  }

  onState(state: BrokerState): void {
    this.states.push(state);
  }

  /** Events of a channel, in the order in which they came. */
  eventsOf(channel: string): readonly ChannelEvent[] {
    return this.batches.filter((batch) => batch.channel === channel).flatMap((batch) => batch.events);
  }

  seqsOf(channel: string): readonly number[] {
    return this.eventsOf(channel).map((event) => event.seq);
  }

  signalsOf(channel: string): readonly SignalMessage[] {
    return this.signals.filter((item) => item.channel === channel).map((item) => item.signal);
  }

  diffsOf(channel: string): readonly PresenceDiff[] {
    return this.diffs.filter((item) => item.channel === channel).map((item) => item.diff);
  }

  /** How often it was told anything. */
  get calls(): number {
    return (
      this.batches.length +
      this.signals.length +
      this.diffs.length +
      this.controls.length +
      this.states.length
    );
  }
}
