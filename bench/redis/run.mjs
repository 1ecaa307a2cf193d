// What the broker keeps in Redis, and what nodes cost that have nothing to do: `npm run bench:redis`. See bench/README.md.
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Redis } from 'ioredis';
import { Report } from '../support/report.mjs';
import { silentListener } from '../support/silent-listener.mjs';
import { startRedis } from '../support/redis-server.mjs';
import { thousands } from '../support/statistics.mjs';

const count = Number(process.env.CHANNELS ?? 10_000);
const idleMs = Number(process.env.IDLE_MS ?? 10_000);
const dist = pathToFileURL(`${resolve(process.env.DIST ?? 'dist')}/`);
const { redisBroker } = await import(new URL('brokers/redis/index.js', dist).href);
const { RedisKeys } = await import(new URL('brokers/redis/keys.js', dist).href);

const BATCH = 1_000;
/** Channels and rounds of what the CPU of an event is measured with. */
const HOT = 1_000;
const ROUNDS = 10;
const LEASE_MS = 600_000;
const POLICY = { retain: true, size: 1_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 300_000 };
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
const names = (kind) => Array.from({ length: count }, (_, index) => `${kind}.${index}`);

const report = new Report(
  'redis',
  `one Redis, ${thousands(count)} of each; nodes that have nothing to do for ${idleMs / 1_000} s`,
  'not pinned',
);

async function node(redis, options = {}, id = undefined) {
  const broker = redisBroker({ url: redis.url, onWarning: () => undefined, ...options });
  await broker.start(silentListener, id);
  return broker;
}

/** Bytes that the server uses, when it has freed what it could. */
async function used({ admin }) {
  await pause(300);
  return Number(/used_memory:(\d+)/.exec(await admin.info('memory'))[1]);
}

async function inBatches(list, work) {
  for (let from = 0; from < list.length; from += BATCH) await work(list.slice(from, from + BATCH));
}

function eventOf(channel, id, policy) {
  const event = { id, event: 'said', payload: { text: 'x'.repeat(96) } };
  return { channel, producer: 'user-1', fingerprint: 'f'.repeat(22), event, bytes: 128, policy };
}

/** @param {(broker: object) => Promise<unknown>} work @param {number} number of the things that it makes. */
async function bytesOf(work, number) {
  const redis = await startRedis();
  const broker = await node(redis, { maxIdsPerProducer: 10_000_000 });
  const before = await used(redis);
  await work(broker);
  const bytes = ((await used(redis)) - before) / number;
  await broker.close();
  await redis.stop();
  return Math.round(bytes);
}

/** Appends events to channels, one after the other of each. */
const appends = (channels, each, policy) => async (broker) => {
  for (let event = 0; event < each; event++)
    await inBatches(channels, async (some) => {
      const outcomes = await broker.log.appendMany(some.map((name) => eventOf(name, `e${event}`, policy)));
      if (!outcomes.every(({ ok }) => ok)) throw new Error('An append was refused');
    });
};
const enters = (entries) => (broker) =>
  inBatches(entries, (some) => Promise.all(some.map((entry) => broker.presence.enter(entry, LEASE_MS))));
const memberOf = (channel, member) => ({ channel, member, device: 'device-1', generation: 1 });

const withoutIds = { ...POLICY, dedupeMs: 0 };
const rows = [
  ['a channel of 10 events of 128 B, with their ids', appends(names('rooms'), 10, POLICY), count],
  ['a channel of 10 events, without ids', appends(names('rooms'), 10, withoutIds), count],
  ['a channel that keeps nothing', appends(names('rooms'), 1, { ...withoutIds, retain: false }), count],
  [
    'an id, of many in a channel that keeps nothing',
    async (broker) => {
      const policy = { ...POLICY, retain: false };
      const ids = Array.from({ length: 10 * count }, (_, index) => `01J${String(index).padStart(23, '0')}`);
      await inBatches(ids, (some) => broker.log.appendMany(some.map((id) => eventOf('rooms.1', id, policy))));
    },
    10 * count,
  ],
  ['a room of one member', enters(names('rooms').map((name) => memberOf(name, 'user-1'))), count],
  ['a member, of many in a room', enters(names('user').map((name) => memberOf('rooms.1', name))), count],
  [
    'a channel that hooks follow, at one node',
    (broker) =>
      inBatches(names('rooms'), (some) =>
        broker.transitions.hold(
          some.map((channel) => ({ channel, holder: 'node-1', generation: 1 })),
          LEASE_MS,
        ),
      ),
    count,
  ],
  [
    'a subscription of a node to a channel',
    (broker) =>
      inBatches(names('rooms'), (some) => Promise.all(some.map((name) => broker.log.subscribe(name)))),
    count,
  ],
];
const memory = [];
for (const [name, work, number] of rows) memory.push([name, thousands(await bytesOf(work, number))]);
report.table({ title: 'Memory of Redis', columns: ['of', 'bytes'], rows: memory });

/**
 * CPU of Redis for an event, in microseconds, where so many nodes receive it.
 *
 * @param together How many are appended at once, each to another channel.
 */
async function cpuOfEvent(receivers, together) {
  const redis = await startRedis();
  const broker = await node(redis, { partitions: 1 });
  const channels = names('rooms').slice(0, HOT);
  const keys = new RedisKeys('rt', 1);
  // As the first node of the deployment names them.
  keys.separate?.((await redis.admin.hget(keys.meta, 'topics')) ?? '');
  const listening = [];
  for (let index = 0; index < receivers; index++) {
    const client = new Redis(redis.url);
    for (let from = 0; from < channels.length; from += 100)
      await client.ssubscribe(...channels.slice(from, from + 100).map((name) => keys.topic(name)));
    listening.push(client);
  }
  const policy = { ...POLICY, size: 100 };
  const send = async (round) => {
    for (let from = 0; from < channels.length; from += together) {
      const some = channels.slice(from, from + together);
      await broker.log.appendMany(some.map((name) => eventOf(name, `${round}`, policy)));
    }
  };
  await send('first');
  const before = await redis.cpuMicros();
  for (let round = 0; round < ROUNDS; round++) await send(round);
  const micros = ((await redis.cpuMicros()) - before) / ROUNDS / channels.length;
  for (const client of listening) client.disconnect();
  await broker.close();
  await redis.stop();
  return micros.toFixed(1);
}
const costs = [];
for (const receivers of [0, 1, 10, 50])
  costs.push([receivers, await cpuOfEvent(receivers, 1), await cpuOfEvent(receivers, 64)]);
report.table({
  title: `CPU of Redis for an event, ${thousands(HOT)} channels`,
  columns: ['nodes that receive it', 'µs, one by one', 'µs, 64 channels at once'],
  rows: costs,
});

/** What the server counts: commands as clients send them, bytes that it receives and sends, connections. */
async function counters({ admin, cpuMicros }) {
  const text = await admin.info('everything');
  const of = (name) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(text)[1]);
  const scripts = /^cmdstat_evalsha:calls=(\d+)/m.exec(text)?.[1] ?? 0;
  return {
    commands: of('total_commands_processed'),
    scripts: Number(scripts),
    input: of('total_net_input_bytes'),
    output: of('total_net_output_bytes'),
    connections: of('connected_clients') - 1,
    cpu: await cpuMicros(),
  };
}

const idle = [];
for (const [nodes, options, hooks] of [
  [1, { partitions: 64 }, false],
  [1, {}, false],
  [1, {}, true],
  [10, {}, false],
  [10, {}, true],
]) {
  const redis = await startRedis();
  const brokers = [];
  for (let index = 0; index < nodes; index++) brokers.push(await node(redis, options, `node-${index}`));
  const timers = hooks
    ? brokers.map((broker) =>
        setInterval(() => void broker.transitions.take(500).catch(() => undefined), 250),
      )
    : [];
  await pause(2_000);
  const cpu = process.cpuUsage();
  const before = await counters(redis);
  await pause(idleMs);
  const after = await counters(redis);
  const own = process.cpuUsage(cpu);
  const perSecond = (value) => (1_000 * value) / idleMs / nodes;
  const each = (name) => perSecond(after[name] - before[name]);
  idle.push([
    `${nodes}, ${options.partitions ?? 'default'} partitions${hooks ? ', hooks' : ''}`,
    each('scripts').toFixed(1),
    thousands(each('commands')),
    (each('input') / 1_000).toFixed(1),
    (each('output') / 1_000).toFixed(1),
    (each('cpu') / 1_000).toFixed(2),
    (perSecond(own.user + own.system) / 1_000).toFixed(1),
    after.connections / nodes,
  ]);
  for (const timer of timers) clearInterval(timer);
  await Promise.all(brokers.map((broker) => broker.close()));
  await redis.stop();
}
report.table({
  title: 'A node that has nothing to do, per second',
  columns: [
    'nodes',
    'scripts',
    'commands in all',
    'kB to Redis',
    'kB from it',
    'ms CPU of Redis',
    'ms CPU of it',
    'connections',
  ],
  rows: idle,
  note: 'Commands in all are those of the scripts too. All nodes are in one process.',
});
report.end();
