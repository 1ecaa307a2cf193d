import type { ClientClock } from '../clock.js';
import { deferred } from '../promises.js';
import { recordOf, stringOf } from '../received.js';
import { readAnswer, type ProbeAnswer } from '../transport/probe.js';

/** What the fallback asks `fetch` for. */
export interface HttpRequest {
  /** Every request of a session is a POST. */
  readonly method: 'POST';
  /** Names in lower case. */
  readonly headers: Record<string, string>;
  /** JSON; `undefined` for a poll. */
  readonly body?: string;
  /** Whether cookies are sent. */
  readonly credentials: 'include' | 'same-origin' | 'omit';
  /** Nothing of a session may come from a cache. */
  readonly cache: 'no-store';
  /** A session is not redirected. */
  readonly redirect: 'manual';
  /** Whether the request outlives the page. */
  readonly keepalive: boolean;
  /** Ends the request. */
  readonly signal: AbortSignal;
}

/** The part of a response that the fallback uses. */
export interface HttpResponse {
  /** The status code. */
  readonly status: number;
  /** Its headers; the names are given in lower case. */
  readonly headers: { get(name: string): string | null };
  /** The body as it comes. Where there is none, as in React Native, event streams are not used. */
  readonly body?: ReadableStream<Uint8Array> | null;
  /** The whole body. */
  text(): Promise<string>;
}

/** The part of `fetch` that the fallback uses. */
export type HttpFetch = (url: string, request: HttpRequest) => Promise<HttpResponse>;

/** What requests need. */
export interface HttpDeps {
  readonly fetch: HttpFetch;
  readonly credentials: HttpRequest['credentials'];
  readonly clock: ClientClock;
}

/** An answer that came to its end. */
export interface HttpAnswer {
  readonly status: number;
  readonly headers: HttpResponse['headers'];
  readonly text: string;
}

/** A request under way. */
export interface Exchange<Result> {
  /** Rejects when the network failed, when the time is over, and after `abort`. */
  readonly result: Promise<Result>;
  abort(): void;
}

type Sent = Pick<HttpRequest, 'headers' | 'body'> & { readonly keepalive?: boolean };

/** Posts, and reads the answer to its end, within `limitMs` milliseconds. */
export function exchange(deps: HttpDeps, url: string, sent: Sent, limitMs: number): Exchange<HttpAnswer> {
  const { response, abort, untilAbort } = post(deps, url, sent);
  const timer = deps.clock.schedule(limitMs, abort);
  const read = async (): Promise<HttpAnswer> => {
    const { status, headers, text } = await response.then(async (answer) => ({
      status: answer.status,
      headers: answer.headers,
      text: await answer.text(),
    }));
    return { status, headers, text };
  };
  return { result: untilAbort(read()).finally(() => timer.cancel()), abort };
}

/** Posts. `untilAbort` rejects with the abort, as not every `fetch` heeds the signal. */
export function post(
  { fetch, credentials }: HttpDeps,
  url: string,
  { headers, body, keepalive = false }: Sent,
): {
  readonly response: Promise<HttpResponse>;
  readonly abort: () => void;
  readonly untilAbort: <Result>(running: Promise<Result>) => Promise<Result>;
} {
  const controller = new AbortController();
  const aborted = deferred<never>();
  aborted.ignoreRejection();
  const untilAbort = <Result>(running: Promise<Result>): Promise<Result> =>
    Promise.race([running, aborted.promise]);
  const ask = async (): Promise<HttpResponse> =>
    fetch(url, {
      method: 'POST',
      headers: body === undefined ? headers : { 'content-type': 'application/json', ...headers },
      ...(body === undefined ? {} : { body }),
      credentials,
      cache: 'no-store',
      redirect: 'manual',
      keepalive,
      signal: controller.signal,
    });
  return {
    response: untilAbort(ask()),
    abort() {
      controller.abort();
      aborted.reject(new Error('The request was ended'));
    },
    untilAbort,
  };
}

/** The URL below the server's path, whose query stays. @example below('wss://a.example/rt?x=1', 'sse') // 'https://a.example/rt/sse?x=1' */
export function below(url: string, name: string): string {
  return url.replace(/^ws/i, 'http').replace(/\/*(\?.*)?$/, `/${name}$1`);
}

/** Why a request failed: Node says so in the error's cause. */
export function whyOf(error: unknown): string {
  const { message, cause } = recordOf(error);
  return (stringOf(recordOf(cause)['message']) || stringOf(message)) ?? String(error);
}

/** The JSON of a body; an empty object for anything else. */
export function jsonOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/** What an answer other than the expected one says, in the terms of P18. */
export function refusalOf({ status, headers, text }: HttpAnswer): Promise<ProbeAnswer> {
  return readAnswer({ status, headers, json: () => Promise.resolve(jsonOf(text)) });
}
