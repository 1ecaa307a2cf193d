import type { Cluster, Command, Redis } from 'ioredis';
import { isMissingPackage } from '../../../core/ports/missing-package.js';
import { bootError } from '../errors.js';

/** The package `ioredis`, as far as it makes something. */
export interface RedisDriver {
  readonly Cluster: typeof Cluster;
  readonly Command: typeof Command;
  readonly Redis: typeof Redis;
}

const INSTALL = 'Install it: npm i ioredis@6';

/**
 * Loads `ioredis`, which only applications with this broker need to install.
 *
 * @throws Error that says how to install it, where it is missing or older than version 5.
 */
export async function loadDriver(
  load: () => Promise<object> = () => import('ioredis'),
): Promise<RedisDriver> {
  const loaded = await load().catch((cause: unknown) => {
    throw isMissingPackage(cause, 'ioredis')
      ? bootError('needs the package ioredis, version 5.3 or newer', INSTALL)
      : bootError('needs the package ioredis, which is installed and cannot be loaded', String(cause));
  });
  if (!isDriver(loaded))
    throw bootError(
      'needs the package ioredis, version 5.3 or newer, and an older one is installed',
      INSTALL,
    );
  return loaded;
}

function isDriver(loaded: object): loaded is RedisDriver {
  // Version 4 has no class of this name.
  const { Cluster, Command, Redis } = loaded as Partial<RedisDriver>;
  return [Cluster, Command, Redis].every((made) => typeof made === 'function');
}
