import type { RestrictedAct } from '../ports/moderation.js';
import type { SheddingStep } from '../ports/overload.js';
import type { BrokerState } from '../ports/broker.js';
import type { EngineOptions } from '../ports/settings.js';
import type { PatternCounts } from '../hub/channel-counts.js';
import type { TrafficCounts } from '../outbox/traffic.js';
import type { SessionState } from '../session/session-states.js';
import type { EngineParts } from './composition.js';

/** Bytes that a node holds of one kind, and how many it may. */
export interface MemoryBudget {
  readonly bytes: number;
  readonly maxBytes: number;
}

/** What a node counts, at one moment. Every list in it is as long as what the application declares, not as what is connected. */
export interface EngineStats {
  /** By transport and codec. */
  readonly traffic: readonly Readonly<TrafficCounts>[];
  readonly sessions: Readonly<Record<Exclude<SessionState, 'closed'>, number>>;
  /** By pattern. */
  readonly channels: readonly Readonly<PatternCounts>[];
  /** Connections whose socket holds back what it was given, and for how long the worst of them has taken nothing, in milliseconds. */
  readonly blocked: { readonly connections: number; readonly oldestMs: number };
  readonly memory: Readonly<
    Record<'outbox' | 'rings' | 'appends' | 'commands' | 'unfinished' | 'recent_publishes', MemoryBudget>
  >;
  /** What waits for admission, for a place to be verified, or for a turn of the event loop. */
  readonly waiting: Readonly<Record<'address_rate' | 'node_rate' | 'verification' | 'turn', number>>;
  /** Credentials that are being verified. */
  readonly verifying: number;
  /** Who is refused for abuse. */
  readonly abuseBans: { readonly users: number; readonly addresses: number };
  readonly restrictions: Readonly<Record<RestrictedAct, number>>;
  /** Publishes that this node knew as sent before. */
  readonly retries: number;
  readonly broker: BrokerState;
  readonly draining: boolean;
  /** Connections that a node that drains still has to end; 0 for one that does not drain. */
  readonly leaving: number;
  readonly withholding: boolean;
  /** The last step that is taken against an overload (G33); `undefined` for none. */
  readonly shedding: SheddingStep | undefined;
}

/** Reads what its owners count. */
export function engineStats(
  parts: EngineParts,
  { settings, clock }: EngineOptions,
  broker: BrokerState,
): EngineStats {
  const { blocked } = parts.measured;
  const { limits, outbox, ringBytesPerNode } = settings;
  const { budget, restrictions, recentPublishes, verifications } = parts;
  return {
    traffic: parts.measured.traffic.list(),
    sessions: parts.measured.states.list(),
    channels: parts.measured.channels.list(),
    blocked: { connections: blocked.size, oldestMs: blocked.oldestMs(clock.monotonic()) },
    memory: {
      outbox: { bytes: budget.bytes, maxBytes: outbox.maxBytesPerNode },
      rings: { bytes: parts.ringBudget.bytes, maxBytes: ringBytesPerNode },
      appends: { bytes: parts.appends.pendingBytes, maxBytes: limits.maxAppendBytes },
      commands: { bytes: parts.waiting.bytes, maxBytes: limits.maxWaitingCommandBytes },
      unfinished: { bytes: parts.unfinished.bytes, maxBytes: limits.maxUnfinishedBytes },
      recent_publishes: { bytes: recentPublishes.bytes, maxBytes: recentPublishes.maxBytes },
    },
    waiting: {
      address_rate: parts.connects.waiting,
      node_rate: parts.nodeConnects.waiting,
      verification: verifications.waiting,
      turn: parts.turns.size,
    },
    verifying: verifications.size,
    abuseBans: { users: parts.bans.size, addresses: parts.addressBans.size },
    restrictions: {
      ban: restrictions.countOf('ban'),
      mute: restrictions.countOf('mute'),
      slow: restrictions.countOf('slow'),
    },
    retries: recentPublishes.retries,
    broker,
    draining: parts.drain.isDraining,
    leaving: parts.drain.isDraining ? parts.sessions.size : 0,
    withholding: parts.freshness.isStale,
    shedding: parts.overload.step,
  };
}
