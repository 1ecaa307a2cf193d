import { systemClock, type Clock } from '../../core/ports/clock.js';
import { systemEntropy, type Entropy } from '../../core/ports/entropy.js';

/** Options of a memory store. History and dedupe windows belong to the policy of each channel. */
export interface MemoryStoreOptions {
  /** The clock of expiry, windows and leases. Default: the system's clock. */
  readonly clock?: Clock;
  /** Names epochs and nodes. Default: the system's randomness. */
  readonly entropy?: Entropy;
  /**
   * Most channels without a subscriber that are kept in memory. Above it a long unused one is forgotten, history
   * included; a client that comes back to it gets `lost: epoch_changed`. Channels with ids inside their dedupe window or
   * with members are never forgotten. Default 100 000.
   */
  readonly maxIdleChannels?: number;
  /** How long the head (epoch and `seq`) of an unused channel is kept, in milliseconds (P10). Default 30 days. */
  readonly headMs?: number;
  /**
   * Most ids that all channels together remember (P15), at about 350 bytes each. At the bound, appends with a dedupe window
   * fail with `unavailable` until ids age out: forgetting one early would append a retry twice. More than `maxIds / dedupeMs`
   * appends a millisecond reach it; the remedy is a shorter `dedupeMs`, or a larger bound. Default 2 000 000.
   */
  readonly maxIds?: number;
  /** Time between two steps of the sweep that frees what has ended, in milliseconds. Default 5 000. */
  readonly sweepMs?: number;
}

/** Options of a store with every default filled in. */
export type MemoryStoreSettings = Required<MemoryStoreOptions>;

const DAY_MS = 24 * 60 * 60_000;

/** @throws RangeError when a bound is not a positive number; it names the option. */
export function storeSettings(options: MemoryStoreOptions): MemoryStoreSettings {
  return {
    clock: options.clock ?? systemClock,
    entropy: options.entropy ?? systemEntropy,
    maxIdleChannels: positive('maxIdleChannels', options.maxIdleChannels ?? 100_000),
    headMs: positive('headMs', options.headMs ?? 30 * DAY_MS),
    maxIds: positive('maxIds', options.maxIds ?? 2_000_000),
    sweepMs: positive('sweepMs', options.sweepMs ?? 5_000),
  };
}

/** @throws RangeError when the value is not a positive number. */
export function positive(option: keyof MemoryStoreOptions | 'controlTimeoutMs', value: number): number {
  if (value > 0) return value;
  throw new RangeError(`memoryBroker: \`${option}\` must be a positive number, not ${String(value)}.`);
}
