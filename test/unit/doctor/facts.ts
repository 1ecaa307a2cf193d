import type {
  ChannelAction,
  ChannelBehaviour,
  ChannelDefinition,
  ChannelPolicy,
} from '../../../lib/core/ports/channel-definition.js';
import type { ChannelFacts, Facts } from '../../../lib/doctor/facts.js';
import { resolveModuleOptions } from '../../../lib/nest/options/resolve-options.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';

export const RANDOM = 'Zk3v0Qy7wXn1Lr9Tb5Hs2Jd8Gf4Mc6Pa';
const MEMORY = { durability: 'process', dedupes: true, presence: true } as const;

/** What a careful application with one channel shows, with other options or facts. */
export function factsOf(options: Partial<RealtimeModuleOptions> = {}, more: Partial<Facts> = {}): Facts {
  return {
    config: resolveModuleOptions({ auth: { jwt: { secret: RANDOM, audience: 'api' } }, ...options }),
    attaches: true,
    keepAliveMs: 65_000,
    broker: { name: 'memory', capabilities: MEMORY },
    storage: { state: 'inside' },
    channels: [channelOf()],
    openRequests: [],
    health: ['HealthController'],
    metrics: ['Recorder'],
    probeEveryMs: 15_000,
    admin: undefined,
    tracing: undefined,
    machineBytes: 16 * 1024 ** 3,
    graceMs: 30_000,
    ...more,
  };
}

/** What a channel is like, where it is not like the usual one. */
export interface ChannelChange {
  readonly log?: Partial<ChannelPolicy['log']>;
  readonly policy?: Partial<ChannelPolicy>;
  readonly behaviour?: Partial<ChannelBehaviour>;
  readonly isPublic?: boolean;
  readonly blind?: readonly ChannelAction[];
}

/** A channel `rooms.:room` that keeps an hour and has a snapshot. */
export function channelOf({
  log,
  policy,
  behaviour,
  isPublic = false,
  blind = [],
}: ChannelChange = {}): ChannelFacts {
  const definition: ChannelDefinition = {
    pattern: 'rooms.:room',
    source: 'RoomsGateway',
    policy: {
      log: {
        retain: true,
        size: 1_000,
        maxBytes: 8 * 1024 * 1024,
        ttlMs: 3_600_000,
        dedupeMs: 300_000,
        ...log,
      },
      durability: 'process',
      replayLimit: 1_000,
      presence: false,
      overflow: 'disconnect',
      ...policy,
    },
    behaviour: {
      authorize: { subscribe: () => true },
      publish: new Map(),
      signals: new Set(),
      requests: new Map(),
      snapshot: { shareable: true, run: () => ({ state: {} }) },
      ...behaviour,
    },
  };
  return { definition, isPublic, blind };
}
