import type { ChannelDefinition } from '../ports/channel-definition.js';

/**
 * The channels by which a node sends what nodes count and measure to those who look at it there. No client may subscribe: the
 * application's own onlookers do.
 */
export const NODES_CHANNEL: ChannelDefinition = {
  pattern: '$nodes.:node',
  source: 'nestjs-realtime',
  policy: {
    log: { retain: false, size: 0, maxBytes: 0, ttlMs: 0, dedupeMs: 0 },
    durability: 'process',
    replayLimit: 0,
    presence: false,
    overflow: 'conflate',
  },
  behaviour: {
    authorize: { subscribe: () => false },
    publish: new Map(),
    signals: new Set(),
    requests: new Map(),
  },
};
