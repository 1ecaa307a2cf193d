import { NORMAL, SECONDS, type MetricDefinition } from './definition.js';

/** How the node and its broker are, and what is done against users. */
export const NODE_METRICS = {
  broker_up: {
    type: 'gauge',
    unit: 'state',
    labels: [],
    aggregator: 'min',
    meaning: '1 while the broker can be reached, 0 while it cannot.',
    advice: '0: publishes fail, subscribers stay and continue later (G21). The log has the reason.',
  },
  broker_changes_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['state'],
    meaning: 'How often it became `up` or `down`.',
    advice: 'Often: the network to the broker is not stable.',
  },
  broker_round_trip_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: [],
    buckets: SECONDS,
    meaning: 'From the publish of a probe until it comes back to this node, on the path of events.',
    advice: 'Slow: events are late on all nodes by as much.',
  },
  broker_probes_failed_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['cause'],
    meaning:
      'Probes that did not come back in time (`timeout`), or that the broker did not take (`refused`).',
    advice:
      '`timeout` of one node while `broker_up` is 1: it gets no events, and readiness is red (G20); restart it. Of most nodes, or `refused`: the broker is full or broken; restart none.',
  },
  event_loop_delay_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: [],
    buckets: SECONDS,
    meaning: 'How late a timer of this process ran, four times a second.',
    advice: 'Above 0.1: the process has too much to do, or something in it blocks. Profile it; add nodes.',
  },
  acts_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['act', 'result'],
    meaning:
      'Administrative acts of this node, and its own steps against abuse (`throttle`, `close`): `applied` by all nodes, `partial` where a node did not confirm, `failed`.',
    advice: '`partial`: a node is stuck or of an older version. `failed`: repeat the act.',
  },
  act_duration_seconds: {
    type: 'histogram',
    unit: 'seconds',
    labels: ['act'],
    buckets: SECONDS,
    meaning:
      'Until all nodes had applied an act, or were not waited for any longer: how fast a `revoke` is in force.',
    advice: 'Slow: a node does not confirm. `partial` of `acts_total` says whether.',
  },
  spam_refusals_total: {
    type: 'counter',
    unit: 'events',
    labels: ['pattern', 'step'],
    meaning: 'Publishes that were refused as spam, by the step that was taken; `none` for the refusal alone.',
    advice: 'Many of good users: the detector is too strict.',
  },
  circuits_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['handler', 'state', 'of'],
    meaning:
      'Circuits of handlers that opened, were tried again (`half_open`) or closed; of `all` clients, or of `one`.',
    advice: '`open` of `all`: the handler fails for everybody. Its error is in the log.',
  },
  abuse_bans: {
    type: 'gauge',
    unit: 'connections',
    labels: ['of'],
    meaning:
      'Users and addresses that this node refuses as they kept exceeding their rates; ended ones count until they come again.',
    advice: 'Grows: an attack, or `abuse` is too strict.',
  },
  restrictions: {
    type: 'gauge',
    unit: 'connections',
    labels: ['act'],
    meaning: 'Bans, mutes and slow modes of the application that are in force.',
    advice: NORMAL,
  },
  draining: {
    type: 'gauge',
    unit: 'state',
    labels: [],
    aggregator: 'max',
    meaning:
      '1 from the moment at which this node begins to drain until it closes its HTTP server, and with it what serves its metrics.',
    advice: 'Longer than `drain.deadline` plus 5 s: `app.close()` waits for something of the application.',
  },
  drain_connections: {
    type: 'gauge',
    unit: 'connections',
    labels: [],
    meaning:
      'Connections that a node that drains still has to end: falls to 0. 0 for one that does not drain.',
    advice: 'Does not fall: commands run on, or clients do not read. At `drain.deadline` they are closed.',
  },
  withholding: {
    type: 'gauge',
    unit: 'state',
    labels: [],
    aggregator: 'max',
    meaning: '1 while events of channels that are not public wait, as a revoke may not be known here (G11).',
    advice: 'The broker cannot be reached, or its clock of proofs stands still: see `broker_up`.',
  },
  shedding: {
    type: 'gauge',
    unit: 'state',
    labels: ['step'],
    aggregator: 'max',
    meaning:
      '1 while this step is taken against an overload, and while a later one is (G33): `connections`, `history`, `low`, `presence`.',
    advice:
      'Add nodes, or see what is too much: `event_loop_delay_seconds`, the memory, `queue_age_seconds`.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
