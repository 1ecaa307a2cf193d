import { beginPost, post, readReply, type HttpReply, type Post, type PostOptions } from './http-post.js';
import type { HttpPlace } from './http-session-client.js';
import type { SentEnvelope, WireEnvelope } from './session-client.js';

/** What one request of a session is made with; `elsewhere` sends it to another node. */
export interface ExchangeOptions extends PostOptions {
  readonly elsewhere?: boolean;
}

/**
 * A session over HTTP, request by request: each is made when a test says so, with the number that it says. It knows nothing of
 * what the numbers should be.
 *
 * @example
 * const session = await HttpExchange.open(place, { token: 'ada' });
 * expect((await session.send(1, [{ type: 'ping', id: 'p1' }])).status).toBe(202);
 * expect(envelopesIn(await session.poll(1))).toMatchObject([{ type: 'pong' }]);
 */
export class HttpExchange {
  /** The requests of a session that was opened by a stream. */
  static beside(place: HttpPlace, id: string, ticket: string): HttpExchange {
    return new HttpExchange(place, undefined, id, ticket);
  }

  /** @param opening Answer to the request that opened the session. @param ticket that continues it. */
  private constructor(
    private readonly place: HttpPlace,
    private readonly opened: HttpReply | undefined,
    readonly id: string,
    readonly ticket: string,
  ) {}

  /** Opens a session by a poll. @param hello payload of `hello`. @throws Error where it is refused. */
  static async open(
    place: HttpPlace,
    hello: Readonly<Record<string, unknown>> = {},
    more: readonly SentEnvelope[] = [],
    options: PostOptions = {},
  ): Promise<HttpExchange> {
    const frame = [{ type: 'hello', id: 'h', payload: { versions: [1], ...hello } }, ...more];
    const opening = await post(`${place.url}/poll`, {
      body: JSON.stringify(frame),
      tls: place.tls,
      ...options,
    });
    if (opening.status !== 200) throw new Error(`Refused with ${opening.status}: ${opening.body}`);
    const [first] = envelopesIn(opening);
    if (first?.type !== 'welcome') throw new Error(`Not welcomed: ${opening.body}`);
    const { connection, session } = first.payload as { connection: string; session: string };
    return new HttpExchange(place, opening, connection, session);
  }

  get opening(): HttpReply {
    if (this.opened === undefined) throw new Error('It was opened by a stream');
    return this.opened;
  }

  beginPoll(ack: number | string, options: ExchangeOptions = {}): Post {
    return this.begin('poll', { ...options, headers: { 'Realtime-Ack': String(ack), ...options.headers } });
  }

  async poll(ack: number | string, options?: ExchangeOptions): Promise<HttpReply> {
    return await readReply(await this.beginPoll(ack, options).response);
  }

  beginSend(
    number: number | string,
    body: string | readonly SentEnvelope[],
    options: ExchangeOptions = {},
  ): Post {
    return this.begin('send', {
      body: typeof body === 'string' ? body : JSON.stringify(body),
      ...options,
      headers: { 'Realtime-Send': String(number), ...options.headers },
    });
  }

  async send(
    number: number | string,
    body: string | readonly SentEnvelope[],
    options?: ExchangeOptions,
  ): Promise<HttpReply> {
    return await readReply(await this.beginSend(number, body, options).response);
  }

  private begin(path: string, { elsewhere = false, headers, ...options }: ExchangeOptions): Post {
    const { url, tls } = this.place;
    const base = elsewhere ? (this.place.elsewhere ?? url) : url;
    return beginPost(`${base}/${path}`, {
      tls,
      ...options,
      headers: { 'Realtime-Session': this.id, ...headers },
    });
  }
}

/** What an answer to a poll holds. */
export function envelopesIn({ status, body }: HttpReply): WireEnvelope[] {
  if (status !== 200) throw new Error(`Answered with ${status}: ${body}`);
  return JSON.parse(body) as WireEnvelope[];
}

/** The number of an answer to a poll. */
export function numberOf({ headers }: HttpReply): number {
  return Number(headers['realtime-answer']);
}
