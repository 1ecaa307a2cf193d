import { request, type ClientRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { request as requestSecurely } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { patience } from '../patience.js';
import type { WireEnvelope } from './client.js';

/** Reached only when a test fails. */
const TIMEOUT_MS = patience(10_000);

/** One block of an event stream, as it came: a field that is not there was not sent. */
export interface Block {
  readonly id?: string;
  readonly retry?: string;
  readonly event?: string;
  readonly data?: string;
  readonly comment?: string;
}

/** What {@link EventReader.open} can be told. */
export interface EventReaderOptions {
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly body?: string;
  /** How an `https:` address is found and trusted. */
  readonly tls?: Pick<ConnectionOptions, 'ca' | 'lookup' | 'servername'>;
}

/**
 * Reads an event stream as the standard says (WHATWG HTML §9.2.6), and keeps every block. It shares no code with the library.
 *
 * @example
 * const reader = await EventReader.open(`${server.httpUrl}/sse?channels=rooms.1`);
 * expect((await reader.next('subscribed')).payload['recovery']).toBe('new');
 */
export class EventReader {
  readonly blocks: Block[] = [];
  /** Messages that came, in order. */
  readonly received: WireEnvelope[] = [];
  /** What a browser would send when it comes back; empty for nothing. */
  lastEventId = '';
  /** What a browser would wait, in milliseconds, before it comes back. */
  retryMs: number | undefined;
  /** Everything that came, as text. */
  body = '';
  private pending = '';
  private readonly queue: WireEnvelope[] = [];
  private readonly waiters = new Set<() => void>();
  private over = false;

  private constructor(
    readonly status: number,
    readonly headers: IncomingHttpHeaders,
    readonly response: IncomingMessage,
    private readonly sent: ClientRequest,
  ) {
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.read(text));
    response.on('error', () => undefined);
    response.on('close', () => {
      this.over = true;
      this.wake();
    });
  }

  static open(
    url: string,
    { headers = {}, method = 'GET', body, tls = {} }: EventReaderOptions = {},
  ): Promise<EventReader> {
    return new Promise((resolve, reject) => {
      const ask = url.startsWith('https:') ? requestSecurely : request;
      const sent = ask(url, { method, headers, agent: false, ...tls });
      sent.on('response', (response) =>
        resolve(new EventReader(response.statusCode ?? 0, response.headers, response, sent)),
      );
      sent.on('error', reject);
      sent.end(body);
    });
  }

  /** Whether the server ended the stream as HTTP says, and it was not cut. */
  get isComplete(): boolean {
    return this.response.complete;
  }

  /** The next message of a type that was not taken yet; those before it are skipped. */
  async next(type?: string): Promise<WireEnvelope> {
    for (;;) {
      const envelope = this.queue.shift();
      if (envelope !== undefined && (type === undefined || envelope.type === type)) return envelope;
      if (envelope === undefined) await this.more(`a message ${type ?? ''}`);
    }
  }

  /** The next event's payload. */
  async payload(): Promise<unknown> {
    return (await this.next('event')).payload;
  }

  /** Resolves once the condition holds; it is looked at whenever something came. */
  async until(what: string, condition: (reader: this) => boolean): Promise<void> {
    while (!condition(this)) await this.more(what);
  }

  /** Resolves when the stream has ended. */
  async ended(): Promise<void> {
    while (!this.over) await this.more('the end');
  }

  /** Types of the messages that came, with their channels. */
  get types(): readonly string[] {
    return this.received.map(({ type, channel }) => (channel === undefined ? type : `${type} ${channel}`));
  }

  /** The client goes away. */
  close(): void {
    this.sent.destroy();
  }

  private more(what: string): Promise<void> {
    if (this.over) throw new Error(`The stream ended before ${what} came: ${this.body.slice(-500)}`);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.waiters.delete(come);
        reject(new Error(`No ${what} in time. Came: ${this.body.slice(-500)}`));
      }, TIMEOUT_MS);
      const come = (): void => {
        clearTimeout(timer);
        this.waiters.delete(come);
        resolve();
      };
      this.waiters.add(come);
    });
  }

  private wake(): void {
    for (const come of [...this.waiters]) come();
  }

  private read(text: string): void {
    this.body += text;
    const blocks = (this.pending + text).split('\n\n');
    this.pending = blocks.pop() as string;
    for (const block of blocks) this.take(block);
    this.wake();
  }

  private take(text: string): void {
    const block: Record<string, string> = {};
    for (const line of text.split('\n')) {
      const colon = line.indexOf(':');
      if (colon === -1) throw new Error(`A line without a field: ${JSON.stringify(line)}`);
      const name = colon === 0 ? 'comment' : line.slice(0, colon);
      const value = line.slice(colon + 1).replace(/^ /, '');
      // The last id of a block counts.
      if (name in block && name !== 'id')
        throw new Error(`${name} twice in a block: ${JSON.stringify(text)}`);
      block[name] = value;
    }
    const { id, retry, data } = block as Block;
    this.blocks.push(block);
    if (id !== undefined) this.lastEventId = id;
    if (retry !== undefined) this.retryMs = Number(retry);
    if (data === undefined) return;
    const envelope = JSON.parse(data) as WireEnvelope;
    this.received.push(envelope);
    this.queue.push(envelope);
  }
}
