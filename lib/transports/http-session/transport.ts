import type { IncomingMessage, Server } from 'node:http';
import { isPromise, whenReady, type MaybePromise } from '../../core/ports/maybe-promise.js';
import type { Handshake } from '../../core/ports/connection.js';
import { LEAVING, type Opening, type Refusal, type TransportHost } from '../../core/ports/transport-host.js';
import type { Transport } from '../../core/ports/transport.js';
import { anonymousOf } from '../../core/ports/user-id.js';
import type { ClientAddress } from '../http/client-address.js';
import { DirectWriter } from '../http/direct-writer.js';
import { EntryCheck } from '../http/entry-check.js';
import { guardExchange, writePreflight } from '../http/exchange.js';
import { FrameRate } from '../http/frame-rate.js';
import {
  HandshakePolicy,
  isRefusal,
  refused,
  type AcceptedHandshake,
  type SessionSender,
} from '../http/handshake-policy.js';
import { carrierOf, isHttp2 } from '../http/http2.js';
import { bytesOf, Reception } from '../http/reception.js';
import { ONE_BY_ONE, refusalHeaders, TRY_LATER } from '../http/refusal.js';
import { leave, type Claim } from '../http/leaving.js';
import { Outgoing } from '../http/outgoing.js';
import { occupy, RequestRouter, type MethodHandler } from '../http/request-router.js';
import { EventStream } from '../sse/event-stream.js';
import { refusalAfter } from '../sse/feed-refusal.js';
import { refusalAnswer, type Answer } from './answer.js';
import { BodyReader, CUT, type Body, type BodySender } from './bodies.js';
import { judgeBody, type BodyBound } from './body-head.js';
import { writeAnswer, type SessionExchange } from './exchange.js';
import { frameOfBody } from './frame-of-body.js';
import { dropHead, holdRequest } from './held-request.js';
import {
  resolveHttpSessionOptions,
  type HttpSessionSettings,
  type HttpSessionTransportOptions,
} from './options.js';
import { PollCarrier } from './poll-carrier.js';
import { SessionRelay } from './relay.js';
import { goneFrom, lengthOf, requestOf } from './request-head.js';
import { MALFORMED, SessionRequests, type SessionRequest } from './requests.js';
import { HttpSession, type HttpSessionDeps } from './session.js';
import { SessionIds } from './session-id.js';
import { SessionTable } from './session-table.js';
import { StreamCarrier } from './stream-carrier.js';
import { StreamTrials, TOO_MANY_TRIALS } from './stream-trials.js';
import { UnreadAnswers } from './unread-answers.js';
import { dropBody } from './unread-body.js';

const NO_BODY = refused(400, 'A poll of a session has no body');
const ALLOWED = {
  methods: 'POST',
  headers: 'Authorization, Content-Type, Realtime-Session, Realtime-Send, Realtime-Ack, Realtime-Resume',
};
const EXPOSED = { 'Access-Control-Expose-Headers': 'Realtime-Answer, Realtime-End, Retry-After' };

/** Under it nodes send one another requests and answers; behind it comes the path, as an engine may have several transports. */
const RELAY_TOPIC = 'http-session';

const EMPTY = 'The body is an empty array: a session begins with the envelope `hello`';

/**
 * How long requests of another node's sessions are nothing to speak of, in milliseconds: clients of the process before this one still
 * come with theirs.
 */
const FOREIGN_AFTER_MS = 60_000;

type SessionKind = 'sse' | 'polling';
type Step = (exchange: SessionExchange) => MaybePromise<void>;

/** A client whose opening request was taken. */
interface Admitted {
  readonly handshake: Handshake;
  readonly opening: Opening;
  readonly frame: string;
  readonly bytes: number;
}

/**
 * Sessions over HTTP for client libraries (P21): `POST {path}/sse` or `POST {path}/poll` opens one, `POST {path}/send` carries what the
 * client sends.
 *
 * @example
 * const transport = new HttpSessionTransport(engine.host, { allowedOrigins: 'https://app.example.com' });
 * transport.attach(app.getHttpServer());
 */
export class HttpSessionTransport implements Transport {
  /** Its sessions are of two kinds, `sse` and `polling`. */
  readonly name = 'polling';
  private readonly settings: HttpSessionSettings;
  private readonly reception: Reception;
  private readonly policy: HandshakePolicy;
  private readonly check: EntryCheck;
  private readonly bodies: BodyReader;
  private readonly unread: UnreadAnswers;
  private readonly trials: StreamTrials;
  private readonly writer = new DirectWriter();
  private readonly outgoing = new Outgoing();
  private readonly ids: SessionIds;
  private readonly sessions: HttpSessionDeps;
  private readonly requests: SessionRequests;
  /** Answers the requests of sessions that other nodes hold; `undefined` where there is one node. */
  private readonly relay: SessionRelay | undefined;
  private readonly claims = new Map<Server, Claim[]>();
  private readonly startedAt: number;
  private saidForeign = false;
  private closed = false;

  /**
   * @throws TypeError or RangeError naming the option that is wrong, and the remedy.
   */
  constructor(
    private readonly host: TransportHost,
    options: HttpSessionTransportOptions = {},
  ) {
    this.settings = resolveHttpSessionOptions(options);
    const { clock, entropy, onError, handshakeTimeoutMs, closeTimeoutMs } = this.settings;
    this.startedAt = clock.monotonic();
    this.reception = new Reception(host, this.settings, options.trustProxy !== undefined);
    this.policy = new HandshakePolicy(host, { ...this.settings, codecs: [] });
    this.check = new EntryCheck(host, this.settings);
    const { unfinished } = host;
    this.bodies = new BodyReader({ clock, timeoutMs: handshakeTimeoutMs, unfinished });
    this.unread = new UnreadAnswers(clock, closeTimeoutMs);
    this.trials = new StreamTrials(clock);
    this.ids = new SessionIds(host.nodeId, entropy);
    const table = new SessionTable<HttpSession>(clock, closeTimeoutMs);
    this.sessions = { clock, rate: new FrameRate(host.frames, clock), table, onError };
    this.requests = new SessionRequests(table);
    const { nodes: link } = host;
    const { intervalMs: pollMs } = this.settings.heartbeat;
    const { requests: answers } = this;
    const topic = `${RELAY_TOPIC} ${this.pathOf('')}`;
    this.relay = link && new SessionRelay({ link, topic, clock, entropy, pollMs, answers, onError });
    host.onErased((seqs) => {
      table.erase(seqs);
      this.relay?.erase(seqs);
    });
  }

  get attached(): boolean {
    return this.claims.size > 0;
  }

  attach(server: Server): void {
    if (this.closed) throw new Error('This transport is closed. Create a new one.');
    const router = RequestRouter.of(server);
    const paths: [string, SessionKind, Step][] = [
      ['sse', 'sse', (exchange) => this.open(exchange, 'sse')],
      ['poll', 'polling', (exchange) => this.poll(exchange)],
      // Of a session of either kind; which one is the session's to say, and a preflight names none.
      ['send', 'sse', (exchange) => this.send(exchange)],
    ];
    const claims: Claim[] = [];
    this.claims.set(server, claims);
    for (const [name, kind, step] of paths) {
      const handler: MethodHandler = (req, res, allow) =>
        this.onRequest({ req, res, cors: { Vary: 'Origin' }, allow }, kind, step);
      claims.push({ handler, release: router.claimMethods(this.pathOf(name), ['POST'], handler) });
    }
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const [server, claims] of this.claims) leave(server, claims);
    this.claims.clear();
    this.check.close();
    this.bodies.close();
    this.trials.close();
    this.relay?.close();
    this.sessions.table.close();
  }

  whenLeft(): Promise<void> {
    return this.outgoing.whenLeft();
  }

  cut(): number {
    return this.outgoing.cut();
  }

  private pathOf(name: string): string {
    return `${this.settings.path.replace(/\/$/, '')}/${name}`;
  }

  private onRequest(exchange: SessionExchange, kind: SessionKind, step: Step): void {
    const { req, res } = exchange;
    void this.guard(exchange, () => {
      // Also once it is closed: a page has to be able to read that it should come back.
      const page = this.reception.judge(req, req.socket, (address) =>
        this.policy.judgePage(req, address, kind),
      );
      if (isRefusal(page)) return this.refuse(exchange, page);
      exchange.page = page;
      exchange.cors = { ...page.cors, ...EXPOSED };
      if (req.method === 'OPTIONS') return writePreflight(exchange, page.cors, ALLOWED, this.closed);
      if (this.closed) return this.refuse(exchange, LEAVING);
      if (req.method !== 'POST') return this.refuse(exchange, refused(405, 'Requests of sessions are POST'));
      // What is pipelined behind it would wait for its answer.
      return occupy(req, res) ? step(exchange) : undefined;
    });
  }

  private open(exchange: SessionExchange, transport: SessionKind): MaybePromise<void> {
    const { req, page } = exchange;
    const judged = this.judge(exchange, (address) => this.policy.judgeStream(req, address, transport, page));
    if (isRefusal(judged)) return this.refuse(exchange, judged);
    const bound: BodyBound = { bytes: this.host.maxFirstBytes, option: 'maxMessageBytes' };
    const wrong = judgeBody(req, bound);
    if (wrong !== undefined) return this.refuse(exchange, wrong);
    const { network } = judged.handshake;
    const body = this.bodies.read(req, { network, client: anonymousOf(network) }, bound);
    const applicant = { socket: carrierOf(req), bytes: bytesOf(req), purpose: 'stream' } as const;
    return whenReady(this.check.run(judged, applicant), (opening) => {
      if (!isRefusal(opening)) return this.greet(exchange, judged, opening, body);
      body.release();
      this.refuse(exchange, opening);
    });
  }

  private async greet(
    exchange: SessionExchange,
    { handshake }: AcceptedHandshake,
    opening: Opening,
    reading: Body,
  ): Promise<void> {
    const body = await reading.whole();
    reading.release();
    if (body === CUT) return;
    if (isRefusal(body)) return this.refuse(exchange, body);
    const frame = frameOfBody(body);
    if (frame === undefined) return this.refuse(exchange, refused(400, MALFORMED));
    const isEmpty = frame.trim() === '';
    const isStream = handshake.transport === 'sse';
    if (isEmpty && !isStream) return this.refuse(exchange, refused(400, EMPTY));
    if (this.closed) return this.refuse(exchange, LEAVING);
    if (isEmpty) return this.openTrial(exchange, handshake);
    const admitted = { handshake, opening, frame, bytes: body.length };
    if (isStream) this.openStream(exchange, admitted);
    else await this.openPolls(exchange, admitted);
  }

  private streamOf(exchange: SessionExchange): EventStream | undefined {
    const { req, res } = exchange;
    const { writer, outgoing } = this;
    // The handshake has what is needed of it, for as long as the stream lasts.
    if (!isHttp2(req)) dropHead(req);
    const stream = new EventStream(req, res, { ...this.settings, writer, outgoing });
    if (stream.isGone) return undefined;
    if (stream.isNext) return stream;
    this.refuse(exchange, ONE_BY_ONE);
    return undefined;
  }

  private openTrial(exchange: SessionExchange, { network }: Handshake): void {
    if (!this.trials.hasRoom(network)) return this.refuse(exchange, TOO_MANY_TRIALS);
    const stream = this.streamOf(exchange);
    if (stream !== undefined) this.trials.begin(stream, network, exchange.cors);
  }

  private openStream(exchange: SessionExchange, admitted: Admitted): void {
    const stream = this.streamOf(exchange);
    if (stream === undefined) return;
    const carrier = new StreamCarrier(stream, this.settings.variants, exchange.cors);
    const session = new HttpSession(this.ids.next(), admitted.handshake, carrier, undefined, this.sessions);
    this.start(exchange, session, admitted);
  }

  private async openPolls(exchange: SessionExchange, admitted: Admitted): Promise<void> {
    const polls = new PollCarrier(this.settings);
    const session = new HttpSession(this.ids.next(), admitted.handshake, polls, polls, this.sessions);
    // Before the session begins: what it says first is the answer.
    const answer = polls.first(goneFrom(exchange));
    if (this.start(exchange, session, admitted))
      this.write(exchange, await answer, admitted.handshake.network);
  }

  /** @returns whether it has begun. */
  private start(
    exchange: SessionExchange,
    session: HttpSession,
    { opening, frame, bytes }: Admitted,
  ): boolean {
    const end = session.start(() => this.host.open(session, opening), frame, bytes);
    if (end === undefined) return true;
    this.refuse(exchange, refusalAfter(end.code, end.retryAfterMs, undefined));
    return false;
  }

  private poll(exchange: SessionExchange): MaybePromise<void> {
    const { req } = exchange;
    if (req.headers['realtime-session'] === undefined) return this.open(exchange, 'polling');
    exchange.inSession = true;
    const sender = this.senderOf(exchange);
    if (isRefusal(sender)) return this.refuse(exchange, sender);
    if (Number(req.headers['content-length'] ?? 0) > 0) return this.refuse(exchange, NO_BODY);
    // Of one that does not say how long it is, the end alone may come.
    req.once('data', () => exchange.res.headersSent || this.refuse(exchange, NO_BODY));
    const request = requestOf(req, 'realtime-ack', sender);
    // The application may end connections on which nothing happens. Those of HTTP/2 are not the poll's alone.
    if (!isHttp2(req)) req.socket.setTimeout(0);
    const answer = this.answersOf(request).poll(request, goneFrom(exchange));
    if (!isPromise(answer)) return this.conclude(exchange, answer, sender);
    const release = holdRequest(req, this.ownerOf(request, sender), this.host.unfinished);
    return answer.finally(release).then((made) => this.conclude(exchange, made, sender));
  }

  private async send(exchange: SessionExchange): Promise<void> {
    const { req } = exchange;
    exchange.inSession = true;
    const sender = this.senderOf(exchange);
    if (isRefusal(sender)) return this.refuse(exchange, sender);
    const request = requestOf(req, 'realtime-send', sender);
    const bound: BodyBound = { bytes: this.host.maxFrameBytes, option: 'maxFrameBytes' };
    const wrong = judgeBody(req, bound);
    if (wrong === undefined) {
      const body = this.bodies.read(req, this.ownerOf(request, sender), bound);
      return this.take(exchange, request, sender, body).finally(() => body.release());
    }
    dropBody(req);
    const early = await this.answersOf(request).beginSend(request, lengthOf(req));
    if (early !== undefined) this.conclude(exchange, early, sender);
    else await this.refuseBody(exchange, wrong, request, sender);
  }

  private async take(
    exchange: SessionExchange,
    request: SessionRequest,
    sender: SessionSender,
    reading: Body,
  ): Promise<void> {
    const answers = this.answersOf(request);
    const early = await answers.beginSend(request, lengthOf(exchange.req));
    if (early !== undefined) {
      // Before the rest of it is dropped.
      reading.release();
      return this.conclude(exchange, early, sender);
    }
    const body = await reading.whole();
    if (body === CUT) return;
    if (isRefusal(body)) return this.refuseBody(exchange, body, request, sender);
    if (reading.frames > 0) this.sessions.table.get(request.session)?.count(reading.frames);
    this.conclude(exchange, await answers.finishSend(request, body), sender);
  }

  /** Whom a request of a session is counted for. */
  private ownerOf({ session }: SessionRequest, { network }: SessionSender): BodySender {
    return { network, client: this.sessions.table.get(session)?.client ?? anonymousOf(network) };
  }

  private async refuseBody(
    exchange: SessionExchange,
    refusal: Refusal,
    request: SessionRequest,
    sender: SessionSender,
  ): Promise<void> {
    const isTooLarge = refusal.status === 413;
    const answer = isTooLarge ? this.answersOf(request).tooLarge(request) : refusalAnswer(refusal);
    this.conclude(exchange, await answer, sender);
  }

  private answersOf(request: SessionRequest): SessionRequests | SessionRelay {
    return this.relay === undefined || this.ids.isOwn(request.session) ? this.requests : this.relay;
  }

  private senderOf(exchange: SessionExchange): SessionSender | Refusal {
    const { req } = exchange;
    return this.judge(exchange, (address) => this.policy.judgeSessionRequest(req, address));
  }

  /** Who guesses ids pays for each, as for a connection (G16). */
  private conclude(exchange: SessionExchange, answer: Answer, sender: SessionSender): void {
    if (answer.status === 410) this.lookForNodes(exchange.req);
    const refusal = answer.status === 410 ? this.host.enterAtOnce(sender) : undefined;
    if (refusal !== undefined) return this.refuse(exchange, refusal);
    if (answer.status >= 400) this.reception.requestRefused(exchange.req, answer.status);
    this.write(exchange, answer, sender.network);
  }

  /** Warns once of what ends every session over HTTP again: a load balancer before nodes that know nothing of each other. */
  private lookForNodes({ headers }: IncomingMessage): void {
    if (this.saidForeign || this.host.nodes?.inProcess === false) return;
    if (this.ids.isOwn(String(headers['realtime-session']))) return;
    const { clock, onWarning } = this.settings;
    if (clock.monotonic() - this.startedAt < FOREIGN_AFTER_MS) return;
    this.saidForeign = true;
    onWarning(
      'A request named a session over HTTP of another node, and the broker connects this process with no other: if several ' +
        'processes serve this address, they need a shared broker, such as redisBroker (docs/scaling.md). A single one may ' +
        'see it when clients come back after a restart',
    );
  }

  private judge<T extends object>(
    { req }: SessionExchange,
    by: (address: ClientAddress) => T | Refusal,
  ): T | Refusal {
    return this.closed ? LEAVING : this.reception.judge(req, req.socket, by);
  }

  private refuse(exchange: SessionExchange, refusal: Refusal): void {
    const { req, allow } = exchange;
    if (exchange.inSession === true) this.reception.requestRefused(req, refusal.status);
    else this.reception.refused(req, req.socket, refusal);
    const answer = refusalAnswer(refusal);
    this.write(exchange, { ...answer, headers: refusalHeaders(refusal, allow) }, '', true);
  }

  private write(exchange: SessionExchange, answer: Answer, network: string, ends = this.closed): void {
    const { unread, outgoing, closed: closing } = this;
    const { clock } = this.settings;
    const { maxFrameBytes: maxBytes, relayed } = this.host;
    writeAnswer(exchange, answer, { clock, maxBytes, ends, unread, outgoing, closing, relayed, network });
  }

  private guard(exchange: SessionExchange, step: () => MaybePromise<void>): MaybePromise<void> {
    const { onError } = this.settings;
    return guardExchange(exchange, step, { onError, refuse: () => this.refuse(exchange, TRY_LATER) });
  }
}
