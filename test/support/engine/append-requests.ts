import type { AppendRequest, LogPolicy } from '../../../lib/core/ports/broker.js';

export const POLICY: LogPolicy = {
  retain: true,
  size: 1_000,
  maxBytes: 8_388_608,
  ttlMs: 3_600_000,
  dedupeMs: 60_000,
};

/** An append of one event by user `u1`. */
export function request(channel: string, id: string, change: Partial<AppendRequest> = {}): AppendRequest {
  return {
    channel,
    producer: 'u1',
    fingerprint: id,
    event: { id, event: 'message', payload: { id } },
    bytes: 50,
    policy: POLICY,
    ...change,
  };
}

/** Appends with the ids `a1`, `a2` … for the prefix `a`. */
export function requests(channel: string, prefix: string, count: number): readonly AppendRequest[] {
  return Array.from({ length: count }, (_, index) => request(channel, `${prefix}${index + 1}`));
}
