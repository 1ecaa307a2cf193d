import { OrderKeeper } from '../../../lib/core/hub/order-keeper.js';
import type { ServedChannel, Subscription } from '../../../lib/core/hub/subscription.js';
import { ChannelEvent } from '../../../lib/core/ports/channel-event.js';
import type { EventBatch } from '../../../lib/core/outbox/encoder.js';
import { LocalChannel } from '../../../lib/core/hub/local-channel.js';
import { alteredBroker, alteredListener } from '../engine/altered-broker.js';
import type { Broker } from '../../../lib/core/ports/broker.js';
import type { Position } from '../../../lib/protocol/position.js';

/** What a broken library would do with the events of one delivery; `undefined` leaves them as they are. */
export type Mutation = (events: readonly ChannelEvent[]) => readonly ChannelEvent[] | undefined;

export const drop: Mutation = (events) => events.slice(1);
export const again: Mutation = (events) => [...events, ...events.slice(-1)];
export const swap: Mutation = (events) => {
  const [first, second, ...rest] = events;
  return first === undefined || second === undefined ? undefined : [second, first, ...rest];
};

type Deliver = (subscription: Subscription, batch: EventBatch, shareable: boolean) => void;

/**
 * Breaks the delivery from a channel to its subscriptions, once in every `oneIn` events delivered.
 *
 * @returns Mends it, and says how often it was broken.
 */
export function mutateDelivery(mutation: Mutation, oneIn: number): () => number {
  const hub = LocalChannel.prototype as unknown as { deliver: Deliver };
  const { deliver } = hub;
  let delivered = 0;
  let broken = 0;
  hub.deliver = function (this: ServedChannel, subscription, batch, shareable) {
    delivered += batch.events.length;
    // Only where nothing is replayed at the moment: there `cursor` is the event before the batch.
    const isDue = delivered >= (broken + 1) * oneIn && subscription.cursor === batch.first - 1;
    const events = isDue ? mutation(batch.events) : undefined;
    if (events === undefined) return deliver.call(this, subscription, batch, shareable);
    broken++;
    subscription.advance(batch.last);
    for (const event of events) subscription.outbox.pushEvent(subscription, event);
  };
  return () => {
    hub.deliver = deliver;
    return broken;
  };
}

/** A node that takes and passes on events as they come: holes are neither healed nor seen. @returns Mends it. */
export function mutateOrder(): () => void {
  const keeper = OrderKeeper.prototype as unknown as { onEvent(event: ChannelEvent): void };
  const hub = LocalChannel.prototype as unknown as { deliver: Deliver };
  const { onEvent } = keeper;
  const { deliver } = hub;
  keeper.onEvent = function (event) {
    (this as unknown as { readonly channel: ServedChannel }).channel.accept(event);
  };
  hub.deliver = (subscription, { events }) => {
    for (const event of events) {
      subscription.advance(event.seq);
      subscription.outbox.pushEvent(subscription, event);
    }
  };
  return () => {
    keeper.onEvent = onEvent;
    hub.deliver = deliver;
  };
}

/** A broker that takes every incarnation for the first one that it saw. */
export function ignoringEpochs(inner: Broker): Broker {
  const pinned = new Map<string, string>();
  const pin = <P extends Position>(channel: string, { epoch, seq }: P): Position => {
    if (!pinned.has(channel)) pinned.set(channel, epoch);
    return { epoch: pinned.get(channel) ?? epoch, seq };
  };
  const renamed = (event: ChannelEvent): ChannelEvent =>
    new ChannelEvent({ ...event, epoch: pin(event.channel, event).epoch });
  return alteredBroker(inner, {
    start: (listener, nodeId) =>
      inner.start(
        alteredListener(listener, {
          onEvents: (channel, events) => listener.onEvents(channel, events.map(renamed)),
        }),
        nodeId,
      ),
    log: {
      async appendMany(requests) {
        const outcomes = await inner.log.appendMany(requests);
        return outcomes.map((outcome, index) =>
          outcome.ok
            ? { ...outcome, position: pin(requests[index]?.channel ?? '', outcome.position) }
            : outcome,
        );
      },
      async read({ epoch: _, ...request }) {
        const result = await inner.log.read(request);
        const tip = pin(request.channel, result.tip);
        return { ...result, tip, continuous: true, events: result.events.map(renamed) };
      },
      async tips(channels) {
        const tips = await inner.log.tips(channels);
        return tips.map((tip, index) => pin(channels[index] ?? '', tip));
      },
      async subscribe(channel) {
        return pin(channel, await inner.log.subscribe(channel));
      },
    },
  });
}

/** A broker that acknowledges one in so many appends without appending. */
export function acknowledgingNothing(inner: Broker, oneIn: number): Broker {
  let count = 0;
  let last: Position = { epoch: '', seq: 0 };
  return alteredBroker(inner, {
    log: {
      async appendMany(requests) {
        if (++count % oneIn === 0) {
          return requests.map(() => ({
            ok: true as const,
            position: (last = { ...last, seq: last.seq + 1 }),
            duplicate: false,
          }));
        }
        const outcomes = await inner.log.appendMany(requests);
        for (const outcome of outcomes) if (outcome.ok) last = outcome.position;
        return outcomes;
      },
    },
  });
}

/** A broker that remembers no ids: what is sent again is appended again. */
export function forgettingIds(inner: Broker): Broker {
  return alteredBroker(inner, {
    log: {
      appendMany: (requests) =>
        inner.log.appendMany(
          requests.map((request) => ({ ...request, policy: { ...request.policy, dedupeMs: 0 } })),
        ),
    },
  });
}
