import { describe, expect, it } from '@jest/globals';
import { RedisKeys, slotOf } from '../../../../lib/brokers/redis/keys.js';
import { PartitionRounds, partitionsOfDeployment } from '../../../../lib/brokers/redis/partitions.js';

function roundsOf(partitions: number, clustered = false): PartitionRounds {
  return new PartitionRounds(new RedisKeys('t', partitions), { clustered });
}

describe('how many partitions a deployment has', () => {
  it.each([
    [null, 1_024],
    ['64', 64],
    ['4096', 4_096],
    // Of another program: the first heartbeat refuses them.
    ['4097', 1_024],
    ['0', 1_024],
    ['-1', 1_024],
    ['8.5', 1_024],
    ['many', 1_024],
  ])('where %s is stored is %i', async (stored, partitions) => {
    const asked: unknown[] = [];
    const commands = {
      command: (...call: unknown[]) => {
        asked.push(call);
        return Promise.resolve(stored);
      },
    };
    expect(await partitionsOfDeployment(commands, new RedisKeys('app', 1_024))).toBe(partitions);
    expect(asked).toEqual([[0, 'hget', ['{app:0}:v1:meta:', 'partitions']]]);
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

  it('are busy all where they all are', () => {
    const rounds = roundsOf(1_024);
    for (let one = 0; one < 1_024; one++) rounds.note(one, true);
    const calls = rounds.next();
    expect(calls.map(({ length }) => length)).toEqual(Array.from({ length: 8 }, () => 128));
    expect(rounds.callsOf([7, 5])).toEqual([[7, 5]]);
  });
});
