import { fileURLToPath } from 'node:url';
import { elapsedMs, startMeasuring } from '../support/load.mjs';
import { LOGGED, UNLOGGED } from '../support/log-names.mjs';
import { startRedis } from '../support/redis-server.mjs';
import { startServer } from '../support/server-process.mjs';
import { median, percent, thousands } from '../support/statistics.mjs';
import { joins, openSubscribers } from '../support/subscribers.mjs';
import { alternate, ratioOf } from './rounds.mjs';
import { Witness } from './witness.mjs';

const server = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));
const NODES = 2;
const NODES_CORE = 0;
/** Redis shares a core with the load generator. */
const REDIS_CORE = 1;

export const WITH_LOG = 'nestjs-realtime, sequence, history, dedupe';
export const WITHOUT_LOG = 'nestjs-realtime, neither history nor dedupe';
/** Kinds of servers, each with what it is measured as. */
const kinds = [
  {
    script: server('library'),
    join: joins.library([LOGGED, UNLOGGED]),
    contenders: [
      { name: WITH_LOG, way: 'on' },
      { name: WITHOUT_LOG, way: 'off' },
      { name: 'nestjs-realtime, signals', way: 'signals' },
    ],
  },
  {
    script: server('socket-io'),
    join: joins.socketIo,
    settings: { adapter: 'streams' },
    contenders: [{ name: 'Socket.IO, streams adapter' }],
  },
  {
    script: server('socket-io'),
    join: joins.socketIo,
    settings: { adapter: 'pubsub' },
    contenders: [{ name: 'Socket.IO, Redis adapter' }],
  },
];

/**
 * Deliveries of two nodes over one Redis; the first of them publishes. Every turn is a closed loop: the next begins when
 * every byte of the last has arrived at every subscriber of every node.
 *
 * @returns Samples by events per turn and name.
 */
export async function measureDeliveries({ subscribers, bytes, eventsPerTurn, rounds, roundMs }) {
  const samples = new Map(eventsPerTurn.map((perTurn) => [perTurn, new Map()]));
  const groups = [];
  for (const kind of kinds) groups.push({ ...(await populate(kind, { subscribers, bytes })), kind });
  const running = groups.flatMap(({ kind, ...servers }) =>
    kind.contenders.map((contender) => ({ ...contender, ...servers })),
  );
  for (const [perTurn, byName] of samples) {
    const load = { perTurn, subscribers, bytes, roundMs };
    await alternate(running, rounds, byName, (contender) => round(contender, load));
  }
  for (const { nodes, redis } of groups) {
    for (const { process, load } of nodes) {
      for (const client of load.clients) client.close();
      process.stop();
    }
    await redis.stop();
  }
  return samples;
}

async function populate({ script, join, settings }, { subscribers, bytes }) {
  const redis = await startRedis({ core: REDIS_CORE });
  const nodes = [];
  for (let index = 0; index < NODES; index++) {
    const process = await startServer(script, { ...settings, bytes, url: redis.url }, { core: NODES_CORE });
    const witness = new Witness();
    const last = subscribers / NODES - 1;
    const load = await openSubscribers(process.port, join, subscribers / NODES, (number) =>
      number === last ? (...read) => witness.look(...read) : undefined,
    );
    nodes.push({ process, load, witness });
  }
  return { redis, nodes };
}

async function round({ name, way, redis, nodes }, { perTurn, subscribers, bytes, roundMs }) {
  const begun = [];
  for (const { process, load, witness } of nodes) {
    const { written } = await process.ask({ type: 'written' });
    begun.push({ base: load.received - written, written, seen: witness.seen });
    await process.ask({ type: 'begin' });
  }
  const redisBefore = await redis.cpuMicros();
  const measured = startMeasuring();
  const startedAt = process.hrtime.bigint();
  let turns = 0;
  while (turns === 0 || elapsedMs(startedAt) < roundMs) {
    turns += 1;
    await nodes[0].process.ask({ type: 'turn', events: perTurn, way });
    await Promise.all(
      nodes.map(async ({ process, load, witness }, index) => {
        await witness.reached(begun[index].seen + turns * perTurn);
        const { written } = await process.ask({ type: 'written' });
        await load.reached(begun[index].base + written);
      }),
    );
  }
  const { seconds, loadShare } = measured();
  const events = turns * perTurn;
  const redisMicros = (await redis.cpuMicros()) - redisBefore;
  let cpuMicros = 0;
  for (const [index, { process }] of nodes.entries()) {
    cpuMicros += (await process.ask({ type: 'end' })).cpuMicros;
    const { written } = await process.ask({ type: 'written' });
    // A node that writes less than the payloads did not reach everybody: the figures would be a fiction.
    if (written - begun[index].written < (events * subscribers * bytes) / NODES)
      throw new Error(`${name}: a node did not write to every subscriber`);
  }
  const deliveries = events * subscribers;
  return {
    rate: deliveries / seconds,
    cpu: cpuMicros / deliveries,
    redis: redisMicros / events,
    loadShare,
  };
}

export function tellDeliveries(report, byName, { title, note }) {
  report.table({
    title,
    columns: [
      'servers',
      'deliveries/s',
      '× without log',
      'CPU µs/delivery of the nodes',
      'Redis CPU µs/event',
      'load generator CPU',
    ],
    rows: [...byName].map(([name, samples]) => {
      const of = (field) => median(samples.map((sample) => sample[field]));
      return [
        name,
        thousands(of('rate')),
        ratioOf(byName, name, WITHOUT_LOG).toFixed(2),
        of('cpu').toFixed(2),
        of('redis').toFixed(1),
        percent(of('loadShare')),
      ];
    }),
    note,
  });
}
