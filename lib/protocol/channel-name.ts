/** Longest channel name, in characters (P23). All of them are ASCII, so bytes and characters agree. */
export const MAX_CHANNEL_LENGTH = 200;

// One leading `$` marks the library's own names. The pattern has no overlapping repetition, so a hostile name costs one
// pass.
const CHANNEL_NAME = /^\$?[A-Za-z0-9_:@~-]+(?:\.[A-Za-z0-9_:@~-]+)*$/;

/**
 * Whether `name` is a channel name (P23): 1–200 of `[A-Za-z0-9_.:@~-]`, segments separated by dots, none
 * empty, optionally after the `$` of the library's own channels. There is no normalisation: the same string is matched,
 * authorized and stored.
 *
 * @example isChannelName('rooms.42') // true
 * @example isChannelName('rooms..42') // false: an empty segment
 */
export function isChannelName(name: unknown): name is string {
  return typeof name === 'string' && name.length <= MAX_CHANNEL_LENGTH && CHANNEL_NAME.test(name);
}

/** Whether the name is one of the library's own (P23b). */
export function isReservedChannel(name: string): boolean {
  return name.startsWith('$');
}

const PREFIX = '$user.';

/**
 * The channel of one user (`realtime.user(id)` on the server, `client.me` in the client). An id may hold any
 * character, so bytes outside the grammar, and the escape `~` itself, become `~XX`: two users never share a name.
 *
 * @example userChannel('auth0|7') // '$user.auth0~7C7'
 * @throws RangeError when the escaped name is longer than a channel name may be.
 */
export function userChannel(userId: string): string {
  let escaped = '';
  for (const byte of new TextEncoder().encode(userId)) {
    const character = String.fromCharCode(byte);
    escaped += /[A-Za-z0-9_:@-]/.test(character)
      ? character
      : `~${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  const name = PREFIX + escaped;
  if (!isChannelName(name)) {
    throw new RangeError(
      `The user id must have 1 to ${MAX_CHANNEL_LENGTH - PREFIX.length} characters once escaped: use a shorter stable id`,
    );
  }
  return name;
}
