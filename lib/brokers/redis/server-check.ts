import type { StorageWeakness } from '../../core/ports/broker.js';
import type { RedisCommands } from './connection/commands.js';
import { ALLOW_COMMANDS, bootError, commandError, detailOf } from './errors.js';
import type { RedisSettings } from './settings.js';

const OLDEST_MAJOR = 7;

/**
 * Checks that the server can keep what the broker promises.
 *
 * @throws Error that names what is missing and the remedy.
 */
export async function checkServer(commands: RedisCommands, settings: RedisSettings): Promise<void> {
  const field = await fittingServer(commands);
  const policy = evictionOf(field);
  const found = policy === undefined ? [] : [{ problem: evicts(policy), remedy: NO_EVICTION }];
  for (const { problem, remedy } of [...found, ...splitBrainOf(field, settings)])
    settings.onWarning(`redisBroker: ${problem} ${remedy}`);
}

/**
 * The settings of the server that weaken what the broker promises.
 *
 * @throws Error as {@link checkServer}.
 */
export async function weaknessesOf(
  commands: RedisCommands,
  settings: RedisSettings,
): Promise<readonly StorageWeakness[]> {
  const field = await fittingServer(commands);
  const replicas = settings.replicated?.replicas ?? 0;
  const found: StorageWeakness[] = [...splitBrainOf(field, settings)];
  const policy = evictionOf(field);
  if (policy !== undefined) found.push({ problem: evicts(policy), remedy: NO_EVICTION });
  if (field('aof_enabled') === '0')
    found.push({
      problem:
        'Redis writes no append-only file: when it restarts, events since its last snapshot on disk are lost, if it has one, and bans and restrictions with them.',
      remedy: 'Set appendonly yes.',
    });
  const connected = Number(field('connected_slaves') ?? replicas);
  if (connected < replicas)
    found.push({
      problem: `Redis has ${connected} replicas, and an acknowledgement waits for ${replicas}: every publish would end with timeout.`,
      remedy: 'Start the replicas, or lower durability.replicas.',
    });
  return found;
}

/** What a master that is cut off may do while Sentinels name another. It cannot know. */
function splitBrainOf(
  field: Field,
  { controlReplicas, isWatched, replicated }: RedisSettings,
): StorageWeakness[] {
  // INFO names the good replicas only where they are asked for.
  if (!isWatched || field('min_slaves_good_slaves') !== undefined) return [];
  const found: StorageWeakness[] = [];
  if (replicated === undefined)
    found.push({
      problem:
        'Sentinels name the master, and it has no min-replicas-to-write: while it is cut off and another takes its place, it acknowledges publishes and restrictions that are lost when it is back.',
      remedy:
        'Set min-replicas-to-write 1 on every server, with two replicas or more, or use durability replicated.',
    });
  if (controlReplicas === 0)
    found.push({
      problem:
        'A node that is cut off together with an old master delivers to users whose access was revoked (`controlReplicas` is 0).',
      remedy: 'Leave out controlReplicas, or set min-replicas-to-write 1.',
    });
  return found;
}

type Field = (name: string) => string | undefined;

const NO_EVICTION = 'Set maxmemory-policy noeviction.';

function evicts(policy: string): string {
  return (
    `Redis drops keys when its memory is full (maxmemory-policy ${policy}). A dropped log is announced ` +
    '(G6), but a dropped id lets a retried publish be appended twice (G4), and a dropped member is gone.'
  );
}

/** The policy by which the server drops keys; `undefined` where it drops none. */
function evictionOf(field: Field): string | undefined {
  const policy = field('maxmemory_policy');
  return policy !== 'noeviction' && field('maxmemory') !== '0' ? policy : undefined;
}

/** @returns what INFO says, by the name of the field. */
async function fittingServer(commands: RedisCommands): Promise<Field> {
  const info = await commands.info().catch((error: unknown) => {
    throw bootError(`Redis does not answer INFO: ${detailOf(commandError(error))}`, ALLOW_COMMANDS);
  });
  const field: Field = (name) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const version = field('redis_version') ?? '';
  if (Number.parseInt(version, 10) < OLDEST_MAJOR) {
    throw bootError(
      `the server is Redis ${version}, which has no sharded pub/sub`,
      'Use Redis 7.0 or newer, or Valkey.',
    );
  }
  if (field('master_replid') === undefined) {
    throw bootError(
      'INFO of this server has no `master_replid`, so nobody could notice that it lost events in a restart or a failover (G6)',
      'Use a server whose INFO has the section "replication".',
    );
  }
  const clusterEnabled = field('cluster_enabled');
  // A service may leave it out.
  if (clusterEnabled !== undefined && (clusterEnabled === '1') !== commands.clustered) {
    throw commands.clustered
      ? bootError(
          'the server is not part of a Cluster',
          'Give its address as `url`, or its Sentinels as `sentinel`.',
        )
      : bootError('the server is part of a Cluster', 'Give its nodes as `cluster: { nodes }`.');
  }
  return field;
}
