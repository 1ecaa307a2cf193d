import { describe, expect, it } from '@jest/globals';
import { Registry, type Metric, type OpenMetricsContentType } from 'prom-client';
import { NodeMetrics } from '../../../lib/metrics/node-metrics.js';
import type { NodeStats } from '../../../lib/metrics/readings.js';
import { readMetricsOptions, type RealtimeMetricsOptions } from '../../../lib/metrics/options.js';
import { METRICS } from '../../../lib/metrics/table/index.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { parseScrape, valueOf } from '../../support/prometheus/scrape.js';

const KINDS = ['outbox', 'rings', 'appends', 'commands', 'unfinished', 'recent_publishes'];
const STATS = {
  traffic: [
    {
      transport: 'sse',
      codec: 'sse',
      open: 2,
      opened: 5,
      framesIn: 1,
      bytesIn: 2,
      framesOut: 3,
      bytesOut: 4,
    },
  ],
  sessions: { hello: 1, authenticating: 2, live: 3 },
  channels: [{ pattern: 'rooms.:room', channels: 4, subscriptions: 9 }],
  blocked: { connections: 1, oldestMs: 1_500 },
  memory: Object.fromEntries(KINDS.map((kind, index) => [kind, { bytes: index, maxBytes: 100 }])),
  waiting: { address_rate: 0, node_rate: 0, verification: 7, turn: 0 },
  verifying: 1,
  abuseBans: { users: 1, addresses: 2 },
  restrictions: { ban: 1, mute: 0, slow: 0 },
  retries: 3,
  broker: 'down',
  draining: true,
  leaving: 8,
  withholding: false,
  shedding: 'history',
  targets: [
    {
      name: 'https://a.example/services/s3cret',
      waiting: 1,
      bytes: 1,
      taken: 10,
      givenUp: 3,
      state: 'ended',
    },
    { name: 'https://a.example', waiting: 2, bytes: 1, taken: 20, givenUp: 4, state: 'failing' },
    { name: 'RoomHooks', waiting: 0, bytes: 0, taken: 5, givenUp: 0, state: 'working' },
  ],
  sinks: [
    { name: 'log', waiting: 1, failed: 2, lost: 3 },
    { name: 'log', waiting: 10, failed: 20, lost: 30 },
    { name: 'redis', waiting: 0, failed: 0, lost: 0 },
  ],
  consumers: [
    {
      name: 'orders',
      state: 'stopped',
      lag: 12,
      counts: { published: 40, duplicate: 3, ignored: 2, dead: 1 },
    },
    {
      name: 'prices',
      state: 'retrying',
      lag: undefined,
      counts: { published: 0, duplicate: 0, ignored: 0, dead: 0 },
    },
  ],
} as unknown as NodeStats;

function make(options: RealtimeMetricsOptions, stats: () => NodeStats | undefined = () => STATS) {
  const clock = new ManualClock();
  const probes: { resolve(ms: number): void; reject(error: Error): void }[] = [];
  const node = {
    stats,
    probe: () => new Promise<number>((resolve, reject) => void probes.push({ resolve, reject })),
  };
  const metrics = new NodeMetrics(readMetricsOptions(options), node, clock);
  return { metrics, clock, probes };
}

const turn = (): Promise<void> => new Promise(setImmediate);

describe('the metrics of a node', () => {
  it('are in the registry while it runs, under their prefix, and what the node counts is read at each scrape', async () => {
    const registry = new Registry();
    let looks = 0;
    const { metrics } = make({ registry, prefix: 'shop_' }, () => {
      looks++;
      return STATS;
    });
    metrics.start();
    const samples = parseScrape(await registry.metrics());
    expect(looks).toBe(1);
    expect(registry.getMetricsAsArray()).toHaveLength(Object.keys(METRICS).length);
    expect(valueOf(samples, 'shop_connections', { transport: 'sse', codec: 'sse' })).toBe(2);
    expect(valueOf(samples, 'shop_connections_opened_total')).toBe(5);
    expect(valueOf(samples, 'shop_sent_bytes_total')).toBe(4);
    expect(valueOf(samples, 'shop_received_bytes_total')).toBe(2);
    expect(valueOf(samples, 'shop_sessions', { state: 'live' })).toBe(3);
    expect(valueOf(samples, 'shop_subscriptions', { pattern: 'rooms.:room' })).toBe(9);
    expect(valueOf(samples, 'shop_queue_age_seconds')).toBe(1.5);
    expect(valueOf(samples, 'shop_memory_bytes', { budget: 'rings' })).toBe(1);
    expect(valueOf(samples, 'shop_memory_limit_bytes', { budget: 'rings' })).toBe(100);
    expect(valueOf(samples, 'shop_broker_up')).toBe(0);
    expect(valueOf(samples, 'shop_draining')).toBe(1);
    expect(valueOf(samples, 'shop_drain_connections')).toBe(8);
    expect(valueOf(samples, 'shop_abuse_bans', { of: 'address' })).toBe(2);
    await registry.metrics();
    expect(looks).toBe(2);
    metrics.stop();
    expect(registry.getMetricsAsArray()).toEqual([]);
  });

  it('have one line for each target by its origin, sink and step, also where two have the same name', async () => {
    const registry = new Registry();
    const { metrics } = make({ registry });
    metrics.start();
    const text = await registry.metrics();
    const linesOf = (name: string): readonly string[] =>
      text.split('\n').filter((line) => line.startsWith(`realtime_${name}{`));
    const pairs = (name: string, label: string, values: Readonly<Record<string, number>>): void =>
      expect(linesOf(name)).toEqual(
        Object.entries(values).map(([value, count]) => `realtime_${name}{${label}="${value}"} ${count}`),
      );
    pairs('shedding', 'step', { connections: 1, history: 1, low: 0, presence: 0 });
    pairs('hook_waiting', 'target', { 'https://a.example': 3, RoomHooks: 0 });
    pairs('hook_taken_total', 'target', { 'https://a.example': 30, RoomHooks: 5 });
    pairs('hook_given_up_total', 'target', { 'https://a.example': 7, RoomHooks: 0 });
    pairs('hook_state', 'target', { 'https://a.example': 2, RoomHooks: 0 });
    pairs('audit_waiting', 'sink', { log: 11, redis: 0 });
    pairs('audit_failed_total', 'sink', { log: 22, redis: 0 });
    pairs('audit_lost_total', 'sink', { log: 33, redis: 0 });
    // Of one whose source has not been reached, nobody knows what waits.
    pairs('consumer_lag', 'consumer', { orders: 12 });
    pairs('consumer_state', 'consumer', { orders: 2, prices: 1 });
    expect(linesOf('consumer_records_total')).toContain(
      'realtime_consumer_records_total{consumer="orders",result="duplicate"} 3',
    );
    metrics.stop();
  });

  it('leave the rest of the registry alone, also when it is reset, and speak OpenMetrics', async () => {
    const registry = new Registry<OpenMetricsContentType>();
    registry.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
    const own = {
      name: 'own',
      get: async () => ({ name: 'own', help: 'h', type: 'gauge', values: [] }),
      reset: () => undefined,
    };
    registry.registerMetric(own as unknown as Metric);
    const { metrics } = make({ registry });
    metrics.start();
    metrics.observer.onSignal?.('rooms.:room', 2, 0);
    const text = await registry.metrics();
    expect(text).toContain(
      '# TYPE realtime_signals_sent counter\nrealtime_signals_sent_total{pattern="rooms.:room"} 2',
    );
    registry.resetMetrics();
    expect(await registry.metrics()).toContain('realtime_signals_sent_total{pattern="rooms.:room"} 2');
    metrics.stop();
    expect(registry.getMetricsAsArray()).toEqual([own]);
  });

  it('do not start where a name is taken, leave nothing behind then, and start once it is free', () => {
    const registry = new Registry();
    const first = make({ registry });
    first.metrics.start();
    const second = make({ registry });
    expect(() => second.metrics.start()).toThrow(/realtime_info.*registry or a prefix each/s);
    expect(registry.getMetricsAsArray()).toHaveLength(Object.keys(METRICS).length);
    first.metrics.stop();
    second.metrics.start();
    second.metrics.stop();
    expect(registry.getMetricsAsArray()).toEqual([]);
  });

  it('leave nothing behind where only their last name is taken', () => {
    const registry = new Registry();
    const name = `realtime_${Object.keys(METRICS).at(-1)}`;
    registry.registerMetric({ name, get: () => undefined } as unknown as Metric);
    expect(() => make({ registry }).metrics.start()).toThrow(name);
    expect(registry.getMetricsAsArray().map((metric) => metric.name)).toEqual([name]);
  });

  it('have nothing to read before the node has started', async () => {
    const registry = new Registry();
    const { metrics } = make({ registry }, () => undefined);
    metrics.start();
    expect(valueOf(parseScrape(await registry.metrics()), 'realtime_info')).toBe(0);
    metrics.stop();
  });

  it('time one probe after another, count the ones that fail, and none of a node that stops', async () => {
    const registry = new Registry();
    const { metrics, clock, probes } = make({ registry, probeEvery: '1s' });
    metrics.start();
    clock.advance(999);
    expect(probes).toHaveLength(0);
    clock.advance(1);
    clock.advance(5_000);
    expect(probes).toHaveLength(1);
    probes[0]?.resolve(20);
    await turn();
    clock.advance(1_000);
    probes[1]?.reject(new RealtimeError('timeout'));
    await turn();
    clock.advance(1_000);
    probes[2]?.reject(new RealtimeError('unavailable', 'OOM command not allowed'));
    await turn();
    clock.advance(1_000);
    const samples = parseScrape(await registry.metrics());
    expect(valueOf(samples, 'realtime_broker_round_trip_seconds_sum')).toBeCloseTo(0.02);
    expect(valueOf(samples, 'realtime_broker_probes_failed_total', { cause: 'timeout' })).toBe(1);
    expect(valueOf(samples, 'realtime_broker_probes_failed_total', { cause: 'refused' })).toBe(1);
    const failed = registry.getSingleMetric('realtime_broker_probes_failed_total') as Metric;
    metrics.stop();
    probes[3]?.reject(new Error('closed'));
    await turn();
    clock.advance(10_000);
    expect(probes).toHaveLength(4);
    expect((await failed.get()).values.map(({ value }) => value)).toEqual([1, 1]);
  });

  it('send no probe where probeEvery is false', () => {
    const { metrics, clock, probes } = make({ registry: new Registry(), probeEvery: false });
    metrics.start();
    clock.advance(100_000);
    expect(probes).toHaveLength(0);
    metrics.stop();
  });
});

describe('options', () => {
  it.each([
    [{ prefix: '1x' }, 'prefix'],
    [{ prefix: 'a-b' }, 'prefix'],
    [{ registry: {} }, 'registry'],
    [{ registry: null }, 'registry'],
    [{ probeEvery: '99ms' }, 'probeEvery'],
    [{ probeEvery: 0 }, 'probeEvery'],
    [{ probeEvery: 'often' }, 'probeEvery'],
    [{ prefx: 'x' }, 'prefx'],
  ])('%j is refused with its path', (options, path) => {
    expect(() => readMetricsOptions(options as RealtimeMetricsOptions)).toThrow(
      `RealtimeMetricsModule: ${path}`,
    );
  });

  it('have defaults', () => {
    expect(readMetricsOptions({})).toEqual({
      registry: undefined,
      prefix: 'realtime_',
      probeEveryMs: 15_000,
    });
    expect(readMetricsOptions({ prefix: '', probeEvery: '100ms' })).toMatchObject({
      prefix: '',
      probeEveryMs: 100,
    });
  });
});
