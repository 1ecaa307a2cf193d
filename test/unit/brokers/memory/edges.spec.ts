import { beforeEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore, type MemoryBroker } from '../../../../lib/brokers/memory/index.js';
import { RecordingListener } from '../../../../lib/brokers/contract/recording-listener.js';
import type { AppendRequest, LogPolicy } from '../../../../lib/core/ports/broker.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

// The instants at which something ends, and the numbers at which something is full: met exactly, and missed by one.
const CHANNEL = 'rooms.1';
const POLICY: LogPolicy = { retain: true, size: 100, maxBytes: 8_388_608, ttlMs: 60_000, dedupeMs: 10_000 };

let clock: ManualClock;

function request(id: string, policy: Partial<LogPolicy> = {}, channel = CHANNEL): AppendRequest {
  return {
    channel,
    producer: 'u1',
    fingerprint: id,
    event: { id, event: 'said', payload: id },
    bytes: 50,
    policy: { ...POLICY, ...policy },
  };
}

async function open(options: ConstructorParameters<typeof MemoryStore>[0] = {}) {
  const store = new MemoryStore({ clock, ...options });
  const broker = memoryBroker({ store });
  const seen = new RecordingListener();
  await broker.start(seen, 'node-1');
  return { store, broker, seen };
}

async function append(broker: MemoryBroker, ...requests: readonly AppendRequest[]): Promise<string[]> {
  const outcomes = await broker.log.appendMany(requests);
  return outcomes.map((outcome) =>
    outcome.ok ? `${outcome.position.seq}${outcome.duplicate ? ' again' : ''}` : outcome.code,
  );
}

beforeEach(() => {
  clock = new ManualClock();
});

describe('ids in the memory broker', () => {
  it.each([
    ['alone', async (_broker: MemoryBroker) => undefined],
    // Behind one that is remembered for longer it cannot be forgotten first: then its end alone counts.
    [
      'behind one of a longer window',
      (broker: MemoryBroker) => append(broker, request('long', { dedupeMs: 50_000 })),
    ],
  ])(
    'an id is remembered until the last millisecond of its window, and no longer, %s (P15)',
    async (_where, before) => {
      const { broker } = await open();
      await before(broker);
      const [first] = await append(broker, request('a'));
      clock.advance(9_999);
      expect(await append(broker, request('a'))).toEqual([`${first} again`]);
      expect(await append(broker, { ...request('b'), after: 'a' })).toEqual([String(Number(first) + 1)]);
      clock.advance(1);
      expect(await append(broker, { ...request('c'), after: 'a' })).toEqual(['out_of_order']);
      expect(await append(broker, request('a'))).toEqual([String(Number(first) + 2)]);
    },
  );

  it('an id is accepted while one more fits, refused beyond that, and accepted again when the window ends (G4)', async () => {
    const producer = 'a:app';
    const as = (id: string, policy: Partial<LogPolicy> = {}) => ({ ...request(id, policy), producer });
    const room = 140 + 140 + 2 * producer.length + 2 * (280 + 2 * ('5:a:appa'.length + 'a'.length));
    for (const [maxIdBytes, third] of [
      [room, 'rate_limited'],
      [room - 1, 'rate_limited'],
      [room * 2, '3'],
    ] as const) {
      clock = new ManualClock();
      const { broker } = await open({ maxIdBytes });
      const second = maxIdBytes < room ? 'rate_limited' : '2';
      expect(await append(broker, as('a'), as('b'), as('c'))).toEqual(['1', second, third]);
      if (third === '3') continue;
      // A retry needs no room, and what is not remembered neither.
      const next = maxIdBytes < room ? 2 : 3;
      expect(await append(broker, as('a'), as('d', { dedupeMs: 0 }))).toEqual(['1 again', String(next)]);
      clock.advance(9_999);
      expect(await append(broker, as('c'))).toEqual(['rate_limited']);
      clock.advance(1);
      expect(await append(broker, as('c'))).toEqual([String(next + 1)]);
    }
  });
});

describe('logs in the memory broker', () => {
  it('a log keeps an event until the last millisecond of its age (G13)', async () => {
    const { broker } = await open();
    await append(broker, request('a'));
    clock.advance(1);
    await append(broker, request('b'));
    const kept = async () =>
      (await broker.log.read({ channel: CHANNEL, from: 1, limit: 10 })).events.map(({ seq }) => seq);
    clock.advance(59_998);
    expect(await kept()).toEqual([1, 2]);
    clock.advance(1);
    expect(await kept()).toEqual([2]);
    clock.advance(1);
    expect(await kept()).toEqual([]);
    expect(await broker.log.read({ channel: CHANNEL, from: 1, limit: 10 })).toMatchObject({
      oldest: 3,
      tip: { seq: 2 },
    });
  });

  it.each([
    [1, [3], 3],
    [3, [1, 2, 3], 1],
    [4, [1, 2, 3], 1],
  ])('a log of a size of %i keeps %p of three events (P11)', async (size, expected, oldest) => {
    const { broker } = await open();
    await append(broker, ...['a', 'b', 'c'].map((id) => request(id, { size })));
    const page = await broker.log.read({ channel: CHANNEL, from: 1, limit: 10 });
    expect(page.events.map(({ seq }) => seq)).toEqual(expected);
    expect(page.oldest).toBe(oldest);
  });

  it('idle logs are kept up to maxIdleChannels, and the longest unused is dropped for the next (G13)', async () => {
    const { broker, store } = await open({ maxIdleChannels: 2 });
    for (const name of ['a', 'b']) {
      await append(broker, request('x', { dedupeMs: 0 }, name));
      clock.advance(1);
    }
    expect(store.size).toBe(2);
    await append(broker, request('x', { dedupeMs: 0 }, 'c'));
    expect(store.size).toBe(2);
    const tips = await broker.log.tips(['b', 'c']);
    expect(tips.map(({ seq }) => seq)).toEqual([1, 1]);
  });

  it('a log that lost its end accepts each earlier position up to exactly the cut (P10)', async () => {
    const { broker, store } = await open();
    await append(broker, request('a'), request('b'), request('c'));
    const { tip } = await broker.log.read({ channel: CHANNEL, from: 1, limit: 1 });
    store.failOver(CHANNEL, 2);
    const good = async (seq: number) =>
      (await broker.log.read({ channel: CHANNEL, epoch: tip.epoch, from: seq + 1, limit: 1 })).continuous;
    expect(await Promise.all([0, 1, 2, 3].map(good))).toEqual([true, true, true, false]);
    // The ids of what was lost are lost with it; that of the last that is kept is not.
    expect(await append(broker, request('b'), request('c'))).toEqual(['2 again', '3']);
  });
});

describe('members in the memory broker', () => {
  const entry = { channel: CHANNEL, member: 'ada', device: 'd', generation: 1 };

  it('a member stays until the last millisecond of its lease, and of each renewal (G19)', async () => {
    const { broker, seen } = await open();
    await broker.log.subscribe(CHANNEL);
    await broker.presence.enter(entry, 10_000);
    for (let round = 0; round < 3; round++) {
      clock.advance(9_999);
      await broker.presence.renew([entry], 10_000);
    }
    clock.advance(9_999);
    expect(seen.diffs.flatMap(({ diff }) => diff.leave)).toEqual([]);
    clock.advance(1);
    expect(seen.diffs.flatMap(({ diff }) => diff.leave)).toEqual(['ada']);
  });

  it('a member stays until the last millisecond of its grace period, which a second leave does not extend (G19)', async () => {
    const { broker, seen } = await open();
    await broker.log.subscribe(CHANNEL);
    await broker.presence.enter(entry, 60_000);
    await broker.presence.leave(entry, 5_000);
    clock.advance(3_000);
    await broker.presence.leave(entry, 5_000);
    clock.advance(1_999);
    expect(seen.diffs.flatMap(({ diff }) => diff.leave)).toEqual([]);
    clock.advance(1);
    expect(seen.diffs.flatMap(({ diff }) => diff.leave)).toEqual(['ada']);
  });

  it('a member whose devices end at the same time is a leave, and no update (G19)', async () => {
    const { broker, seen } = await open();
    await broker.log.subscribe(CHANNEL);
    for (const device of ['phone', 'laptop']) await broker.presence.enter({ ...entry, device }, 10_000);
    seen.diffs.length = 0;
    clock.advance(10_000);
    expect(seen.diffs.map(({ diff }) => [diff.update, diff.leave])).toEqual([[[], ['ada']]]);
  });

  it.each([1, 2, 16, 17, 40])(
    '%i members leave and return, and every page lists who is present (G19)',
    async (count) => {
      const { broker } = await open();
      const of = (index: number) => ({ ...entry, member: `u${index}` });
      for (let index = 0; index < count; index++) await broker.presence.enter(of(index), 60_000);
      for (let index = 0; index < count; index += 2) await broker.presence.leave(of(index), 0);
      for (let index = 0; index < count; index += 4) await broker.presence.enter(of(index), 60_000);
      const expected = Array.from({ length: count }, (_, index) => index)
        .filter((index) => index % 2 === 1 || index % 4 === 0)
        .map((index) => `u${index}`);
      for (const limit of [1, 2, expected.length, expected.length + 1]) {
        const found: string[] = [];
        let cursor: string | undefined;
        do {
          const page = await broker.presence.members(CHANNEL, {
            limit,
            ...(cursor === undefined ? {} : { cursor }),
          });
          found.push(...page.members.map(({ id }) => id));
          cursor = page.more;
        } while (cursor !== undefined);
        expect(found.sort()).toEqual([...expected].sort());
      }
    },
  );
});

describe('bans in the memory broker', () => {
  it('a ban is handed to a node that starts until its last millisecond (G16)', async () => {
    const { broker, store } = await open();
    await broker.bus.control({ kind: 'ban', user: 'ada', forMs: 10_000 });
    await broker.bus.control({ kind: 'ban', user: 'eve' });
    const banned = async (): Promise<string[]> => {
      const late = new RecordingListener();
      const node = memoryBroker({ store });
      await node.start(late);
      await node.close();
      return late.controls.flatMap((message) => (message.kind === 'ban' ? [message.user] : []));
    };
    clock.advance(9_999);
    expect(await banned()).toEqual(['ada', 'eve']);
    clock.advance(1);
    expect(await banned()).toEqual(['eve']);
  });
});
