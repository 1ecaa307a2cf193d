import { isChannelName } from '../../../protocol/channel-name.js';
import { canonicalAddress, clientNetwork } from '../../ports/ip-address.js';
import { isUserId } from '../../ports/user-id.js';

/** Which sessions are meant: those that have all that is given; all of them where nothing is. */
export interface SessionFilter {
  /** Id of the user. */
  readonly user?: string | undefined;
  /** Name of a channel that they are subscribed to, or are joining. */
  readonly channel?: string | undefined;
  /** Address as limits count addresses: of IPv6 everybody with the same first bits (`limits.ipv6Prefix`). */
  readonly address?: string | undefined;
}

/** Reads a filter that another node sent. @returns `undefined` for what is none. */
export function readFilter(value: unknown): SessionFilter | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const { user, channel, address, ...rest } = value as Readonly<Record<string, unknown>>;
  // Of a newer version: to leave out what it asks for would find too many.
  if (Object.keys(rest).length > 0) return undefined;
  if (user !== undefined && !isUserId(user)) return undefined;
  if (channel !== undefined && !isChannelName(channel)) return undefined;
  if (address !== undefined && (typeof address !== 'string' || address.length > 64)) return undefined;
  return { user, channel, address };
}

/**
 * An address, or a network as sessions are listed with, in the form by which sessions are found.
 *
 * @returns `undefined` for what is neither.
 * @example networkIn('2001:db8:1:2:3::4', 64) // '2001:db8:1:2::/64'
 */
export function networkIn(text: string, ipv6Prefix: number): string | undefined {
  const [address = '', bits] = text.split('/', 2);
  const canonical = canonicalAddress(address);
  if (canonical === undefined) return undefined;
  const network = clientNetwork(canonical, ipv6Prefix);
  return bits === undefined || network === `${canonical}/${bits}` ? network : undefined;
}
