import type { StorageWeakness } from '../../core/ports/broker.js';
import type { RedisCommands } from './connection/commands.js';
import { ALLOW_COMMANDS, bootError, commandError } from './errors.js';

const OLDEST_MAJOR = 7;

/**
 * Checks that the server can keep what the broker promises.
 *
 * @throws Error that names what is missing and the remedy.
 */
export async function checkServer(
  commands: RedisCommands,
  onWarning: (message: string) => void,
): Promise<void> {
  const policy = evictionOf(await fittingServer(commands));
  if (policy !== undefined) onWarning(`redisBroker: ${evicts(policy)} ${NO_EVICTION}`);
}

/**
 * The settings of the server that weaken what the broker promises.
 *
 * @param replicas How many of them an acknowledgement waits for; 0 for none.
 * @throws Error as {@link checkServer}.
 */
export async function weaknessesOf(
  commands: RedisCommands,
  replicas: number,
): Promise<readonly StorageWeakness[]> {
  const field = await fittingServer(commands);
  const found: StorageWeakness[] = [];
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
    throw bootError(`Redis does not answer INFO: ${commandError(error).message}`, ALLOW_COMMANDS);
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
