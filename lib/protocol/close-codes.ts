/** What a client does after a close (protocol §7). */
export type CloseAction = 'stay_closed' | 'reconnect' | 'stop';

/**
 * The one catalogue of close codes (protocol §7). The table in `docs/errors.md` and the labels of metrics are derived from it; what
 * they mean is in `meanings.ts`. The number alone tells whether to come back: see {@link closeActionOf}.
 */
export const CLOSE_CODES = {
  normal: { code: 1000 },
  drain: { code: 4001 },
  rotate: { code: 4002 },
  slow_consumer: { code: 4003 },
  heartbeat_timeout: { code: 4004 },
  internal: { code: 4005 },
  overloaded: { code: 4006 },
  broker_unavailable: { code: 4007 },
  token_expired: { code: 4008 },
  too_many_connections: { code: 4009 },
  unauthorized: { code: 4801 },
  forbidden: { code: 4802 },
  banned: { code: 4803 },
  unsupported_version: { code: 4804 },
  protocol_error: { code: 4805 },
  message_too_large: { code: 4806 },
  rate_abuse: { code: 4807 },
  superseded: { code: 4810 },
  kicked: { code: 4811 },
  replaced: { code: 4812 },
} as const satisfies Record<string, { readonly code: number }>;

/** The name of a close code, e.g. `slow_consumer`. */
export type CloseName = keyof typeof CLOSE_CODES;

/** The name of a close code of this catalogue, `undefined` for any other (1001, 1006, 1011 …). */
export function closeNameOf(code: number): CloseName | undefined {
  return (Object.keys(CLOSE_CODES) as CloseName[]).find((name) => CLOSE_CODES[name].code === code);
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
