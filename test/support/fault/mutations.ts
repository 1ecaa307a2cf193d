import { OrderKeeper } from '../../../lib/core/hub/order-keeper.js';
import type { ServedChannel, Subscription } from '../../../lib/core/hub/subscription.js';
import { ChannelEvent } from '../../../lib/core/ports/channel-event.js';
import type { EventBatch } from '../../../lib/core/outbox/encoder.js';
import { LocalChannel } from '../../../lib/core/hub/local-channel.js';
import type { Broker, BrokerListener } from '../../../lib/core/ports/broker.js';
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
  const listening = (listener: BrokerListener): BrokerListener => ({
    onEvents: (channel, events) => listener.onEvents(channel, events.map(renamed)),
    onSignal: (channel, signal) => listener.onSignal(channel, signal),
    onPresence: (channel, diff) => listener.onPresence(channel, diff),
    onControl: (message) => listener.onControl(message),
    onControlCurrent: (forMs) => listener.onControlCurrent(forMs),
    onControlLost: () => listener.onControlLost(),
    onState: (state, reason) => listener.onState(state, reason),
  });
  return {
    ...delegated(inner),
    start: (listener, nodeId) => inner.start(listening(listener), nodeId),
    async appendMany(requests) {
      const outcomes = await inner.appendMany(requests);
      return outcomes.map((outcome, index) =>
        outcome.ok
          ? { ...outcome, position: pin(requests[index]?.channel ?? '', outcome.position) }
          : outcome,
      );
    },
    async read({ epoch: _, ...request }) {
      const result = await inner.read(request);
      const tip = pin(request.channel, result.tip);
      return { ...result, tip, continuous: true, events: result.events.map(renamed) };
    },
    async tips(channels) {
      const tips = await inner.tips(channels);
      return tips.map((tip, index) => pin(channels[index] ?? '', tip));
    },
    async subscribe(channel) {
      return pin(channel, await inner.subscribe(channel));
    },
  };
}

/** A broker that acknowledges one in so many appends without appending. */
export function acknowledgingNothing(inner: Broker, oneIn: number): Broker {
  let count = 0;
  let last: Position = { epoch: '', seq: 0 };
  return {
    ...delegated(inner),
    async appendMany(requests) {
      if (++count % oneIn === 0) {
        return requests.map(() => ({
          ok: true as const,
          position: (last = { ...last, seq: last.seq + 1 }),
          duplicate: false,
        }));
      }
      const outcomes = await inner.appendMany(requests);
      for (const outcome of outcomes) if (outcome.ok) last = outcome.position;
      return outcomes;
    },
  };
}

/** A broker that remembers no ids: what is sent again is appended again. */
export function forgettingIds(inner: Broker): Broker {
  return {
    ...delegated(inner),
    appendMany: (requests) =>
      inner.appendMany(
        requests.map((request) => ({ ...request, policy: { ...request.policy, dedupeMs: 0 } })),
      ),
  };
}

function delegated(inner: Broker): Broker {
  return {
    name: inner.name,
    capabilities: inner.capabilities,
    presence: inner.presence,
    start: (listener, nodeId) => inner.start(listener, nodeId),
    appendMany: (requests) => inner.appendMany(requests),
    read: (request) => inner.read(request),
    tips: (channels) => inner.tips(channels),
    subscribe: (channel) => inner.subscribe(channel),
    unsubscribe: (channel) => inner.unsubscribe(channel),
    signal: (channel, message) => inner.signal(channel, message),
    control: (message) => inner.control(message),
    probe: (timeoutMs) => inner.probe(timeoutMs),
    close: () => inner.close(),
  };
}
