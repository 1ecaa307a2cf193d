import type { ChannelEvent } from '../../../lib/core/ports/channel-event.js';
import { alteredBroker, alteredListener } from '../engine/altered-broker.js';
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
  const lossy: ReturnType<typeof lossyBroker> = Object.assign(
    alteredBroker(inner, {
      async start(listener, nodeId) {
        lossy.listener = listener;
        const onEvents: BrokerListener['onEvents'] = (channel, events) => {
          for (const batch of lossy.mangle?.(events) ?? [events]) listener.onEvents(channel, batch);
        };
        await inner.start(alteredListener(listener, { onEvents }), nodeId);
      },
      log: {
        async read(request) {
          reads.push(request);
          const result = await inner.log.read(request);
          return (await lossy.onRead?.(request, result)) ?? result;
        },
      },
    }),
    { mangle: undefined, onRead: undefined, listener: undefined, reads },
  );
  return lossy;
}
