import { createHash } from 'node:crypto';

/** Characters of the digest: as many as 132 bits have. */
const DIGEST_LENGTH = 22;

/**
 * The beginning of the ids of a consumer's events. Consumers of other names of a group have other ids, so that two of them may make
 * different events of one record.
 *
 * @param kind of the source.
 * @param parts what names the source for as long as its records have the same places, and the group.
 */
export function idPrefix(kind: string, ...parts: readonly string[]): string {
  const digest = createHash('sha256').update(JSON.stringify(parts)).digest('base64url');
  return `${kind}:${digest.slice(0, DIGEST_LENGTH)}`;
}
