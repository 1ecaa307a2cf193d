import type { RedisCommands } from './connection/commands.js';
import { bootError, refusalOf } from './errors.js';
import { CONTROL_CHANNEL, type RedisKeys } from './keys.js';
import type { RedisSettings } from './settings.js';

const OWN_PREFIX = 'Give each application a `keyPrefix` of its own.';

/**
 * Compares which application the nodes under a prefix belong to: two that share one by mistake would hear each other, and have
 * their channels, bans and members in common.
 *
 * @param fingerprint Of what the nodes of an application share. Replaced by the one that came last, as secrets change.
 * @throws Error when `application` is given, and a node with another was here before.
 */
export async function checkApplication(
  commands: RedisCommands,
  keys: RedisKeys,
  { application, keyPrefix, onWarning }: RedisSettings,
  fingerprint: string | undefined,
): Promise<void> {
  const meta = (name: string, ...args: readonly string[]) =>
    commands.command(keys.partitionOf(CONTROL_CHANNEL), name, [keys.meta, ...args]);
  const get = async (field: string) => (await meta('hget', field)) as string | null;
  /** A server that is full, or cannot write to its disk, keeps no node from starting: a later start stores it. */
  const store = async (name: string, field: string, value: string): Promise<void> => {
    try {
      await meta(name, field, value);
    } catch (error) {
      if (refusalOf(error) === undefined) throw error;
    }
  };
  /** @returns what was stored before where it differs. Nothing is written where something is stored. */
  const other = async (field: string, value: string): Promise<string | undefined> => {
    let stored = await get(field);
    if (stored === null) {
      await store('hsetnx', field, value);
      // Another node may have been faster.
      stored = await get(field);
    }
    return stored === null || stored === value ? undefined : stored;
  };
  const name = application === undefined ? undefined : await other('application', application);
  if (name !== undefined)
    throw bootError(
      `the data under \`keyPrefix\` "${keyPrefix}" are those of the application "${name}", and this one is "${application}"`,
      OWN_PREFIX,
    );
  if (fingerprint === undefined || (await other('fingerprint', fingerprint)) === undefined) return;
  await store('hset', 'fingerprint', fingerprint);
  onWarning(
    `redisBroker: a node with another \`ticketSecret\` was started before under \`keyPrefix\` "${keyPrefix}". If it belongs to another ` +
      `application: both share channels, members and bans. ${OWN_PREFIX} If the secret is being replaced node by node: this ends with it.`,
  );
}
