import { describe, expect, it } from '@jest/globals';
import {
  LogUnavailableError,
  type LogRecord,
  type OrderedLog,
} from '../../../../lib/brokers/replicated/ordered-log.js';
import { Signals, type Signal } from '../../../../lib/brokers/replicated/signals.js';
import { request } from '../../../support/engine/append-requests.js';
import type { MemoryOrderedLog } from '../../../support/ordered-log/memory-log.js';
import { Deployment, type TestNode } from './kit.js';

const CHANNEL = 'rooms.1';
/** Enough records that all nodes come to a place at which they compare. */
const RECORDS = 70;

/** What a test does to one node's view of the log. */
interface Lens {
  /** What records of the second partition are read as. */
  readonly change?: (record: LogRecord) => LogRecord;
  /** Whether signals of this node are refused. */
  readonly isMute?: () => boolean;
  /** Called with each reading of the second partition. */
  readonly onConsume?: () => void;
  /** Called with each checkpoint of the second partition. */
  readonly onSave?: () => void;
  /** Called with each signal that this node sends. */
  readonly onSend?: (text: string) => void;
  /** What records of the second partition wait for. */
  readonly gate?: () => Promise<void> | undefined;
}

function through(log: MemoryOrderedLog, lens: Lens): OrderedLog {
  return new Proxy<OrderedLog>(log, {
    get(target, name) {
      if (name === 'consume')
        return (...[partition, from, events]: Parameters<OrderedLog['consume']>) => {
          if (partition !== 1) return target.consume(partition, from, events);
          lens.onConsume?.();
          return target.consume(partition, from, {
            onRecords: async (records) => {
              await lens.gate?.();
              const { change } = lens;
              await events.onRecords(change === undefined ? records : records.map(change));
            },
            onEnd: (end) => events.onEnd(end),
          });
        };
      if (name === 'saveCheckpoint')
        return (...[partition, checkpoint]: Parameters<OrderedLog['saveCheckpoint']>) => {
          if (partition === 1) lens.onSave?.();
          return target.saveCheckpoint(partition, checkpoint);
        };
      if (name === 'signal' && lens.onSend !== undefined)
        return (bytes: Uint8Array) => {
          lens.onSend?.(Buffer.from(bytes).toString());
          return target.signal(bytes);
        };
      if (name === 'signal' && lens.isMute?.() === true)
        return () => Promise.reject(new LogUnavailableError('mute'));
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** As a node with other code: from a place on it finds a later term than the others. */
const laterTerm =
  (from: number) =>
  (record: LogRecord): LogRecord =>
    record.offset >= from ? { ...record, term: record.term + 1 } : record;
/** As a node that read what was lost: its record has another time. */
const laterTime = (record: LogRecord): LogRecord => ({ ...record, timeMs: record.timeMs + 1 });

const publish = async (
  world: Deployment,
  { broker }: TestNode,
  from: number,
  records = RECORDS,
): Promise<void> => {
  for (let count = 0; count < records; count += 1)
    await world.answer(broker.log.appendMany([request(CHANNEL, `e${from + count}`)]));
};
const wordsOf = async (world: Deployment, { broker }: TestNode): Promise<readonly string[]> => {
  const { events } = await world.answer(broker.log.read({ channel: CHANNEL, from: 1, limit: 1_000 }));
  return events.map(({ epoch, seq, id }) => `${epoch} ${seq} ${id}`);
};

const epochOf = async (world: Deployment, { broker }: TestNode): Promise<string | undefined> => {
  const [tip] = await world.answer(broker.log.tips([CHANNEL]));
  return tip?.epoch;
};

describe('nodes that compare what they read and answered', () => {
  it('a node that answers something else than most is down and says why; the others, and their epochs, stay', async () => {
    const world = new Deployment();
    const [one, two] = [await world.node(), await world.node()];
    // As a node with other code: it finds another term where the others find none.
    const odd = await world.node({}, (log) => through(log, { change: laterTerm(20) }));
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

  it('a release that is rolled out further although its first node went down does not end the service', async () => {
    const world = new Deployment();
    const other = (log: MemoryOrderedLog) => through(log, { change: laterTerm(20) });
    const [one, two] = [await world.node(), await world.node()];
    const third = await world.node({}, other);
    await publish(world, one, 0);
    await world.live(10_000);
    expect(third.seen.states.at(-1)).toBe('down');
    await world.answer(two.broker.close());
    const second = await world.node({}, other);
    await publish(world, one, RECORDS);
    await world.live(20_000);
    expect([one, second, third].map(({ seen }) => seen.states.at(-1))).toEqual(['up', 'down', 'down']);
    for (const { broker } of [one, second, third]) await world.answer(broker.close());
  });

  it('a node that has gone down names no partition any more, also none that it could serve', async () => {
    const world = new Deployment();
    const said: unknown[] = [];
    const onSend = (text: string): void => {
      const { k, r } = JSON.parse(text) as { k: string; r: unknown[] };
      if (k === 'd') said.push(r.length);
    };
    const one = await world.node();
    const odd = await world.node({}, (log) => through(log, { change: laterTerm(20), onSend }));
    await publish(world, one, 0);
    await world.live(80_000, 1_000);
    expect([one, odd].map(({ seen }) => seen.states.at(-1))).toEqual(['up', 'down']);
    expect(said).toContain(1);
    // The state partition has come to a place as well: each node gives its signs of life there.
    expect(said.at(-1)).toBe(0);
    for (const { broker } of [one, odd]) await world.answer(broker.close());
  });

  it('a node that is down for another reason decides when it is up again', async () => {
    const world = new Deployment();
    let isMute = true;
    const one = await world.node({}, (log) => through(log, { isMute: () => isMute }));
    let gate: Promise<void> | undefined;
    let open: () => void = () => undefined;
    const slow = await world.node({}, (log) => through(log, { change: laterTerm(20), gate: () => gate }));
    await publish(world, one, 0);
    gate = new Promise((resolve) => (open = resolve));
    await publish(world, one, RECORDS, 5);
    await world.live(20_000);
    expect(slow.reasons).toEqual(['this node is more than 10 s behind the log']);
    isMute = false;
    await world.live(10_000);
    gate = undefined;
    open();
    await world.live(2_000);
    expect(slow.seen.states).toEqual(['up', 'down', 'up']);
    await world.live(8_000);
    expect(slow.seen.states).toEqual(['up', 'down', 'up', 'down']);
    for (const { broker } of [one, slow]) await world.answer(broker.close());
  });

  it('a word about answers that is not of this form is passed over', async () => {
    const world = new Deployment();
    const heard: Signal[] = [];
    const log = world.server.open();
    const signals = new Signals(log, world.clock, 'n1', (signal) => heard.push(signal));
    await world.answer(signals.start());
    const row = [1, 'life', 64, 'in', 'out', ['a']];
    const report = {
      partition: 1,
      incarnation: 'life',
      offset: 64,
      input: 'in',
      outcome: 'out',
      alike: ['a'],
    };
    const rows = [row, row.slice(0, 5), [...row.slice(0, 5), [1]], 'no row', ['1', ...row.slice(1)]];
    await world.answer(log.signal(Buffer.from(`${JSON.stringify({ k: 'd', l: 'n2 x', r: rows })}\n`)));
    await world.answer(signals.sendDigests('n1 y', [report]));
    expect(heard).toEqual([
      { kind: 'digests', lease: 'n2 x', reports: [report] },
      { kind: 'digests', lease: 'n1 y', reports: [report] },
    ]);
    signals.close();
    await world.answer(log.close());
  });

  it('what others than nodes say about answers has bounded room: the log says once what was left out, and nodes are heard as before', async () => {
    const world = new Deployment();
    const one = await world.node();
    const odd = await world.node({}, (log) => through(log, { change: laterTerm(20) }));
    await publish(world, one, 0);
    const other = world.server.open();
    for (let voice = 0; voice < 1_030; voice += 1)
      void other.signal(Buffer.from(`${JSON.stringify({ k: 'd', l: `x${voice}`, r: [] })}\n`));
    await world.live(8_000);
    for (const { seen } of [one, odd])
      expect(seen.warnings).toEqual([
        'Signals of memory log say more about answers than this node keeps: some of it was left out, and nodes of which it was are not ' +
          'compared. Let nobody but the nodes write there.',
      ]);
    expect([one, odd].map(({ seen }) => seen.states.at(-1))).toEqual(['up', 'down']);
    await world.answer(other.close());
    for (const { broker } of [one, odd]) await world.answer(broker.close());
  });

  it('no node stores a checkpoint of a partition while another one answers something else', async () => {
    const world = new Deployment();
    const saved: string[] = [];
    const lens = (name: string, change?: Lens['change']) => (log: MemoryOrderedLog) =>
      through(log, { onSave: () => saved.push(name), ...(change === undefined ? {} : { change }) });
    const options = { checkpointEvery: 2 * RECORDS };
    // It goes down; the older one, which stays, is to store the next one.
    const one = await world.node(options, lens('one'));
    const odd = await world.node(options, lens('odd', laterTerm(20)));
    await publish(world, one, 0);
    await world.live(1_500);
    await publish(world, one, RECORDS);
    await world.live(1_500);
    expect([one, odd].map(({ seen }) => seen.states.at(-1))).toEqual(['up', 'up']);
    expect(saved).toEqual([]);
    await world.live(8_000);
    expect([one, odd].map(({ seen }) => seen.states.at(-1))).toEqual(['up', 'down']);
    await world.answer(odd.broker.close());
    await world.live(3_000);
    expect(saved).toEqual(['one']);
    await world.answer(one.broker.close());
  });

  it('nodes that answer the same stay, however long they live', async () => {
    const world = new Deployment();
    const nodes = [await world.node(), await world.node()];
    for (const [place, node] of nodes.entries()) await publish(world, node, place * RECORDS);
    await world.live(60_000, 1_000);
    expect(nodes.map(({ seen }) => seen.states)).toEqual([['up'], ['up']]);
    for (const { broker } of nodes) await world.answer(broker.close());
  });

  it('a node that answers something else later than at the first place is found too, also when its first word is lost', async () => {
    const world = new Deployment();
    let isMute = false;
    const nodes = [await world.node(), await world.node()];
    const [one, two] = nodes as [TestNode, TestNode];
    const odd = await world.node({}, (log) => through(log, { change: laterTerm(100), isMute: () => isMute }));
    await publish(world, one, 0);
    await world.live(8_000);
    expect(odd.seen.states).toEqual(['up']);
    isMute = true;
    await publish(world, one, RECORDS);
    await world.live(2_000);
    isMute = false;
    await world.live(8_000);
    expect([one, two, odd].map(({ seen }) => seen.states)).toEqual([['up'], ['up'], ['up', 'down']]);
    for (const { broker } of [one, two, odd]) await world.answer(broker.close());
  });

  it('a node whose first word about a difference is lost says it again: the other one learns of it', async () => {
    const world = new Deployment();
    let isMute = true;
    const odd = await world.node({}, (log) => through(log, { change: laterTerm(20), isMute: () => isMute }));
    const one = await world.node();
    await publish(world, one, 0);
    await world.live(4_000);
    isMute = false;
    await world.live(8_000);
    // Of two the older one stays: the other can only know by what that said.
    expect([odd.seen.states, one.seen.states]).toEqual([['up'], ['up', 'down']]);
    for (const { broker } of [odd, one]) await world.answer(broker.close());
  });

  it('a difference that is gone when the state was made again makes nobody leave', async () => {
    const world = new Deployment();
    let [isWrong, isMute] = [true, false];
    const one = await world.node({}, (log) => through(log, { isMute: () => isMute }));
    const odd = await world.node({}, (log) =>
      through(log, {
        change: (record) => (isWrong ? laterTerm(20)(record) : record),
        isMute: () => isMute,
      }),
    );
    await publish(world, one, 0);
    await world.live(4_000);
    // Both have noticed, and nobody says anything more.
    [isWrong, isMute] = [false, true];
    const { end = 0 } = world.server.partition(1) ?? {};
    world.server.cut(1, end - 1);
    await world.live(10_000);
    expect([one.seen.states.at(-1), odd.seen.states.at(-1)]).toEqual(['up', 'up']);
    expect(await wordsOf(world, odd)).toEqual(await wordsOf(world, one));
    for (const { broker } of [one, odd]) await world.answer(broker.close());
  });

  it.each([
    ['log', 'its epoch stays'],
    ['readers', 'what it had read may have been lost: there is a new epoch'],
  ] as const)(
    'a node that has read something else reads the log again, and has what the others have; cuts found by the %s: %s (G6)',
    async (detectsCuts, _) => {
      const world = new Deployment(detectsCuts);
      const one = await world.node();
      let isWrong = true;
      const odd = await world.node({}, (log) =>
        through(log, { change: (record) => (isWrong && record.offset === 20 ? laterTime(record) : record) }),
      );
      // Far behind the wrong one there are places from which on nothing differs.
      await publish(world, one, 0, 4 * RECORDS);
      isWrong = false;
      const before = await epochOf(world, one);
      await world.live(4_000);
      expect([one.seen.states, odd.seen.states]).toEqual([['up'], ['up', 'down', 'up']]);
      expect(odd.reasons).toEqual(['this node has read what the log lost: it reads the log again']);
      const words = await wordsOf(world, one);
      expect(await wordsOf(world, odd)).toEqual(words);
      expect((await epochOf(world, one)) === before).toBe(detectsCuts === 'log');
      // Whoever was right has nothing to read again.
      await publish(world, odd, 4 * RECORDS);
      await world.live(70_000, 1_000);
      expect([one.seen.states, odd.seen.states]).toEqual([['up'], ['up', 'down', 'up']]);
      for (const { broker } of [one, odd]) await world.answer(broker.close());
    },
  );

  it('a node that never reads what the log has makes another one read it again once a minute at most', async () => {
    const world = new Deployment();
    let readings = 0;
    const one = await world.node({}, (log) => through(log, { onConsume: () => (readings += 1) }));
    const odd = await world.node({}, (log) =>
      through(log, { change: (record) => (record.offset === 20 ? laterTime(record) : record) }),
    );
    for (let round = 0; round < 5; round += 1) {
      await publish(world, one, round * RECORDS);
      await world.live(5_000);
    }
    expect([one.seen.states, readings]).toEqual([['up'], 2]);
    for (const { broker } of [one, odd]) await world.answer(broker.close());
  });
});

describe('a node that does not come after the log', () => {
  it('is down when it is more than 10 s behind, and up again when it has read on', async () => {
    const world = new Deployment();
    const one = await world.node();
    let gate: Promise<void> | undefined;
    let open: () => void = () => undefined;
    const slow = await world.node({}, (log) => through(log, { gate: () => gate }));
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

  it('is measured by the log of today: an end that is not there any more is not waited for', async () => {
    const world = new Deployment();
    const one = await world.node();
    let gate: Promise<void> | undefined;
    let open: () => void = () => undefined;
    const slow = await world.node({}, (log) => through(log, { gate: () => gate }));
    gate = new Promise((resolve) => (open = resolve));
    await publish(world, one, 0);
    await world.live(8_000);
    world.server.cut(1, 10);
    gate = undefined;
    open();
    await world.live(20_000);
    expect(slow.seen.states).toEqual(['up']);
    expect(await wordsOf(world, slow)).toEqual(await wordsOf(world, one));
    for (const { broker } of [one, slow]) await world.answer(broker.close());
  });
});
