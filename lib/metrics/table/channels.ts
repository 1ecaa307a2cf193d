import { COUNTS, NORMAL, SECONDS, type MetricDefinition } from './definition.js';

/** What happens in channels, and what waits for their subscribers. */
export const CHANNEL_METRICS = {
  channels: {
    type: 'gauge',
    unit: 'operations',
    labels: ['pattern'],
    meaning: 'Channels that this node serves.',
    advice: 'Near `limits.maxServedChannels`: add nodes, or raise it.',
  },
  subscriptions: {
    type: 'gauge',
    unit: 'connections',
    labels: ['pattern'],
    meaning: 'Subscriptions on this node.',
    advice: NORMAL,
  },
  subscribes_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['pattern', 'recovery', 'why'],
    meaning:
      'Subscribes that were answered: `new`, or a continuation that is `complete`, `truncated` or `lost`, and why (P11).',
    advice: '`truncated` and `lost`: keep more of the log (`history`), or let clients come back sooner.',
  },
  publishes_total: {
    type: 'counter',
    unit: 'events',
    labels: ['pattern', 'outcome'],
    meaning: 'Publishes that the broker answered. `duplicate` is a retry that the log knew.',
    advice: '`unavailable`, `timeout`: the broker. `conflict`: an id is used twice with other content.',
  },
  publish_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: ['pattern'],
    buckets: SECONDS,
    meaning: 'How long the broker takes for them.',
    advice: 'Slow: look at the broker, and at the network between.',
  },
  publish_retries_total: {
    type: 'counter',
    unit: 'events',
    labels: [],
    meaning:
      'Publishes that this node knew as sent before: they were answered without a second run of the handler.',
    advice: 'High: answers get lost. Look at `disconnects_total` and at time-outs of clients.',
  },
  events_delivered_total: {
    type: 'counter',
    unit: 'events',
    labels: ['pattern'],
    meaning: 'Events that were handed to live subscribers, each counted once for each of them.',
    advice: 'Near what docs/capacity.md allows: add nodes.',
  },
  publish_to_socket_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: ['pattern'],
    buckets: SECONDS,
    meaning:
      'From the append of a publish of this node until it was handed to the sockets of this node; one publish at a time is measured, and one that takes longer than 10 s counts with what it took until another is measured. Not in it: publishes that failed, and those that subscribers get from the log.',
    advice:
      'Slow: `publish_duration_seconds` is the part of the broker, `delivery_wait_seconds` that of this node.',
  },
  delivery_wait_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: ['pattern'],
    buckets: SECONDS,
    meaning:
      'From the arrival of the first event of a batch at this node until the batch was handed to all its subscribers.',
    advice: 'Slow: the event loop is busy. Look at `event_loop_delay_seconds`; add nodes.',
  },
  signals_sent_total: {
    type: 'counter',
    unit: 'events',
    labels: ['pattern'],
    meaning: 'Signals that were handed to subscribers, each counted once for each of them.',
    advice: NORMAL,
  },
  signals_dropped_total: {
    type: 'counter',
    unit: 'events',
    labels: ['pattern'],
    meaning: 'Signals for which a subscriber had no room.',
    advice: 'Clients read too slowly: see `queue_bytes`.',
  },
  gaps_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['pattern', 'reason', 'policy'],
    meaning:
      'Announcements to subscribers that events do not reach them, by reason (P25) and by the `overflow` of the channel.',
    advice:
      '`overflow`, `conflated`: clients read too slowly. `expired`: events outlive their `ttl` in queues. `unreadable`: another program wrote to the log.',
  },
  events_dropped_total: {
    type: 'counter',
    unit: 'events',
    labels: ['pattern', 'reason', 'policy'],
    meaning: 'The events that these announce.',
    advice: 'As of `gaps_total`.',
  },
  replays_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['pattern'],
    meaning: 'Subscribers that were behind and are live, having been sent what they missed.',
    advice: 'A peak follows each deploy and each failure of the network.',
  },
  replay_events: {
    type: 'histogram',
    unit: 'events',
    labels: ['pattern'],
    buckets: COUNTS,
    meaning: 'How many events each of these was sent.',
    advice: 'Large: clients are away for long; see `replayLimit`.',
  },
  replay_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: ['pattern'],
    buckets: SECONDS,
    meaning: 'How long they took, at the pace of the client.',
    advice: 'Slow for all: the broker reads slowly. Slow for some: their network.',
  },
  heals_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['pattern'],
    meaning: 'Channels that were compared with their log, as messages of the broker were missing (G6).',
    advice:
      'Above zero for long: the broker loses messages. With Redis see `client-output-buffer-limit pubsub`.',
  },
  healed_events_total: {
    type: 'counter',
    unit: 'events',
    labels: ['pattern'],
    meaning: 'Events that were found so.',
    advice: 'As of `heals_total`.',
  },
  resets_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['pattern', 'recovery'],
    meaning: 'Subscribers that were told that the log of their channel has begun anew (P10).',
    advice: 'The broker lost data, or was replaced: see its durability in docs/scaling.md.',
  },
  blocked_connections: {
    type: 'gauge',
    unit: 'connections',
    labels: [],
    meaning: 'Connections whose socket takes no more at the moment.',
    advice: 'Many: the network of the node is full, or it sends more than clients read.',
  },
  queue_bytes: {
    type: 'gauge',
    unit: 'bytes',
    labels: [],
    meaning: 'What waits for clients of this node; what several share is counted once.',
    advice:
      'Near `outbox.maxBytesPerNode` the slowest connections are closed with 4003: add nodes, or send less.',
  },
  queue_age_seconds: {
    type: 'gauge',
    unit: 'seconds',
    labels: [],
    aggregator: 'max',
    meaning: 'For how long the socket that has taken nothing for longest has done so.',
    advice:
      'Up to the heartbeat time-out it is a client without network. Longer for many: look at `blocked_connections`.',
  },
  memory_bytes: {
    type: 'gauge',
    unit: 'bytes',
    labels: ['budget'],
    meaning:
      'Memory that this node counts: what waits for clients (`outbox`), newest events (`rings`), publishes on their way (`appends`), commands under way (`commands`), messages that have not ended (`unfinished`), publishes that it knows (`recent_publishes`).',
    advice: 'Near its limit: docs/limits.md says what happens there.',
  },
  memory_limit_bytes: {
    type: 'gauge',
    unit: 'bytes',
    labels: ['budget'],
    meaning: 'How much each may be.',
    advice: 'Set each so that all together fit into the memory of the process.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
