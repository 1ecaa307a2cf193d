import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { whenReady, type MaybePromise } from '../../core/ports/maybe-promise.js';
import type { Verified } from '../../core/ports/identity.js';
import { LEAVING, type Opening, type Refusal, type TransportHost } from '../../core/ports/transport-host.js';
import type { Transport } from '../../core/ports/transport.js';
import type { ClientAddress } from '../http/client-address.js';
import { DirectWriter } from '../http/direct-writer.js';
import { EntryCheck } from '../http/entry-check.js';
import { guardExchange, writePreflight, type Exchange } from '../http/exchange.js';
import { HandshakePolicy, isRefusal, refused, type AcceptedHandshake } from '../http/handshake-policy.js';
import { bytesOf, Reception } from '../http/reception.js';
import { ONE_BY_ONE, refusalBody, refusalHeaders, TRY_LATER } from '../http/refusal.js';
import { carrierOf, isHttp2 } from '../http/http2.js';
import { leave, type Claim } from '../http/leaving.js';
import { Outgoing } from '../http/outgoing.js';
import { occupy, RequestRouter, type MethodHandler } from '../http/request-router.js';
import { BlockVariants, errorBlock } from './blocks.js';
import { EventStream, STREAM_HEAD, type EventStreamDeps } from './event-stream.js';
import { Feed, type FeedDeps } from './feed.js';
import { isStopped, judgeFeed, judgeUrl, readFeedQuery, type FeedRequest } from './feed-request.js';
import { resolveSseOptions, type SseSettings, type SseTransportOptions } from './options.js';
import { Beats, IdPace, spread } from './pace.js';

/** How often a client is told where it stands, in milliseconds: what follows may come twice. */
const ID_EVERY_MS = 250;

const METHODS = ['GET', 'HEAD'];
const POST_OFF = 'A stream is opened with GET; sessions by POST are off (transports.httpSessions)';

const ALLOWED = { methods: 'GET', headers: 'Authorization, Last-Event-ID' };

/** What an application serves from a route of its own. */
export interface ServedFeed {
  readonly channels: readonly string[];
  /** Whether events have the names that the application gave them. Default: as the URL says, `?events=1`. */
  readonly named?: boolean | undefined;
  /** Who the client is. Default: the credentials of the request say so. */
  readonly authentication?: Verified | undefined;
}

/** A request for a stream. */
interface StreamExchange extends Exchange {
  /** Methods of the path. */
  readonly allow?: string;
}

/**
 * Plain event streams (P20): `GET {path}/sse?channels=a,b`, for `EventSource`, `curl` and every language, without a client library.
 *
 * @example
 * const transport = new SseTransport(engine.host, { allowedOrigins: 'https://app.example.com' });
 * transport.attach(app.getHttpServer());
 */
export class SseTransport implements Transport {
  readonly name = 'feed';
  private readonly settings: SseSettings;
  private readonly reception: Reception;
  private readonly policy: HandshakePolicy;
  private readonly check: EntryCheck;
  private readonly streams: EventStreamDeps;
  private readonly feeds: FeedDeps;
  /** How streams are written; shared with every transport that is to send the same bytes. */
  readonly variants = new BlockVariants();
  private readonly outgoing = new Outgoing();
  private readonly claims = new Map<Server, Claim>();
  private readonly watches: (() => void)[] = [];
  private closed = false;

  /** @throws TypeError or RangeError naming the option that is wrong, and the remedy. */
  constructor(
    private readonly host: TransportHost,
    options: SseTransportOptions = {},
  ) {
    this.settings = resolveSseOptions(options);
    const { clock, heartbeatMs } = this.settings;
    this.reception = new Reception(host, this.settings, options.trustProxy !== undefined);
    this.policy = new HandshakePolicy(host, { ...this.settings, codecs: [] });
    this.check = new EntryCheck(host, this.settings);
    this.streams = { ...this.settings, writer: new DirectWriter(), outgoing: this.outgoing };
    this.feeds = {
      ...this.settings,
      variants: this.variants,
      ids: new IdPace(clock, ID_EVERY_MS),
      beats: new Beats(clock, heartbeatMs),
    };
  }

  /** Path of the streams. */
  get path(): string {
    return `${this.settings.path.replace(/\/$/, '')}/sse`;
  }

  get attached(): boolean {
    return this.claims.size > 0;
  }

  attach(server: Server): void {
    if (this.closed) throw new Error('This transport is closed. Create a new one.');
    const handler: MethodHandler = (req, res, allow) => this.onRequest(req, res, allow);
    const release = RequestRouter.of(server).claimMethods(this.path, METHODS, handler);
    this.claims.set(server, { handler, release });
  }

  /** Where the path is not attached: refuses what is pipelined behind the streams of {@link serve} all the same. */
  watch(server: Server): void {
    this.watches.push(RequestRouter.of(server).watch());
  }

  /**
   * Answers a request that reached a route of the application with a stream of these channels.
   *
   * @returns once the stream has begun, or is refused.
   */
  serve(req: IncomingMessage, res: ServerResponse, feed: ServedFeed): MaybePromise<void> {
    const exchange: StreamExchange = { req, res, cors: {} };
    return this.guard(exchange, () => {
      const query = readFeedQuery(req);
      if (isStopped(query)) return this.stop(exchange);
      const request = judgeFeed(query, [...new Set(feed.channels)], this.settings.maxChannels);
      if (isRefusal(request)) return this.refuse(exchange, request);
      const { authentication } = feed;
      const judged = this.judge(exchange, (address) =>
        authentication === undefined
          ? this.policy.judgeStream(req, address)
          : this.policy.judgeVerified(req, address),
      );
      if (isRefusal(judged)) return this.refuse(exchange, judged);
      const named = feed.named ?? request.named;
      return this.admit(exchange, judged, { ...request, named }, authentication && { authentication });
    });
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const [server, claim] of this.claims) leave(server, [claim]);
    this.claims.clear();
    for (const release of this.watches.splice(0)) release();
    this.check.close();
  }

  whenLeft(): Promise<void> {
    return this.outgoing.whenLeft();
  }

  cut(): number {
    return this.outgoing.cut();
  }

  private onRequest(req: IncomingMessage, res: ServerResponse, allow: string): void {
    const exchange: StreamExchange = { req, res, cors: { Vary: 'Origin' }, allow };
    void this.guard(exchange, () => this.answer(exchange));
  }

  private answer(exchange: StreamExchange): MaybePromise<void> {
    const { req } = exchange;
    // Also once it is closed: a browser that may not read the answer never comes back.
    const page = this.reception.judge(req, req.socket, (address) =>
      this.policy.judgePage(req, address, 'feed'),
    );
    if (isRefusal(page)) return this.refuse(exchange, page);
    exchange.cors = page.cors;
    if (req.method === 'OPTIONS') return writePreflight(exchange, page.cors, ALLOWED, this.closed);
    if (this.closed) return this.refuse(exchange, LEAVING);
    const wrong = judgeMethod(req);
    if (wrong !== undefined) return this.refuse(exchange, wrong);
    const query = readFeedQuery(req);
    if (isStopped(query)) return this.stop(exchange);
    const judged = this.judge(exchange, (address) => this.policy.judgeStream(req, address, 'feed', page));
    if (isRefusal(judged)) return this.refuse(exchange, judged);
    const request = judgeUrl(req) ?? judgeFeed(query, query.channels, this.settings.maxChannels);
    return isRefusal(request) ? this.refuse(exchange, request) : this.admit(exchange, judged, request);
  }

  private judge<T extends object>(
    { req }: StreamExchange,
    by: (address: ClientAddress) => T | Refusal,
  ): T | Refusal {
    return this.closed ? LEAVING : this.reception.judge(req, req.socket, by);
  }

  /** @param opening what is verified already. */
  private admit(
    exchange: StreamExchange,
    judged: AcceptedHandshake,
    request: FeedRequest,
    opening?: Opening,
  ): MaybePromise<void> {
    const { req, res } = exchange;
    if (!occupy(req, res)) return undefined;
    const applicant = { socket: carrierOf(req), bytes: bytesOf(req), purpose: 'stream' } as const;
    return whenReady(this.check.run(judged, applicant), (checked) => {
      if (isRefusal(checked)) return this.refuse(exchange, checked);
      this.open(exchange, judged, request, opening ?? checked);
    });
  }

  private open(
    exchange: StreamExchange,
    judged: AcceptedHandshake,
    request: FeedRequest,
    opening: Opening,
  ): void {
    const { req, res } = exchange;
    if (req.method === 'HEAD') return this.head(exchange);
    const stream = new EventStream(req, res, this.streams);
    if (stream.isGone) return;
    if (!stream.isNext) return this.refuse(exchange, ONE_BY_ONE);
    if (this.closed) return this.refuse(exchange, LEAVING);
    const refuse = (refusal: Refusal): void => this.refuse(exchange, refusal);
    const plan = { ...request, headers: exchange.cors, refuse };
    const feed = new Feed(judged.handshake, plan, stream, this.feeds);
    feed.start(() => this.host.open(feed, opening));
  }

  /** What GET would begin with: a stream that nobody reads would last. */
  private head({ res, cors }: StreamExchange): void {
    res.writeHead(200, { ...cors, ...STREAM_HEAD }).end();
  }

  /** A browser that is told 204 does not come back. */
  private stop({ res, cors }: StreamExchange): void {
    res.writeHead(204, { ...cors, 'Cache-Control': 'no-store' }).end();
  }

  private refuse(exchange: StreamExchange, refusal: Refusal): void {
    const { req, res, cors } = exchange;
    if (res.headersSent || res.destroyed) return;
    this.reception.refused(req, req.socket, refusal);
    const { status } = refusal;
    const isTemporary = status === 429 || status === 503;
    const body = isTemporary ? this.comeBack(refusal) : refusalBody(refusal);
    const headers = {
      ...cors,
      ...(isTemporary ? STREAM_HEAD : refusalHeaders(refusal, exchange.allow)),
      'Content-Length': Buffer.byteLength(body),
      // What is refused here is not worth a connection that waits for the next request.
      ...(!isHttp2(req) && { Connection: 'close' }),
    };
    res.writeHead(isTemporary ? 200 : status, headers).end(body);
  }

  /** A browser gives up for ever after any status but 200, and has no backoff: it comes back when it is told. */
  private comeBack({ status, message, code, retryAfterMs = 0 }: Refusal): string {
    const { random, retry, clock } = this.settings;
    const known = code ?? (status === 429 ? 'rate_limited' : 'unavailable');
    const payload = { code: known, message, retryable: true, retryAfterMs };
    const retryMs = retryAfterMs + spread(random, retry.firstSpreadMs);
    const ts = clock.now();
    return errorBlock(payload, ts, { retryMs });
  }

  private guard(exchange: StreamExchange, step: () => MaybePromise<void>): MaybePromise<void> {
    const { onError } = this.settings;
    return guardExchange(exchange, step, { onError, refuse: () => this.refuse(exchange, TRY_LATER) });
  }
}

function judgeMethod({ method, headers }: IncomingMessage): Refusal | undefined {
  // Where sessions are on, requests with POST are theirs.
  if (method === 'POST') return refused(405, POST_OFF);
  if (method !== 'GET' && method !== 'HEAD') return refused(405, 'A stream is opened with GET');
  if (Number(headers['content-length'] ?? 0) > 0 || headers['transfer-encoding'] !== undefined)
    return refused(400, 'A stream is opened without a body');
  return undefined;
}
