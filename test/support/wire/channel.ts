import type {
  ChannelBehaviour,
  ChannelDefinition,
  ChannelPolicy,
  PresencePolicy,
} from '../../../lib/core/ports/channel-definition.js';
import type { LogPolicy } from '../../../lib/core/ports/broker.js';

/** What a test says of a channel; the rest is what most tests want: public, retained, no presence. */
export interface WireChannelOptions {
  readonly log?: Partial<LogPolicy>;
  readonly policy?: Partial<Omit<ChannelPolicy, 'log' | 'presence'>>;
  readonly presence?: Partial<PresencePolicy> | boolean;
  /** Events that clients may publish as they come. A handler is given by `behaviour.publish`. */
  readonly publish?: readonly string[];
  readonly signals?: readonly string[];
  readonly behaviour?: Partial<ChannelBehaviour>;
}

/**
 * A channel definition as the Nest layer would make it, in one line.
 *
 * @example wireChannel('rooms.:room', { publish: ['message.created'], presence: true })
 */
export function wireChannel(pattern: string, options: WireChannelOptions = {}): ChannelDefinition {
  const { log, policy, presence = false, publish = [], signals = [], behaviour } = options;
  return {
    pattern,
    source: 'Test',
    policy: {
      log: { retain: true, size: 1_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 300_000, ...log },
      durability: 'process',
      replayLimit: 1_000,
      overflow: 'disconnect',
      ...policy,
      presence:
        presence === false
          ? false
          : { graceMs: 5_000, maxMembers: 200, ...(presence === true ? {} : presence) },
    },
    behaviour: {
      publish: new Map(publish.map((event) => [event, undefined])),
      signals: new Set(signals),
      requests: new Map(),
      ...behaviour,
      authorize: {
        subscribe: 'public',
        ...(publish.length > 0 || behaviour?.publish !== undefined ? { publish: 'public' } : {}),
        ...behaviour?.authorize,
      },
    },
  };
}
