import type { StorageWeakness } from '../../core/ports/broker.js';
import type { RedisCommands } from './connection/commands.js';
import { bootError, refusalOf } from './errors.js';
import { CONTROL_CHANNEL, type RedisKeys } from './keys.js';
import type { RedisSettings } from './settings.js';

const OWN_PREFIX = 'Give each application a `keyPrefix` of its own.';
const GIVE_NAME = `Give it its name as \`application\`. ${OWN_PREFIX}`;

/**
 * Compares which application the nodes under a prefix belong to: two that share one by mistake would hear each other, and have
 * their channels, bans and members in common.
 *
 * @param fingerprint Of what the nodes of an application share. Replaced by the one that came last, as secrets change.
 * @param others How many other nodes run under the prefix.
 * @throws Error when `application` is given, and a node with another was here before.
 */
export async function checkApplication(
  commands: RedisCommands,
  keys: RedisKeys,
  settings: RedisSettings,
  fingerprint: string | undefined,
  others: () => Promise<number>,
): Promise<void> {
  const { application, keyPrefix } = settings;
  const meta = (name: string, ...args: readonly string[]) =>
    commands.command(keys.partitionOf(CONTROL_CHANNEL), name, [keys.meta, ...args]);
  /** A server that is full, or cannot write to its disk, keeps no node from starting: a later start stores it. */
  const store = async (name: string, field: string, value: string): Promise<void> => {
    try {
      await meta(name, field, value);
    } catch (error) {
      if (refusalOf(error) === undefined) throw error;
    }
  };
  /** @returns what was stored before where it differs. Nothing is written where something is stored. */
  const other = async (field: string, value: string, before: string | null): Promise<string | undefined> => {
    if (before === null) await store('hsetnx', field, value);
    // Another node may have been faster.
    const stored = before ?? (await storedAs(commands, keys, field));
    return stored === null || stored === value ? undefined : stored;
  };
  const before = await storedAs(commands, keys, 'application');
  const name = application === undefined ? undefined : await other('application', application, before);
  if (name !== undefined)
    throw bootError(
      `the data under \`keyPrefix\` "${keyPrefix}" are those of the application "${name}", and this one is "${application}"`,
      OWN_PREFIX,
    );
  if (application === undefined && before !== null)
    settings.onWarning(`redisBroker: ${nameless(before, settings)} ${GIVE_NAME}`);
  if (application !== undefined && before === null) {
    const running = await others();
    if (running > 0)
      settings.onWarning(
        `redisBroker: no name of an application was stored under \`keyPrefix\` "${keyPrefix}", and nodes run there (${running}): the ` +
          `name of this one, "${application}", keeps none of them away. If they belong to another application: both share channels, ` +
          `members and bans. ${OWN_PREFIX} If the option is being added node by node: this ends with it.`,
      );
  }
  if (fingerprint === undefined) return;
  const known = await storedAs(commands, keys, 'fingerprint');
  if ((await other('fingerprint', fingerprint, known)) === undefined) return;
  await store('hset', 'fingerprint', fingerprint);
  settings.onWarning(
    `redisBroker: a node with another \`ticketSecret\` was started before under \`keyPrefix\` "${keyPrefix}". If it belongs to another ` +
      `application: both share channels, members and bans. ${OWN_PREFIX} If the secret is being replaced node by node: this ends with it.`,
  );
}

/** Whether this node says nothing of its application where others do: then nothing keeps it from the data of another one. */
export async function namelessBeside(
  commands: RedisCommands,
  keys: RedisKeys,
  settings: RedisSettings,
): Promise<readonly StorageWeakness[]> {
  if (settings.application !== undefined) return [];
  const name = await storedAs(commands, keys, 'application');
  return name === null ? [] : [{ problem: nameless(name, settings), remedy: GIVE_NAME }];
}

async function storedAs(commands: RedisCommands, keys: RedisKeys, field: string): Promise<string | null> {
  return (await commands.command(keys.partitionOf(CONTROL_CHANNEL), 'hget', [keys.meta, field])) as
    string | null;
}

function nameless(name: string, { keyPrefix }: RedisSettings): string {
  return `The data under \`keyPrefix\` "${keyPrefix}" are those of the application "${name}", and this node has no \`application\`: if it belongs to another one, both share channels, members and bans.`;
}
