import { NORMAL, type MetricDefinition } from './definition.js';

/**
 * What leaves the node for targets of hooks and sinks of the audit, and what consumers bring in. Their labels are names of classes,
 * origins of URLs, names of sinks and of consumers.
 */
export const TARGET_METRICS = {
  hook_waiting: {
    type: 'gauge',
    unit: 'events',
    labels: ['target'],
    meaning: 'Events that wait for a target of hooks, those under way included.',
    advice: 'Grows: the target is slow or fails. What finds no room is given up.',
  },
  hook_taken_total: {
    type: 'counter',
    unit: 'events',
    labels: ['target'],
    meaning: 'Events that a target has taken.',
    advice: NORMAL,
  },
  hook_given_up_total: {
    type: 'counter',
    unit: 'events',
    labels: ['target'],
    meaning: 'Events that a target did not get: too old, without room, or refused for good.',
    advice:
      'Above zero: the log has the reason and the ids. What the target keeps is to be compared by hand.',
  },
  hook_state: {
    type: 'gauge',
    unit: 'state',
    labels: ['target'],
    aggregator: 'max',
    meaning:
      '0 while a target works, 1 while it fails and is called for one event at a time, 2 once it wants nothing any more (410).',
    advice:
      '1: mend the target; the log has what it answers. 2: it is called again after a restart of the node.',
  },
  audit_waiting: {
    type: 'gauge',
    unit: 'operations',
    labels: ['sink'],
    meaning: 'Entries that wait for a sink of the audit.',
    advice: 'Grows: the sink is slow or fails. Near `audit.maxQueued` entries are lost.',
  },
  audit_failed_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['sink'],
    meaning: 'Writes of entries that failed or took too long. They are repeated.',
    advice: 'Grows: the error is in the log.',
  },
  audit_lost_total: {
    type: 'counter',
    unit: 'operations',
    labels: ['sink'],
    meaning:
      'Entries that a sink did not get, as it has no room or refuses them. An entry of the act `lost` tells how many.',
    advice: 'Above zero: the audit has a hole. Mend the sink, or raise `audit.maxQueued`.',
  },
  consumer_lag: {
    type: 'gauge',
    unit: 'records',
    labels: ['consumer'],
    meaning:
      'Records behind those that were published and committed, in what this node reads of a consumer; the sum of all nodes is what waits.',
    advice:
      'Grows: the consumer is slower than its source, retries or has stopped; `consumer_state` and the log say which. See docs/consumers.md.',
  },
  consumer_records_total: {
    type: 'counter',
    unit: 'records',
    labels: ['consumer', 'result'],
    meaning:
      'Records by what became of them: `published`, `duplicate` (their event was there already), `ignored` (`to` made none), `dead` (they cannot be published).',
    advice:
      '`dead` grows: the log has places of them, one in 10 s where they are skipped. `duplicate` grows all the time: nodes are killed, or the commits of the source fail.',
  },
  consumer_state: {
    type: 'gauge',
    unit: 'state',
    labels: ['consumer'],
    aggregator: 'max',
    meaning:
      '0 while a consumer works, 1 while it tries again, 2 while a partition waits behind a record that cannot be published.',
    advice:
      '1: the source or the broker is away. 2: mend what refuses the record and start again; readiness and the log name its place.',
  },
} as const satisfies Readonly<Record<string, MetricDefinition>>;
