import type { Clock } from '../../core/ports/clock.js';

/** Longest wait that another server may ask for, in milliseconds. */
const MAX_RETRY_AFTER_MS = 60_000;

/** What requests to other servers need. */
export interface RequestDeps {
  readonly clock: Pick<Clock, 'schedule'>;
  readonly fetch: typeof fetch;
}

/** A request whose time and answer are bounded. */
export interface BoundedRequest {
  /** From the options, never from a token. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Sends it with POST. Default: GET. */
  readonly body?: string;
  readonly timeoutMs: number;
  /** Of the answer, after decompression. */
  readonly maxBytes: number;
}

/** No usable answer came. Its text says what happened, and neither what was sent nor what came. */
export class RequestError extends Error {
  override readonly name = 'RequestError';

  constructor(
    message: string,
    /** Status of the answer, if one came. */
    readonly status?: number,
    /** When the server wants to be asked again, in milliseconds. */
    readonly retryAfterMs?: number,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
  }
}

/** An answer with status 200. */
export interface BoundedAnswer {
  readonly text: string;
  /** For how long a cache on the way says that it has kept it, in milliseconds; `undefined` where none says so. Not all do: nginx does not. */
  readonly ageMs: number | undefined;
  /** For how long a cache between servers may answer with it without asking, in milliseconds; 0 where nothing of that is said. */
  readonly lifetimeMs: number;
}

/**
 * Asks another server. Redirects are not followed: they would let the server that is asked choose another
 * one, inside the network of this node too.
 *
 * @throws RequestError
 */
export async function request(
  { url, headers, body, timeoutMs, maxBytes }: BoundedRequest,
  deps: RequestDeps,
): Promise<BoundedAnswer> {
  const abort = new AbortController();
  const timer = deps.clock.schedule(timeoutMs, () => abort.abort());
  try {
    const response = await deps.fetch(url, {
      method: body === undefined ? 'GET' : 'POST',
      ...(body === undefined ? {} : { body }),
      headers: { accept: 'application/json', ...headers },
      redirect: 'manual',
      signal: abort.signal,
    });
    if (response.status === 200)
      return {
        text: await readText(response, maxBytes),
        ageMs: ageOf(response.headers),
        lifetimeMs: lifetimeOf(response.headers),
      };
    await response.body?.cancel();
    const retryAfterMs = retryAfterOf(response.headers.get('retry-after'));
    throw new RequestError(`it answered with status ${response.status}`, response.status, retryAfterMs);
  } catch (error) {
    if (error instanceof RequestError) throw error;
    if (abort.signal.aborted) throw new RequestError(`it did not answer within ${timeoutMs} ms`);
    throw new RequestError(`it could not be reached (${codeOf(error)})`, undefined, undefined, error);
  } finally {
    timer.cancel();
  }
}

async function readText({ body }: Response, maxBytes: number): Promise<string> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const reader = body.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return Buffer.concat(chunks).toString('utf8');
    bytes += value.byteLength;
    if (bytes > maxBytes) {
      await reader.cancel();
      throw new RequestError(`its answer is larger than ${maxBytes} bytes`);
    }
    chunks.push(value);
  }
}

/** `Age` (RFC 9111 §5.1), as milliseconds. */
function ageOf(headers: Headers): number | undefined {
  const [age = ''] = (headers.get('age') ?? '').split(',');
  return /^\d{1,9}$/.test(age.trim()) ? Number(age) * 1_000 : undefined;
}

/** `Cache-Control` of an answer (RFC 9111 §5.2.2), as milliseconds. */
function lifetimeOf(headers: Headers): number {
  const directives = new Map(
    (headers.get('cache-control') ?? '').split(',').map((directive) => {
      const [name = '', value = ''] = directive.split('=');
      return [name.trim().toLowerCase(), value.trim().replace(/^"(.*)"$/, '$1')];
    }),
  );
  if (UNSHARED.some((name) => directives.has(name))) return 0;
  const seconds = (name: string): number => {
    const value = directives.get(name) ?? '';
    return /^\d{1,9}$/.test(value) ? Number(value) : 0;
  };
  const fresh = directives.has('s-maxage') ? seconds('s-maxage') : seconds('max-age');
  return (fresh + seconds('stale-while-revalidate')) * 1_000;
}

/** With these no cache between servers answers without asking. */
const UNSHARED = ['no-store', 'no-cache', 'private'];

/** `Retry-After` in seconds, as milliseconds. As a date it would be measured with two wall clocks. */
export function retryAfterOf(header: string | null, maxMs = MAX_RETRY_AFTER_MS): number | undefined {
  if (header === null || !/^\d{1,9}$/.test(header)) return undefined;
  return Math.min(Number(header) * 1_000, maxMs);
}

/** The code of the system, such as `ECONNREFUSED`: the text may quote the URL, and with it a secret. */
export function codeOf(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown } };
  return typeof cause?.code === 'string' ? cause.code : 'no connection';
}
