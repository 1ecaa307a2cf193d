import { describe, expect, it } from '@jest/globals';
import type { RedisCommands } from '../../../../lib/brokers/redis/connection/commands.js';
import { CONTROL_CHANNEL, RedisKeys, slotOf } from '../../../../lib/brokers/redis/keys.js';
import { PartitionRounds, partitionsOfDeployment } from '../../../../lib/brokers/redis/partitions.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

function roundsOf(partitions: number, clustered = false): PartitionRounds {
  return new PartitionRounds(new RedisKeys('t', partitions), { clustered });
}

describe('how many partitions a deployment has', () => {
  type Answer = readonly [stored: string, listening: number, seconds: number];

  /** What a node takes, how long it waits for that, and what it asks. */
  async function taken(answer: (ms: number) => Answer, topics = '') {
    const clock = new ManualClock();
    const begun = clock.monotonic();
    const asked: (readonly string[])[] = [];
    const run: RedisCommands['run'] = (_script, _partition, given) => {
      asked.push(given);
      return Promise.resolve(answer(clock.monotonic() - begun));
    };
    const keys = new RedisKeys('app', 1_024);
    keys.separate(topics);
    let found: number | undefined;
    let ms = 0;
    const settings = { clock, heartbeatMs: 1_000, maxReconnectMs: 200 };
    void partitionsOfDeployment({ run }, keys, settings).then((partitions) => {
      found = partitions;
      ms = clock.monotonic() - begun;
    });
    await settle();
    for (let step = 0; step < 200 && found === undefined; step++) await clock.advanceAsync(50);
    return { found, ms, asked: asked[0] };
  }

  it.each([
    ['', 1_024],
    ['64', 64],
    ['4096', 4_096],
    // Of another program: the first heartbeat refuses them.
    ['4097', 1_024],
    ['0', 1_024],
    ['-1', 1_024],
    ['8.5', 1_024],
    ['many', 1_024],
  ])('where "%s" is stored is %i, at once', async (stored, partitions) => {
    expect(await taken(() => [stored, 0, stored === '' ? 1 : 0])).toEqual({
      found: partitions,
      ms: 0,
      asked: ['{app:0}:v1:meta:', keysOf('').topic(CONTROL_CHANNEL)],
    });
  });

  function keysOf(topics: string): RedisKeys {
    const keys = new RedisKeys('app', 1_024);
    keys.separate(topics);
    return keys;
  }

  it('is what nodes that listen store after the data were lost', async () => {
    expect(await taken((ms) => (ms < 900 ? ['', 2, 1_000] : ['64', 0, 0]))).toMatchObject({
      found: 64,
      ms: 900,
    });
  });

  it('is its own where those that listen store nothing for two heartbeats', async () => {
    expect(await taken(() => ['', 1, 1_000])).toMatchObject({ found: 1_024, ms: 2_400 });
  });

  it('is what nodes store that come back to a server which has just started', async () => {
    const back = (ms: number): Answer => (ms < 200 ? ['', 0, 0] : ms < 1_200 ? ['', 1, 1] : ['64', 0, 0]);
    expect(await taken(back)).toMatchObject({ found: 64, ms: 1_200 });
    expect(await taken((ms) => ['', 0, Math.floor(ms / 1_000)])).toMatchObject({ found: 1_024, ms: 1_000 });
  });

  it('is asked of those that listen under either name of another database', async () => {
    const topics = [keysOf('').topic(CONTROL_CHANNEL), keysOf('@3').topic(CONTROL_CHANNEL)];
    expect((await taken(() => ['', 0, 1], '@3')).asked).toEqual(['{app:0}:v1:meta:', ...topics]);
  });

  it('decides where channels lie from then on', () => {
    const keys = new RedisKeys('app', 1_024);
    keys.divide(4);
    const other = new RedisKeys('app', 4);
    expect(keys.partitions).toBe(4);
    for (let index = 0; index < 100; index++)
      expect(keys.head(`rooms.${index}`)).toBe(other.head(`rooms.${index}`));
    expect(keys.slotOf(3)).toBe(slotOf('app:3'));
    expect(keys.origins).toEqual(other.origins);
  });

  it('of a new one spreads the channels evenly over many masters', () => {
    const share = (partitions: number, masters: number) => {
      const of = Array.from({ length: masters }, () => 0);
      const keys = new RedisKeys('rt', partitions);
      for (let partition = 0; partition < partitions; partition++) {
        const master = Math.floor((keys.slotOf(partition) * masters) / 16_384);
        of[master] = (of[master] ?? 0) + 1;
      }
      return (Math.max(...of) * masters) / partitions;
    };
    expect(share(1_024, 3)).toBeLessThan(1.06);
    expect(share(1_024, 16)).toBeLessThan(1.2);
    expect(share(64, 16)).toBeGreaterThan(1.4);
  });
});

describe('the partitions that a look looks at', () => {
  it.each([1, 4, 128])('are all of %i, in one call', (partitions) => {
    const rounds = roundsOf(partitions);
    for (let look = 0; look < 3; look++)
      expect(rounds.next()).toEqual([Array.from({ length: partitions }, (_, index) => index)]);
  });

  it.each([129, 256])('are all of %i, in two calls', (partitions) => {
    const rounds = roundsOf(partitions);
    for (let look = 0; look < 3; look++) {
      const calls = rounds.next();
      expect(calls.map(({ length }) => length)).toEqual([128, partitions - 128]);
      expect(calls.flat()).toEqual(Array.from({ length: partitions }, (_, index) => index));
    }
  });

  it('have a call each in a Cluster', () => {
    expect(roundsOf(3, true).next()).toEqual([[0], [1], [2]]);
  });

  it('begin behind one that filled a look', () => {
    const rounds = roundsOf(4);
    rounds.beginAfter(1);
    expect(rounds.next()).toEqual([[2, 3, 0, 1]]);
    expect(rounds.next()).toEqual([[2, 3, 0, 1]]);
    rounds.beginAfter(3);
    expect(rounds.next()).toEqual([[0, 1, 2, 3]]);
  });

  it.each([257, 1_024, 4_096])(
    'of %i are all that are busy, and of the others a few that take turns, wherever a look begins',
    (partitions) => {
      const rounds = roundsOf(partitions);
      const busy = [0, 3, partitions - 1];
      for (const one of busy) rounds.note(one, true);
      const looks = Math.ceil((partitions - busy.length) / 256);
      const times = new Map<number, number>();
      for (let look = 0; look < 4 * looks; look++) {
        // A busy one fills each look.
        rounds.beginAfter(3);
        const found = rounds.next().flat();
        expect(found.length).toBeLessThanOrEqual(256 + busy.length);
        expect(new Set(found).size).toBe(found.length);
        expect(found[0]).toBeGreaterThan(look === 0 ? 3 : -1);
        for (const one of found) times.set(one, (times.get(one) ?? 0) + 1);
      }
      for (const one of busy) expect(times.get(one)).toBe(4 * looks);
      for (let one = 0; one < partitions; one++) expect(times.get(one)).toBeGreaterThanOrEqual(3);
      for (const one of busy) rounds.note(one, false);
      expect(rounds.next().flat().length).toBeLessThanOrEqual(256);
    },
  );

  it('are as many of the others however many are busy', () => {
    const rounds = roundsOf(1_024);
    for (let one = 0; one < 300; one++) rounds.note(one, true);
    for (let look = 0; look < 3; look++) expect(rounds.next().flat()).toHaveLength(300 + 256);
  });

  it('are busy all where they all are', () => {
    const rounds = roundsOf(1_024);
    for (let one = 0; one < 1_024; one++) rounds.note(one, true);
    const calls = rounds.next();
    expect(calls.map(({ length }) => length)).toEqual(Array.from({ length: 8 }, () => 128));
    expect(rounds.callsOf([7, 5])).toEqual([[7, 5]]);
  });
});
