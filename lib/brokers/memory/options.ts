import { getHeapStatistics } from 'node:v8';
import { systemClock, type Clock } from '../../core/ports/clock.js';
import { systemEntropy, type Entropy } from '../../core/ports/entropy.js';

/** Options of a memory store. History and dedupe windows belong to the policy of each channel. */
export interface MemoryStoreOptions {
  /** The clock of expiry, windows and leases. Default: the system's clock. */
  readonly clock?: Clock;
  /** Names epochs and nodes. Default: the system's randomness. */
  readonly entropy?: Entropy;
  /**
   * Most bytes that the store holds of everything: events, remembered ids, members, and the records of channels. Each is charged
   * what it weighs in the heap (docs/limits.md). Above it the channel whose last append is the oldest gives first: an idle one is
   * forgotten as a whole, and clients that come back to it get `lost: epoch_changed`; one with subscribers, members or ids inside
   * their dedupe window loses its oldest events, but never its position. Where only such channels are left, new subscribes, members
   * and ids are refused with `unavailable`, and events are delivered but not kept. At least 65 536. Default 256 MiB.
   * Where a quarter of the heap limit of the process (`--max-old-space-size`) is less, that: 60 MiB in a heap of 192 MB.
   */
  readonly maxBytes?: number;
  /**
   * Most bytes of `maxBytes` that the ids of publishes hold (P15), at about 450 bytes each. No id is forgotten inside its window,
   * because a retry would be appended twice: at the bound publishes are refused with `rate_limited` until ids have ended. So
   * `maxIdBytes / 450 / dedupe` publishes a second can be kept up; a shorter `dedupe`, or a larger bound, allows more.
   * Default 128 MiB. Where `maxBytes` is another, half of it.
   */
  readonly maxIdBytes?: number;
  /**
   * Part of the free bytes for ids that one producer (a user, or an anonymous session) may hold: above 0, at most 1. Alone a producer
   * can hold `idShare / (1 + idShare)` of `maxIdBytes`; the less is free, the less it may hold, so that none spends the room of the
   * others. All anonymous sessions together hold at most half. The application itself is not bounded by it. Default `0.125`.
   */
  readonly idShare?: number;
  /**
   * Most channels without a subscriber that are kept in memory. Above it the one whose last append is the oldest is forgotten,
   * history included; a client that comes back to it gets `lost: epoch_changed`. Channels with ids inside their dedupe window or
   * with members are never forgotten. Default 100 000.
   */
  readonly maxIdleChannels?: number;
  /** How long the head (epoch and `seq`) of an unused channel is kept, in milliseconds (P10). Default 30 days. */
  readonly headMs?: number;
  /**
   * Longest time until memory of what has ended is freed where no command comes, in milliseconds. No result depends on it.
   * Default 5 000.
   */
  readonly sweepMs?: number;
}

/** Options of a store with every default filled in. */
export type MemoryStoreSettings = Required<MemoryStoreOptions>;

const DAY_MS = 24 * 60 * 60_000;
const MIN_BYTES = 64 * 1024;
const DEFAULT_BYTES = 256 * 1024 * 1024;
const DEFAULT_PART_OF_HEAP = 1 / 4;

/** @throws RangeError when a bound is not a positive number; it names the option. */
export function storeSettings(options: MemoryStoreOptions): MemoryStoreSettings {
  const maxBytes = positive('maxBytes', options.maxBytes ?? defaultBytes());
  if (maxBytes < MIN_BYTES) throw outOfRange('maxBytes', `at least ${MIN_BYTES} (64 KiB)`, maxBytes);
  const maxIdBytes = positive('maxIdBytes', options.maxIdBytes ?? maxBytes / 2);
  if (maxIdBytes > maxBytes) throw outOfRange('maxIdBytes', `at most \`maxBytes\` (${maxBytes})`, maxIdBytes);
  const idShare = positive('idShare', options.idShare ?? 0.125);
  if (idShare > 1) throw outOfRange('idShare', 'at most 1', idShare);
  return {
    clock: options.clock ?? systemClock,
    entropy: options.entropy ?? systemEntropy,
    maxBytes,
    maxIdBytes,
    idShare,
    maxIdleChannels: positive('maxIdleChannels', options.maxIdleChannels ?? 100_000),
    headMs: positive('headMs', options.headMs ?? 30 * DAY_MS),
    sweepMs: positive('sweepMs', options.sweepMs ?? 5_000),
  };
}

/** @throws RangeError when the value is not a positive number. */
export function positive(option: keyof MemoryStoreOptions | 'controlTimeoutMs', value: number): number {
  if (value > 0) return value;
  throw outOfRange(option, 'a positive number', value);
}

/** The heap also holds sessions, queues and the application; most of what a store holds lives long, and is copied when collected. */
function defaultBytes(): number {
  return Math.max(
    MIN_BYTES,
    Math.min(DEFAULT_BYTES, Math.floor(getHeapStatistics().heap_size_limit * DEFAULT_PART_OF_HEAP)),
  );
}

function outOfRange(option: string, wanted: string, value: number): RangeError {
  return new RangeError(`memoryBroker: \`${option}\` must be ${wanted}, not ${String(value)}.`);
}
