import type { ControlMessage } from '../../../core/ports/control.js';
import type { RedisCommands } from '../connection/commands.js';
import { CONTROL_CHANNEL, type RedisKeys } from '../keys.js';
import { TIME } from '../scripts/index.js';

type Ban = Extract<ControlMessage, { kind: 'ban' }>;

const PAGE = 500;

/** Bans that hold by the server's time; those that have ended are forgotten on the way. */
export async function loadBans(commands: RedisCommands, keys: RedisKeys): Promise<readonly Ban[]> {
  const partition = keys.partitionOf(CONTROL_CHANNEL);
  const bans = new Map<string, Ban>();
  const over: string[] = [];
  const now = await serverTime(commands, keys);
  let cursor = '0';
  do {
    const [next, found] = (await commands.command(partition, 'hscan', [
      keys.bans,
      cursor,
      'COUNT',
      PAGE,
    ])) as readonly [string, readonly string[]];
    for (let at = 0; at < found.length; at += 2) {
      const user = found[at] ?? '';
      const ban = JSON.parse(found[at + 1] ?? 'null') as Ban;
      if (ban.until !== undefined && ban.until <= now) over.push(user);
      else bans.set(user, ban);
    }
    cursor = next;
  } while (cursor !== '0');
  if (over.length > 0) await commands.command(partition, 'hdel', [keys.bans, ...over.slice(0, PAGE)]);
  return [...bans.values()];
}

async function serverTime(commands: RedisCommands, keys: RedisKeys): Promise<number> {
  const [seconds] = (await commands.run(TIME, keys.partitionOf(CONTROL_CHANNEL), [keys.bans], [])) as [
    number,
  ];
  return seconds;
}
