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

/** An envelope as a test writes it, be it well formed or not. */
export type SentEnvelope = Envelope | Readonly<Record<string, unknown>>;

/** How a session ended. */
export interface WireClose {
  readonly code: number;
  /** `name|retryAfterMs`, as a close frame has it. */
  readonly reason: string;
}

/** Part of an envelope: what is said must be equal, the rest may be anything. */
export type EnvelopePart = Partial<Pick<Envelope, 'type' | 'ref' | 'channel' | 'event' | 'seq' | 'id'>>;

/** What every client of a test can be told. */
export interface SessionClientOptions {
  /** Whether the server's pings are answered and not shown. Default true: they come at times that no test controls. */
  readonly answersPings?: boolean;
  /** Longest wait of every method, in milliseconds. Default: `patience(10_000)`. */
  readonly timeoutMs?: number;
  /** Shown in errors. */
  readonly name?: string;
}

/** Asks whether what is waited for is here; `true` ends the wait. */
type Waiter = () => boolean;

/**
 * A client that shows what is on the wire, whatever carries it. It shares no code with the library's own client. Envelopes are
 * kept in the order in which they came.
 */
export abstract class SessionClient {
  /** Everything that came, pings that were answered aside. */
  readonly received: WireEnvelope[] = [];
  /** Payload of the last `welcome`. */
  welcome: WelcomePayload | undefined;
  private readonly queue: WireEnvelope[] = [];
  private readonly waiters: Waiter[] = [];
  private closed: WireClose | undefined;
  private ids = 0;

  protected constructor(private readonly own: SessionClientOptions) {}

  /** How the session ended, once it has. */
  get ended(): WireClose | undefined {
    return this.closed;
  }

  /** Envelopes that came and were not asked for yet. */
  get pending(): readonly WireEnvelope[] {
    return this.queue;
  }

  /** Sends one envelope, or a frame as it is. */
  abstract send(envelope: SentEnvelope | string | Uint8Array): void;

  /** Sends several envelopes in one frame (P4). */
  abstract sendAll(envelopes: readonly SentEnvelope[]): void;

  /** Goes away without a word, as when a network does. */
  abstract terminate(): void;

  /** Stops to take what the server sends: a slow client. */
  abstract stopReading(): void;

  abstract goOnReading(): void;

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

  /** Waits for the end of the session. @param code the close code that it must have. */
  async expectClose(code?: number, timeoutMs?: number): Promise<WireClose> {
    const close = await this.wait('the end of the connection', () => this.closed, timeoutMs);
    if (code !== undefined && close.code !== code) {
      throw new Error(`${this.label}: expected a close with ${code}.${this.state()}`);
    }
    return close;
  }

  protected get label(): string {
    return `${this.constructor.name}${this.own.name === undefined ? '' : ` ${this.own.name}`}`;
  }

  protected id(): string {
    return `c${++this.ids}`;
  }

  /** Keeps what came; {@link wake} is called when all of a frame is here. */
  protected accept(envelope: WireEnvelope): void {
    if (envelope.type === 'ping' && this.own.answersPings !== false) {
      this.send({ type: 'pong', ref: envelope.id });
      return;
    }
    this.received.push(envelope);
    this.queue.push(envelope);
  }

  /** The session is over. */
  protected end(close: WireClose): void {
    this.closed ??= close;
    this.wake();
  }

  protected wake(): void {
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
      const waitMs = timeoutMs ?? this.own.timeoutMs ?? DEFAULT_TIMEOUT_MS;
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

function matches(envelope: WireEnvelope, part: EnvelopePart): boolean {
  return Object.entries(part).every(([field, value]) => envelope[field as keyof EnvelopePart] === value);
}
