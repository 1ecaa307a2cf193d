/** Longest id of a user, in bytes of UTF-8: what OpenID Connect allows for `sub`. */
export const MAX_USER_ID_BYTES = 255;

/** The rule of {@link isUserId}, for messages. */
export const USER_ID_RULE = `a string of 1 to ${MAX_USER_ID_BYTES} bytes of UTF-8 without control characters and halves of surrogate pairs`;

/**
 * Whether a value can be the id of a user (P3h): the one rule of every door. An id that is admitted can be revoked, kicked, banned
 * and listed, and it fits into a session ticket. There is no normalisation: two ids are equal when their characters are.
 */
export function isUserId(value: unknown): value is string {
  return (
    typeof value === 'string' &&
    value !== '' &&
    value.length <= MAX_USER_ID_BYTES &&
    !/[\p{Cc}\p{Cs}]/u.test(value) &&
    Buffer.byteLength(value) <= MAX_USER_ID_BYTES
  );
}

/** Names the anonymous clients of an address where limits know a user by its id: no id has a control character. */
export function anonymousOf(network: string): string {
  return `\n${network}`;
}
