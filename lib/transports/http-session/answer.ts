import { ABNORMAL } from '../../core/ports/connection.js';
import type { Refusal } from '../../core/ports/transport-host.js';
import { refusalBody, refusalHeaders, wholeMs } from '../http/refusal.js';

/** The answer to a request of a session, wherever it is written: at this node, or at the one that the request came to. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /** Parts of the body, in order. */
  readonly body: readonly Buffer[];
  /** Follows it in the socket, where it is one of this node's sessions. */
  readonly fate?: AnswerFate;
}

/** What is told of an answer while it leaves. */
export interface AnswerFate {
  /** A socket has it from now on, until `end`. @param cut ends its connection. */
  begin(cut: () => void): void;
  /** It has left, or its client is gone, also where that was before it could be written. Called once. */
  end(): void;
}

/** How a session ended, as far as it is known. */
export interface SessionEnd {
  /** As on a WebSocket (protocol §7); 1006 where there was none. */
  readonly code: number;
  readonly retryAfterMs: number;
}

const NO_STORE = { 'Cache-Control': 'no-store' };

/** A body was taken: its answers come on the stream, or with polls. */
export const TAKEN: Answer = { status: 202, headers: NO_STORE, body: [] };
/** A newer poll waits in the place of this one. */
export const SUPERSEDED: Answer = { status: 204, headers: NO_STORE, body: [] };

/** Of a session that nobody holds. It names what is wrong where each new session ends like this. */
export const NO_SESSION =
  'No such session here: open another. If this repeats, several nodes run without a shared broker (docs/scaling.md)';

/** Of a session from which the engine does not read for now. */
export const BUSY: Refusal = {
  status: 429,
  message: 'The server reads no more from this session for now',
  code: 'rate_limited',
  retryAfterMs: 1_000,
};
export const OTHER_ORIGIN: Refusal = { status: 403, message: 'The session was opened by another origin' };

/** Bytes of the body. */
export function bytesIn({ body }: Answer): number {
  return body.reduce((sum, part) => sum + part.length, 0);
}

/** The answer that refuses a request. */
export function refusalAnswer(refusal: Refusal): Answer {
  return {
    status: refusal.status,
    headers: refusalHeaders(refusal),
    body: [Buffer.from(refusalBody(refusal))],
  };
}

/** The answer of a session that has ended, with this status, or that nobody knows. */
export function endAnswer(status: 400 | 409 | 410 | 413, message: string, end?: SessionEnd): Answer {
  const { code = ABNORMAL, retryAfterMs = 0 } = end ?? {};
  const wait = retryAfterMs > 0 ? { retryAfterMs: wholeMs(retryAfterMs) } : {};
  const known = code === ABNORMAL ? {} : { close: code };
  const body = JSON.stringify({ statusCode: status, message, ...known, ...wait });
  return { status, headers: refusalHeaders({ status, message, ...wait }), body: [Buffer.from(body)] };
}
