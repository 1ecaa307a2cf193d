import type { IncomingMessage } from 'node:http';
import type { Refusal, TransportHost } from '../../core/ports/transport-host.js';
import type { Handshake } from '../../core/ports/connection.js';
import type { Credentials } from '../../core/ports/identity.js';
import type { Codec } from '../../protocol/codecs/codec.js';
import { readSubprotocols, selectCodec, type SubprotocolOffer } from '../../protocol/subprotocol.js';
import type { ClientAddress } from './client-address.js';
import { readCookie } from './cookies.js';
import { isCsrfToken } from './csrf.js';
import type { HostVerdict } from './host.js';
import { canonicalOrigin, isSameOrigin, type OriginCheck, type Scheme } from './origin.js';
import { takeQueryToken } from './query-token.js';
import { parseSubprotocols } from './subprotocol-header.js';

/** What a request is judged as: an upgrade, a probe that asks how an upgrade would be answered (P18), or a plain stream (P20), as which an HTTP session opens (P21). */
export type Purpose = 'upgrade' | 'probe' | 'stream';

/** A request whose credentials may be verified. */
export interface AcceptedHandshake {
  readonly handshake: Handshake;
  /** What came with the request; left out when `hello` must bring it. */
  readonly credentials: (Credentials & { readonly token: string }) | undefined;
  /** The ticket of the session that it continues, for its turn among new connections (G17). Not kept. */
  readonly ticket?: string | undefined;
}

/** The same of an upgrade, or a probe. */
export interface AcceptedUpgrade extends AcceptedHandshake {
  readonly codec: Codec;
}

/** Who sends a request of a session that is open, which may wait long: nothing else of it is kept. */
export type SessionSender = Pick<Handshake, 'network'>;

/** What the page that sent a request may read. */
export interface PageVerdict {
  /** Headers of the answer. */
  readonly cors: Readonly<Record<string, string>>;
  /** Whether it may connect, where a list of origins was asked. */
  readonly isAllowed?: boolean;
}

/** Rules that requests are judged by. */
export interface HandshakeRules {
  /** Of WebSocket. */
  readonly codecs: readonly Codec[];
  readonly allowsOrigin: OriginCheck | undefined;
  readonly judgeHost: ((host: string | undefined) => HostVerdict) | undefined;
  readonly cookieName: string | undefined;
  /** What pages prove with that they may use the cookie (P2e). */
  readonly csrfSecret: string | undefined;
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

/** What the subprotocol `resume.` is where a session opens over HTTP (P21). */
export const TICKET_HEADER = 'realtime-resume';

type Source = Pick<AcceptedHandshake['credentials'] & object, 'token' | 'via'>;

export const refused = (status: Refusal['status'], message: string): Refusal => ({ status, message });

/** Whether a judgement is a refusal. */
export function isRefusal(judgement: object): judgement is Refusal {
  return 'status' in judgement;
}

/** Judges requests by their headers, cheapest check first; the one set of rules for everything that opens a connection. */
export class HandshakePolicy {
  private hasWarned = false;

  constructor(
    private readonly host: TransportHost,
    private readonly rules: HandshakeRules,
  ) {}

  judge(
    req: IncomingMessage,
    address: ClientAddress,
    purpose: Exclude<Purpose, 'stream'>,
  ): Refusal | AcceptedUpgrade {
    const offered = offerOf(req.headers['sec-websocket-protocol']);
    const accepted = this.judgeClient(req, address, purpose, offered);
    if (isRefusal(accepted)) return accepted;
    if (offered === undefined) return refused(400, 'Sec-WebSocket-Protocol is malformed');
    const selection = selectCodec(offered, this.rules.codecs);
    if ('refused' in selection) {
      return refused(400, `No known subprotocol. This server speaks ${this.spoken()}.`);
    }
    return { ...accepted, codec: selection.codec, ticket: offered.ticket };
  }

  /**
   * The same of a request for a plain stream (P20), or one that opens a session over HTTP (P21).
   *
   * @param page as {@link judgePage} had it: the rule of an application may cost, or change its mind, and is asked once.
   */
  judgeStream(
    req: IncomingMessage,
    address: ClientAddress,
    transport: Handshake['transport'] = 'feed',
    page?: PageVerdict,
  ): Refusal | AcceptedHandshake {
    const site = req.headers['sec-fetch-site'];
    // Images, scripts and links of other pages, whose visitor knows nothing of the stream. A stream of another page has an Origin.
    if (req.headers.origin === undefined && (site === 'cross-site' || site === 'same-site'))
      return refused(403, 'A page of another site has to say its Origin');
    const accepted = this.judgeClient(req, address, 'stream', undefined, transport, page?.isAllowed);
    const ticket = req.headers[TICKET_HEADER];
    return isRefusal(accepted) || typeof ticket !== 'string' ? accepted : { ...accepted, ticket };
  }

  /** Who sends a request of a session that is open: what it was opened with counts, so cookies and `Authorization` are not read. */
  judgeSessionRequest(req: IncomingMessage, { ip, scheme }: ClientAddress): Refusal | SessionSender {
    if (this.lacksTls(scheme)) return TLS_ONLY;
    return this.judgeHost(req) ?? { network: this.host.networkOf(ip) };
  }

  /** The same where the application has verified the client, on a route of its own. */
  judgeVerified(req: IncomingMessage, { ip, scheme }: ClientAddress): Refusal | AcceptedHandshake {
    if (this.lacksTls(scheme)) return TLS_ONLY;
    const handshake = this.handshakeOf('feed', req, this.queryOf(req.url ?? '/').url, ip, scheme);
    return this.host.admit(handshake) ?? { handshake, credentials: undefined };
  }

  /**
   * The headers by which a page may read an answer (CORS). Cookies are allowed for pages whose cookies count; without a list of
   * origins, every page may read what it is given without them. Who may read an answer may see how long it took.
   *
   * @param transport of what is asked for, as a rule of the application is told.
   */
  judgePage(
    req: IncomingMessage,
    { ip, scheme }: ClientAddress,
    transport: Handshake['transport'],
  ): PageVerdict {
    const { headers, url = '/' } = req;
    const { origin } = headers;
    const cors = { Vary: 'Origin' };
    if (origin === undefined) return { cors };
    const readable = { ...cors, 'Access-Control-Allow-Origin': origin, 'Timing-Allow-Origin': origin };
    const withCookies = { ...readable, 'Access-Control-Allow-Credentials': 'true' };
    const { allowsOrigin } = this.rules;
    if (allowsOrigin === undefined)
      return { cors: isSameOrigin(origin, headers.host, scheme) ? withCookies : readable };
    const handshake = this.handshakeOf(transport, req, this.queryOf(url).url, ip, scheme);
    const isAllowed = allowsOrigin(origin, handshake, scheme);
    return { cors: isAllowed ? withCookies : cors, isAllowed };
  }

  private judgeClient(
    req: IncomingMessage,
    { ip, scheme }: ClientAddress,
    purpose: Purpose,
    offered: SubprotocolOffer | undefined,
    transport: Handshake['transport'] = 'websocket',
    isAllowed?: boolean,
  ): Refusal | AcceptedHandshake {
    // Before a credential is looked at: who sent one in plain text learns nothing of it.
    if (this.lacksTls(scheme)) return TLS_ONLY;
    const { headers } = req;
    const query = this.queryOf(req.url ?? '/');
    const received = this.handshakeOf(transport, req, query.url, ip, scheme);

    const refusal = this.judgeHost(req) ?? this.host.admit(received);
    if (refusal !== undefined) return refusal;
    const { origin } = headers;
    const isOwn = isAllowed ?? this.isOwnPage(received, scheme);
    if (!isOwn && origin !== undefined && this.rules.allowsOrigin !== undefined) {
      this.warnOnce(
        origin,
        () => 'was refused with 403: it is not in allowedOrigins. If the page is yours, add it there',
      );
      return refused(403, 'This origin may not connect');
    }
    const isProven = this.provesCookie(headers.cookie, purpose, offered?.csrf);
    const handshake = isOwn || isProven ? received : this.withoutCookies(received);
    const source = this.sourceOf(handshake, offered?.token, query.token, purpose);
    if (source?.via === 'cookie' && !isProven && origin === undefined && needsOrigin(headers, purpose))
      return refused(403, 'A cookie needs an Origin beside it');
    return { handshake, credentials: source === undefined ? undefined : { ...source, handshake } };
  }

  private lacksTls(scheme: Scheme): boolean {
    return this.rules.requireTls && scheme !== 'https';
  }

  private handshakeOf(
    transport: Handshake['transport'],
    { headers }: IncomingMessage,
    url: string,
    ip: string,
    scheme: Scheme,
  ): Handshake {
    return { transport, headers, url, ip, network: this.host.networkOf(ip), secure: scheme === 'https' };
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
   * Whether an upgrade proves that its page was given the session of its cookie by the application itself, which no other page can read.
   * A probe or a stream is a `fetch`: of another origin, CORS keeps its cookies away.
   */
  private provesCookie(header: string | undefined, purpose: Purpose, token: string | undefined): boolean {
    const { cookieName: cookie, csrfSecret: secret } = this.rules;
    if (purpose !== 'upgrade' || token === undefined || cookie === undefined || secret === undefined)
      return false;
    return isCsrfToken({ secret, cookie }, header, token);
  }

  /**
   * Cross-site WebSocket hijacking (CWE-1385): browsers send cookies along from any page, and apply no CORS to upgrades. A page of
   * another origin that brings a token of its own may connect; its visitor's cookies count neither as credentials nor for a guard
   * that would find them in the headers. Nor do they change the answer: it would tell any page who is logged in here.
   */
  private withoutCookies(handshake: Handshake): Handshake {
    const { cookie, ...headers } = handshake.headers;
    const { cookieName } = this.rules;
    const brought = cookieName === undefined ? undefined : readCookie(cookie, cookieName);
    if (headers.origin !== undefined && brought !== undefined)
      this.warnOnce(
        headers.origin,
        () =>
          `came with the cookie ${cookieName}, which was not read: without allowedOrigins it counts for pages of the same origin only. ` +
          'If the page is yours, name it in allowedOrigins; where a proxy in front of this server ends TLS, set trustProxy too',
      );
    return { ...handshake, headers };
  }

  /** Once: any page can cause it as often as it likes. */
  private warnOnce(origin: string, what: () => string): void {
    if (this.hasWarned) return;
    this.hasWarned = true;
    this.rules.onWarning(`A page of ${canonicalOrigin(origin) ?? 'an unknown origin'} ${what()}`);
  }

  private sourceOf(
    { headers }: Handshake,
    offered: string | undefined,
    query: string | undefined,
    purpose: Purpose,
  ): Source | undefined {
    if (offered !== undefined) return { token: offered, via: 'subprotocol' };
    if (purpose !== 'upgrade') {
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

/** Whether a cookie counts only beside an `Origin`. */
function needsOrigin(headers: IncomingMessage['headers'], purpose: Purpose): boolean {
  // A page's upgrade always has one; its `fetch` of the same origin, which the probe is, never.
  if (purpose !== 'stream') return purpose === 'upgrade';
  // Nor has an `EventSource` of the same origin, for which the browser says so in another header.
  return headers['sec-fetch-site'] !== 'same-origin';
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
  const carried = [offer.token, offer.ticket, offer.csrf].filter((one) => one !== undefined);
  if (carried.includes('')) return undefined;
  return offer.protocols.length + carried.length === entries.length ? offer : undefined;
}
