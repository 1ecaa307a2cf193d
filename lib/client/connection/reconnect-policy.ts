import {
  CLOSE_CODES,
  closeActionOf,
  closeNameOf,
  parseCloseReason,
  type CloseName,
} from '../../protocol/close-codes.js';
import type { ByePayload } from '../../protocol/messages.js';
import type { Advice } from '../backoff.js';
import type { ProbeAnswer } from '../transport/probe.js';

/** How a connection ended. */
export interface ConnectionEnd {
  readonly code: number;
  /** The close frame's reason: `name|retryAfterMs` from this server, anything from a proxy. */
  readonly reason: string;
  /** Whether the transport ever opened; if not, the server is asked why (P18). */
  readonly opened: boolean;
  readonly welcomed: boolean;
  /** Whether subscribes went along with `hello`, and nobody said why it ended; left out: no. */
  readonly early?: boolean;
  /** The server's `bye`, if it said one. */
  readonly bye?: ByePayload;
  /** In words, where an error frame or this client knows more than the code. */
  readonly detail?: string;
}

/** What is known about the credentials of the attempt. */
export interface Credentials {
  /** Whether there is a token provider. */
  readonly renewable: boolean;
  /** Whether the token was fetched for this very attempt. */
  readonly fresh: boolean;
}

/** What to do after a connection ended. */
export interface Verdict {
  /** `closed`: it closed itself (1000) · `stop`: nothing to be gained by coming back · `retry`. */
  readonly action: 'closed' | 'stop' | 'retry';
  readonly code: number;
  readonly name?: CloseName;
  readonly reason?: string;
  /** Whether the token has to be fetched anew before the next attempt. */
  readonly renewToken: boolean;
  readonly advice?: Advice;
}

/** How a connection ends whose frame, or whose commands before `welcome`, are more than the server or a proxy takes. */
const TOO_MUCH: ReadonlySet<number> = new Set([
  CLOSE_CODES.protocol_error.code,
  CLOSE_CODES.message_too_large.code,
  1005,
  1006,
  1009,
]);

/**
 * Whether what went along with `hello` may have been too much for this server: then the next attempt goes without, and
 * knows (P3c).
 */
export function wasTooMuch({ early, welcomed, code }: ConnectionEnd): boolean {
  return early === true && !welcomed && TOO_MUCH.has(code);
}

/** Judges the end of a connection by the table of protocol §7, P18 and P19. */
export function verdictOf(end: ConnectionEnd, credentials: Credentials, probed?: ProbeAnswer): Verdict {
  if (probed !== undefined) return verdictOfProbe(end, credentials, probed);
  // Without a close frame (1005, 1006) the announced code is the better one.
  const lostFrame = end.code === 1005 || end.code === 1006;
  const code = lostFrame && end.bye !== undefined ? end.bye.code : end.code;
  return judged(code, credentials, {
    reason: end.detail ?? wordsOf(end.reason),
    advice: adviceOf(end),
    again: wasTooMuch(end),
  });
}

function verdictOfProbe(end: ConnectionEnd, credentials: Credentials, probed: ProbeAnswer): Verdict {
  switch (probed.kind) {
    case 'refused': {
      const banned = probed.code === 'banned';
      const name = probed.status === 401 ? 'unauthorized' : banned ? 'banned' : 'forbidden';
      return judged(CLOSE_CODES[name].code, credentials, { reason: probed.message });
    }
    case 'busy':
      return judged(end.code, credentials, {
        reason: probed.status === 429 ? 'Too many attempts' : 'The server is not available',
        advice: probed.retryAfterMs > 0 ? { retryAfterMs: probed.retryAfterMs } : undefined,
      });
    case 'open':
      return judged(end.code, credentials, {
        reason:
          'The server is there, but the WebSocket did not open: check the proxies before it, and the option "codec"',
      });
    case 'unexpected':
      return judged(end.code, credentials, {
        reason: `The server answered ${probed.status} instead of an upgrade`,
      });
    case 'unreachable':
      return judged(end.code, credentials, { reason: end.detail ?? 'The server cannot be reached' });
  }
}

function judged(
  code: number,
  credentials: Credentials,
  more: { reason?: string | undefined; advice?: Advice | undefined; again?: boolean },
): Verdict {
  const action = closeActionOf(code);
  const unauthorized = code === CLOSE_CODES.unauthorized.code;
  // Only a fresh token's refusal is final; an older one may simply have run out.
  const secondChance = more.again === true || (unauthorized && credentials.renewable && !credentials.fresh);
  const name = closeNameOf(code);
  return {
    action: action === 'stay_closed' ? 'closed' : action === 'stop' && !secondChance ? 'stop' : 'retry',
    code,
    renewToken: unauthorized || code === CLOSE_CODES.token_expired.code,
    ...(name === undefined ? {} : { name }),
    ...(more.reason === undefined ? {} : { reason: more.reason }),
    ...(more.advice === undefined ? {} : { advice: more.advice }),
  };
}

/** `bye` knows the spread; a close reason only the delay, and 0 there means no advice. */
function adviceOf(end: ConnectionEnd): Advice | undefined {
  if (end.bye !== undefined) return { retryAfterMs: end.bye.retryAfterMs, spreadMs: end.bye.spreadMs };
  const { retryAfterMs } = parseCloseReason(end.reason);
  return retryAfterMs === undefined || retryAfterMs === 0 ? undefined : { retryAfterMs };
}

/** A reason in words: the meaning of this protocol's codes, the text of anybody else. */
function wordsOf(reason: string): string | undefined {
  const { name } = parseCloseReason(reason);
  if (name !== undefined) return CLOSE_CODES[name].meaning;
  return reason === '' ? undefined : reason;
}
