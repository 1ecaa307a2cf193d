import { MAX_PAGE } from '../../protocol/validation/command-schemas.js';
import type { PresenceMember, PresencePage } from '../../protocol/messages.js';
import type { BrokerPresence } from '../ports/broker.js';
import { sizeOfValue } from '../ports/value-size.js';

/** Members of a page where none are asked for. */
const DEFAULT_LIMIT = 100;
/** Members that are read from the broker together. */
const CHUNK = 100;
/** Bytes that a member counts as beside its id and data. */
const MEMBER_BYTES = 32;

/** What a client, or the application, asks for. */
export interface MembersQuery {
  readonly cursor?: string | undefined;
  readonly limit?: number | undefined;
}

/** Bytes that a member counts as in a page: its id, its data (see `sizeOfValue`), and 32. */
export function sizeOfMember({ id, data }: PresenceMember): number {
  return MEMBER_BYTES + id.length + sizeOfValue(data);
}

/**
 * A page of members: as many as were asked for, but no more than fit into `maxBytes`, and at least one. Members are read a
 * hundred at a time, so that nobody makes the broker read a thousand that are thrown away. The page has the version of its first
 * read: what changed in between comes as a change after it, and may be in it already.
 */
export async function readMembers(
  members: Pick<BrokerPresence, 'members'>,
  channel: string,
  { cursor, limit = DEFAULT_LIMIT }: MembersQuery,
  maxBytes: number,
): Promise<PresencePage> {
  const most = Math.min(limit, MAX_PAGE);
  let page = await readChunk(members, channel, cursor, Math.min(most, CHUNK));
  let fits = fitting(page.members, maxBytes);
  // Which members come first may change between two reads: each time fewer are asked for.
  while (fits.count < page.members.length) {
    page = await readChunk(members, channel, cursor, fits.count);
    fits = fitting(page.members, maxBytes);
  }
  const found = [...page.members];
  let { bytes } = fits;
  let { more } = page;
  while (more !== undefined && found.length < most) {
    const next = await readChunk(members, channel, more, Math.min(most - found.length, CHUNK));
    const { count, bytes: added } = fitting(next.members, maxBytes - bytes, 0);
    // The next page begins with this chunk.
    if (count < next.members.length) break;
    found.push(...next.members);
    bytes += added;
    more = next.more;
  }
  const { more: _, ...rest } = page;
  return more === undefined ? { ...rest, members: found } : { ...rest, members: found, more };
}

function readChunk(
  members: Pick<BrokerPresence, 'members'>,
  channel: string,
  cursor: string | undefined,
  limit: number,
): Promise<PresencePage> {
  return members.members(channel, { limit, ...(cursor === undefined ? {} : { cursor }) });
}

/** How many of the first members fit, and their bytes. @param least how many are taken whatever they weigh. */
function fitting(
  members: readonly PresenceMember[],
  maxBytes: number,
  least = 1,
): { readonly count: number; readonly bytes: number } {
  let bytes = 0;
  for (const [count, member] of members.entries()) {
    const size = sizeOfMember(member);
    if (count >= least && bytes + size > maxBytes) return { count, bytes };
    bytes += size;
  }
  return { count: members.length, bytes };
}
