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
  /** How long a cache on the way has kept it, in milliseconds; 0 where it says nothing of that. */
  readonly ageMs: number;
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
      return { text: await readText(response, maxBytes), ageMs: ageOf(response.headers.get('age')) };
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
function ageOf(header: string | null): number {
  return header !== null && /^\d{1,9}$/.test(header) ? Number(header) * 1_000 : 0;
}

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
