import { randomUUID } from 'node:crypto';
import { redisBroker } from '../../dist/brokers/redis/index.js';
import { startRedis } from '../support/redis-server.mjs';
import { silentListener } from '../support/silent-listener.mjs';
import { median } from '../support/statistics.mjs';

const REDIS_CORE = 0;
/** Nodes that subscribe to all channels. */
const NODES = 2;
/** Defaults of a channel. */
const POLICY = { retain: true, size: 1_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 300_000 };

/** How many channels the events go to, and how many are published at once. */
export const SPREADS = [
  { name: 'one channel, 64 a call', channels: 1, atOnce: 64 },
  { name: 'spread over 64 channels, 64 a call', channels: 64, atOnce: 64 },
  { name: 'spread over 64 channels, without ids', channels: 64, atOnce: 64, dedupeMs: 0 },
  { name: 'spread over 1,000 channels, 1,000 a turn', channels: 1_000, atOnce: 1_000 },
  { name: 'one channel, each awaited', channels: 1, atOnce: 1 },
];

/**
 * CPU time of Redis for an event of the broker, by how many channels the events are spread over. Publisher and nodes are in this
 * process, as only Redis is measured.
 *
 * @returns Microseconds of each round by name.
 */
export async function measureSpreading({ rounds, bytes, events = 30_000 }) {
  const redis = await startRedis({ core: REDIS_CORE });
  const payload = 'x'.repeat(bytes);
  const brokers = [];
  for (let index = 0; index <= NODES; index++) {
    const broker = redisBroker({ url: redis.url });
    await broker.start(silentListener);
    brokers.push(broker);
  }
  const [publisher, ...nodes] = brokers;
  const most = Math.max(...SPREADS.map(({ channels }) => channels));
  for (const { log } of nodes)
    await Promise.all(Array.from({ length: most }, (_, number) => log.subscribe(`bench.${number}`)));
  const round = async ({ channels, atOnce, dedupeMs = POLICY.dedupeMs }) => {
    const count = Math.ceil(atOnce === 1 ? events / 10 : events / atOnce);
    const before = await redis.cpuMicros();
    for (let done = 0; done < count; done++) {
      const requests = Array.from({ length: atOnce }, (_, place) => ({
        channel: `bench.${(done * atOnce + place) % channels}`,
        producer: 'a:bench',
        fingerprint: 'nOsjIzwLmXXLQZb9f3F9h98AzOI=',
        policy: { ...POLICY, dedupeMs },
        event: { id: randomUUID(), event: 'tick', payload },
        bytes: payload.length + 80,
      }));
      const failed = (await publisher.log.appendMany(requests)).find(({ ok }) => !ok);
      if (failed !== undefined) throw new Error(`A publish failed: ${failed.code}`);
    }
    return ((await redis.cpuMicros()) - before) / (count * atOnce);
  };
  const samples = new Map(SPREADS.map(({ name }) => [name, []]));
  for (let index = -1; index < rounds; index++)
    for (const spread of SPREADS) {
      const micros = await round(spread);
      // The first round makes the logs.
      if (index >= 0) samples.get(spread.name).push(micros);
    }
  for (const broker of brokers) await broker.close();
  await redis.stop();
  return samples;
}

export function tellSpreading(report, samples) {
  report.table({
    title: 'One publisher, events spread over channels, two nodes that subscribe to all',
    columns: ['events', 'Redis CPU µs/event'],
    rows: [...samples].map(([name, micros]) => [name, median(micros).toFixed(1)]),
    note: 'Each channel of a call costs Redis its own look at the head of the log, its record, its id and its message; an event more of the same channel costs little.',
  });
  report.target('Redis CPU µs per event, spread over 64 channels', {
    atMost: 25,
    measured: median(samples.get(SPREADS[1].name)),
  });
}
