import { startRedis } from '../support/redis-server.mjs';
import { median } from '../support/statistics.mjs';
import { spreadingContenders } from './spreading-contenders.mjs';

const REDIS_CORE = 0;
const OURS = 'nestjs-realtime';

/** How many channels the events go to, and how many are published at once. */
const SPREADS = [
  { name: 'one channel, 64 a call', channels: 1, atOnce: 64 },
  { name: 'spread over 64 channels, 64 a call', channels: 64, atOnce: 64 },
  { name: 'spread over 64 channels, without ids', channels: 64, atOnce: 64, hasIds: false },
  { name: 'spread over 1,000 channels, 1,000 a call', channels: 1_000, atOnce: 1_000 },
  { name: 'one channel, each awaited', channels: 1, atOnce: 1 },
];

/**
 * CPU time of Redis for an event, by how many channels the events are spread over. Each contender has a Redis of its own, and only one is
 * at work at a time; where its nodes run does not matter, as only Redis is measured.
 *
 * @returns Microseconds of each round by contender and spread.
 */
export async function measureSpreading({ rounds, bytes, events = 30_000 }) {
  const channels = Array.from({ length: Math.max(...SPREADS.map((one) => one.channels)) }, (_, at) => at);
  const running = [];
  for (const contender of spreadingContenders()) {
    const redis = await startRedis({ core: REDIS_CORE });
    const open = await contender.open({ url: redis.url, payload: 'x'.repeat(bytes), channels });
    running.push({ ...contender, redis, ...open, samples: new Map(SPREADS.map(({ name }) => [name, []])) });
  }
  for (let index = -1; index < rounds; index++)
    for (const spread of SPREADS)
      for (const contender of running) {
        if (spread.hasIds === false && contender.hasIds === false) continue;
        const micros = await round(contender, spread, events);
        // The first round makes the logs.
        if (index >= 0) contender.samples.get(spread.name).push(micros);
      }
  for (const { close, redis } of running) {
    await close();
    await redis.stop();
  }
  return new Map(running.map(({ name, samples }) => [name, samples]));
}

async function round({ publish, redis }, { channels, atOnce, hasIds = true }, events) {
  const calls = Math.ceil(atOnce === 1 ? events / 10 : events / atOnce);
  const before = await redis.cpuMicros();
  for (let done = 0; done < calls; done++) {
    const numbers = Array.from({ length: atOnce }, (_, place) => (done * atOnce + place) % channels);
    await publish(numbers, hasIds);
  }
  return ((await redis.cpuMicros()) - before) / (calls * atOnce);
}

export function tellSpreading(report, samples) {
  const figure = (micros) => (micros.length === 0 ? '' : median(micros).toFixed(1));
  report.table({
    title: 'One publisher, events spread over channels, two nodes that subscribe to all: Redis CPU µs/event',
    columns: ['', ...SPREADS.map(({ name }) => name)],
    rows: [...samples].map(([name, bySpread]) => [name, ...[...bySpread.values()].map(figure)]),
    note: 'The library has sequence, history and dedupe, Centrifugo history and ids of publishes; the adapters of Socket.IO have neither ids nor a history of a channel, and so no row "without ids". Each channel of a call costs Redis its own look at the head of the log, its record, its id and its message; an event more of the same channel costs the library little.',
  });
  report.target('Redis CPU µs per event, spread over 64 channels', {
    atMost: 25,
    measured: median(samples.get(OURS).get(SPREADS[1].name)),
  });
}
