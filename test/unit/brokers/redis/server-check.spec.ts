import { describe, expect, it } from '@jest/globals';
import type { RedisCommands } from '../../../../lib/brokers/redis/connection/commands.js';
import { startError } from '../../../../lib/brokers/redis/errors.js';
import { redisSettings, type RedisSettings } from '../../../../lib/brokers/redis/settings.js';
import { checkServer, weaknessesOf } from '../../../../lib/brokers/redis/server-check.js';

const INFO = {
  redis_version: '7.2.4',
  master_replid: 'f'.repeat(40),
  cluster_enabled: '0',
  maxmemory: '0',
  maxmemory_policy: 'noeviction',
  aof_enabled: '1',
  connected_slaves: '1',
};

type Info = Partial<Record<keyof typeof INFO, string>>;

/** A server whose INFO has these fields. */
function serverOf(info: Info, clustered = false): RedisCommands {
  const text = Object.entries(info)
    .map(([name, value]) => `${name}:${value}\r\n`)
    .join('');
  const commands: Pick<RedisCommands, 'info' | 'clustered'> = {
    clustered,
    info: () => Promise.resolve(text),
  };
  return commands as RedisCommands;
}

/** Of a broker that waits for so many replicas. */
function settingsOf(replicas: number, warnings: string[] = []): RedisSettings {
  const onWarning = (text: string): void => void warnings.push(text);
  return redisSettings(
    replicas === 0 ? { onWarning } : { onWarning, durability: { level: 'replicated', replicas } },
  );
}

/** Without these fields, as services leave some out. */
function without(...names: readonly (keyof typeof INFO)[]): Info {
  return Object.fromEntries(
    Object.entries(INFO).filter(([name]) => !names.includes(name as keyof typeof INFO)),
  );
}

describe('what INFO of a server says', () => {
  it.each<[string, Info, boolean, RegExp | undefined]>([
    ['a server of this kind', INFO, false, undefined],
    ['an old one', { ...INFO, redis_version: '6.2.14' }, false, /Redis 6\.2\.14.*7\.0 or newer/],
    [
      'one without the identity of its data',
      without('master_replid'),
      false,
      /no `master_replid`.*"replication"/,
    ],
    ['a part of a Cluster', { ...INFO, cluster_enabled: '1' }, false, /cluster: \{ nodes \}/],
    ['no part of a Cluster', INFO, true, /not part of a Cluster/],
    ['a part of a Cluster, as one', { ...INFO, cluster_enabled: '1' }, true, undefined],
    ['one that does not say whether it is part of a Cluster', without('cluster_enabled'), false, undefined],
    ['one of a Cluster that does not say it', without('cluster_enabled'), true, undefined],
    [
      'one that says little',
      without('maxmemory', 'maxmemory_policy', 'aof_enabled', 'connected_slaves'),
      false,
      undefined,
    ],
  ])('decides whether the broker starts: %s', async (_, info, clustered, refusal) => {
    const warnings: string[] = [];
    const outcome = await checkServer(serverOf(info, clustered), settingsOf(0, warnings)).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (refusal === undefined) expect(outcome).toBeUndefined();
    else expect(outcome).toMatch(refusal);
    expect(warnings).toEqual([]);
  });

  it('is a weakness only where it is said', async () => {
    expect(await weaknessesOf(serverOf(INFO), settingsOf(1))).toEqual([]);
    expect(
      await weaknessesOf(serverOf({ ...INFO, aof_enabled: '0', connected_slaves: '0' }), settingsOf(1)),
    ).toHaveLength(2);
    expect(await weaknessesOf(serverOf(without('aof_enabled', 'connected_slaves')), settingsOf(2))).toEqual(
      [],
    );
    const drops = { ...INFO, maxmemory: '100', maxmemory_policy: 'allkeys-lru' };
    expect(await weaknessesOf(serverOf(drops), settingsOf(1))).toMatchObject([
      { remedy: 'Set maxmemory-policy noeviction.' },
    ]);
  });

  it.each([
    "NOPERM this user has no permissions to run the 'evalsha' command",
    "ERR unknown command 'SSUBSCRIBE', with args beginning with:",
    "ERR The user executing the script can't run this command or subcommand script: 1a, on @user_script:49.",
    "ERR ACL failure in script: User realtime has no permissions to run the 'zadd' command script: 1a, on @user_script:155.",
    'ERR Unknown Redis command called from script script: 1a',
  ])('where a command is refused is an error that says what to allow: %s', (message) => {
    expect(String(startError(new Error(message)))).toContain(`(${message})`);
    expect(String(startError(new Error(message)))).toContain('docs/scaling.md');
    const other = new Error('OOM command not allowed when used memory');
    expect(startError(other)).toBe(other);
    const said = startError(new Error(message));
    expect(startError(said)).toBe(said);
  });
});
