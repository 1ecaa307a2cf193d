import { Agent } from 'node:http';
import { Agent as SecureAgent } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { elapse, stretched } from '../patience.js';
import {
  beginPost,
  readReply,
  type HttpReply,
  type Post,
  type PostOptions,
  type Trust,
} from './http-post.js';
import {
  SessionClient,
  type SentEnvelope,
  type SessionClientOptions,
  type WireEnvelope,
} from './session-client.js';

/** Where an HTTP session is. */
export interface HttpPlace {
  /** Of the endpoint, e.g. `http://127.0.0.1:40001/realtime`: where sessions begin. */
  readonly url: string;
  /** Where the requests of a session go, e.g. to another node. Default: `url`. */
  readonly elsewhere?: string;
  readonly tls?: Trust | undefined;
}

/** What an HTTP session is opened with. */
export interface HttpSessionOptions extends SessionClientOptions {
  /** Of the request that opens it. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Added to the address of the request that opens it, e.g. `?token=…`. */
  readonly query?: string;
}

/** The answer to a request that would have opened a session. */
export class SessionRefused extends Error {
  override readonly name = 'SessionRefused';

  constructor(readonly reply: HttpReply) {
    super(`The session was refused with ${reply.status}: ${reply.body}`);
  }
}

/** Closed without a word. */
const ABNORMAL = 1006;
const DRAIN = 4001;
const PROTOCOL_ERROR = 4805;
/** Requests that failed on the way and are made again, before a client gives up. */
const ATTEMPTS = 5;

/**
 * What is common to both sessions over HTTP (P21): one `/send` after another, numbered, each of them again until it is answered. The
 * first frame opens the session; the others wait for its `welcome`.
 */
export abstract class HttpSessionClient extends SessionClient {
  /** What the server answered each `/send` with. */
  readonly sendStatuses: number[] = [];
  /** The refusal of the request that would have opened it. */
  refusal: HttpReply | undefined;
  /** Called with each answer that says to come back. */
  onPutOff: ((reply: HttpReply) => void) | undefined;
  protected opener: Post | undefined;
  protected readonly agent: Agent;
  private session: string | undefined;
  private sent = 0;
  private readonly outgoing: (string | Uint8Array)[] = [];
  private isSending = false;
  private isOpening = false;
  private hasLeft = false;
  /** What the last message said of the end. */
  private lastWords: { readonly code: number; readonly retryAfterMs: number } | undefined;

  constructor(
    protected readonly place: HttpPlace,
    protected readonly options: HttpSessionOptions = {},
  ) {
    super(options);
    const secure = place.url.startsWith('https:');
    this.agent = secure ? new SecureAgent({ keepAlive: true }) : new Agent({ keepAlive: true });
  }

  /** Id of the session: a secret of this client. */
  get sessionId(): string | undefined {
    return this.session;
  }

  /** Number of the last `/send` that was answered. */
  get lastSend(): number {
    return this.sent;
  }

  override send(envelope: SentEnvelope | string | Uint8Array): void {
    if (typeof envelope === 'string' || envelope instanceof Uint8Array) this.transmit(envelope);
    else this.sendAll([envelope]);
  }

  override sendAll(envelopes: readonly SentEnvelope[]): void {
    this.transmit(JSON.stringify(envelopes));
  }

  override terminate(): void {
    this.hasLeft = true;
    this.agent.destroy();
    this.finish(ABNORMAL);
  }

  /** Begins the session with its first frame. */
  protected abstract open(body: string | Uint8Array): Promise<void>;

  protected get isGone(): boolean {
    return this.hasLeft;
  }

  /** A request of the session, to wherever those go. */
  protected request(path: string, options: PostOptions): Post {
    const { url, elsewhere = url, tls } = this.place;
    return beginPost(`${elsewhere}/${path}`, {
      ...options,
      agent: this.agent,
      tls,
      headers: { 'Realtime-Session': this.session ?? '', ...options.headers },
    });
  }

  /** The request that opens the session. @throws SessionRefused */
  protected async opening(path: string, body: string | Uint8Array): Promise<IncomingMessage> {
    const { url, tls } = this.place;
    const { headers = {}, query = '' } = this.options;
    // On a connection of its own: a stream keeps it.
    this.opener = beginPost(`${url}/${path}${query}`, { headers, body, tls });
    const response = await this.opener.response;
    if (response.statusCode !== 200) throw new SessionRefused(await readReply(response));
    return response;
  }

  /** Takes what the server sent. */
  protected takeAll(envelopes: readonly WireEnvelope[]): void {
    for (const envelope of envelopes) this.takeOne(envelope);
    this.wake();
    this.pump();
  }

  /** Whether the server said that the session ends. */
  protected get isEnding(): boolean {
    return this.lastWords !== undefined;
  }

  /** The session is over, with the code of the last words where there were any. */
  protected finish(code: number, retryAfterMs = 0): void {
    const said = this.lastWords ?? { code, retryAfterMs };
    this.end({ code: said.code, reason: `|${said.retryAfterMs}` });
    this.agent.destroy();
    this.opener?.cancel();
  }

  /** The session is over by an answer to one of its requests. */
  protected finishBy({ status, body }: HttpReply): void {
    const said = parsed(body);
    const known = said['close'] ?? (status === 409 || status === 400 ? PROTOCOL_ERROR : ABNORMAL);
    this.finish(known as number, Number(said['retryAfterMs'] ?? 0));
  }

  /**
   * A request until it is answered: after a network failure the same again, after 429 and 503 when the server says so.
   *
   * @returns `undefined` where the session ended first.
   */
  protected async persist(make: () => Post): Promise<HttpReply | undefined> {
    for (let failures = 0; ;) {
      if (this.ended !== undefined) return undefined;
      let reply: HttpReply;
      try {
        reply = await readReply(await make().response);
      } catch {
        if (++failures >= ATTEMPTS) return undefined;
        continue;
      }
      if (reply.status !== 429 && reply.status !== 503) return reply;
      this.onPutOff?.(reply);
      await elapse(stretched(Math.min(200, Number(parsed(reply.body)['retryAfterMs'] ?? 50))));
    }
  }

  private transmit(body: string | Uint8Array): void {
    if (this.ended !== undefined) return;
    if (this.isOpening) {
      this.outgoing.push(body);
      this.pump();
      return;
    }
    this.isOpening = true;
    this.open(body).catch((error: unknown) => {
      if (error instanceof SessionRefused) {
        this.refusal = error.reply;
        this.finishBy(error.reply);
      } else this.finish(ABNORMAL);
    });
  }

  private pump(): void {
    if (this.isSending || this.session === undefined || this.outgoing.length === 0) return;
    this.isSending = true;
    void this.sendQueued().finally(() => (this.isSending = false));
  }

  private async sendQueued(): Promise<void> {
    for (let body = this.outgoing.shift(); body !== undefined; body = this.outgoing.shift()) {
      const headers = { 'Realtime-Send': String(this.sent + 1) };
      const own = body;
      const reply = await this.persist(() => this.request('send', { body: own, headers }));
      if (reply === undefined) return;
      this.sendStatuses.push(reply.status);
      if (reply.status === 202) this.sent++;
      // What the stream says of the end comes first, where it is under way.
      else return void (await this.afterRefusedSend(reply));
    }
  }

  private async afterRefusedSend(reply: HttpReply): Promise<void> {
    for (let turn = 0; turn < 50 && this.ended === undefined && !this.isEnding; turn++) await elapse(2);
    this.finishBy(reply);
  }

  private takeOne(envelope: WireEnvelope): void {
    const { type, payload } = envelope;
    if (type === 'welcome') this.session = payload['connection'] as string;
    if (type === 'bye') {
      this.lastWords = advice(payload['code'], payload['retryAfterMs']);
      // A close frame in the form of a message; that of a drain is a message on every transport.
      if (payload['code'] !== DRAIN) return;
    }
    if (type === 'error' && payload['close'] !== undefined) {
      this.lastWords = advice(payload['close'], payload['retryAfterMs']);
      // Likewise; the refusal of `hello` is both.
      if (envelope.ref === undefined) return;
    }
    this.accept(envelope);
  }
}

/** A session whose server writes an event stream (P21): `POST {path}/sse`. */
export class SseSessionClient extends HttpSessionClient {
  private response: IncomingMessage | undefined;

  override stopReading(): void {
    this.response?.pause();
  }

  override goOnReading(): void {
    this.response?.resume();
  }

  override terminate(): void {
    this.opener?.cancel();
    super.terminate();
  }

  /** Headers of the stream. */
  get headers(): IncomingMessage['headers'] | undefined {
    return this.response?.headers;
  }

  protected override async open(body: string | Uint8Array): Promise<void> {
    const response = (this.response = await this.opening('sse', body));
    let text = '';
    response.setEncoding('utf8');
    response.on('data', (chunk: string) => {
      const blocks = (text + chunk).split('\n\n');
      text = blocks.pop() as string;
      this.takeAll(blocks.flatMap(envelopesOf));
    });
    response.on('error', () => undefined);
    response.on('close', () => this.finish(ABNORMAL));
  }
}

/** A session that asks for what there is (P21): `POST {path}/poll`, again and again. */
export class PollSessionClient extends HttpSessionClient {
  /** Number of the last answer. */
  answer = 0;
  /** Polls that were answered with nothing. */
  emptyAnswers = 0;
  private isReading = true;
  private goOn = (): void => undefined;
  private polling: Post | undefined;

  override stopReading(): void {
    this.isReading = false;
  }

  override goOnReading(): void {
    this.isReading = true;
    this.goOn();
  }

  override terminate(): void {
    this.polling?.cancel();
    super.terminate();
  }

  protected override async open(body: string | Uint8Array): Promise<void> {
    let reply: HttpReply | undefined = await readReply(await this.opening('poll', body));
    while (reply !== undefined && reply.status === 200) {
      if (!this.isReading) await new Promise<void>((resolve) => (this.goOn = resolve));
      this.answer = Number(reply.headers['realtime-answer'] ?? this.answer);
      const envelopes = JSON.parse(reply.body) as WireEnvelope[];
      if (envelopes.length === 0) this.emptyAnswers++;
      this.takeAll(envelopes);
      // Behind a `bye` there may be more: the server says 410 when there is not.
      const headers = { 'Realtime-Ack': String(this.answer) };
      reply = await this.persist(() => (this.polling = this.request('poll', { headers })));
    }
    if (reply === undefined) this.finish(ABNORMAL);
    else this.finishBy(reply);
  }
}

function advice(code: unknown, retryAfterMs: unknown): { code: number; retryAfterMs: number } {
  return { code: Number(code), retryAfterMs: Number(retryAfterMs ?? 0) };
}

function parsed(body: string): Record<string, unknown> {
  try {
    return JSON.parse(body) as Record<string, unknown>;
  } catch {
    return {};
  }
}

/** What a block says. Every line must be a field of the standard (WHATWG HTML §9.2.6). */
function envelopesOf(block: string): WireEnvelope[] {
  const data = block.split('\n').filter((line) => line.startsWith('data:'));
  for (const line of block.split('\n'))
    if (!/^(data|retry|id|event)?:/.test(line)) throw new Error(`No line of a stream: ${line}`);
  return data.map((line) => JSON.parse(line.slice(5)) as WireEnvelope);
}
