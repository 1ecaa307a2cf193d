import type { Durability } from '../../core/ports/broker.js';
import type { ChannelPriority, OverflowPolicy } from '../../core/ports/channel-definition.js';
import { SHEDDING_STEPS, type SheddingStep } from '../../core/ports/overload.js';
import {
  choice,
  duration,
  ENGINE_DEFAULTS,
  ENGINE_TABLE,
  integer,
  text,
  type Setting,
} from '../../core/ports/settings-defaults.js';

function flag<T extends boolean | undefined>(value: T): Setting<'flag', boolean | T> {
  return { kind: 'flag', default: value, min: 0, max: 1 };
}

/** A whole number that may be left out. */
function count<T extends number | undefined>(
  value: T,
  bounds: Partial<Pick<Setting, 'min' | 'max' | 'hint'>>,
): Setting<'integer', number | T> {
  return { kind: 'integer', default: value, min: 1, max: Number.MAX_SAFE_INTEGER, ...bounds };
}

// Defaults and bounds are written here and in ENGINE_TABLE, and nowhere else: the option reader and docs/options.md take
// them from these tables. An option that needs a check of its own, such as `allowedOrigins`, has no row.

/** Options of `RealtimeModule.forRoot()`. */
export const MODULE_TABLE = {
  ...ENGINE_TABLE,
  path: text('/realtime'),
  publisherOnly: flag(false),
  transports: { sse: flag(true), httpSessions: flag(undefined) },
  globalEnhancers: flag(true),
  queryToken: text(undefined, { max: 64 }),
  requireTls: flag(false),
  nodeId: text(undefined, { max: 64 }),
  ticketSecret: text(undefined, {
    min: 32,
    max: 1_024,
    hint: '32 random bytes, the same on every node: openssl rand -base64 32',
  }),
  proxyIdleTimeout: duration(60_000, { min: 1 }),
  audit: {
    refusalsPerMinute: integer(60, { min: 0, max: 10_000 }),
    maxQueued: integer(10_000, { min: 16 }),
    maxQueuedBytes: integer(8 * 1024 * 1024, { min: 64 * 1024 }),
    writeTimeout: duration(10_000, { min: 100 }),
  },
  moderation: {
    spam: {
      decay: duration(30 * 60_000, { min: 1_000 }),
      onFailure: choice<'allow' | 'refuse', 'allow' | 'refuse'>('allow', ['allow', 'refuse']),
    },
  },
  shedding: {
    loopDelay: duration(500, { min: 50, max: 60_000 }),
    memory: integer(95, { min: 20, max: 99, hint: 'percent, e.g. 95' }),
    memoryLimit: count(undefined, {
      min: 32 * 1024 * 1024,
      hint: 'bytes, e.g. 2 * 1024 ** 3 for 2 GiB',
    }),
    queueAge: duration(3_000, { min: 100, max: 60_000 }),
    raiseAfter: duration(3_000, { min: 1_000, max: 60_000 }),
    lowerAfter: duration(10_000, { min: 1_000, max: 3_600_000 }),
    upTo: choice<SheddingStep, SheddingStep>('presence', SHEDDING_STEPS),
  },
  drain: { deadline: duration(10_000), spread: duration(ENGINE_DEFAULTS.drainSpreadMs) },
  auth: {
    anonymous: flag(ENGINE_DEFAULTS.anonymous),
    requiredAhead: duration(ENGINE_DEFAULTS.authRequiredAheadMs),
    jwt: {
      clockTolerance: duration(5_000),
      maxAge: duration(undefined),
      jwksCache: {
        refresh: duration(300_000, { min: 1_000 }),
        keep: duration(3_600_000, { min: 1_000 }),
        cooldown: duration(30_000, { min: 1_000 }),
        timeout: duration(5_000, { min: 100 }),
        maxBytes: integer(256 * 1024, { min: 1_024 }),
        maxKeys: integer(100),
      },
    },
  },
};

/** Options of `@Channel()`. */
export const CHANNEL_TABLE = {
  durability: choice<Durability, undefined>(undefined, ['process', 'broker', 'replicated']),
  history: {
    size: integer(1_000),
    maxBytes: integer(8 * 1024 * 1024, { min: 1_024 }),
    ttl: duration(3_600_000, { min: 1_000 }),
  },
  presence: { grace: duration(15_000), maxMembers: integer(200) },
  overflow: choice<OverflowPolicy, OverflowPolicy>('disconnect', [
    'disconnect',
    'drop-oldest',
    'drop-newest',
    'conflate',
  ]),
  priority: choice<ChannelPriority, ChannelPriority>('normal', ['normal', 'low']),
  recheck: duration(undefined),
};
