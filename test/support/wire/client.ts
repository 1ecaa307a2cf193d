import { decodeMulti, encode } from '@msgpack/msgpack';
import type { IncomingHttpHeaders } from 'node:http';
import type { ConnectionOptions } from 'node:tls';
import { WebSocket, type RawData } from 'ws';
import type { Envelope } from '../../../lib/protocol/envelope.js';
import type { ErrorBody } from '../../../lib/protocol/error-body.js';
import type { WelcomePayload } from '../../../lib/protocol/messages.js';
import { patience } from '../patience.js';

/** Reached only when a test fails. */
const DEFAULT_TIMEOUT_MS = patience(10_000);
/** Envelopes that an error message shows. */
const SHOWN = 12;

/** What came in, with its payload left open: tests look at what they expect. */
export interface WireEnvelope extends Omit<Envelope, 'payload'> {
  readonly payload: Record<string, unknown>;
}

/** What {@link WireClient.open} can be told. */
export interface WireClientOptions {
  /** Subprotocols to offer. Default: `realtime.v1.json`; an empty list offers none. */
  readonly protocols?: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  /** Added to the address, e.g. `?token=…`. */
  readonly query?: string;
  /** Whether the server's pings are answered and not shown. Default true: they come at times that no test controls. */
  readonly answersPings?: boolean;
  /** Longest wait of every method, in milliseconds. Default: `patience(10_000)`. */
  readonly timeoutMs?: number;
  readonly compression?: boolean;
  /** More for the socket: certificates, a local address. */
  readonly socket?: Pick<ConnectionOptions, 'ca' | 'lookup' | 'servername'> & {
    readonly localAddress?: string;
  };
  /** Shown in errors. */
  readonly name?: string;
}

/** How a connection ended. */
export interface WireClose {
  readonly code: number;
  readonly reason: string;
}

/** The HTTP answer to an upgrade that was refused. */
export class UpgradeRefused extends Error {
  override readonly name = 'UpgradeRefused';

  constructor(
    readonly status: number,
    readonly headers: IncomingHttpHeaders,
    readonly body: string,
  ) {
    super(`The upgrade was refused with ${status}: ${body}`);
  }
}

/** Part of an envelope: what is said must be equal, the rest may be anything. */
export type EnvelopePart = Partial<Pick<Envelope, 'type' | 'ref' | 'channel' | 'event' | 'seq' | 'id'>>;

/** Asks whether what is waited for is here; `true` ends the wait. */
type Waiter = () => boolean;

/**
 * A client that is nothing but a socket: it shares no code with the library's own client, so that a test sees what is on
 * the wire. Batched frames are taken apart; envelopes are kept in the order in which they came.
 *
 * @example
 * const client = await WireClient.open(server.url);
 * await client.hello('alice');
 * client.send({ type: 'subscribe', id: 's1', channel: 'rooms.1', payload: {} });
 * expect((await client.next('reply')).payload['recovery']).toBe('new');
 */
export class WireClient {
  /** Everything that came, pings that were answered aside. */
  readonly received: WireEnvelope[] = [];
  /** Frames that came. */
  frames = 0;
  /** Payload of the last `welcome`. */
  welcome: WelcomePayload | undefined;
  private readonly queue: WireEnvelope[] = [];
  private readonly waiters: Waiter[] = [];
  private closed: WireClose | undefined;
  private ids = 0;

  private constructor(
    readonly socket: WebSocket,
    private readonly options: WireClientOptions,
  ) {
    socket.on('message', (data, isBinary) => this.onMessage(data, isBinary));
    socket.on('error', () => undefined);
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
      this.wake();
    });
  }

  /** Opens a connection; nothing is sent. @throws UpgradeRefused */
  static open(url: string, options: WireClientOptions = {}): Promise<WireClient> {
    const { protocols = ['realtime.v1.json'], headers = {}, query = '', compression = false } = options;
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(`${url}${query}`, [...protocols], {
        ...options.socket,
        headers: { ...headers },
        perMessageDeflate: compression,
      });
      const client = new WireClient(socket, options);
      socket.on('open', () => resolve(client));
      socket.on('error', reject);
      socket.on('unexpected-response', (request, response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('end', () => {
          reject(
            new UpgradeRefused(response.statusCode ?? 0, response.headers, Buffer.concat(chunks).toString()),
          );
          request.destroy();
        });
      });
    });
  }

  /** The refusal of an upgrade. @throws Error when it succeeds. */
  static async refused(url: string, options: WireClientOptions = {}): Promise<UpgradeRefused> {
    let client: WireClient;
    try {
      client = await WireClient.open(url, options);
    } catch (error) {
      if (error instanceof UpgradeRefused) return error;
      throw error;
    }
    client.terminate();
    throw new Error('The upgrade succeeded, although it should have been refused');
  }

  /** The subprotocol that the server echoed; empty when none. */
  get protocol(): string {
    return this.socket.protocol;
  }

  /** How the connection ended, once it has. */
  get ended(): WireClose | undefined {
    return this.closed;
  }

  /** Envelopes that came and were not asked for yet. */
  get pending(): readonly WireEnvelope[] {
    return this.queue;
  }

  /** Sends one envelope in the connection's codec, or a frame as it is. */
  send(envelope: Envelope | Readonly<Record<string, unknown>> | string | Uint8Array): void {
    if (typeof envelope === 'string' || envelope instanceof Uint8Array) this.socket.send(envelope);
    else this.sendAll([envelope]);
  }

  /** Sends several envelopes in one frame (P4). */
  sendAll(envelopes: readonly (Envelope | Readonly<Record<string, unknown>>)[]): void {
    if (this.isBinary) this.socket.send(Buffer.concat(envelopes.map((envelope) => encode(envelope))));
    else this.socket.send(envelopes.map((envelope) => JSON.stringify(envelope)).join('\n'));
  }

  /** Greets and waits for `welcome`. @param payload fields of `hello` beside the token. */
  async hello(token?: string, payload: Readonly<Record<string, unknown>> = {}): Promise<WelcomePayload> {
    this.send({
      type: 'hello',
      id: this.id(),
      payload: { versions: [1], ...(token === undefined ? {} : { token }), ...payload },
    });
    const welcome = await this.next('welcome');
    this.welcome = welcome.payload as unknown as WelcomePayload;
    return this.welcome;
  }

  /** Sends a command, with an id when it has none, and waits for its answer: `reply`, `error` or `pong`. */
  call(command: Readonly<Record<string, unknown>>): Promise<WireEnvelope> {
    const id = typeof command['id'] === 'string' ? command['id'] : this.id();
    this.send({ ...command, id });
    return this.take({ ref: id });
  }

  /** Like {@link call}, and gives the payload of the reply. @throws Error when the answer is an error. */
  async reply(command: Readonly<Record<string, unknown>>): Promise<Record<string, unknown>> {
    const answer = await this.call(command);
    if (answer.type === 'reply') return answer.payload;
    throw new Error(`${this.label}: expected a reply, got ${JSON.stringify(answer)}`);
  }

  /** Like {@link call}, and gives the body of the error. @throws Error when the answer is none. */
  async error(command: Readonly<Record<string, unknown>>): Promise<ErrorBody> {
    const answer = await this.call(command);
    if (answer.type === 'error') return answer.payload as unknown as ErrorBody;
    throw new Error(`${this.label}: expected an error, got ${JSON.stringify(answer)}`);
  }

  /** Subscribes and gives the body of the answer. */
  subscribe(
    channel: string,
    payload: Readonly<Record<string, unknown>> = {},
  ): Promise<Record<string, unknown>> {
    return this.reply({ type: 'subscribe', channel, payload });
  }

  /**
   * The next envelope. With a type, the next one must be of it: nothing is skipped, so the order on the wire is
   * part of what is tested.
   */
  next(type?: string, timeoutMs?: number): Promise<WireEnvelope> {
    return this.wait(
      type === undefined ? 'an envelope' : `"${type}" as the next envelope`,
      () => {
        const [first] = this.queue;
        if (first === undefined) return undefined;
        if (type !== undefined && first.type !== type) throw new Error(`Got ${JSON.stringify(first)}`);
        return this.queue.shift();
      },
      timeoutMs,
    );
  }

  /** The next `count` envelopes. */
  async nextAll(count: number, type?: string): Promise<WireEnvelope[]> {
    const found: WireEnvelope[] = [];
    while (found.length < count) found.push(await this.next(type));
    return found;
  }

  /** The first envelope, here or to come, that has these fields. The others stay, in order. */
  take(part: EnvelopePart, timeoutMs?: number): Promise<WireEnvelope> {
    return this.wait(
      `an envelope with ${JSON.stringify(part)}`,
      () => {
        const index = this.queue.findIndex((envelope) => matches(envelope, part));
        return index === -1 ? undefined : this.queue.splice(index, 1)[0];
      },
      timeoutMs,
    );
  }

  /** Waits for the end of the connection. @param code the close code that it must have. */
  async expectClose(code?: number, timeoutMs?: number): Promise<WireClose> {
    const close = await this.wait('the end of the connection', () => this.closed, timeoutMs);
    if (code !== undefined && close.code !== code) {
      throw new Error(`${this.label}: expected a close with ${code}.${this.state()}`);
    }
    return close;
  }

  /** Closes with a closing handshake. */
  async close(code = 1000, reason = ''): Promise<WireClose> {
    this.socket.close(code, reason);
    return await this.expectClose();
  }

  /** Cuts the connection: no close frame, as when a network goes away. */
  terminate(): void {
    this.socket.terminate();
  }

  /** Stops reading from the socket: a slow client. */
  stopReading(): void {
    this.socket.pause();
  }

  goOnReading(): void {
    this.socket.resume();
  }

  private get isBinary(): boolean {
    return this.socket.protocol === 'realtime.v1.msgpack';
  }

  private get label(): string {
    return this.options.name === undefined ? 'WireClient' : `WireClient ${this.options.name}`;
  }

  private id(): string {
    return `c${++this.ids}`;
  }

  private onMessage(data: RawData, isBinary: boolean): void {
    this.frames++;
    for (const envelope of decodeFrame(data as Buffer, isBinary)) {
      if (envelope.type === 'ping' && this.options.answersPings !== false) {
        this.send({ type: 'pong', ref: envelope.id });
        continue;
      }
      this.received.push(envelope);
      this.queue.push(envelope);
    }
    this.wake();
  }

  private wake(): void {
    for (const waiter of [...this.waiters]) {
      if (waiter()) this.waiters.splice(this.waiters.indexOf(waiter), 1);
    }
  }

  private wait<T>(what: string, find: () => T | undefined, timeoutMs?: number): Promise<T> {
    // Made here, where the test's own line is still on the stack.
    const failure = new Error();
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer);
        failure.message = `${this.label}: expected ${what}. ${why}${this.state()}`;
        reject(failure);
      };
      const waiter: Waiter = () => {
        try {
          const found = find();
          if (found === undefined && this.closed === undefined) return false;
          if (found === undefined) fail('The connection ended first.');
          else resolve(found);
        } catch (error) {
          fail((error as Error).message);
        }
        clearTimeout(timer);
        return true;
      };
      const waitMs = timeoutMs ?? this.options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
      const timer = setTimeout(() => {
        this.waiters.splice(this.waiters.indexOf(waiter), 1);
        fail(`Nothing such came within ${waitMs} ms.`);
      }, waitMs);
      if (!waiter()) this.waiters.push(waiter);
    });
  }

  /** What the client saw, for error messages. */
  private state(): string {
    const waiting = this.queue.map((envelope) => JSON.stringify(envelope));
    const before = this.received
      .slice(0, this.received.length - this.queue.length)
      .slice(-3)
      .map((envelope) => JSON.stringify(envelope));
    return [
      '',
      `  not asked for yet (${waiting.length}):`,
      ...waiting.slice(0, SHOWN).map((line) => `    ${line.slice(0, 400)}`),
      ...(waiting.length > SHOWN ? ['    …'] : []),
      '  before that:',
      ...before.map((line) => `    ${line.slice(0, 400)}`),
      this.closed === undefined
        ? '  the connection is open'
        : `  the connection ended: ${this.closed.code} ${this.closed.reason}`,
    ].join('\n');
  }
}

function decodeFrame(data: Buffer, isBinary: boolean): WireEnvelope[] {
  if (isBinary) return [...decodeMulti(data)] as WireEnvelope[];
  return data
    .toString()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as WireEnvelope);
}

function matches(envelope: WireEnvelope, part: EnvelopePart): boolean {
  return Object.entries(part).every(([field, value]) => envelope[field as keyof EnvelopePart] === value);
}
