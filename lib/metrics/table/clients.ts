import { NORMAL, SECONDS, type MetricDefinition } from './definition.js';

/** What clients do: connections and commands. */
export const CLIENT_METRICS = {
  info: {
    type: 'gauge',
    unit: 'state',
    labels: ['version'],
    aggregator: 'max',
    meaning: 'Always 1; `version` is that of nestjs-realtime on this node.',
    advice: 'Compare the nodes during a rollout.',
  },
  connections: {
    type: 'gauge',
    unit: 'connections',
    labels: ['transport', 'codec'],
    meaning: 'Open connections, those before `welcome` included.',
    advice: 'Add nodes before `limits.maxConnections` is near. See docs/capacity.md.',
  },
  connections_opened_total: {
    type: 'counter',
    unit: 'connections',
    labels: ['transport', 'codec'],
    meaning: 'Connections that were opened.',
    advice: 'A rate that is high without users behind it is a reconnect loop: look at `disconnects_total`.',
  },
  sessions: {
    type: 'gauge',
    unit: 'connections',
    labels: ['state'],
    meaning: 'Sessions that wait for `hello`, are being authenticated (`authenticating`), or are `live`.',
    advice:
      'Many in `authenticating`: the authenticator is slow. Many in `hello`: clients that connect and say nothing.',
  },
  disconnects_total: {
    type: 'counter',
    unit: 'connections',
    labels: ['reason', 'by'],
    meaning:
      'Connections that ended, by the close code in words (docs/errors.md) and by who ended them: `node` or `client`. `going_away`, `no_status` and `abnormal` are 1001, 1005 and 1006; other codes are `other`.',
    advice:
      'Each reason of the node has its remedy in docs/errors.md. Many `abnormal`: a proxy or network cuts idle connections.',
  },
  refusals_total: {
    type: 'counter',
    unit: 'connections',
    labels: ['at', 'reason'],
    meaning:
      'Clients that were refused, by the error code, close code or HTTP status: at the `upgrade`, at `hello`, or at a `request` of a session over HTTP.',
    advice:
      '`429` and `rate_limited`: see `limits`. `401`, `unauthorized`: wrong or old credentials. `503`: the node is full or draining.',
  },
  rate_limited_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['transport'],
    meaning: 'Commands, frames and answers above the rates of a connection or user.',
    advice:
      'A rate that grows with the users: raise `limits.ratePerSecond`, or mend the client that sends too often.',
  },
  waiting: {
    type: 'gauge',
    unit: 'operations',
    labels: ['line'],
    meaning:
      'What waits: new connections above the rate of their address (`address_rate`) or of the node (`node_rate`), credentials for a place (`verification`), work for a turn of the event loop (`turn`).',
    advice:
      'Above zero for minutes: the node takes in less than comes. Look at `verifications` and `event_loop_delay_seconds`.',
  },
  verifications: {
    type: 'gauge',
    unit: 'operations',
    labels: [],
    meaning: 'Credentials that are being verified.',
    advice: 'Near `limits.maxVerifications`: the authenticator, or what it asks, is slow.',
  },
  frames_received_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['transport', 'codec'],
    meaning: 'Frames of clients.',
    advice: NORMAL,
  },
  received_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    labels: ['transport', 'codec'],
    meaning: 'Bytes of these frames, uncompressed.',
    advice: NORMAL,
  },
  frames_sent_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['transport', 'codec'],
    meaning: 'Frames that were handed to sockets. One frame may hold many messages.',
    advice: NORMAL,
  },
  sent_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    labels: ['transport', 'codec'],
    meaning: 'Bytes of these frames, before TLS and the framing of HTTP.',
    advice: 'Near what the network of the node carries: add nodes, compress, or send less.',
  },
  commands_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['type', 'outcome'],
    meaning:
      'Commands that were answered, by their outcome: `ok`, an error code, or `closed` where the connection ended first.',
    advice: 'Each error code has its remedy in docs/errors.md.',
  },
  commands_in_flight: {
    type: 'gauge',
    unit: 'operations',
    labels: [],
    meaning: 'Commands without an answer yet.',
    advice:
      'Grows: handlers or the broker are slow. Look at `command_duration_seconds` and `publish_duration_seconds`.',
  },
  command_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: ['type'],
    buckets: SECONDS,
    meaning: 'From the begin of a command to its answer.',
    advice:
      'Slow: compare with `authorization_duration_seconds` and `publish_duration_seconds`; what is left are your handlers.',
  },
  authorizations_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['pattern', 'action', 'outcome'],
    meaning: 'Decisions of the application about subscribing, publishing and so on.',
    advice:
      'Many `forbidden` of one pattern: a client asks for what it may not have. `timeout`, `internal`: mend the handler.',
  },
  authorization_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: ['pattern'],
    buckets: SECONDS,
    meaning: 'How long these decisions take.',
    advice: 'Slow: index or cache what the handler asks.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
