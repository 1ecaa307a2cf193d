import type { ClientClock } from '../clock.js';
import { isDuration, recordOf } from '../connection/welcome.js';

/** As much of `fetch` as the client uses. */
export type ClientFetch = (
  url: string,
  init: {
    method: 'GET';
    credentials: 'include';
    cache: 'no-store';
    redirect: 'manual';
    headers: Record<string, string>;
    signal: AbortSignal;
  },
) => Promise<{
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  json?(): Promise<unknown>;
}>;

/** What the server's path said about an upgrade (P18). */
export type ProbeAnswer =
  /** An upgrade would succeed (426): whatever failed was on the way. */
  | { readonly kind: 'open' }
  /** 401 or 403; `code` and `message` when the body has them. */
  | {
      readonly kind: 'refused';
      readonly status: 401 | 403;
      readonly code?: string;
      readonly message?: string;
    }
  /** 429 or 503. */
  | { readonly kind: 'busy'; readonly status: 429 | 503; readonly retryAfterMs: number }
  /** Any other answer, e.g. 404 from a proxy that does not know the path. */
  | { readonly kind: 'unexpected'; readonly status: number }
  /** No answer, or none that a page may read. */
  | { readonly kind: 'unreachable' };

/** Longest `Retry-After` that is believed: one hour. A wrong header must not switch a client off for good. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/** A question that runs, and how to give it up. */
export interface Probe {
  readonly answer: Promise<ProbeAnswer>;
  abort(): void;
}

/**
 * Asks `GET {path}` once why the upgrade failed: a page sees every refusal as 1006 (P18). Cookies go along, as
 * they did with the upgrade.
 */
export function probe(
  fetch: ClientFetch,
  url: string,
  token: string | undefined,
  clock: ClientClock,
  timeoutMs: number,
): Probe {
  const controller = new AbortController();
  const timer = clock.schedule(timeoutMs, () => controller.abort());
  const aborted = new Promise<ProbeAnswer>((resolve) => {
    controller.signal.addEventListener('abort', () => resolve({ kind: 'unreachable' }), { once: true });
  });
  const asked = ask(fetch, url, token, clock, controller.signal).catch((): ProbeAnswer => ({
    kind: 'unreachable',
  }));
  return {
    answer: Promise.race([asked, aborted]).finally(() => timer.cancel()),
    abort: () => controller.abort(),
  };
}

async function ask(
  fetch: ClientFetch,
  url: string,
  token: string | undefined,
  clock: ClientClock,
  signal: AbortSignal,
): Promise<ProbeAnswer> {
  const response = await fetch(url, {
    method: 'GET',
    credentials: 'include',
    cache: 'no-store',
    redirect: 'manual',
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    signal,
  });
  switch (response.status) {
    case 426:
      return { kind: 'open' };
    case 401:
    case 403: {
      const { code, message } = await bodyOf(response);
      return {
        kind: 'refused',
        status: response.status,
        ...(typeof code === 'string' ? { code } : {}),
        ...(typeof message === 'string' ? { message } : {}),
      };
    }
    case 429:
    case 503: {
      // The body knows milliseconds, and a page may read it where the header is not exposed to it.
      const { retryAfterMs } = await bodyOf(response);
      const advised = isDuration(retryAfterMs) ? retryAfterMs : retryAfter(response.headers, clock);
      return { kind: 'busy', status: response.status, retryAfterMs: Math.min(advised, MAX_RETRY_AFTER_MS) };
    }
    default:
      return { kind: 'unexpected', status: response.status };
  }
}

/** The JSON body of a refusal, where there is one. */
async function bodyOf(response: { json?(): Promise<unknown> }): Promise<Record<string, unknown>> {
  return recordOf(await Promise.resolve(response.json?.()).catch(() => undefined));
}

/** `Retry-After` (RFC 9110 §10.2.3): seconds or a date. Across origins a page can read it only if it is exposed. */
function retryAfter(headers: { get(name: string): string | null }, clock: ClientClock): number {
  const value = headers.get('retry-after');
  if (value === null) return 0;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds) ? seconds * 1_000 : Date.parse(value) - clock.now();
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}
