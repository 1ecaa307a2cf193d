import type { IncomingMessage } from 'node:http';
import type { Refusal, TransportHost } from '../../core/ports/transport-host.js';
import type { Handshake } from '../../core/ports/connection.js';
import type { Credentials } from '../../core/ports/identity.js';
import type { Codec } from '../../protocol/codecs/codec.js';
import { readSubprotocols, selectCodec, type SubprotocolOffer } from '../../protocol/subprotocol.js';
import type { ClientAddress } from './client-address.js';
import { readCookie } from './cookies.js';
import type { HostVerdict } from './host.js';
import { canonicalOrigin, isSameOrigin, type OriginCheck, type Scheme } from './origin.js';
import { takeQueryToken } from './query-token.js';
import { parseSubprotocols } from './subprotocol-header.js';

/** What a request is judged as: an upgrade, or a probe that asks how an upgrade would be answered (P18). */
export type Purpose = 'upgrade' | 'probe';

/** A request whose credentials may be verified. */
export interface AcceptedHandshake {
  readonly handshake: Handshake;
  readonly codec: Codec;
  /** What came with the request; left out when `hello` must bring it. */
  readonly credentials: (Credentials & { readonly token: string }) | undefined;
}

/** Rules that requests are judged by. */
export interface HandshakeRules {
  readonly codecs: readonly [Codec, ...Codec[]];
  readonly allowsOrigin: OriginCheck | undefined;
  readonly judgeHost: ((host: string | undefined) => HostVerdict) | undefined;
  readonly cookieName: string | undefined;
  readonly queryToken: string | undefined;
  readonly requireTls: boolean;
  readonly onWarning: (message: string) => void;
}

/** An answer may be read on the way as the request was: it says nothing but how to come. */
const TLS_ONLY: Refusal = {
  status: 403,
  message: 'This server takes TLS connections only: use wss:// or https://',
  hint: 'requireTls is set. If a proxy of yours ended TLS, it has to send X-Forwarded-Proto: https, and trustProxy has to trust it',
};

type Source = Pick<AcceptedHandshake['credentials'] & object, 'token' | 'via'>;

export const refused = (status: Refusal['status'], message: string): Refusal => ({ status, message });

/** Whether a judgement is a refusal. */
export function isRefusal(judgement: object): judgement is Refusal {
  return 'status' in judgement;
}

/** Judges requests by their headers, cheapest check first; the one set of rules for upgrades and probes. */
export class HandshakePolicy {
  private hasWarned = false;

  constructor(
    private readonly host: TransportHost,
    private readonly rules: HandshakeRules,
  ) {}

  judge(req: IncomingMessage, { ip, scheme }: ClientAddress, purpose: Purpose): Refusal | AcceptedHandshake {
    // Before a credential is looked at: who sent one in plain text learns nothing of it.
    if (this.rules.requireTls && scheme !== 'https') return TLS_ONLY;
    const { headers } = req;
    const query = this.queryOf(req.url ?? '/');
    const offered = offerOf(headers['sec-websocket-protocol']);
    const received: Handshake = {
      transport: 'websocket',
      headers,
      url: query.url,
      ip,
      network: this.host.networkOf(ip),
      secure: scheme === 'https',
    };

    const refusal = this.judgeHost(req) ?? this.host.admit(received);
    if (refusal !== undefined) return refusal;
    const { origin } = headers;
    const isOwn = this.isOwnPage(received, scheme);
    if (!isOwn && origin !== undefined && this.rules.allowsOrigin !== undefined)
      return refused(403, 'This origin may not connect');
    const handshake = isOwn ? received : this.withoutCookies(received);
    const source = this.sourceOf(handshake, offered, query.token, purpose);
    // A page's upgrade always has an Origin; its `fetch` of the same origin, which the probe is, never.
    if (source?.via === 'cookie' && origin === undefined && purpose === 'upgrade')
      return refused(403, 'A cookie needs an Origin beside it');
    if (offered === undefined) return refused(400, 'Sec-WebSocket-Protocol is malformed');
    const selection = selectCodec(offered, this.rules.codecs);
    if ('refused' in selection) {
      return refused(400, `No known subprotocol. This server speaks ${this.spoken()}.`);
    }
    const credentials = source === undefined ? undefined : { ...source, handshake };
    return { handshake, codec: selection.codec, credentials };
  }

  private judgeHost({ headers: { host }, rawHeaders }: IncomingMessage): Refusal | undefined {
    // RFC 9112 §3.2. Node keeps the first of them, and a proxy before it may have gone by the other.
    if (rawHeaders.filter((name, index) => index % 2 === 0 && /^host$/i.test(name)).length > 1)
      return refused(400, 'Host came twice');
    switch (this.rules.judgeHost?.(host)) {
      case 'malformed':
        return refused(400, 'Host is missing or malformed');
      case 'foreign':
        return refused(403, 'This host is not served here');
      default:
        return undefined;
    }
  }

  /** Whether the page may connect with its visitor's cookies. Without a list, no page is asked that brings none. */
  private isOwnPage(handshake: Handshake, scheme: Scheme): boolean {
    const { origin, host, cookie } = handshake.headers;
    const { allowsOrigin } = this.rules;
    if (origin === undefined) return isOwnFetch(handshake);
    if (allowsOrigin !== undefined) return allowsOrigin(origin, handshake, scheme);
    return cookie === undefined || isSameOrigin(origin, host, scheme);
  }

  /**
   * Cross-site WebSocket hijacking (CWE-1385): browsers send cookies along from any page, and apply no CORS to upgrades. A page of
   * another origin that brings a token of its own may connect; its visitor's cookies count neither as credentials nor for a guard
   * that would find them in the headers. Nor do they change the answer: it would tell any page who is logged in here.
   */
  private withoutCookies(handshake: Handshake): Handshake {
    const { cookie, ...headers } = handshake.headers;
    if (headers.origin !== undefined) this.warnOnce(headers.origin, cookie);
    return { ...handshake, headers };
  }

  private warnOnce(origin: string, cookies: string | undefined): void {
    const { cookieName, onWarning } = this.rules;
    if (this.hasWarned || cookieName === undefined || readCookie(cookies, cookieName) === undefined) return;
    this.hasWarned = true;
    onWarning(
      `A page of ${canonicalOrigin(origin) ?? 'an unknown origin'} came with the cookie ${cookieName}, which was not read: without ` +
        'allowedOrigins it counts for pages of the same origin only. If the page is yours, name it in allowedOrigins; where a ' +
        'proxy in front of this server ends TLS, set trustProxy too',
    );
  }

  private sourceOf(
    { headers }: Handshake,
    offered: SubprotocolOffer | undefined,
    query: string | undefined,
    purpose: Purpose,
  ): Source | undefined {
    if (offered?.token !== undefined) return { token: offered.token, via: 'subprotocol' };
    if (purpose === 'probe') {
      // A page cannot set Sec-WebSocket-Protocol on a `fetch`, but it can set this.
      const bearer = /^Bearer +([^\s]+)$/i.exec(headers.authorization ?? '')?.[1];
      if (bearer !== undefined) return { token: bearer, via: 'subprotocol' };
    }
    if (query !== undefined) return { token: query, via: 'subprotocol' };
    const { cookieName } = this.rules;
    const cookie = cookieName === undefined ? undefined : readCookie(headers.cookie, cookieName);
    return cookie === undefined ? undefined : { token: cookie, via: 'cookie' };
  }

  private queryOf(url: string): { readonly token?: string; readonly url: string } {
    const { queryToken } = this.rules;
    return queryToken === undefined ? { url } : takeQueryToken(url, queryToken);
  }

  private spoken(): string {
    return this.rules.codecs.map((codec) => codec.subprotocol).join(', ');
  }
}

/**
 * Without `Origin`, whether a page of the same origin asks, or no page at all: an image or a script of another page is fetched
 * without one too, and says so in another header.
 */
function isOwnFetch({ headers }: Handshake): boolean {
  const site = headers['sec-fetch-site'];
  return site === undefined || site === 'same-origin' || site === 'none';
}

/** What the header offers; `undefined` when it is malformed, which includes empty credentials and two of a kind. */
function offerOf(header: string | undefined): SubprotocolOffer | undefined {
  const entries = header === undefined ? [] : parseSubprotocols(header);
  if (entries === undefined) return undefined;
  const offer = readSubprotocols(entries);
  if (offer.token === '' || offer.ticket === '') return undefined;
  const carried = (offer.token === undefined ? 0 : 1) + (offer.ticket === undefined ? 0 : 1);
  return offer.protocols.length + carried === entries.length ? offer : undefined;
}
