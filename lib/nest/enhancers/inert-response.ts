import type { RealtimeContext } from '../decorators/realtime-context.js';

/** Methods of responses, of Node, Express and Fastify, that return the response. */
const CHAINABLE = [
  // Node
  'addListener',
  'appendHeader',
  'cork',
  'destroy',
  'emit',
  'flushHeaders',
  'off',
  'on',
  'once',
  'prependListener',
  'removeAllListeners',
  'removeHeader',
  'removeListener',
  'setHeaders',
  'setTimeout',
  'uncork',
  'write',
  'writeHead',
  // Express
  'append',
  'attachment',
  'clearCookie',
  'contentType',
  'cookie',
  'format',
  'links',
  'location',
  'redirect',
  'render',
  'sendFile',
  'type',
  'vary',
  // Fastify
  'headers',
  'hijack',
  'serializer',
  'setCookie',
] as const;

type Chainable = Record<(typeof CHAINABLE)[number], () => InertResponse>;

// The methods of CHAINABLE are put on the prototype below.
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging, @typescript-eslint/no-empty-object-type
export interface InertResponse extends Chainable {
  // Nothing else.
}

/**
 * The HTTP response of a call that has none: what guards, interceptors and filters that were written for HTTP may write to. It
 * sends nothing. Only two things that are written to it have a meaning: `Retry-After` beside a refusal, and the status and body
 * that a filter answers with.
 */
// eslint-disable-next-line @typescript-eslint/no-unsafe-declaration-merging
export class InertResponse {
  statusCode = 200;
  statusMessage = '';
  readonly locals: Record<string, unknown> = {};
  readonly headersSent = false;
  readonly finished = false;
  readonly sent = false;
  readonly writable = true;
  readonly writableEnded = false;
  readonly writableFinished = false;
  readonly destroyed = false;
  readonly elapsedTime = 0;
  /** The body that was sent; `undefined` while none was. */
  body: unknown;
  private readonly fields = new Map<string, unknown>();

  /** Fastify's way to the response of Node. */
  get raw(): this {
    return this;
  }

  /** The longest `Retry-After` that was set, in milliseconds. Limits with names of their own have a suffix. */
  get retryAfterMs(): number | undefined {
    const seconds = [...this.fields]
      .filter(([name]) => /^retry-after(-|$)/.test(name))
      .map(([, value]) => Number(value))
      .filter((value) => Number.isFinite(value) && value >= 0);
    return seconds.length === 0 ? undefined : Math.max(...seconds) * 1_000;
  }

  status(code: number): this {
    this.statusCode = code;
    return this;
  }

  code(code: number): this {
    return this.status(code);
  }

  sendStatus(code: number): this {
    return this.status(code);
  }

  /** Sets a field, or several of an object; without a value it reads, as Express does. */
  header(name: string | Readonly<Record<string, unknown>>, value?: unknown): unknown {
    if (typeof name === 'object') for (const [key, each] of Object.entries(name)) this.setHeader(key, each);
    else if (value === undefined) return this.getHeader(name);
    else this.setHeader(name, value);
    return this;
  }

  set(name: string | Readonly<Record<string, unknown>>, value?: unknown): unknown {
    return this.header(name, value);
  }

  setHeader(name: string, value: unknown): this {
    this.fields.set(String(name).toLowerCase(), value);
    return this;
  }

  get(name: string): unknown {
    return this.getHeader(name);
  }

  getHeader(name: string): unknown {
    return this.fields.get(String(name).toLowerCase());
  }

  hasHeader(name: string): boolean {
    return this.fields.has(String(name).toLowerCase());
  }

  getHeaders(): Record<string, unknown> {
    return Object.fromEntries(this.fields);
  }

  getHeaderNames(): string[] {
    return [...this.fields.keys()];
  }

  send(body?: unknown): this {
    this.body = body;
    return this;
  }

  json(body?: unknown): this {
    return this.send(body);
  }

  jsonp(body?: unknown): this {
    return this.send(body);
  }

  end(body?: unknown): this {
    return body === undefined || typeof body === 'function' ? this : this.send(body);
  }
}

for (const name of CHAINABLE)
  InertResponse.prototype[name] = function (this: InertResponse) {
    return this;
  };

const responses = new WeakMap<RealtimeContext, InertResponse>();

/** The response of a call, which all of its guards, interceptors and pipes share. */
export function responseOf(context: RealtimeContext): InertResponse {
  let response = responses.get(context);
  if (response === undefined) responses.set(context, (response = new InertResponse()));
  return response;
}

/** What the enhancers of a call wrote as `Retry-After`, in milliseconds. */
export function adviceOf(context: RealtimeContext): number | undefined {
  return responses.get(context)?.retryAfterMs;
}
