import { userChannel } from '../../protocol/channel-name.js';
import type { ChannelDefinition } from '../ports/channel-definition.js';
import type { BrokerCapabilities } from '../ports/broker.js';

/** Events of a user's own channel that are kept for a device that comes back. */
const HISTORY = { size: 100, ttlMs: 3_600_000 };

/**
 * The channel of each user (`realtime.user(id).publish()`): the application writes, only the user reads. As durable
 * as the broker, since it asks for nothing more.
 */
export function userChannelDefinition(capabilities: BrokerCapabilities, dedupeMs: number): ChannelDefinition {
  return {
    pattern: '$user.:user',
    source: 'nestjs-realtime',
    policy: {
      log: { retain: true, ...HISTORY, dedupeMs: capabilities.dedupes ? dedupeMs : 0 },
      durability: capabilities.durability,
      replayLimit: HISTORY.size,
      presence: false,
      overflow: 'disconnect',
    },
    behaviour: {
      authorize: { subscribe: ({ user, channel }) => user !== undefined && userChannel(user.id) === channel },
      publish: new Map(),
      signals: new Set(),
      requests: new Map(),
    },
  };
}
