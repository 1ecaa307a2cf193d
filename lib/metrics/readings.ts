import type { SinkStatus } from '../core/engine/audit/sink-queue.js';
import type { ConsumerStatus } from '../core/ports/consumers.js';
import { SHEDDING_STEPS } from '../core/ports/overload.js';
import { VERSION } from '../core/ports/version.js';
import type { EngineStats } from '../core/engine/engine-stats.js';
import type { TrafficCounts } from '../core/outbox/traffic.js';
import type { TargetStatus } from '../nest/hooks.js';
import type { MetricName } from './table/index.js';

/** One value, with those of its labels in their order. */
export type Reading = readonly [value: number, ...labels: string[]];

/** What a node counts, with what leaves it for targets of hooks and sinks of the audit. */
export interface NodeStats extends EngineStats {
  /** None without hooks, and while they do not run. */
  readonly targets: readonly TargetStatus[];
  readonly sinks: readonly SinkStatus[];
  /** None where the application has none. */
  readonly consumers: readonly ConsumerStatus[];
}

/** How bad the state of a target is. */
const STATES: readonly TargetStatus['state'][] = ['working', 'failing', 'ended'];

/** How bad the state of a consumer is. One that is closed leaves its work to others. */
const CONSUMER_STATES: Readonly<Record<ConsumerStatus['state'], number>> = {
  working: 0,
  closed: 0,
  retrying: 1,
  stopped: 2,
};

type OfTraffic = 'open' | 'opened' | 'framesIn' | 'bytesIn' | 'framesOut' | 'bytesOut';

/** What is read from the node when it is asked for, and counted nowhere else. */
export const READINGS = {
  info: () => [[1, VERSION]],
  connections: traffic('open'),
  connections_opened_total: traffic('opened'),
  frames_received_total: traffic('framesIn'),
  received_bytes_total: traffic('bytesIn'),
  frames_sent_total: traffic('framesOut'),
  sent_bytes_total: traffic('bytesOut'),
  sessions: ({ sessions }) => entries(sessions),
  waiting: ({ waiting }) => entries(waiting),
  verifications: ({ verifying }) => [[verifying]],
  channels: (stats) => stats.channels.map(({ pattern, channels }): Reading => [channels, pattern]),
  subscriptions: (stats) =>
    stats.channels.map(({ pattern, subscriptions }): Reading => [subscriptions, pattern]),
  publish_retries_total: ({ retries }) => [[retries]],
  blocked_connections: ({ blocked }) => [[blocked.connections]],
  queue_bytes: ({ memory }) => [[memory.outbox.bytes]],
  queue_age_seconds: ({ blocked }) => [[blocked.oldestMs / 1_000]],
  memory_bytes: ({ memory }) => Object.entries(memory).map(([name, { bytes }]): Reading => [bytes, name]),
  memory_limit_bytes: ({ memory }) =>
    Object.entries(memory).map(([name, { maxBytes }]): Reading => [maxBytes, name]),
  broker_up: ({ broker }) => [[broker === 'up' ? 1 : 0]],
  abuse_bans: ({ abuseBans }) => entries({ user: abuseBans.users, address: abuseBans.addresses }),
  restrictions: (stats) => entries(stats.restrictions),
  draining: ({ draining }) => [[Number(draining)]],
  drain_connections: ({ leaving }) => [[leaving]],
  withholding: ({ withholding }) => [[Number(withholding)]],
  shedding: ({ shedding }) => {
    const last = SHEDDING_STEPS.findIndex((step) => step === shedding);
    return SHEDDING_STEPS.map((step, index): Reading => [Number(index <= last), step]);
  },
  hook_waiting: ({ targets }) => byName(origins(targets), ({ waiting }) => waiting, sum),
  hook_taken_total: ({ targets }) => byName(origins(targets), ({ taken }) => taken, sum),
  hook_given_up_total: ({ targets }) => byName(origins(targets), ({ givenUp }) => givenUp, sum),
  hook_state: ({ targets }) => byName(origins(targets), ({ state }) => STATES.indexOf(state), Math.max),
  audit_waiting: ({ sinks }) => byName(sinks, ({ waiting }) => waiting, sum),
  audit_failed_total: ({ sinks }) => byName(sinks, ({ failed }) => failed, sum),
  audit_lost_total: ({ sinks }) => byName(sinks, ({ lost }) => lost, sum),
  consumer_lag: ({ consumers }) =>
    consumers.flatMap(({ lag, name }): Reading[] => (lag === undefined ? [] : [[lag, name]])),
  consumer_records_total: ({ consumers }) =>
    consumers.flatMap(({ counts, name }) =>
      Object.entries(counts).map(([result, count]): Reading => [count, name, result]),
    ),
  consumer_state: ({ consumers }) =>
    consumers.map(({ name, state }): Reading => [CONSUMER_STATES[state], name]),
} satisfies Partial<Record<MetricName, (stats: NodeStats) => readonly Reading[]>>;

function traffic(field: OfTraffic): (stats: EngineStats) => readonly Reading[] {
  return (stats) =>
    stats.traffic.map((counts: Readonly<TrafficCounts>): Reading => [
      counts[field],
      counts.transport,
      counts.codec,
    ]);
}

function entries(values: Readonly<Record<string, number>>): readonly Reading[] {
  return Object.entries(values).map(([name, value]): Reading => [value, name]);
}

/** A webhook by its origin: in the path of an address there may be a secret. */
function origins(targets: readonly TargetStatus[]): readonly TargetStatus[] {
  return targets.map((target) => {
    const origin = /^https?:\/\/[^/?#]+/.exec(target.name)?.[0];
    return origin === undefined ? target : { ...target, name: origin };
  });
}

function sum(one: number, other: number): number {
  return one + other;
}

/** One reading for each name: two webhooks of one origin have the same, and a scrape with two lines of the same labels fails. */
function byName<Of extends { readonly name: string }>(
  list: readonly Of[],
  valueOf: (one: Of) => number,
  merge: (one: number, other: number) => number,
): readonly Reading[] {
  const values = new Map<string, number>();
  for (const one of list) {
    const known = values.get(one.name);
    values.set(one.name, known === undefined ? valueOf(one) : merge(known, valueOf(one)));
  }
  return [...values].map(([name, value]): Reading => [value, name]);
}
