import { userChannel } from '../../protocol/channel-name.js';
import type { BrokerCapabilities } from '../ports/broker.js';
import type { ChannelDefinition } from '../ports/channel-definition.js';

/** Events that are kept of a user's own channel, for a device that comes back. */
const USER_CHANNEL_HISTORY = { size: 100, maxBytes: 1024 * 1024, ttlMs: 3_600_000 };

/**
 * The channel of each user (`realtime.user(id).publish()`): the application writes, only the user reads. It is as durable as
 * the broker allows.
 */
export function userChannelDefinition(capabilities: BrokerCapabilities, dedupeMs: number): ChannelDefinition {
  return {
    pattern: '$user.:user',
    source: 'nestjs-realtime',
    policy: {
      log: { retain: true, ...USER_CHANNEL_HISTORY, dedupeMs: capabilities.dedupes ? dedupeMs : 0 },
      durability: capabilities.durability,
      replayLimit: USER_CHANNEL_HISTORY.size,
      presence: false,
      overflow: 'disconnect',
    },
    behaviour: {
      authorize: { subscribe: ({ user, channel }) => user !== undefined && isChannelOf(user.id, channel) },
      publish: new Map(),
      signals: new Set(),
      requests: new Map(),
    },
  };
}

function isChannelOf(user: string, channel: string): boolean {
  try {
    return userChannel(user) === channel;
  } catch {
    // An id that is longer than the name of a channel can be: such a user has no channel.
    return false;
  }
}
