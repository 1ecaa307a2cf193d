// What a delivery and an idle client cost on each transport, side by side in one run: `npm run bench:transports`.
import { fileURLToPath } from 'node:url';
import { dismiss, populate, round } from '../fanout/round.mjs';
import { httpJoins } from '../support/http-joins.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio, thousands } from '../support/statistics.mjs';
import { joins } from '../support/subscribers.mjs';
import { idleCost } from './idle.mjs';

const rounds = Number(process.env.ROUNDS ?? 5);
const roundMs = Number(process.env.ROUND_MS ?? 1500);
const subscribers = Number(process.env.SUBSCRIBERS ?? 1000);
const idleMs = Number(process.env.IDLE_MS ?? 60_000);
const BYTES = 128;

const here = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));
const fanout = (name) => fileURLToPath(new URL(`../fanout/servers/${name}.mjs`, import.meta.url));

const WEBSOCKET = 'nestjs-realtime, WebSocket';
const STREAM = 'nestjs-realtime, plain stream';
const STREAMS = 'nestjs-realtime, plain stream of three channels';
const LOOP = 'res.write, loop';
const NEST = 'Nest @Sse()';
const SESSION = 'nestjs-realtime, SSE session';
const POLL = 'nestjs-realtime, long-poll';
const SOCKET_IO = 'Socket.IO, room';
const SOCKET_IO_POLL = 'Socket.IO, polling';
const contenders = [
  { name: WEBSOCKET, script: fanout('library'), join: joins.library() },
  { name: STREAM, script: fanout('library'), join: joins.stream('/realtime/sse?channels=bench.fanout') },
  {
    name: STREAMS,
    script: fanout('library'),
    settings: { pattern: 'bench.:name' },
    join: joins.stream('/realtime/sse?channels=bench.fanout,bench.second,bench.third'),
  },
  { name: LOOP, script: here('res-write'), join: joins.stream('/') },
  { name: NEST, script: here('nest-sse'), join: joins.stream('/events') },
  { name: SESSION, script: fanout('library'), join: httpJoins.sseSession() },
  { name: POLL, script: fanout('library'), join: httpJoins.longPoll() },
  { name: SOCKET_IO, script: fanout('socket-io'), join: joins.socketIo },
  {
    name: SOCKET_IO_POLL,
    script: fanout('socket-io'),
    settings: { transports: ['polling'] },
    join: httpJoins.socketIoPolling,
  },
];

pinLoadGenerator();
const report = new Report(
  'transports',
  `${rounds} alternating rounds of ${roundMs} ms, ${subscribers} subscribers`,
);
const load = { subscribers, bytes: BYTES, roundMs };
const running = [];
const memory = new Map();
for (const contender of contenders) {
  const empty = await populate(contender, { ...load, subscribers: 0 });
  const before = await empty.server.ask({ type: 'memory' });
  dismiss(empty);
  const full = await populate(contender, load);
  const after = await full.server.ask({ type: 'memory' });
  const perClient = (kind) => (after[kind] - before[kind]) / subscribers;
  memory.set(contender.name, { heap: perClient('heapUsed'), rss: perClient('rss') });
  running.push(full);
}
for (const perTurn of [1, 10]) {
  const samples = new Map(contenders.map(({ name }) => [name, []]));
  const wire = new Map(contenders.map(({ name }) => [name, []]));
  for (const contender of running) await round(contender, { ...load, perTurn });
  for (let index = 0; index < rounds; index++)
    for (const contender of running) {
      const { cpuPerDelivery, bytesPerDelivery } = await round(contender, { ...load, perTurn });
      samples.get(contender.name).push(cpuPerDelivery);
      wire.get(contender.name).push(bytesPerDelivery);
    }
  /** CPU of a peer as a multiple of that of another one. */
  const ratio = (name, of) => medianRatio(samples.get(name), samples.get(of));
  report.table({
    title: `${thousands(subscribers)} subscribers, ${BYTES} B, ${perTurn} event${perTurn === 1 ? '' : 's'} per turn`,
    columns: ['server', 'CPU µs/delivery', '× WebSocket', 'bytes/delivery'],
    rows: contenders.map(({ name }) => [
      name,
      median(samples.get(name)).toFixed(2),
      ratio(name, WEBSOCKET).toFixed(2),
      thousands(median(wire.get(name))),
    ]),
  });
  report.target(`WebSocket / plain stream, ${perTurn} per turn`, {
    atLeast: 0.6,
    measured: ratio(WEBSOCKET, STREAM),
  });
  report.target(`Nest @Sse() / plain stream, ${perTurn} per turn`, {
    atLeast: 1,
    measured: ratio(NEST, STREAM),
  });
  report.target(`WebSocket / SSE session, ${perTurn} per turn`, {
    atLeast: 0.6,
    measured: ratio(WEBSOCKET, SESSION),
  });
  report.target(`Socket.IO polling / long-poll, ${perTurn} per turn`, {
    atLeast: 1,
    measured: ratio(SOCKET_IO_POLL, POLL),
  });
}
running.forEach(dismiss);

/** Those whose server asks whether they live, or says that it does. */
const beating = [WEBSOCKET, STREAM, SESSION, POLL, SOCKET_IO, SOCKET_IO_POLL];
const idle = new Map();
for (const contender of contenders.filter(({ name }) => beating.includes(name)))
  idle.set(contender.name, await idleCost(contender, { clients: subscribers, idleMs }));
report.table({
  title: `${thousands(subscribers)} idle clients, a heartbeat every 25 s`,
  columns: ['server', 'CPU µs per client and minute', 'heap bytes', 'RSS bytes'],
  rows: contenders.map(({ name }) => [
    name,
    idle.has(name) ? thousands(idle.get(name)) : '–',
    thousands(memory.get(name).heap),
    thousands(memory.get(name).rss),
  ]),
  note: 'What collecting costs is in it. What the kernel keeps for both ends of a socket is not in the memory.',
});
report.target('CPU of an idle client, Socket.IO polling / long-poll', {
  atLeast: 1,
  measured: idle.get(SOCKET_IO_POLL) / idle.get(POLL),
});
report.end();
