import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ClientBytes } from '../outbox/client-bytes.js';

/** When a client may try again what would have kept too much, in milliseconds. */
const RETRY_AFTER_MS = 2_000;
/** What an anonymous connection may keep whatever others at its address keep: they do not know each other. */
const SHARE_BYTES = 16 * 1024;

export interface RetainedMemoryDeps {
  /** What all connections of each client keep. */
  readonly retained: ClientBytes;
  readonly settings: {
    readonly limits: { readonly maxRetainedBytes: number; readonly maxRetainedBytesPerUser: number };
  };
}

/** The connection whose memory is counted. */
export interface MemoryHolder {
  /** Whose memory it is counted as. */
  readonly client: string;
  readonly userId: string | undefined;
}

/**
 * What the node keeps for a connection for as long as it lives: its subscriptions, with their parameters and presence data.
 * Counted exactly: what is kept is given back when it ends, and everything with the connection.
 *
 * @param before what the connection keeps already. @param bytes that it would keep beyond that.
 * @throws RealtimeError `rate_limited` when the connection, or its user, would retain too much.
 */
export function requireRetainable(
  { retained, settings }: RetainedMemoryDeps,
  holder: MemoryHolder,
  before: number,
  bytes: number,
): void {
  const { maxRetainedBytes, maxRetainedBytesPerUser } = settings.limits;
  const after = before + bytes;
  if (after > maxRetainedBytes) throw tooMuch('connection', 'maxRetainedBytes', maxRetainedBytes);
  if (holder.userId === undefined && after <= SHARE_BYTES) return;
  if (retained.of(holder.client) + bytes > maxRetainedBytesPerUser)
    throw tooMuch('user', 'maxRetainedBytesPerUser', maxRetainedBytesPerUser);
}

function tooMuch(whose: string, limit: string, bytes: number): RealtimeError {
  return new RealtimeError(
    'rate_limited',
    `The subscriptions of this ${whose} keep as much as limits.${limit} allows (${bytes} bytes): ` +
      'unsubscribe from a channel, or send less params and presence data',
    { retryAfterMs: RETRY_AFTER_MS },
  );
}
