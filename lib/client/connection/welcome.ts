import type { AnnouncedLimits } from '../../protocol/limits.js';
import type { RetryPolicy, WelcomePayload } from '../../protocol/messages.js';
import { DEFAULT_RETRY } from '../backoff.js';

const DEFAULT_LIMITS: AnnouncedLimits = {
  maxFrameBytes: 256 * 1_024,
  maxMessageBytes: 64 * 1_024,
  maxEnvelopesPerFrame: 256,
  maxChannels: 128,
  ratePerSecond: 50,
  dedupeMs: 120_000,
};
const DEFAULT_HEARTBEAT = { intervalMs: 25_000, timeoutMs: 10_000 };

/** What the client needs of a `welcome`: every number is there and usable. */
export interface Welcome {
  readonly version: number;
  readonly session?: string;
  readonly user?: string;
  readonly heartbeat: WelcomePayload['heartbeat'];
  readonly limits: AnnouncedLimits;
  readonly retry: RetryPolicy;
  readonly tokenExpiresInMs?: number;
}

/** Reads the payload of `welcome`. A missing or senseless number falls back to a default; unknown fields are ignored (P6). */
export function readWelcome(payload: unknown): Welcome {
  const source = recordOf(payload);
  const { session, user, tokenExpiresInMs } = source;
  return {
    version: typeof source['version'] === 'number' ? source['version'] : 1,
    heartbeat: numbersOf(source['heartbeat'], DEFAULT_HEARTBEAT),
    limits: numbersOf(source['limits'], DEFAULT_LIMITS),
    retry: numbersOf(source['retry'], DEFAULT_RETRY),
    ...(typeof session === 'string' ? { session } : {}),
    ...(typeof user === 'string' ? { user } : {}),
    ...(isDuration(tokenExpiresInMs) ? { tokenExpiresInMs } : {}),
  };
}

/** A finite number of milliseconds, or of anything else that cannot be negative. */
export function isDuration(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

/** The object, or an empty one. */
export function recordOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function numbersOf<T extends { readonly [Name in keyof T]: number }>(value: unknown, defaults: T): T {
  const given = recordOf(value);
  const entries = Object.entries(defaults).map(([name, fallback]): [string, unknown] => {
    const number = given[name];
    return [name, isDuration(number) ? number : fallback];
  });
  return Object.fromEntries(entries) as T;
}
