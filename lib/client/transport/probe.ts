import { isErrorCode, type ErrorCode } from '../../protocol/error-codes.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import type { ClientClock } from '../clock.js';
import { deferred } from '../promises.js';
import { durationOf, recordOf, stringOf } from '../received.js';

/** The part of `fetch` that the client uses. */
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
) => Promise<ProbeResponse>;

/** The part of a response that the client reads. */
export type ProbeResponse = {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  json?(): Promise<unknown>;
};

/** What the server's path answered about an upgrade (P18). */
export type ProbeAnswer =
  /** An upgrade would succeed (426): something between here and the server failed. */
  | { readonly kind: 'open' }
  /** 401 or 403 of this server. */
  | {
      readonly kind: 'refused';
      readonly status: 401 | 403;
      readonly code: ErrorCode;
      readonly message?: string;
    }
  /** 429 or 503. */
  | { readonly kind: 'busy'; readonly status: 429 | 503; readonly retryAfterMs: number }
  /** Any other answer, e.g. 404 from a proxy that does not know the path, or its own 403. */
  | { readonly kind: 'unexpected'; readonly status: number }
  /** No answer, or none that a page may read. */
  | { readonly kind: 'unreachable'; readonly detail: string };

/** The longest `Retry-After` that counts: one hour. A wrong header must not switch a client off for good. */
const MAX_RETRY_AFTER_MS = 3_600_000;

/** A running question. */
export interface Probe {
  readonly answer: Promise<ProbeAnswer>;
  abort(): void;
}

/**
 * Asks `GET {path}` once why the upgrade failed, as a page sees every refusal as 1006 (P18). Cookies are sent as they
 * were with the upgrade.
 */
export function probe(
  fetch: ClientFetch,
  url: string,
  token: string | undefined,
  clock: ClientClock,
  timeoutMs: number,
): Probe {
  const controller = new AbortController();
  const late = deferred<never>();
  // Not every `fetch` heeds the signal.
  const abort = (): void => {
    controller.abort();
    late.reject(new Error(`No answer within ${timeoutMs} ms`));
  };
  const timer = clock.schedule(timeoutMs, abort);
  const ask = async (): Promise<ProbeAnswer> =>
    readAnswer(
      await fetch(url, {
        method: 'GET',
        credentials: 'include',
        cache: 'no-store',
        redirect: 'manual',
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        signal: controller.signal,
      }),
    );
  return {
    answer: Promise.race([ask(), late.promise])
      .catch((error: unknown): ProbeAnswer => ({ kind: 'unreachable', detail: causeOf(error) }))
      .finally(() => timer.cancel()),
    abort,
  };
}

/** Why a fetch failed, as far as the platform says: Node in the error's cause, a page nothing but that it did. */
function causeOf(error: unknown): string {
  const { message, cause } = recordOf(error);
  return (
    stringOf(recordOf(cause)['message']) ||
    `${stringOf(message) ?? String(error)} (or CORS or the page’s policy forbids it: see the console)`
  );
}

/** Reads an answer about an upgrade, or about the opening of a session over HTTP. */
export async function readAnswer(response: ProbeResponse): Promise<ProbeAnswer> {
  const { status } = response;
  switch (status) {
    case 426:
      return { kind: 'open' };
    case 401:
    case 403: {
      const { statusCode, code, message } = await bodyOf(response);
      // A proxy refuses with these too, in passing: only this server's own form is final (P18).
      return statusCode === status && isErrorCode(code)
        ? omitUndefined({ kind: 'refused', status, code, message: stringOf(message) })
        : { kind: 'unexpected', status };
    }
    case 429:
    case 503: {
      // The body has milliseconds, and a page may read it where the header is not exposed to it.
      const advised = durationOf((await bodyOf(response))['retryAfterMs']) ?? retryAfter(response);
      return { kind: 'busy', status, retryAfterMs: Math.min(advised, MAX_RETRY_AFTER_MS) };
    }
    default:
      return { kind: 'unexpected', status };
  }
}

/** The JSON body of a refusal, where there is one. */
async function bodyOf(response: ProbeResponse): Promise<Record<string, unknown>> {
  return recordOf(await Promise.resolve(response.json?.()).catch(() => undefined));
}

/**
 * `Retry-After` (RFC 9110 §10.2.3): seconds, or a date, which is compared with the `Date` of the same answer: the clock of this
 * machine may be wrong. Across origins a page can read them only if they are exposed.
 */
function retryAfter({ headers }: ProbeResponse): number {
  const value = headers.get('retry-after');
  if (value === null) return 0;
  const seconds = Number(value);
  const ms = Number.isFinite(seconds)
    ? seconds * 1_000
    : Date.parse(value) - Date.parse(headers.get('date') ?? '');
  return Number.isFinite(ms) ? Math.max(0, ms) : 0;
}
