// What a connection costs when thousands come at once: `npm run bench:connect`. See bench/README.md.
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { startServer } from '../support/server-process.mjs';
import { median, medianRatio, percent, thousands } from '../support/statistics.mjs';
import { contenders, LIBRARY, patient, SOCKET_IO, WS } from './contenders.mjs';
import { disperse, storm, tokens } from './storm.mjs';

const connections = Number(process.env.CONNECTIONS ?? 5_000);
const rounds = Number(process.env.ROUNDS ?? 3);
/** Clients that stay connected throughout. */
const RESIDENTS = 20;
/** Rounds that are not counted: until then V8 compiles. */
const WARM_UP = 3;

pinLoadGenerator();
const report = new Report('connect', `${thousands(connections)} clients, ${rounds} alternating rounds`);
const running = [];
for (const contender of [...contenders, patient])
  running.push({ ...contender, server: await startServer(contender.script, {}), samples: [] });

// With no connection left V8 drops the shapes of their objects, and with them most of the compiled code: the next storm
// would measure the compiler. A server that is stormed has clients already.
for (const contender of running) await storm(contender, tokens(RESIDENTS));
const all = tokens(connections);
for (let index = -WARM_UP; index < rounds; index++) {
  for (const contender of running) {
    const { clients, ...sample } = await storm(contender, all);
    if (index >= 0) contender.samples.push(sample);
    await disperse(contender, clients, RESIDENTS);
  }
}
const { costs } = await running
  .find(({ name }) => name === WS)
  .server.ask({ type: 'checks', tokens: all.slice(0, 2_000) });
for (const { server } of running) server.stop();

const cpuOf = (wanted) =>
  running.find(({ name }) => name === wanted).samples.map(({ cpuPerConnection }) => cpuPerConnection);
report.table({
  title: 'Upgrade, HS256 token checked, subscribed to one channel',
  columns: ['server', 'CPU µs/connection', '× the library', 'connections/s', 'load generator CPU'],
  rows: running.map(({ name, samples }) => [
    name,
    median(cpuOf(name)).toFixed(0),
    medianRatio(cpuOf(name), cpuOf(LIBRARY)).toFixed(2),
    thousands(median(samples.map(({ rate }) => rate))),
    percent(median(samples.map(({ loadShare }) => loadShare))),
  ]),
  note: 'All check the token with the same function, that of the library. The library then says hello, signs a ticket with which the session can be taken over, and keeps order, limits and a queue for each client; no part of it stands out.',
});
report.table({
  title: 'What checking the token costs by itself',
  columns: ['check of an HS256 token', 'CPU µs'],
  rows: costs.map(({ name, cpuMicros }) => [name, cpuMicros.toFixed(1)]),
});
report.target('CPU of Socket.IO / library', {
  atLeast: 1.6,
  measured: medianRatio(cpuOf(SOCKET_IO), cpuOf(LIBRARY)),
});
report.target('CPU of ws with the same check and a join / library', {
  atLeast: 0.8,
  measured: medianRatio(cpuOf(WS), cpuOf(LIBRARY)),
});
report.end();
