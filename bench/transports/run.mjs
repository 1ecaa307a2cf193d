// What a delivery and an idle client cost on each transport, side by side in one run: `npm run bench:transports`.
import { fileURLToPath } from 'node:url';
import { dismiss, populate, round } from '../fanout/round.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio, thousands } from '../support/statistics.mjs';
import { joins } from '../support/subscribers.mjs';

const rounds = Number(process.env.ROUNDS ?? 5);
const roundMs = Number(process.env.ROUND_MS ?? 1500);
const subscribers = Number(process.env.SUBSCRIBERS ?? 1000);
const BYTES = 128;

const here = (name) => fileURLToPath(new URL(`servers/${name}.mjs`, import.meta.url));
const fanout = (name) => fileURLToPath(new URL(`../fanout/servers/${name}.mjs`, import.meta.url));

const WEBSOCKET = 'nestjs-realtime, WebSocket';
const STREAM = 'nestjs-realtime, plain stream';
const STREAMS = 'nestjs-realtime, plain stream of three channels';
const LOOP = 'res.write, loop';
const NEST = 'Nest @Sse()';
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
  { name: 'Socket.IO, room', script: fanout('socket-io'), join: joins.socketIo },
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
  memory.set(contender.name, (after.heapUsed - before.heapUsed) / subscribers);
  running.push(full);
}
for (const perTurn of [1, 10]) {
  const samples = new Map(contenders.map(({ name }) => [name, []]));
  for (const contender of running) await round(contender, { ...load, perTurn });
  for (let index = 0; index < rounds; index++)
    for (const contender of running)
      samples.get(contender.name).push((await round(contender, { ...load, perTurn })).cpuPerDelivery);
  /** CPU of a peer as a multiple of that of another one. */
  const ratio = (name, of) => medianRatio(samples.get(name), samples.get(of));
  report.table({
    title: `${thousands(subscribers)} subscribers, ${BYTES} B, ${perTurn} event${perTurn === 1 ? '' : 's'} per turn`,
    columns: ['server', 'CPU µs/delivery', '× WebSocket', 'heap bytes of an idle client'],
    rows: contenders.map(({ name }) => [
      name,
      median(samples.get(name)).toFixed(2),
      ratio(name, WEBSOCKET).toFixed(2),
      thousands(memory.get(name)),
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
}
running.forEach(dismiss);
report.end();
