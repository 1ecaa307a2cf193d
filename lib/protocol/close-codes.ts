/** What a client does after a close (protocol §7). */
export type CloseAction = 'stay_closed' | 'reconnect' | 'stop';

/**
 * The one catalogue of close codes (protocol §7). The table in `docs/errors.md` and the labels of
 * metrics are derived from it. The number alone tells whether to come back: see {@link closeActionOf}.
 */
export const CLOSE_CODES = {
  normal: { code: 1000, meaning: 'Closed on purpose by the side that sent it.' },
  drain: { code: 4001, meaning: 'This node is going away; another one takes over.' },
  rotate: { code: 4002, meaning: 'Steady-state rotation that keeps the load even.' },
  slow_consumer: { code: 4003, meaning: 'The client reads more slowly than its channels write.' },
  heartbeat_timeout: { code: 4004, meaning: 'No sign of life after a ping.' },
  internal: { code: 4005, meaning: 'The server failed.' },
  overloaded: { code: 4006, meaning: 'The server sheds load.' },
  broker_unavailable: { code: 4007, meaning: 'The broker is away and the session cannot go on without it.' },
  token_expired: { code: 4008, meaning: 'The token ran out; fetch a new one, then reconnect.' },
  too_many_connections: { code: 4009, meaning: 'The user or address has too many connections.' },
  unauthorized: { code: 4801, meaning: 'A fresh token was refused, or none was given.' },
  forbidden: { code: 4802, meaning: 'The user may not connect.' },
  banned: { code: 4803, meaning: 'The user or address is banned.' },
  unsupported_version: { code: 4804, meaning: 'No protocol revision in common.' },
  protocol_error: { code: 4805, meaning: 'A frame that is not protocol.' },
  message_too_large: { code: 4806, meaning: 'A frame or message above the limit.' },
  rate_abuse: { code: 4807, meaning: 'Limits were ignored after warnings.' },
  superseded: { code: 4810, meaning: 'A newer connection of the same session took over.' },
  kicked: { code: 4811, meaning: 'Disconnected by the application or a moderator.' },
} as const satisfies Record<string, { readonly code: number; readonly meaning: string }>;

/** The name of a close code, e.g. `slow_consumer`. */
export type CloseName = keyof typeof CLOSE_CODES;

const namesByCode = new Map<number, CloseName>(
  (Object.keys(CLOSE_CODES) as CloseName[]).map((name) => [CLOSE_CODES[name].code, name]),
);

/** The name of a close code of this catalogue, `undefined` for any other (1001, 1006, 1011 …). */
export function closeNameOf(code: number): CloseName | undefined {
  return namesByCode.get(code);
}

/**
 * What a client does after a connection ended with `code`: with 1000 it stays closed, with 4800–4999 it stops and tells the
 * user, with any other code (4000–4499, 1001, 1005, 1006, 1011 …) it reconnects with its positions.
 *
 * @example closeActionOf(4003) // 'reconnect'
 */
export function closeActionOf(code: number): CloseAction {
  if (code === CLOSE_CODES.normal.code) return 'stay_closed';
  return code >= 4800 && code <= 4999 ? 'stop' : 'reconnect';
}

/** The close reason of protocol §7: `code|retryAfterMs`, within the 123 bytes that RFC 6455 §5.5 leaves. */
export function closeReason(name: CloseName, retryAfterMs = 0): string {
  return `${name}|${Math.max(0, Math.round(retryAfterMs))}`;
}

/** Reads a close reason of {@link closeReason}. Any other text gives neither a name nor a delay. */
export function parseCloseReason(reason: string): { name?: CloseName; retryAfterMs?: number } {
  const [name = '', delay] = reason.split('|');
  if (!Object.hasOwn(CLOSE_CODES, name)) return {};
  const retryAfterMs = Number(delay);
  const isDelay = Number.isFinite(retryAfterMs) && retryAfterMs >= 0;
  return { name: name as CloseName, ...(isDelay ? { retryAfterMs } : {}) };
}
