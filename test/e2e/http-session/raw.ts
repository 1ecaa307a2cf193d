import { type Agent, request, type ClientRequest, type IncomingHttpHeaders } from 'node:http';
import { patience } from '../../support/patience.js';
import type { WireEnvelope } from '../../support/wire/client.js';
import { EventReader } from '../../support/wire/event-reader.js';

/** Reached only when a test fails. */
const TIMEOUT_MS = patience(10_000);

/** The answer to one request. */
export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface RawRequest {
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
  readonly agent?: Agent;
  /** Called with the request, e.g. to cut it. */
  readonly onRequest?: (sent: ClientRequest) => void;
}

/** Sends one request as it is. Rejects where it is cut. */
export function ask(url: string, body: string | undefined, options: RawRequest = {}): Promise<RawAnswer> {
  const { headers = {}, method = 'POST', agent, onRequest } = options;
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`No answer of ${url} in time`)), TIMEOUT_MS);
    const type = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const sent = request(url, { method, headers: { ...type, ...headers }, agent: agent ?? false });
    sent.on('response', (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part: string) => (text += part));
      response.on('error', reject);
      response.on('end', () => {
        clearTimeout(timer);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
      });
    });
    sent.on('error', (error) => {
      clearTimeout(timer);
      reject(error);
    });
    onRequest?.(sent);
    sent.end(body);
  });
}

export const hello = (payload: object = {}): object => ({
  type: 'hello',
  id: 'h',
  payload: { versions: [1], client: { name: 'raw' }, ...payload },
});

export const subscribe = (channel: string, payload: object = {}, id = `s-${channel}`): object => ({
  type: 'subscribe',
  id,
  channel,
  payload,
});

/** The envelopes of an answer to a poll. */
export const envelopesOf = ({ text }: RawAnswer): readonly WireEnvelope[] =>
  JSON.parse(text) as readonly WireEnvelope[];

/** A session whose messages come by a stream. */
export class StreamSession {
  private constructor(
    private readonly url: string,
    readonly reader: EventReader,
    readonly id: string,
    private readonly headers: Readonly<Record<string, string>>,
  ) {}

  /** @param url address of the endpoint. @param body of the opening request. */
  static async open(
    url: string,
    body: unknown = [hello()],
    headers: Readonly<Record<string, string>> = {},
  ): Promise<StreamSession> {
    const reader = await openStream(url, body, headers);
    const { payload } = await reader.next('welcome');
    return new StreamSession(url, reader, payload['connection'] as string, headers);
  }

  send(n: number, body: unknown, options: RawRequest = {}): Promise<RawAnswer> {
    const { origin } = this.headers as { readonly origin?: string };
    const headers = {
      'Realtime-Session': this.id,
      'Realtime-Send': String(n),
      ...(origin === undefined ? {} : { origin }),
      ...options.headers,
    };
    return ask(`${this.url}/send`, typeof body === 'string' ? body : JSON.stringify(body), {
      ...options,
      headers,
    });
  }
}

/** Opens a stream by POST, whatever is answered. */
export function openStream(
  url: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<EventReader> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return EventReader.open(`${url}/sse`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...headers },
    body: text,
  });
}

/** A session whose messages come by polls. */
export class PollSession {
  /** Number of the last answer. */
  number = 1;

  private constructor(
    private readonly url: string,
    readonly id: string,
    /** Of the first answer. */
    readonly first: readonly WireEnvelope[],
    private readonly headers: Readonly<Record<string, string>>,
  ) {}

  static async open(
    url: string,
    body: unknown = [hello()],
    headers: Readonly<Record<string, string>> = {},
  ): Promise<PollSession> {
    const answer = await ask(`${url}/poll`, JSON.stringify(body), { headers });
    const envelopes = envelopesOf(answer);
    const welcome = envelopes.find(({ type }) => type === 'welcome');
    if (welcome === undefined) throw new Error(`No welcome: ${answer.text}`);
    return new PollSession(url, welcome.payload['connection'] as string, envelopes, headers);
  }

  /** One poll, whatever it acknowledges. */
  ask(acknowledged: number, options: RawRequest = {}): Promise<RawAnswer> {
    const headers = {
      ...this.headers,
      'Realtime-Session': this.id,
      'Realtime-Ack': String(acknowledged),
      ...options.headers,
    };
    return ask(`${this.url}/poll`, undefined, { ...options, headers });
  }

  /** The next answer. */
  async next(): Promise<readonly WireEnvelope[]> {
    const answer = await this.ask(this.number);
    this.number = Number(answer.headers['realtime-answer']);
    return envelopesOf(answer);
  }

  /** Polls until a message of the type came. */
  async until(type: string): Promise<WireEnvelope> {
    for (;;) {
      const found = (await this.next()).find((envelope) => envelope.type === type);
      if (found !== undefined) return found;
    }
  }

  send(n: number, body: unknown, options: RawRequest = {}): Promise<RawAnswer> {
    const headers = {
      ...this.headers,
      'Realtime-Session': this.id,
      'Realtime-Send': String(n),
      ...options.headers,
    };
    return ask(`${this.url}/send`, typeof body === 'string' ? body : JSON.stringify(body), {
      ...options,
      headers,
    });
  }
}
