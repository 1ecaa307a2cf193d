import type { ChannelEvent } from '../../../lib/core/ports/channel-event.js';
import type { Broker, BrokerListener, ReadRequest, ReadResult } from '../../../lib/core/ports/broker.js';

/** What becomes of events between the broker and its node. */
export type Mangle = (events: readonly ChannelEvent[]) => readonly (readonly ChannelEvent[])[];

/**
 * A broker whose way to the node can lose, repeat, delay and swap events, as pub/sub does, and whose reads can be
 * counted and answered otherwise. The log itself stays true.
 */
export function lossyBroker(inner: Broker): Broker & {
  mangle: Mangle | undefined;
  readonly reads: ReadRequest[];
  onRead: ((request: ReadRequest, result: ReadResult) => ReadResult | Promise<ReadResult>) | undefined;
  listener: BrokerListener | undefined;
} {
  const reads: ReadRequest[] = [];
  return {
    mangle: undefined,
    onRead: undefined,
    listener: undefined,
    reads,
    name: inner.name,
    capabilities: inner.capabilities,
    presence: inner.presence,
    async start(listener) {
      this.listener = listener;
      await inner.start({
        onEvents: (channel, events) => {
          for (const batch of this.mangle?.(events) ?? [events]) listener.onEvents(channel, batch);
        },
        onSignal: (channel, signal) => listener.onSignal(channel, signal),
        onPresence: (channel, diff) => listener.onPresence(channel, diff),
        onControl: (message) => listener.onControl(message),
        onControlCurrent: (forMs) => listener.onControlCurrent(forMs),
        onControlLost: () => listener.onControlLost(),
        onState: (state, reason) => listener.onState(state, reason),
      });
    },
    async read(request) {
      reads.push(request);
      const result = await inner.read(request);
      return (await this.onRead?.(request, result)) ?? result;
    },
    appendMany: (requests) => inner.appendMany(requests),
    tips: (channels) => inner.tips(channels),
    subscribe: (channel) => inner.subscribe(channel),
    unsubscribe: (channel) => inner.unsubscribe(channel),
    signal: (channel, message) => inner.signal(channel, message),
    control: (message) => inner.control(message),
    probe: (timeoutMs) => inner.probe(timeoutMs),
    close: () => inner.close(),
  };
}
