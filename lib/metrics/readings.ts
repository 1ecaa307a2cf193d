import { VERSION } from '../core/ports/version.js';
import type { EngineStats } from '../core/engine/engine-stats.js';
import type { TrafficCounts } from '../core/outbox/traffic.js';
import type { MetricName } from './table/index.js';

/** One value, with those of its labels in their order. */
export type Reading = readonly [value: number, ...labels: string[]];

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
  withholding: ({ withholding }) => [[Number(withholding)]],
} satisfies Partial<Record<MetricName, (stats: EngineStats) => readonly Reading[]>>;

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
