import type { Codec } from './codecs/codec.js';
import { omitUndefined } from './omit-undefined.js';

const BEARER = 'bearer.';
const RESUME = 'resume.';
const CSRF = 'csrf.';

/** The entries of an upgrade's `Sec-WebSocket-Protocol` header. */
export interface SubprotocolOffer {
  /** Protocol names in the client's order of preference, without the entries that carry credentials. */
  readonly protocols: readonly string[];
  /** The token of `bearer.<jwt>`. */
  readonly token?: string;
  /** The session ticket of `resume.<ticket>`. */
  readonly ticket?: string;
  /** The proof of `csrf.<token>` that the page may use the cookie. */
  readonly csrf?: string;
}

/** Sorts the header's entries. `bearer.`, `resume.` and `csrf.` entries carry values and are never protocols (P2). */
export function readSubprotocols(offered: Iterable<string>): SubprotocolOffer {
  const protocols: string[] = [];
  let token: string | undefined;
  let ticket: string | undefined;
  let csrf: string | undefined;
  for (const entry of offered) {
    if (entry.startsWith(BEARER)) token ??= entry.slice(BEARER.length);
    else if (entry.startsWith(RESUME)) ticket ??= entry.slice(RESUME.length);
    else if (entry.startsWith(CSRF)) csrf ??= entry.slice(CSRF.length);
    else protocols.push(entry);
  }
  return omitUndefined({ protocols, token, ticket, csrf });
}

/** Outcome of {@link selectCodec}: the codec, and the subprotocol to echo (none when none was offered). */
export type CodecSelection =
  | { readonly codec: Codec; readonly echo: string | undefined }
  | { readonly refused: 'unknown_subprotocol' | 'credentials_only' };

/**
 * Chooses the codec of a connection: that of the first offered protocol that the server speaks, or the server's first one
 * when nothing was offered. An offer of only unknown protocols, or only credentials, is refused (HTTP 400).
 */
export function selectCodec(offer: SubprotocolOffer, codecs: readonly Codec[]): CodecSelection {
  for (const name of offer.protocols) {
    const codec = codecs.find((candidate) => candidate.subprotocol === name);
    if (codec !== undefined) return { codec, echo: codec.subprotocol };
  }
  if (offer.protocols.length > 0) return { refused: 'unknown_subprotocol' };
  if (offer.token !== undefined || offer.ticket !== undefined || offer.csrf !== undefined)
    return { refused: 'credentials_only' };
  const [fallback] = codecs;
  if (fallback === undefined) throw new RangeError('A server needs at least one codec');
  return { codec: fallback, echo: undefined };
}

/** The subprotocols that a client offers, its credentials included (P2). */
export function offerSubprotocols(codec: Codec, token?: string, ticket?: string, csrf?: string): string[] {
  const offer = [codec.subprotocol];
  if (token !== undefined) offer.push(BEARER + token);
  if (ticket !== undefined) offer.push(RESUME + ticket);
  if (csrf !== undefined) offer.push(CSRF + csrf);
  return offer;
}
