import type { ErasedEvents, EraseReceipt } from '../core/engine/erasure.js';
import { isUserId, USER_ID_RULE } from '../core/ports/user-id.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import type { ActOptions } from './act-options.js';

/** What erases: the engine. */
export interface Eraser {
  erase(channel: string, what: ErasedEvents, options: ActOptions): Promise<EraseReceipt>;
}

/**
 * Erases events of a channel on all nodes (G29): their payloads, names, ids, users, keys and `meta` are gone from the log, its history,
 * every replay and what waits for clients; `$erased` is in their places, and is sent to subscribers as a notice.
 *
 * The arguments are checked beside their types: the application may be JavaScript.
 *
 * @param channel name of the channel, no pattern.
 * @param what `seq` or `seqs`, at most 10 000 of them; or `user`: what the log has of the user when it is called. An event that is being
 * published meanwhile stays: mute or ban the user first.
 * @returns which nodes have dropped it: these deliver nothing more of it. `erased` has the places, ascending. Where nothing was found no
 * node is asked, and all lists are empty.
 * @throws RealtimeError `bad_request`, `unknown_channel`; `unavailable` or `timeout` where a step failed, with the `seqs` that are to be
 * erased once more.
 * @example await realtime.moderation.erase('rooms.42', { seq: 1_204 }, { by: 'mod:7', reason: 'address of a person' });
 */
export async function eraseEvents(
  engine: Eraser,
  channel: string,
  what: ErasedEvents,
  options: ActOptions = {},
): Promise<EraseReceipt> {
  const given: unknown = what;
  const [name, ...more] = typeof given === 'object' && given !== null ? Object.keys(given) : [];
  if (more.length > 0 || name === undefined || !isWhat(name, (given as Record<string, unknown>)[name]))
    throw new RealtimeError(
      'bad_request',
      `erase: give one of { seq: 7 }, { seqs: [7, 8] } and { user: 'u7' }; a user is ${USER_ID_RULE}`,
    );
  return engine.erase(channel, what, options);
}

function isWhat(name: string, value: unknown): boolean {
  if (name === 'user') return isUserId(value);
  return name === 'seq' ? typeof value === 'number' : name === 'seqs' && Array.isArray(value);
}
