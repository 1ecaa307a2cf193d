import { describe, expect, it, jest } from '@jest/globals';
import { EntryList } from '../../../../lib/core/outbox/entry-list.js';
import type { Flow, GapEntry } from '../../../../lib/core/outbox/entry.js';
import { applyOverflow } from '../../../../lib/core/outbox/overflow.js';
import type { OutboxQueue } from '../../../../lib/core/outbox/queue.js';
import { newQueue } from '../../../support/engine/new-queue.js';
import type { OverflowPolicy } from '../../../../lib/core/ports/channel-definition.js';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { channel } from '../../../support/engine/harness.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

function flowOf(name: string, overflow: OverflowPolicy): Flow & { epoch: string; isFrozen: boolean } {
  return { name, epoch: 'e1', definition: channel('rooms.:room', { policy: { overflow } }), isFrozen: false };
}

function eventOf(flow: Flow, seq: number, key?: string): ChannelEvent {
  const fields = {
    channel: flow.name,
    seq,
    epoch: flow.epoch,
    ts: 0,
    expiresAt: Infinity,
    id: `i${seq}`,
    event: 'said',
  };
  return new ChannelEvent(key === undefined ? fields : { ...fields, key });
}

const bytes = Buffer.alloc(10);

/** Queues an event as an outbox of `max` messages does. */
function offer(queue: OutboxQueue, flow: Flow, event: ChannelEvent, max: number): string {
  const isOver = (): boolean => queue.length + queue.heldLength + 1 > max;
  const verdict = isOver() ? applyOverflow(flow, event, queue, isOver) : 'queue';
  if (verdict === 'queue') queue.push({ bytes, flow, event });
  return verdict;
}

/** What waits, in order: numbers of events, ranges of gaps, names of answers. */
function shown(queue: OutboxQueue): (number | string)[] {
  return queue.toArray().map(({ event, gap, ref, droppable }) => {
    if (gap !== undefined) return `${gap.from}-${gap.to}${gap.partial ? '~' : ''}`;
    return event?.seq ?? ref ?? (droppable ? 'signal' : 'marker');
  });
}

describe('a full queue', () => {
  it('drops as many events as it takes, and announces them in one gap (P25)', () => {
    const queue = newQueue();
    const flow = flowOf('rooms.1', 'drop-oldest');
    for (let seq = 1; seq <= 10; seq++) offer(queue, flow, eventOf(flow, seq), 4);
    expect(shown(queue)).toEqual(['1-7', 8, 9, 10]);
    expect(queue.toArray()[0]?.gap).toMatchObject({ dropped: 7, reason: 'overflow', epoch: 'e1' });
  });

  it('does not move an announcement across what ends a replay (P12)', () => {
    const queue = newQueue();
    const flow = flowOf('rooms.1', 'drop-oldest');
    for (const seq of [1, 2]) queue.push({ bytes, flow, event: eventOf(flow, seq) });
    queue.push({ bytes, flow });
    for (const seq of [3, 4]) queue.push({ bytes, flow, event: eventOf(flow, seq) });
    for (let drops = 0; drops < 4; drops++) queue.dropOldest(flow);
    expect(shown(queue)).toEqual(['1-2', 'marker', '3-4']);
  });

  it('extends a gap that is queued right before the event, and no other', () => {
    const queue = newQueue();
    const flow = flowOf('rooms.1', 'drop-oldest');
    const gap = (from: number, to: number, reason: GapEntry['reason']): GapEntry => {
      return { from, to, reason, partial: false, recoverable: true, epoch: 'e1', dropped: to - from + 1 };
    };
    queue.push({ flow, gap: gap(1, 3, 'overflow') });
    queue.push({ bytes, flow, event: eventOf(flow, 4) });
    queue.push({ flow, gap: gap(5, 6, 'expired') });
    queue.push({ bytes, flow, event: eventOf(flow, 7) });
    queue.dropOldest(flow);
    queue.dropOldest(flow);
    expect(shown(queue)).toEqual(['1-4', '5-6', '7-7']);
    expect(queue.dropOldest(flow)).toBe(false);
  });

  it('leaves events of the log before a reset alone (P10)', () => {
    const queue = newQueue();
    const flow = flowOf('rooms.1', 'drop-oldest');
    queue.push({ bytes, flow, event: eventOf(flow, 1) });
    flow.epoch = 'e2';
    expect(queue.dropOldest(flow)).toBe(false);
    queue.push({ bytes, flow, event: eventOf(flow, 2) });
    expect(queue.dropOldest(flow)).toBe(true);
    expect(shown(queue)).toEqual([1, '2-2']);
  });

  it('keeps the newest event of each key behind one partial gap that covers them all (P25)', () => {
    const queue = newQueue();
    const flow = flowOf('rooms.1', 'conflate');
    for (let seq = 1; seq <= 9; seq++) offer(queue, flow, eventOf(flow, seq, `k${seq % 3}`), 6);
    expect(shown(queue)).toEqual(['1-7~', 5, 6, 7, 8, 9]);
    offer(queue, flow, eventOf(flow, 10, 'k1'), 6);
    expect(shown(queue)).toEqual(['1-10~', 8, 9, 10]);
    expect(queue.toArray()[0]?.gap?.dropped).toBe(7);
  });

  it('begins another partial gap when the one before was sent', () => {
    const queue = newQueue();
    const flow = flowOf('rooms.1', 'conflate');
    for (let seq = 1; seq <= 4; seq++) offer(queue, flow, eventOf(flow, seq, 'k'), 3);
    expect(shown(queue)).toEqual(['1-4~', 4]);
    queue.shift();
    for (let seq = 5; seq <= 7; seq++) offer(queue, flow, eventOf(flow, seq, 'k'), 3);
    expect(shown(queue)).toEqual(['4-7~', 7]);
  });

  it('drops signals first, the oldest of them, and changes of members before events', () => {
    const queue = newQueue();
    const flow = flowOf('rooms.1', 'disconnect');
    const dropped: Flow[] = [];
    queue.push({ bytes, flow, droppable: true, onDropped: (of) => void dropped.push(of) });
    queue.push({ bytes, flow, droppable: true });
    queue.push({ bytes, flow, event: eventOf(flow, 1) });
    expect(offer(queue, flow, eventOf(flow, 2), 3)).toBe('queue');
    expect([shown(queue), dropped.length]).toEqual([['signal', 1, 2], 0]);
    expect(offer(queue, flow, eventOf(flow, 3), 3)).toBe('queue');
    expect([shown(queue), dropped]).toEqual([[1, 2, 3], [flow]]);
    expect(offer(queue, flow, eventOf(flow, 4), 3)).toBe('disconnect');
  });

  it.each(['drop-oldest', 'conflate'] as const)(
    '%s takes constant time for an event, however much else is queued',
    (overflow) => {
      const others = flowOf('rooms.2', overflow);
      const flow = flowOf('rooms.1', overflow);
      const cost = (foreign: number): number => {
        const queue = newQueue();
        for (let seq = 1; seq <= foreign; seq++) queue.push({ bytes, flow: others, ref: `r${seq}` });
        for (let seq = 1; seq <= 100; seq++)
          queue.push({ bytes, flow, event: eventOf(flow, seq, `k${seq % 5}`) });
        // The first overflow sorts the queue once.
        offer(queue, flow, eventOf(flow, 101, 'k1'), foreign + 100);
        let steps = 0;
        const all = EntryList.prototype.toArray;
        const looked = EntryList.prototype.first;
        const lists = jest.spyOn(EntryList.prototype, 'toArray').mockImplementation(function (
          this: EntryList,
        ) {
          const entries = all.call(this);
          steps += entries.length;
          return entries;
        });
        const looks = jest.spyOn(EntryList.prototype, 'first').mockImplementation(function (this: EntryList) {
          steps++;
          return looked.call(this);
        });
        for (let seq = 102; seq <= 1_101; seq++)
          offer(queue, flow, eventOf(flow, seq, `k${seq % 5}`), foreign + 100);
        lists.mockRestore();
        looks.mockRestore();
        return steps / 1_000;
      };
      expect(cost(4_000)).toBeLessThan(12);
      expect(cost(4_000)).toBeLessThanOrEqual(cost(100) * 2 + 1);
    },
  );

  it.each(['drop-oldest', 'conflate', 'drop-newest'] as const)(
    '%s: counts its bytes and length exactly, and keeps order, whatever is pushed, taken, purged, held and released',
    (overflow) => {
      const random = new SeededEntropy(overflow.length);
      const flows = [1, 2, 3].map((index) => flowOf(`rooms.${index}`, overflow));
      const queue = newQueue();
      const next = new Map(flows.map((flow) => [flow, 1]));
      const sent = new Map<Flow, number>();
      for (let step = 0; step < 4_000; step++) {
        const flow = flows[random.int(3)] as (typeof flows)[number];
        const act = random.int(20);
        // Nothing is queued of a flow that is held.
        if (act < 13 && flow.isFrozen) continue;
        if (act < 10) {
          const seq = next.get(flow) ?? 1;
          next.set(flow, seq + 1);
          offer(queue, flow, eventOf(flow, seq, `k${random.int(4)}`), 40);
        } else if (act < 12) queue.push({ bytes, flow, droppable: true });
        else if (act < 13) queue.push({ bytes, flow, ref: `r${step}` });
        else if (act < 17) {
          const entry = queue.shift();
          const seq = entry?.event?.seq;
          if (entry?.flow !== undefined && seq !== undefined) {
            expect(seq).toBeGreaterThan(sent.get(entry.flow) ?? 0);
            sent.set(entry.flow, seq);
          }
          entry?.release();
        } else if (act < 18 && random.int(10) === 0) queue.purge(flow);
        else if (act === 18) {
          flow.isFrozen = true;
          queue.hold((entry) => entry.flow?.isFrozen === true);
        } else if (act === 19) {
          for (const frozen of flows) frozen.isFrozen = false;
          queue.release();
        }
        const waiting = queue.toArray();
        expect(queue.length).toBe(waiting.length);
        expect(queue.bytes).toBe(waiting.reduce((sum, entry) => sum + entry.size, 0));
      }
      for (const flow of flows) queue.purge(flow);
      expect([queue.length, queue.bytes, queue.heldLength, queue.heldBytes]).toEqual([0, 0, 0, 0]);
    },
  );

  it('finds where each flow stands, held entries first', () => {
    const queue = newQueue();
    const [one, two] = [flowOf('rooms.1', 'disconnect'), flowOf('rooms.2', 'disconnect')];
    queue.push({ bytes, flow: one, event: eventOf(one, 5) });
    queue.push({ bytes, flow: two, ref: 'answer' });
    queue.hold(({ flow }) => flow === one);
    queue.push({ bytes, flow: one, event: eventOf(one, 6) });
    expect(queue.positions()).toEqual(
      new Map([
        [one, { epoch: 'e1', seq: 4 }],
        [two, undefined],
      ]),
    );
    expect(queue.purge(two)).toEqual(['answer']);
    queue.release();
    expect(shown(queue)).toEqual([5, 6]);
  });
});
