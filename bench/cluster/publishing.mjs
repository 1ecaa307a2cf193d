import { fileURLToPath } from 'node:url';
import { elapsedMs } from '../support/load.mjs';
import { startRedis } from '../support/redis-server.mjs';
import { startServer } from '../support/server-process.mjs';
import { median, thousands } from '../support/statistics.mjs';
import { alternate, ratioOf } from './rounds.mjs';

const script = fileURLToPath(new URL('publishing-process.mjs', import.meta.url));
const REDIS_CORE = 0;
const NODES_CORE = 1;
/** Nodes that are told. */
const NODES = 2;
/** Messages of the first round of all, which finds out how many there can be in the next. */
const FIRST = { load: 10_000, oneByOne: 500 };

export const BY_HAND = 'PUBLISH, pipelined by hand';
export const EACH = 'PUBLISH, each by itself';
export const BROKER = 'nestjs-realtime, broker';
const contenders = [
  { name: BY_HAND, peer: 'redis-publish', byHand: true },
  { name: EACH, peer: 'redis-publish' },
  { name: BROKER, peer: 'library-broker' },
  { name: 'nestjs-realtime, service', peer: 'library-service' },
  { name: 'Socket.IO, streams adapter', peer: 'socket-io', kind: 'streams' },
  { name: 'Socket.IO, Redis adapter', peer: 'socket-io', kind: 'pubsub' },
];

/**
 * How many messages a second go through one Redis, by rounds that alternate between the contenders. Each has a Redis of its
 * own, and only one is at work at a time. A process is measured when it has worked for some seconds: until then its figures say
 * how much code there is to compile.
 *
 * @returns Samples of each contender by name, for `load` and `oneByOne`.
 */
export async function measurePublishing({ rounds, roundMs, warmUpMs, inFlight, bytes }) {
  const running = [];
  for (const contender of contenders) running.push(await start(contender, { bytes, inFlight }));
  const samples = { load: new Map(), oneByOne: new Map() };
  for (const [mode, byName] of Object.entries(samples)) {
    // Where each is awaited there is nothing to pipeline.
    const taking = running.filter(({ name }) => mode === 'load' || name !== BY_HAND);
    const counts = new Map();
    for (const contender of taking) {
      const rate = await warmUp(contender, mode, warmUpMs);
      counts.set(contender.name, Math.ceil((rate * roundMs) / 1_000));
    }
    await alternate(taking, rounds, byName, (contender) =>
      round(contender, mode, counts.get(contender.name)),
    );
  }
  for (const { processes, redis } of running) {
    for (const { stop } of processes) stop();
    await redis.stop();
  }
  return samples;
}

async function start(contender, load) {
  const redis = await startRedis({ core: REDIS_CORE });
  const settings = { ...contender, ...load, url: redis.url };
  const nodes = [];
  for (let index = 0; index < NODES; index++)
    nodes.push(await startServer(script, { ...settings, role: 'node' }, { core: NODES_CORE }));
  const publisher = await startServer(script, { ...settings, role: 'publisher' }, { core: NODES_CORE });
  const started = { name: contender.name, redis, nodes, publisher, processes: [publisher, ...nodes] };
  await connected(started);
  return started;
}

/**
 * Publishes until every node is told, for the adapters of Socket.IO subscribe without saying when they have; and until
 * nothing more comes that would count in the first round.
 */
async function connected({ name, nodes, publisher }) {
  const told = new Set();
  for (let attempt = 0; told.size < nodes.length; attempt++) {
    if (attempt === 100) throw new Error(`${name}: a node is told nothing`);
    await publisher.ask({ type: 'oneByOne', count: 1 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    for (const node of nodes) if ((await node.ask({ type: 'forget' })).forgotten > 0) told.add(node);
  }
  for (let quiet = false; !quiet;) {
    await new Promise((resolve) => setTimeout(resolve, 200));
    quiet = true;
    for (const { ask } of nodes) if ((await ask({ type: 'forget' })).forgotten > 0) quiet = false;
  }
}

/** @returns messages a second at the end of it. */
async function warmUp(contender, mode, forMs) {
  const startedAt = process.hrtime.bigint();
  let { rate } = await round(contender, mode, FIRST[mode]);
  while (elapsedMs(startedAt) < forMs) ({ rate } = await round(contender, mode, Math.ceil(rate / 2)));
  return rate;
}

/** Begins with the first publish and ends when the last is acknowledged and has arrived at every node. */
async function round({ redis, nodes, publisher, processes }, mode, count) {
  for (const { ask } of processes) await ask({ type: 'begin' });
  const redisBefore = await redis.cpuMicros();
  const startedAt = process.hrtime.bigint();
  const arrived = nodes.map(({ ask }) => ask({ type: 'arrived', count }));
  await publisher.ask({ type: mode, count });
  await Promise.all(arrived);
  const seconds = Number(process.hrtime.bigint() - startedAt) / 1e9;
  const redisMicros = (await redis.cpuMicros()) - redisBefore;
  const ends = [];
  for (const { ask } of processes) ends.push((await ask({ type: 'end' })).cpuMicros);
  const [publisherMicros, ...nodeMicros] = ends.map((micros) => micros / count);
  return {
    rate: count / seconds,
    publisher: publisherMicros,
    redis: redisMicros / count,
    node: nodeMicros.reduce((sum, micros) => sum + micros, 0) / NODES,
  };
}

export function tellPublishing(report, byName, { title, note, control }) {
  report.table({
    title,
    columns: [
      'way',
      'messages/s',
      `× ${control}`,
      'publisher CPU µs',
      'Redis CPU µs',
      'CPU µs of a node',
      'one core of Redis takes',
    ],
    rows: [...byName].map(([name, samples]) => {
      const of = (field) => median(samples.map((sample) => sample[field]));
      return [
        name,
        thousands(of('rate')),
        ratioOf(byName, name, control).toFixed(2),
        of('publisher').toFixed(1),
        of('redis').toFixed(1),
        of('node').toFixed(1),
        `${thousands(1e6 / of('redis'))}/s`,
      ];
    }),
    note,
  });
}
