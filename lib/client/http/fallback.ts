import type { Fallback, TransportName } from '../transport/fallback.js';
import { TransportLadder } from './ladder.js';
import type { Remember } from './memory.js';
import type { HttpFetch, HttpRequest } from './request.js';

/** Best first. */
const ALL: readonly TransportName[] = ['websocket', 'sse', 'polling'];

/** Settings of {@link httpFallback}. All are optional; durations are in milliseconds. */
export interface HttpFallbackOptions {
  /**
   * The transports that may be used; their order does not matter. One alone forces it. Default all three: `websocket`, `sse`,
   * `polling`.
   */
  readonly transports?: readonly ('websocket' | 'sse' | 'polling')[];
  /**
   * Whether cookies are sent. `include` needs a server that lists the origin of the page; `omit` is for pages of other origins that
   * have a token. Default `include`, and `omit` once it turns out that a page with a token needs it.
   */
  readonly credentials?: 'include' | 'same-origin' | 'omit';
  /** Sends the requests, e.g. with headers of your own. Default the platform's `fetch`. */
  readonly fetch?: HttpFetch;
  /** How long a session is on a lesser transport before a better one is tried; then twice as long, up to 16 times. Default 60 000. */
  readonly climbAfterMs?: number;
  /**
   * How long a hidden page keeps its connection where the browser has six for all of its tabs (HTTP/1.1). It comes back when it
   * is shown, or when the application sends something. `Infinity` keeps it. Default 30 000.
   */
  readonly hiddenAfterMs?: number;
  /**
   * Where the transport that works is remembered for the next page: `localStorage`, `sessionStorage`, or anything with `getItem`,
   * `setItem` and `removeItem`. A function is called each time, and may throw. The next page begins there, for an hour at most and in
   * the same kind of network, and still tries better transports. One entry, `nestjs-realtime.transport`. Default none: a page stores
   * nothing unless it is asked to.
   *
   * @example httpFallback({ remember: () => localStorage })
   */
  readonly remember?: Remember;
}

/**
 * Other transports for networks that break WebSocket: an event stream with `POST`, then long-poll. The client goes down only where
 * the server answers and the transport fails, remembers what works in this network, and comes up again in the background. Channels
 * keep their positions, publishes their order, and requests their answers.
 *
 * @throws TypeError for an unknown option or transport, no transport, and a value of another type; RangeError for a duration that is
 * not above 0.
 * @example
 * const client = new RealtimeClient('/realtime', { fallback: httpFallback() });
 * client.on('state', ({ state, transport }) => show(transport ?? state)); // 'websocket', 'sse' or 'polling' once it is live
 */
export function httpFallback(options: HttpFallbackOptions = {}): Fallback {
  check(options);
  const { credentials, fetch = platformFetch } = options;
  const given: readonly string[] = options.transports ?? ALL;
  const unknown = given.find((name) => !(ALL as readonly string[]).includes(name));
  if (unknown !== undefined || given.length === 0) {
    throw new TypeError(
      `The option "transports" has ${unknown === undefined ? 'no transport' : `"${unknown}"`}: use ${ALL.join(', ')}`,
    );
  }
  const settings = {
    transports: ALL.filter((name) => given.includes(name)),
    credentials,
    fetch,
    /** Looked up late: a client may be made where there is none yet. */
    hasFetch: () => fetch !== platformFetch || typeof globalThis.fetch === 'function',
    climbAfterMs: above0('climbAfterMs', options.climbAfterMs ?? 60_000),
    hiddenAfterMs: above0('hiddenAfterMs', options.hiddenAfterMs ?? 30_000),
    remember: options.remember,
  };
  for (const name of Object.keys(options))
    if (!(name in settings))
      throw new TypeError(
        `There is no option "${name}"${name === 'transport' ? ': did you mean "transports"?' : ''}`,
      );
  return (deps) => new TransportLadder(deps, settings);
}

/** For those whose compiler does not look. */
function check(options: HttpFallbackOptions): void {
  // A client calls what its option "fallback" is, with what a ladder needs.
  if ('retryNow' in options) throw new TypeError('The option "fallback" must be httpFallback()');
  const {
    transports = [],
    credentials = 'omit',
    fetch = check,
    remember,
  } = options as Record<string, unknown>;
  const must = (name: string, isFit: boolean, what: string): void => {
    if (!isFit) throw new TypeError(`The option "${name}" must be ${what}`);
  };
  must('transports', Array.isArray(transports), 'a list');
  must(
    'credentials',
    /^(include|same-origin|omit)$/.test(String(credentials)),
    'include, same-origin or omit',
  );
  must('remember', /^(undefined|object|function)$/.test(typeof remember), 'a store, or a function');
  must('fetch', typeof fetch === 'function', 'a function');
}

function above0(name: string, value: number): number {
  if (typeof value === 'number' && value > 0) return value;
  throw new RangeError(`The option "${name}" must be a number above 0`);
}

/** Called on the global object: a browser's fetch throws "Illegal invocation" on any other. */
const platformFetch: HttpFetch = (url: string, request: HttpRequest) => globalThis.fetch(url, request);
