import { systemEntropy } from '../../core/ports/entropy.js';
import { ENGINE_DEFAULTS } from '../../core/ports/settings-defaults.js';
import {
  ENTRY_DEFAULTS,
  positive,
  resolveEntryOptions,
  type EntryOptions,
  type EntrySettings,
} from '../http/entry-options.js';

/** How clients follow channels by plain event streams. */
export interface SseTransportOptions extends EntryOptions {
  /** Most channels of one stream. Default 128. */
  readonly maxChannels?: number;
  /** After how long a silence a stream is sent a comment, in milliseconds; shorter than proxies wait. Default 25 000. */
  readonly heartbeatMs?: number;
  /** When clients come back: within `firstSpreadMs` after a loss, and how the server asks again for a channel that was refused. */
  readonly retry?: { readonly baseMs: number; readonly maxMs: number; readonly firstSpreadMs: number };
  /** Uniform in [0, 1), for jitter. Default: the system's. */
  readonly random?: () => number;
}

/** What holds where an option is left out. */
export const SSE_DEFAULTS = {
  ...ENTRY_DEFAULTS,
  maxChannels: ENGINE_DEFAULTS.limits.maxChannels,
  heartbeatMs: ENGINE_DEFAULTS.heartbeat.intervalMs,
  retry: ENGINE_DEFAULTS.retry,
} satisfies SseTransportOptions;

/** The options, checked, with defaults and compiled rules. */
export interface SseSettings extends EntrySettings {
  readonly maxChannels: number;
  readonly heartbeatMs: number;
  readonly retry: { readonly baseMs: number; readonly maxMs: number; readonly firstSpreadMs: number };
  readonly random: () => number;
}

/** @throws TypeError or RangeError naming the option and the remedy. */
export function resolveSseOptions(options: SseTransportOptions): SseSettings {
  const d = SSE_DEFAULTS;
  return {
    ...resolveEntryOptions(options),
    maxChannels: positive('maxChannels', options.maxChannels ?? d.maxChannels),
    heartbeatMs: positive('heartbeatMs', options.heartbeatMs ?? d.heartbeatMs),
    retry: options.retry ?? d.retry,
    random: options.random ?? (() => systemEntropy.random()),
  };
}
