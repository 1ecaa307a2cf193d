import { describe, expect, it } from '@jest/globals';
import type { LogRecord, OrderedLog } from '../../../../lib/brokers/replicated/ordered-log.js';
import { request } from '../../../support/engine/append-requests.js';
import type { MemoryOrderedLog } from '../../../support/ordered-log/memory-log.js';
import { Deployment, type TestNode } from './kit.js';

const CHANNEL = 'rooms.1';
/** Enough records that all nodes come to a place at which they compare. */
const RECORDS = 70;

/** A log some of whose records this node reads as something else. */
function misread(log: MemoryOrderedLog, change: (record: LogRecord) => LogRecord): OrderedLog {
  return new Proxy<OrderedLog>(log, {
    get(target, name) {
      if (name === 'consume')
        return (...[partition, from, events]: Parameters<OrderedLog['consume']>) =>
          target.consume(partition, from, {
            onRecords: (records) => events.onRecords(partition === 1 ? records.map(change) : records),
            onEnd: (end) => events.onEnd(end),
          });
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

const publish = async (world: Deployment, { broker }: TestNode, from: number): Promise<void> => {
  for (let count = 0; count < RECORDS; count += 1)
    await world.answer(broker.log.appendMany([request(CHANNEL, `e${from + count}`)]));
};
const wordsOf = async (world: Deployment, { broker }: TestNode): Promise<readonly string[]> => {
  const { events } = await world.answer(broker.log.read({ channel: CHANNEL, from: 1, limit: 1_000 }));
  return events.map(({ epoch, seq, id }) => `${epoch} ${seq} ${id}`);
};

describe('nodes that compare what they read and answered', () => {
  it('a node that answers something else than most is down and says why; the others, and their epochs, stay', async () => {
    const world = new Deployment();
    const [one, two] = [await world.node(), await world.node()];
    // As a node with other code: it finds another term where the others find none.
    const odd = await world.node({}, (log) =>
      misread(log, (record) => (record.offset >= 20 ? { ...record, term: record.term + 1 } : record)),
    );
    await publish(world, one, 0);
    const [before] = await wordsOf(world, one);
    await world.live(8_000);
    expect([one, two, odd].map(({ seen }) => seen.states.at(-1))).toEqual(['up', 'up', 'down']);
    expect(odd.reasons).toEqual([
      'this node computes other answers than n1, n2 from the same records of partition 1: ' +
        'run the same release on all nodes, and start this one again',
    ]);
    await expect(odd.broker.log.read({ channel: CHANNEL, from: 1, limit: 1 })).rejects.toMatchObject({
      code: 'unavailable',
    });
    await publish(world, two, RECORDS);
    const words = await wordsOf(world, one);
    expect(words).toHaveLength(2 * RECORDS);
    expect(words[0]).toBe(before);
    expect(await wordsOf(world, two)).toEqual(words);
    for (const { broker } of [one, two, odd]) await world.answer(broker.close());
  });

  it('nodes that answer the same stay, however long they live', async () => {
    const world = new Deployment();
    const nodes = [await world.node(), await world.node()];
    for (const [place, node] of nodes.entries()) await publish(world, node, place * RECORDS);
    await world.live(60_000, 1_000);
    expect(nodes.map(({ seen }) => seen.states)).toEqual([['up'], ['up']]);
    for (const { broker } of nodes) await world.answer(broker.close());
  });

  it.each(['log', 'readers'] as const)(
    'a node that has read something else reads the log again, and has what the others have; cuts found by the %s',
    async (detectsCuts) => {
      const world = new Deployment(detectsCuts);
      const one = await world.node();
      let isWrong = true;
      const odd = await world.node({}, (log) =>
        misread(log, (record) =>
          isWrong && record.offset === 20 ? { ...record, timeMs: record.timeMs + 1 } : record,
        ),
      );
      await publish(world, one, 0);
      isWrong = false;
      await world.live(4_000);
      expect([one.seen.states, odd.seen.states]).toEqual([['up'], ['up', 'down', 'up']]);
      expect(odd.reasons).toEqual(['this node has read what the log lost: it reads the log again']);
      expect(await wordsOf(world, odd)).toEqual(await wordsOf(world, one));
      // Whoever was right has nothing to read again.
      await publish(world, odd, RECORDS);
      await world.live(70_000, 1_000);
      expect([one.seen.states, odd.seen.states]).toEqual([['up'], ['up', 'down', 'up']]);
      for (const { broker } of [one, odd]) await world.answer(broker.close());
    },
  );
});

describe('a node that does not come after the log', () => {
  it('is down when it is more than 10 s behind, and up again when it has read on', async () => {
    const world = new Deployment();
    const one = await world.node();
    let gate: Promise<void> | undefined;
    let open: () => void = () => undefined;
    const slow = await world.node({}, (log) => {
      const held = misread(log, (record) => record);
      return new Proxy<OrderedLog>(held, {
        get(target, name) {
          if (name !== 'consume') return Reflect.get(target, name, target) as unknown;
          return (...[partition, from, events]: Parameters<OrderedLog['consume']>) =>
            target.consume(partition, from, {
              onRecords: async (records) => {
                if (partition === 1) await gate;
                await events.onRecords(records);
              },
              onEnd: (end) => events.onEnd(end),
            });
        },
      });
    });
    await world.live(6_000);
    gate = new Promise((resolve) => (open = resolve));
    await publish(world, one, 0);
    await world.live(10_000);
    expect(slow.seen.states).toEqual(['up']);
    await world.live(8_000);
    expect(slow.seen.states).toEqual(['up', 'down']);
    expect(slow.reasons).toEqual(['this node is more than 10 s behind the log']);
    gate = undefined;
    open();
    await world.live(2_000);
    expect(slow.seen.states).toEqual(['up', 'down', 'up']);
    expect(one.seen.states).toEqual(['up']);
    expect(await wordsOf(world, slow)).toEqual(await wordsOf(world, one));
    for (const { broker } of [one, slow]) await world.answer(broker.close());
  });
});
