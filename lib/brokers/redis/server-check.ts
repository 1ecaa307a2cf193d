import type { RedisCommands } from './connection/commands.js';
import { bootError, commandError } from './errors.js';

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
  const info = await commands.info().catch((error: unknown) => {
    throw bootError(
      `Redis does not answer INFO: ${commandError(error).message}`,
      'Allow this user the commands that docs/scaling.md lists.',
    );
  });
  const field = (name: string) => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1];
  const version = field('redis_version') ?? '';
  if (Number.parseInt(version, 10) < OLDEST_MAJOR) {
    throw bootError(
      `the server is Redis ${version}, which has no sharded pub/sub`,
      'Use Redis 7.0 or newer, or Valkey.',
    );
  }
  if ((field('cluster_enabled') === '1') !== commands.clustered) {
    throw commands.clustered
      ? bootError(
          'the server is not part of a Cluster',
          'Give its address as `url`, or its Sentinels as `sentinel`.',
        )
      : bootError('the server is part of a Cluster', 'Give its nodes as `cluster: { nodes }`.');
  }
  const policy = field('maxmemory_policy');
  if (policy !== undefined && policy !== 'noeviction' && field('maxmemory') !== '0') {
    onWarning(
      `redisBroker: Redis drops keys when its memory is full (maxmemory-policy ${policy}). A dropped log is announced ` +
        '(G6), but a dropped id lets a retried publish be appended twice (G4), and a dropped member is gone. Set maxmemory-policy noeviction.',
    );
  }
}
