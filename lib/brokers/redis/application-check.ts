import type { RedisCommands } from './connection/commands.js';
import { bootError } from './errors.js';
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
  /** @returns what was stored before where it differs. */
  const other = async (field: string, value: string): Promise<string | undefined> => {
    await meta('hsetnx', field, value);
    const stored = String(await meta('hget', field));
    return stored === value ? undefined : stored;
  };
  const name = application === undefined ? undefined : await other('application', application);
  if (name !== undefined)
    throw bootError(
      `the data under \`keyPrefix\` "${keyPrefix}" are those of the application "${name}", and this one is "${application}"`,
      OWN_PREFIX,
    );
  if (fingerprint === undefined || (await other('fingerprint', fingerprint)) === undefined) return;
  await meta('hset', 'fingerprint', fingerprint);
  onWarning(
    `redisBroker: a node with another \`ticketSecret\` was started before under \`keyPrefix\` "${keyPrefix}". If it belongs to another ` +
      `application: both share channels, members and bans. ${OWN_PREFIX} If the secret is being replaced node by node: this ends with it.`,
  );
}
