import { beforeEach, describe, expect, it } from '@jest/globals';
import type { RedisCommands } from '../../../../lib/brokers/redis/connection/commands.js';
import { RedisKeys } from '../../../../lib/brokers/redis/keys.js';
import { RedisPresence } from '../../../../lib/brokers/redis/presence.js';
import { DUE } from '../../../../lib/brokers/redis/scripts/due.js';
import { MEMBERS } from '../../../../lib/brokers/redis/scripts/members.js';
import { PRESENCE } from '../../../../lib/brokers/redis/scripts/presence.js';
import { RENEW } from '../../../../lib/brokers/redis/scripts/renew.js';
import type { RedisScript } from '../../../../lib/brokers/redis/scripts/script.js';
import { redisSettings } from '../../../../lib/brokers/redis/settings.js';
import type { PresenceEntry } from '../../../../lib/core/ports/broker.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

const LEASE_MS = 30_000;
const SWEEP_MS = 1_000;

interface Call {
  readonly script: RedisScript;
  readonly keys: readonly string[];
  readonly args: readonly string[];
}

describe('members of Redis, as their node renews and ends them (G19)', () => {
  const keys = new RedisKeys('t', 4);
  let clock: ManualClock;
  let calls: Call[];
  let answer: (call: Call) => Promise<unknown>;
  let commands: {
    clustered: boolean;
    run: RedisCommands['run'];
    read: RedisCommands['run'];
    refusedAs?: string | undefined;
  };
  let presence: RedisPresence;
  let warnings: string[];

  beforeEach(() => {
    clock = new ManualClock();
    calls = [];
    warnings = [];
    answer = ({ script }) => Promise.resolve(nothing(script));
    const run: RedisCommands['run'] = (script, _partition, given, args) => {
      const call = { script, keys: given, args: args.map(String) };
      calls.push(call);
      return answer(call);
    };
    commands = { clustered: false, run, read: run };
    const settings = redisSettings({
      clock,
      entropy: new SeededEntropy(1),
      sweepMs: SWEEP_MS,
      onWarning: (message) => void warnings.push(message),
    });
    presence = new RedisPresence(commands as unknown as RedisCommands, keys, settings);
  });

  /** What a script answers that has nothing to say. */
  function nothing(script: RedisScript): readonly unknown[] {
    return script === MEMBERS ? ['e', 0, 0, ''] : [[], []];
  }

  function entries(count: number, change: Partial<PresenceEntry> = {}): readonly PresenceEntry[] {
    return Array.from({ length: count }, (_, index) => ({
      channel: `rooms.${index}`,
      member: 'ada',
      device: 'd',
      generation: 1,
      ...change,
    }));
  }

  function taken(script: RedisScript): readonly Call[] {
    return calls.splice(0).filter((call) => call.script === script);
  }

  /** How often the node looks for ended leases in so many times of a look. */
  async function looks(times: number): Promise<number> {
    calls.length = 0;
    await clock.advanceAsync(SWEEP_MS * times);
    return taken(DUE).length;
  }

  it.each([
    [0, 100],
    [1, 50],
    [2, 25],
    [3, 12],
    [4, 0],
    [50, 0],
  ])('are looked after by the node of rank %i about %i times in a hundred', async (rank, about) => {
    presence.noteRank(rank);
    presence.start();
    const made = await looks(100);
    expect(made).toBeGreaterThanOrEqual(about);
    expect(made).toBeLessThanOrEqual(about * 1.4);
    presence.noteRank(0);
    expect(await looks(10)).toBeGreaterThanOrEqual(10);
    presence.close();
    expect(await looks(10)).toBe(0);
  });

  it.each([
    [
      'a damaged room is skipped, with one warning a minute',
      'WRONGTYPE Operation against a key',
      ['one', 'two'],
      1,
    ],
    ['a server that refuses writes is asked again later', 'OOM command not allowed', ['one'], 0],
  ])('of other rooms are ended too: %s', async (_, message, ended, count) => {
    answer = ({ script, keys: given }) => {
      if (script === DUE)
        return Promise.resolve([
          [1, 1, 0, 0],
          ['one', 'two'],
        ]);
      return given[0]?.endsWith(':one') === true ? Promise.reject(new Error(message)) : Promise.resolve([]);
    };
    presence.noteRank(0);
    presence.start();
    await looks(1);
    calls.length = 0;
    await clock.advanceAsync(SWEEP_MS);
    const rooms = taken(PRESENCE).map(({ keys: [room = ''] }) => room.slice(room.lastIndexOf(':') + 1));
    expect([...new Set(rooms)]).toEqual(ended);
    expect(warnings).toHaveLength(count);
    for (const warning of warnings) expect(warning).toContain('WRONGTYPE');
    await clock.advanceAsync(61_000);
    expect(warnings).toHaveLength(2 * count);
    presence.close();
  });

  it('do not end while a server refuses renewals, nor for half of their lease after that; a full one takes them', async () => {
    presence.start();
    await presence.renew(entries(1), LEASE_MS);
    commands.refusedAs = 'OOM command not allowed';
    expect(await looks(2)).toBeGreaterThan(0);
    commands.refusedAs = 'MISCONF Redis is configured to save';
    expect(await looks((2 * LEASE_MS) / SWEEP_MS)).toBe(0);
    commands.refusedAs = undefined;
    expect(await looks(LEASE_MS / 2 / SWEEP_MS - 2)).toBe(0);
    expect(await looks(3)).toBeGreaterThan(0);
    presence.close();
  });

  it('do not end for half of their lease after Redis was away, by whichever node', async () => {
    presence.start();
    const channel = 'rooms.0';
    await presence.renew(entries(1), LEASE_MS);
    const mayEnd = async () => {
      calls.length = 0;
      await presence.members(channel, { limit: 1 });
      await presence.update({ channel, member: 'ada', device: 'd', generation: 1 });
      return calls.flatMap(({ script, args }) => (script === DUE ? [] : [args[3]]));
    };
    expect(await mayEnd()).toEqual(['1', '1']);
    presence.noteAway();
    await clock.advanceAsync(LEASE_MS / 4);
    presence.noteAway();
    expect(await looks(LEASE_MS / 2 / SWEEP_MS - 1)).toBe(0);
    await clock.advanceAsync(SWEEP_MS - 1);
    expect(await mayEnd()).toEqual(['0', '0']);
    await clock.advanceAsync(1);
    expect(await mayEnd()).toEqual(['1', '1']);
    expect(await looks(2)).toBeGreaterThan(0);
  });

  it('do not end for fifteen seconds after it where this node has no members', async () => {
    presence.start();
    presence.noteAway();
    expect(await looks(14)).toBe(0);
    expect(await looks(3)).toBeGreaterThan(0);
  });

  it.each([
    [false, 4],
    [true, 1],
  ])(
    'are renewed by few scripts at once, each of a bounded number (Cluster: %s)',
    async (clustered, most) => {
      commands.clustered = clustered;
      const ends: (() => void)[] = [];
      answer = ({ script }) => new Promise((resolve) => ends.push(() => resolve(nothing(script))));
      const renewed = presence.renew(entries(2_000), LEASE_MS);
      let atOnce = 0;
      const sizes: number[] = [];
      const seen = new Set<string>();
      for (let script = 0; script < 100 && (script === 0 || ends.length > 0); script++) {
        await settle();
        atOnce = Math.max(atOnce, ends.length);
        for (const { args, keys: given } of taken(RENEW)) {
          sizes.push(Number(args[2]));
          const partitions = new Set(given.map((key) => key.slice(0, key.indexOf('}'))));
          // In a Cluster one, which lies on one slot.
          expect(partitions.size).toBe(most);
          for (const arg of args) if (arg.startsWith('rooms.')) seen.add(arg);
        }
        ends.shift()?.();
      }
      await renewed;
      expect(atOnce).toBe(4);
      expect(Math.max(...sizes)).toBe(50);
      expect(sizes.length).toBeLessThanOrEqual(44);
      expect(seen.size).toBe(2_000);
    },
  );

  it('are renewed by scripts of bounded bytes', async () => {
    const long = 'x'.repeat(30_000);
    await presence.renew(
      entries(100).map((one) => ({ ...one, channel: one.channel + long })),
      LEASE_MS,
    );
    const sizes = taken(RENEW).map((call) => [...call.keys, ...call.args].join('').length);
    expect(Math.max(...sizes)).toBeLessThan(1_300_000);
    expect(sizes.length).toBeLessThan(40);
  });

  it('of one room are divided where they are many, and enter again where the script says so', async () => {
    answer = ({ script, args }) =>
      Promise.resolve(
        script === RENEW && args[4] === '50' && args[5] === '3:ada0' ? [[2, 50], []] : nothing(script),
      );
    const devices = entries(80).map((one, index) => ({ ...one, channel: 'r', device: `${index}` }));
    await presence.renew(devices, LEASE_MS);
    const again = calls.flatMap(({ script, args }) => (script === PRESENCE ? [args] : []));
    expect(again.map((args) => args.filter((arg) => arg.startsWith('3:ada')))).toEqual([
      ['3:ada1', '3:ada49'],
    ]);
    expect(again[0]?.[5]).toBe('r');
    expect(taken(RENEW).map(({ args }) => args.slice(2, 5))).toEqual([
      ['1', 'r', '50'],
      ['1', 'r', '30'],
    ]);
  });

  it('that left while others were renewed do not enter again, unless they come back', async () => {
    const [first, second, third] = entries(3, { channel: 'r' }).map((one, index) => ({
      ...one,
      device: `${index}`,
    }));
    if (first === undefined || second === undefined || third === undefined) throw new Error('three');
    let end = (): void => undefined;
    answer = ({ script }) =>
      script === RENEW
        ? new Promise((resolve) => (end = () => resolve([[1, 2, 3], []])))
        : Promise.resolve([]);
    const renewed = presence.renew([first, second, third], LEASE_MS);
    await settle();
    void presence.leave(first, 0);
    void presence.leave(second, 0);
    void presence.enter(second, LEASE_MS);
    end();
    await renewed;
    const steps = calls.flatMap(({ script, args }) => (script === PRESENCE ? args : []));
    const kinds = (name: string) =>
      steps.flatMap((arg, at) => (arg === name ? [steps[at - 2]] : [])).join('');
    expect([kinds('3:ada0'), kinds('3:ada1'), kinds('3:ada2')]).toEqual(['l', 'ler', 'r']);
    answer = ({ script }) => Promise.resolve(nothing(script));
    calls.length = 0;
    await presence.renew([first], LEASE_MS);
    expect(taken(RENEW)).toHaveLength(1);
  });

  it('reject where a script failed, after the others were answered', async () => {
    let failing = true;
    let others = 0;
    answer = async ({ script, args }) => {
      if (args.includes('rooms.0') && failing) throw new Error('away');
      await settle();
      others += 1;
      return nothing(script);
    };
    await expect(presence.renew(entries(1_000), LEASE_MS)).rejects.toThrow('away');
    const made = others;
    expect(made).toBeGreaterThanOrEqual(3);
    await settle();
    expect(others).toBe(made);
    failing = false;
    await presence.renew(entries(1_000), LEASE_MS);
  });
  it('of a damaged room are left out, with one warning a minute, and those beside it are renewed and enter again', async () => {
    answer = ({ script, keys: given }) => {
      if (script === RENEW) return Promise.resolve([[1, 2], ['WRONGTYPE Operation against a key']]);
      return given[0]?.endsWith(':rooms.0') === true
        ? Promise.reject(new Error('WRONGTYPE of another one'))
        : Promise.resolve([]);
    };
    await presence.renew(entries(3), LEASE_MS);
    expect(taken(PRESENCE).map(({ keys: [room = ''] }) => room.slice(room.lastIndexOf(':') + 1))).toEqual([
      'rooms.0',
      'rooms.1',
    ]);
    expect(warnings).toEqual([expect.stringContaining('WRONGTYPE Operation against a key')]);
    await presence.renew(entries(3), LEASE_MS);
    expect(warnings).toHaveLength(1);
    await clock.advanceAsync(60_000);
    await presence.renew(entries(3), LEASE_MS);
    expect(warnings).toHaveLength(2);
  });

  it('that have to enter again where the server is full are not renewed', async () => {
    answer = ({ script }) =>
      script === RENEW ? Promise.resolve([[1], []]) : Promise.reject(new Error('OOM command not allowed'));
    await expect(presence.renew(entries(2), LEASE_MS)).rejects.toThrow('OOM');
    expect(warnings).toEqual([]);
  });

  it('of a partition are looked after by each look once there are some, and by one in four before, where there are many', async () => {
    keys.divide(1_024);
    try {
      const seen: string[][] = [];
      let busy: readonly string[] = [keys.due(1_000)];
      answer = ({ script, keys: given }) => {
        if (script !== DUE) return Promise.resolve([]);
        seen.push([...given]);
        return Promise.resolve([given.map((key) => (busy.includes(key) ? 1 : 0)), []]);
      };
      presence.start();
      const counts = async () => {
        seen.length = 0;
        await clock.advanceAsync(40 * SWEEP_MS);
        const times = new Map<string, number>();
        for (const key of seen.flat()) times.set(key, (times.get(key) ?? 0) + 1);
        const made = seen.length / Math.max(...times.values());
        return { times, made };
      };
      await counts();
      const { times } = await counts();
      expect(times.size).toBe(1_024);
      const often = times.get(keys.due(1_000)) ?? 0;
      expect(often).toBeGreaterThanOrEqual(40);
      for (const [key, count] of times)
        if (key !== keys.due(1_000)) expect(Math.abs(count - often / 4)).toBeLessThanOrEqual(1);
      expect(Math.max(...seen.map(({ length }) => length))).toBeLessThanOrEqual(128);
      busy = [];
      await counts();
      expect((await counts()).times.get(keys.due(1_000))).toBeLessThanOrEqual(often / 3);
      presence.close();
    } finally {
      keys.divide(4);
    }
  });
});
