import {
  CLOSE_CODES,
  closeActionOf,
  closeNameOf,
  parseCloseReason,
  type CloseName,
} from '../../protocol/close-codes.js';
import type { ByePayload } from '../../protocol/messages.js';
import { omitUndefined } from '../../protocol/omit-undefined.js';
import type { Advice } from '../backoff.js';
import type { ProbeAnswer } from '../transport/probe.js';

/** How a connection ended. */
export interface ConnectionEnd {
  readonly code: number;
  /** The close frame's reason: `name|retryAfterMs` from this server, any text from a proxy. */
  readonly reason: string;
  /** Whether the transport ever opened; if not, the server is asked why (P18). */
  readonly opened: boolean;
  readonly welcomed: boolean;
  /** Whether commands were sent together with `hello`, and no error told why the connection ended. Default false. */
  readonly early?: boolean;
  /** Whether this side's network or sleep ended it, so that the next attempt need not be spread. Default false. */
  readonly prompt?: boolean;
  /** The server's `bye`, if it sent one. */
  readonly bye?: ByePayload;
  /** Why, in words, where an error message or this client knows more than the code. */
  readonly detail?: string;
}

/** What is known about the credentials of the attempt. */
export interface AttemptCredentials {
  /** Whether there is a token provider. */
  readonly renewable: boolean;
  /** Whether the token was fetched for this very attempt. */
  readonly fresh: boolean;
}

/** What to do after a connection ended. */
export interface ReconnectDecision {
  /** `closed`: it was closed on purpose (1000) · `stop`: coming back cannot help · `retry`. */
  readonly action: 'closed' | 'stop' | 'retry';
  readonly code: number;
  readonly name?: CloseName;
  readonly reason?: string;
  /** Whether the next attempt needs a new token. */
  readonly renewToken: boolean;
  readonly advice?: Advice;
}

/** How a connection ends when the frame of `hello`, or the commands in it, are more than the server or a proxy takes. */
const TOO_MUCH: ReadonlySet<number> = new Set([
  CLOSE_CODES.protocol_error.code,
  CLOSE_CODES.message_too_large.code,
  1005,
  1006,
  1009,
]);

/**
 * Whether the server may have refused the commands that were sent together with `hello`. The next attempt sends `hello`
 * alone and so finds out (P3c).
 */
export function earlyFrameRefused({ early, welcomed, code }: ConnectionEnd): boolean {
  return early === true && !welcomed && TOO_MUCH.has(code);
}

/**
 * Decides what to do after a connection ended, by the table of protocol §7.
 *
 * @param probed What the server answered when it was asked why the upgrade failed.
 * @param url The server's path, for messages.
 * @param remedy What else helps where no WebSocket opens, as the end of a sentence.
 */
export function decide(
  end: ConnectionEnd,
  credentials: AttemptCredentials,
  probed?: ProbeAnswer,
  url = 'The server',
  remedy = '',
): ReconnectDecision {
  const {
    code = end.code,
    reason = end.opened
      ? (closeNameOf(code)?.replaceAll('_', ' ') ?? 'The connection broke')
      : `${url} opened no WebSocket`,
    advice,
  } = probed === undefined ? causeOfClose(end) : causeOfProbe(end, probed, url, remedy);
  const action = closeActionOf(code);
  const unauthorized = code === CLOSE_CODES.unauthorized.code;
  // The refusal of a token is final only if it is fresh: an older one may simply have expired.
  const secondChance =
    earlyFrameRefused(end) || (unauthorized && credentials.renewable && !credentials.fresh);
  return omitUndefined({
    action: action === 'stay_closed' ? 'closed' : action === 'stop' && !secondChance ? 'stop' : 'retry',
    code,
    renewToken: unauthorized || code === CLOSE_CODES.token_expired.code,
    name: closeNameOf(code),
    reason,
    advice,
  });
}

type Cause = Partial<Pick<ReconnectDecision, 'code' | 'reason' | 'advice'>>;

function causeOfClose(end: ConnectionEnd): Cause {
  const { bye, code, detail } = end;
  const { name, retryAfterMs = 0 } = parseCloseReason(end.reason);
  return {
    // Without a close frame (1005, 1006) the code of `bye` tells more.
    code: bye !== undefined && (code === 1005 || code === 1006) ? bye.code : code,
    reason: detail ?? (name?.replaceAll('_', ' ') || end.reason || undefined),
    // `bye` has a spread; a close reason has only the delay, and 0 there means no advice.
    advice:
      bye !== undefined
        ? { retryAfterMs: bye.retryAfterMs, spreadMs: bye.spreadMs }
        : retryAfterMs > 0
          ? { retryAfterMs }
          : undefined,
  };
}

function causeOfProbe(end: ConnectionEnd, probed: ProbeAnswer, url: string, remedy: string): Cause {
  switch (probed.kind) {
    case 'refused': {
      const forbidden = probed.code === 'banned' ? CLOSE_CODES.banned : CLOSE_CODES.forbidden;
      const { code } = probed.status === 401 ? CLOSE_CODES.unauthorized : forbidden;
      return { code, reason: probed.message };
    }
    case 'busy':
      return {
        reason: probed.status === 429 ? 'Too many attempts' : 'The server is not available',
        advice: probed.retryAfterMs > 0 ? { retryAfterMs: probed.retryAfterMs } : undefined,
      };
    case 'open':
      return {
        reason: `The server is there, but no WebSocket opens: let the proxy pass Upgrade on${remedy}`,
      };
    case 'unexpected':
      return { reason: `${url} answered ${probed.status}: check the URL and the proxies` };
    case 'unreachable':
      return { reason: `${url} cannot be reached: ${end.detail ?? probed.detail}` };
  }
}
