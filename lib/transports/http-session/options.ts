import { systemEntropy, type Entropy } from '../../core/ports/entropy.js';
import { ENGINE_DEFAULTS } from '../../core/ports/settings-defaults.js';
import {
  ENTRY_DEFAULTS,
  positive,
  resolveEntryOptions,
  type EntryOptions,
  type EntrySettings,
} from '../http/entry-options.js';
import { BlockVariants } from '../sse/blocks.js';

interface Heartbeat {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

/** How client libraries hold sessions over HTTP. */
export interface HttpSessionTransportOptions extends EntryOptions {
  /**
   * A poll waits `intervalMs` at most; a session ends when no poll comes for `timeoutMs` after an answer. In milliseconds. Default
   * 25 000 and 10 000, as for pings.
   */
  readonly heartbeat?: Heartbeat;
  /** Names sessions, and spreads polls. Default: the system's. */
  readonly entropy?: Entropy;
  /** How streams are written: those of the plain streams, to share the bytes of events with them. Default: its own. */
  readonly variants?: BlockVariants;
}

/** What holds where an option is left out. */
export const HTTP_SESSION_DEFAULTS = {
  ...ENTRY_DEFAULTS,
  heartbeat: ENGINE_DEFAULTS.heartbeat,
} satisfies HttpSessionTransportOptions;

/** The options, checked, with defaults and compiled rules. */
export interface HttpSessionSettings extends EntrySettings {
  readonly heartbeat: Heartbeat;
  readonly entropy: Entropy;
  readonly variants: BlockVariants;
}

/** @throws TypeError or RangeError naming the option and the remedy. */
export function resolveHttpSessionOptions(options: HttpSessionTransportOptions): HttpSessionSettings {
  const { heartbeat = HTTP_SESSION_DEFAULTS.heartbeat } = options;
  return {
    ...resolveEntryOptions(options),
    heartbeat: {
      intervalMs: positive('heartbeat.intervalMs', heartbeat.intervalMs),
      timeoutMs: positive('heartbeat.timeoutMs', heartbeat.timeoutMs),
    },
    entropy: options.entropy ?? systemEntropy,
    variants: options.variants ?? new BlockVariants(),
  };
}
