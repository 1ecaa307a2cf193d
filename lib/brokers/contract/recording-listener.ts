import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { BrokerListener, BrokerState, SignalMessage } from '../../core/ports/broker.js';
import type { ControlMessage } from '../../core/ports/control.js';
import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import type { PresenceDiff } from '../../protocol/messages.js';

/**
 * A listener that records every call of its broker, in order. The hooks run after the recording.
 *
 * @example
 * const seen = new RecordingListener();
 * await broker.start(seen, 'node1');
 * await broker.log.subscribe('room.1');
 * // … append to room.1
 * seen.seqsOf('room.1'); // [1, 2, 3]
 */
export class RecordingListener implements BrokerListener {
  /** Each call of `onEvents`. */
  readonly batches: { readonly channel: string; readonly events: readonly ChannelEvent[] }[] = [];
  /** Each call of `onSignal`. */
  readonly signals: { readonly channel: string; readonly signal: SignalMessage }[] = [];
  /** Each call of `onPresence`. */
  readonly diffs: { readonly channel: string; readonly diff: PresenceDiff }[] = [];
  /** Each call of `onControl`. */
  readonly controls: ControlMessage[] = [];
  /** Each call of `onMessage`. */
  readonly messages: { readonly from: string; readonly topic: string; readonly bytes: Uint8Array }[] = [];
  /** Each call of `onState`, without the reason. */
  readonly states: BrokerState[] = [];
  /** Each call of `onRefusal`. */
  readonly refusals: (string | undefined)[] = [];
  /** The `forMs` of each proof that the view of the control records is current, in milliseconds. */
  readonly proofs: number[] = [];
  /** Each call of `onWarning`. */
  readonly warnings: string[] = [];
  /** Number of calls of `onControlLost`. */
  losses = 0;

  /** Called with each batch of events. */
  eventsHook: ((channel: string, events: readonly ChannelEvent[]) => void) | undefined;
  /** Confirms a control record, by what it returns; without it every record is confirmed at once. */
  controlHook: ((message: ControlMessage) => MaybePromise<void>) | undefined;
  /** Called with each message of another node. */
  messageHook: ((from: string, topic: string, bytes: Uint8Array) => void) | undefined;
  /** Settles when the loss of control records has been made up for; without it that is at once. */
  lossHook: (() => MaybePromise<void>) | undefined;

  /** Called by the broker. Records the batch. */
  onEvents(channel: string, events: readonly ChannelEvent[]): void {
    this.batches.push({ channel, events });
    this.eventsHook?.(channel, events);
  }

  /** Called by the broker. Records the signal. */
  onSignal(channel: string, signal: SignalMessage): void {
    this.signals.push({ channel, signal });
  }

  /** Called by the broker. Records the diff. */
  onPresence(channel: string, diff: PresenceDiff): void {
    this.diffs.push({ channel, diff });
  }

  /** Called by the broker. Records the message; resolves when `controlHook` confirms it. */
  onControl(message: ControlMessage): MaybePromise<void> {
    this.controls.push(message);
    return this.controlHook?.(message);
  }

  /** Called by the broker. Records the proof. */
  onControlCurrent(forMs: number): void {
    this.proofs.push(forMs);
  }

  /** Called by the broker. Counts the loss; resolves when `lossHook` has. */
  onControlLost(): MaybePromise<void> {
    this.losses++;
    return this.lossHook?.();
  }

  /** Called by the broker. Records the message. */
  onMessage(from: string, topic: string, bytes: Uint8Array): void {
    this.messages.push({ from, topic, bytes });
    this.messageHook?.(from, topic, bytes);
  }

  /** Called by the broker. Records the reason. */
  onRefusal(reason: string | undefined): void {
    this.refusals.push(reason);
  }

  /** Called by the broker. Records the state. */
  onState(state: BrokerState): void {
    this.states.push(state);
  }

  /** Called by the broker. Records the message. */
  onWarning(message: string): void {
    this.warnings.push(message);
  }

  /** Events of a channel, in the order in which they arrived. */
  eventsOf(channel: string): readonly ChannelEvent[] {
    return this.batches.filter((batch) => batch.channel === channel).flatMap((batch) => batch.events);
  }

  /** The `seq` of each event of a channel, in the order in which they arrived. */
  seqsOf(channel: string): readonly number[] {
    return this.eventsOf(channel).map((event) => event.seq);
  }

  /** Signals of a channel, in the order in which they arrived. */
  signalsOf(channel: string): readonly SignalMessage[] {
    return this.signals.filter((item) => item.channel === channel).map((item) => item.signal);
  }

  /** Presence diffs of a channel, in the order in which they arrived. */
  diffsOf(channel: string): readonly PresenceDiff[] {
    return this.diffs.filter((item) => item.channel === channel).map((item) => item.diff);
  }

  /** Messages of a topic, in the order in which they arrived. */
  messagesOf(topic: string): readonly { readonly from: string; readonly bytes: Uint8Array }[] {
    return this.messages.filter((message) => message.topic === topic);
  }

  /** Number of calls of any kind, without those about the view of the control records. */
  get calls(): number {
    return (
      this.batches.length +
      this.signals.length +
      this.diffs.length +
      this.messages.length +
      this.controls.length +
      this.states.length
    );
  }
}
