import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RedisCommands } from '../../../../lib/brokers/redis/connection/commands.js';
import { RedisKeys } from '../../../../lib/brokers/redis/keys.js';
import { TAKE } from '../../../../lib/brokers/redis/scripts/holds.js';
import { redisSettings } from '../../../../lib/brokers/redis/settings.js';
import { RedisTransitions } from '../../../../lib/brokers/redis/transitions.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

const PARTITIONS = 4;
const LEASE_MS = 30_000;

interface Look {
  /** In the order in which they are looked at. */
  readonly partitions: readonly number[];
  readonly room: number;
  /** Whether leases that ran out are ended. */
  readonly ends: boolean;
}

describe('what a node takes of the transitions of Redis (G32)', () => {
  const keys = new RedisKeys('t', PARTITIONS);
  const consumers = Array.from({ length: PARTITIONS }, (_, partition) => keys.transitions(partition)[2]);
  let clock: ManualClock;
  let looks: Look[];
  /** Records of each partition that wait. */
  let waiting: number[];
  let refuses: (partition: number) => boolean;
  let last: number;

  beforeEach(() => {
    clock = new ManualClock();
    looks = [];
    waiting = consumers.map(() => 0);
    refuses = () => false;
    last = 0;
  });

  function start(clustered: boolean): RedisTransitions {
    const commands: Pick<RedisCommands, 'clustered' | 'run' | 'command'> = {
      clustered,
      run: (script, _partition, given, args) =>
        script === TAKE ? look(given.map(String), args.map(Number)) : Promise.resolve([0, 0]),
      command: () => Promise.resolve(0),
    };
    const settings = redisSettings({ clock, entropy: new SeededEntropy(1) });
    return new RedisTransitions(commands as RedisCommands, keys, { ...settings, onWarning: () => undefined });
  }

  function look(given: readonly string[], args: readonly number[]): Promise<unknown> {
    const partitions = given.flatMap((key) => (consumers.includes(key) ? [consumers.indexOf(key)] : []));
    const [, , room = 0, ends = 0] = args;
    looks.push({ partitions, room, ends: ends > 0 });
    if (partitions.some(refuses)) return Promise.reject(new Error('OOM'));
    let left = room;
    const answer = partitions.map((partition) => {
      const count = Math.min(left, waiting[partition] ?? 0);
      left -= count;
      waiting[partition] = (waiting[partition] ?? 0) - count;
      const records = Array.from({ length: count }, () => [`${++last}-0`, `c${partition}`, '1', '1']);
      return [1, [], records.flat()];
    });
    return Promise.resolve(answer);
  }

  async function channelsOf(transitions: RedisTransitions, room: number): Promise<readonly string[]> {
    return (await transitions.take(room)).map(({ channel }) => channel);
  }

  it.each([false, true])(
    'comes from each partition in turn where there is little room (Cluster: %s)',
    async (clustered) => {
      const transitions = start(clustered);
      waiting = [100, 1, 0, 100];
      const taken: (readonly string[])[] = [];
      for (let turn = 0; turn < 5; turn++) taken.push(await channelsOf(transitions, 2));
      expect(taken).toEqual([
        ['c0', 'c0'],
        ['c1', 'c3'],
        ['c0', 'c0'],
        ['c3', 'c3'],
        ['c0', 'c0'],
      ]);
    },
  );

  it('comes from all partitions in one look where there is room', async () => {
    const transitions = start(false);
    waiting = [1, 1, 1, 1];
    expect(await channelsOf(transitions, 10)).toEqual(['c0', 'c1', 'c2', 'c3']);
  });

  it('ends nothing for half a lease after a look that failed, and all after that', async () => {
    const transitions = start(false);
    await transitions.hold([{ channel: 'a', holder: 'n', generation: 1 }], LEASE_MS);
    await transitions.take(1);
    refuses = () => true;
    await expect(transitions.take(1)).rejects.toThrow('OOM');
    clock.advance(LEASE_MS / 6);
    await expect(transitions.take(1)).rejects.toThrow('OOM');
    refuses = () => false;
    await transitions.take(1);
    clock.advance(LEASE_MS / 2 - 1);
    await transitions.take(1);
    clock.advance(1);
    await transitions.take(1);
    expect(looks.map(({ ends }) => ends)).toEqual([true, true, false, false, false, true]);
  });

  it('ends nothing for half a lease after Redis was away, though no look failed', async () => {
    const transitions = start(false);
    await transitions.hold([{ channel: 'a', holder: 'n', generation: 1 }], LEASE_MS);
    transitions.noteAway();
    clock.advance(LEASE_MS / 6);
    transitions.noteAway();
    clock.advance(LEASE_MS / 2 - 1);
    await transitions.take(1);
    clock.advance(1);
    await transitions.take(1);
    expect(looks.map(({ ends }) => ends)).toEqual([false, true]);
  });

  it('ends nothing for fifteen seconds after it where this node holds nothing', async () => {
    const transitions = start(false);
    refuses = () => true;
    await expect(transitions.take(1)).rejects.toThrow('OOM');
    refuses = () => false;
    clock.advance(14_999);
    await transitions.take(1);
    clock.advance(1);
    await transitions.take(1);
    expect(looks.map(({ ends }) => ends)).toEqual([true, false, true]);
  });

  it('of a Cluster is ended where no look failed, and handed over although another partition refuses', async () => {
    const transitions = start(true);
    waiting = [0, 1, 1, 1];
    refuses = (partition) => partition === 2;
    expect(await channelsOf(transitions, 10)).toEqual(['c1', 'c3']);
    waiting = [0, 0, 1, 0];
    await expect(transitions.take(10)).rejects.toThrow('OOM');
    refuses = () => false;
    looks = [];
    await transitions.take(10);
    const ends = looks.flatMap(({ partitions, ends: may }) => (may ? partitions : []));
    expect([...ends].sort()).toEqual([0, 1, 3]);
  });

  it('of a partition is looked for by each look for a minute after one was found, and by one look in four else', async () => {
    const many = new RedisKeys('t', 1_024);
    const [, , busy] = many.transitions(1_000);
    let asked = 0;
    let looked = 0;
    let finds = true;
    const commands = {
      clustered: false,
      run: (_script: unknown, _partition: number, given: readonly string[]) => {
        const found = given.includes(busy);
        if (found) asked += 1;
        expect(given.length).toBeLessThanOrEqual(3 * 128);
        const answer = Array.from({ length: given.length / 3 }, (_, index) => {
          const isBusy = given[3 * index + 2] === busy && finds;
          return [1, [], isBusy ? [`${++last}-0`, 'c', '1', '1'] : []];
        });
        return Promise.resolve(answer);
      },
      command: () => Promise.resolve(0),
    };
    const settings = {
      ...redisSettings({ clock, entropy: new SeededEntropy(1) }),
      onWarning: () => undefined,
    };
    const transitions = new RedisTransitions(commands as unknown as RedisCommands, many, settings);
    const looksFor = async (times: number) => {
      asked = looked = 0;
      for (; looked < times; looked++) {
        await transitions.take(10);
        clock.advance(250);
      }
      return asked;
    };
    await looksFor(4);
    expect(await looksFor(40)).toBe(40);
    finds = false;
    expect(await looksFor(200)).toBe(200);
    await looksFor(40);
    expect(await looksFor(40)).toBe(10);
    finds = true;
    await looksFor(4);
    expect(await looksFor(8)).toBe(8);
  });
});
