import { expect, it } from '@jest/globals';
import { ChannelCounts } from '../../../../lib/core/hub/channel-counts.js';
import { LocalChannel, type LocalChannelDeps } from '../../../../lib/core/hub/local-channel.js';
import type { Subscriber } from '../../../../lib/core/hub/subscriber.js';
import { EventRing, RingBudget } from '../../../../lib/core/log/event-ring.js';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { QueueEntry, type Flow } from '../../../../lib/core/outbox/entry.js';
import { OutboxQueue } from '../../../../lib/core/outbox/queue.js';
import { channel } from '../../../support/engine/harness.js';

const event = (seq: number, key?: string): ChannelEvent =>
  new ChannelEvent({
    ...{ channel: 'rooms.1', seq, epoch: 'e', ts: 1, expiresAt: Infinity, id: `i${seq}`, event: 'said' },
    ...(key === undefined ? {} : { key }),
    payload: 'x'.repeat(500),
  });

it('events that wait for the end of the turn are erased, and nothing else of the turn (G29, P10)', () => {
  const got: ChannelEvent[] = [];
  const deps = {
    ...{ ringSize: 8, ringBytes: 10_000, ringBudget: new RingBudget(10_000), observer: {} },
    counts: new ChannelCounts(),
    scheduler: { channel: () => undefined },
    sample: { abandon: () => undefined },
    access: { isFrozen: () => false },
  } as unknown as LocalChannelDeps<Subscriber>;
  const served = new LocalChannel<Subscriber>('rooms.1', channel('rooms.:room'), deps);
  served.moveTo({ epoch: 'e', seq: 0 });
  const outbox = { isIdle: false, pushEvent: (_flow: unknown, pushed: ChannelEvent) => got.push(pushed) };
  served.goLive({
    outbox,
    cursor: 0,
    advance: () => undefined,
    goLive: () => undefined,
  } as unknown as Subscriber);
  for (const seq of [1, 2, 3]) served.accept(event(seq));
  served.erase(({ seq }) => seq === 2);
  served.flush();
  expect(got.map(({ seq, isErased }) => [seq, isErased])).toEqual([
    [1, false],
    [2, true],
    [3, false],
  ]);
});

it('a ring gives up the oldest and the newest event that were erased, and what they weighed (G29)', () => {
  const budget = new RingBudget(100_000);
  const ring = new EventRing(4, 100_000, budget);
  for (const seq of [1, 2, 3, 4, 5]) ring.push(event(seq));
  const before = budget.bytes;
  ring.replace((one) => (one.seq === 2 || one.seq === 5 ? ChannelEvent.erased(one) : undefined));
  expect([2, 3, 4, 5].map((seq) => ring.at(seq).isErased)).toEqual([true, false, false, true]);
  expect(before - budget.bytes).toBeGreaterThan(300);
  ring.clear();
  expect(budget.bytes).toBe(0);
});

it('what is left of an event in a queue has no key that a newer event would thin out (G13, G29)', () => {
  let memory = 0;
  const count = {
    hold: (bytes: Buffer) => void (memory += bytes.length),
    release: (bytes: Buffer) => void (memory -= bytes.length),
    change: (bytes: number) => void (memory += bytes),
  };
  const definition = channel('rooms.:room', { policy: { overflow: 'conflate' } });
  const flow: Flow = { name: 'rooms.1', epoch: 'e', definition, isFrozen: false };
  const other: Flow = { ...flow };
  const queue = new OutboxQueue(count);
  const push = (to: Flow, one: ChannelEvent): void =>
    queue.push(new QueueEntry({ flow: to, event: one, bytes: Buffer.alloc(500) }));
  for (const to of [flow, other]) push(to, event(1, 'k'));
  queue.conflate(flow, undefined, 1);
  queue.replaceEvents(
    flow,
    (one) => new QueueEntry({ flow, event: ChannelEvent.erased(one), bytes: Buffer.alloc(40) }),
  );
  expect([queue.bytes, memory]).toEqual([540, 540]);
  push(flow, event(2, 'k'));
  queue.conflate(flow, 'k', 3);
  const own = queue.toArray().filter((entry) => entry.flow === flow);
  expect(own.map((entry) => entry.event?.isErased ?? 'gap')).toEqual([true, 'gap']);
  while (queue.shift() !== undefined);
  expect([queue.bytes, memory]).toEqual([0, 0]);
});
