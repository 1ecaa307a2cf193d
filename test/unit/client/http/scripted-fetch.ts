import type { HttpFetch, HttpRequest, HttpResponse } from '../../../../lib/client/http.js';
import type { ClientFetch } from '../../../../lib/client/transport/probe.js';
import { until, WELCOME, type Script } from '../../../support/wire/scripted-server.js';

type Headers = Record<string, string>;

/** What the path of the server answers about an upgrade: a status, or no answer. */
export type ProbeScript = number | 'unreachable';

/** Requests without a network: a test takes each by the name below the server's path, and answers it by hand. */
export class ScriptedFetch {
  readonly calls: HttpCall[] = [];
  /** What the probe is answered with. */
  there: ProbeScript = 426;
  probes = 0;
  private readonly taken = new Set<HttpCall>();

  readonly fetch: HttpFetch = (url, request) => {
    const call = new HttpCall(url, request);
    this.calls.push(call);
    return call.response;
  };

  readonly probe: ClientFetch = () => {
    this.probes++;
    const { there } = this;
    if (there === 'unreachable') return Promise.reject(new Error('connect ECONNREFUSED'));
    return Promise.resolve({ status: there, headers: { get: () => null }, json: () => Promise.resolve({}) });
  };

  /** The next request for `name` that no test took. */
  async next(name: 'sse' | 'poll' | 'send'): Promise<HttpCall> {
    const find = (): HttpCall | undefined =>
      this.calls.find((call) => !this.taken.has(call) && call.name === name);
    await until(() => find() !== undefined, `a request for ${name}`);
    const call = find() as HttpCall;
    this.taken.add(call);
    return call;
  }

  /** Requests for `name` so far. */
  count(name: string): number {
    return this.calls.filter((call) => call.name === name).length;
  }

  /** Opens the next event stream, welcomes its client, and gives the stream. */
  async stream(welcome: Record<string, unknown> = {}): Promise<ScriptedStream> {
    const call = await this.next('sse');
    const stream = call.stream();
    const [hello] = call.commands;
    stream.send({
      type: 'welcome',
      ref: hello?.id,
      payload: { ...WELCOME, connection: 'n.secret', ...welcome },
    });
    return stream;
  }

  /** Opens the next session of polls, and welcomes its client. */
  async polls(welcome: Record<string, unknown> = {}): Promise<HttpCall> {
    const call = await this.next('poll');
    const [hello] = call.commands;
    call.messages(1, {
      type: 'welcome',
      ref: hello?.id,
      payload: { ...WELCOME, connection: 'n.secret', ...welcome },
    });
    return call;
  }
}

/** One request, which waits for its answer. */
export class HttpCall {
  readonly response: Promise<HttpResponse>;
  private resolve!: (response: HttpResponse) => void;
  private reject!: (error: Error) => void;

  constructor(
    readonly url: string,
    readonly request: HttpRequest,
  ) {
    this.response = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    request.signal.addEventListener('abort', () => this.reject(new Error('aborted')));
  }

  get name(): string {
    return /\/([a-z]+)(?:\?.*)?$/.exec(this.url)?.[1] ?? '';
  }

  get headers(): Headers {
    return this.request.headers;
  }

  get isAborted(): boolean {
    return this.request.signal.aborted;
  }

  /** The commands of the body. */
  get commands(): (Script & { id: string })[] {
    const body: unknown = JSON.parse(this.request.body ?? '[]');
    return (Array.isArray(body) ? body : [body]) as (Script & { id: string })[];
  }

  answer(status: number, body: unknown = '', headers: Headers = {}): void {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    this.resolve({ ...responseOf(status, headers), text: () => Promise.resolve(text) });
  }

  /** A refusal in the server's own form. */
  refuse(status: number, more: Record<string, unknown> = {}, headers: Headers = {}): void {
    this.answer(status, { statusCode: status, message: `refused ${status}`, ...more }, headers);
  }

  /** Answers a poll. */
  messages(number: number, ...messages: Script[]): void {
    this.answer(200, messages, { 'realtime-answer': String(number), 'content-type': 'application/json' });
  }

  /** The network failed. */
  fail(why = 'network'): void {
    this.reject(new Error(why));
  }

  /** The answer begins, and is cut in the middle. */
  cut(status = 200, headers: Headers = {}): void {
    this.resolve({ ...responseOf(status, headers), text: () => Promise.reject(new Error('terminated')) });
  }

  /** Answers with an event stream. */
  stream(headers: Headers = { 'content-type': 'text/event-stream' }): ScriptedStream {
    const stream = new ScriptedStream();
    this.request.signal.addEventListener('abort', () => (stream.isAborted = true));
    this.resolve({
      ...responseOf(200, headers),
      body: stream.body,
      text: () => Promise.reject(new Error('a stream')),
    });
    return stream;
  }

  /** Answers as a platform without streams does. */
  bodiless(): void {
    this.resolve({
      ...responseOf(200, { 'content-type': 'text/event-stream' }),
      text: () => new Promise(() => undefined),
    });
  }
}

/** An event stream, written by hand. */
export class ScriptedStream {
  isAborted = false;
  private controller!: ReadableStreamDefaultController<Uint8Array>;
  readonly body = new ReadableStream<Uint8Array>({
    start: (controller) => {
      this.controller = controller;
    },
  });

  send(...messages: Script[]): void {
    for (const message of messages) this.write(`data: ${JSON.stringify(message)}\n\n`);
  }

  write(text: string): void {
    this.controller.enqueue(new TextEncoder().encode(text));
  }

  end(): void {
    this.controller.close();
  }

  fail(): void {
    this.controller.error(new Error('reset'));
  }
}

function responseOf(status: number, headers: Headers): Pick<HttpResponse, 'status' | 'headers'> {
  return { status, headers: { get: (name) => headers[name] ?? null } };
}
