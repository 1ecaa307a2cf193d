// What it costs to decide who comes in and who stays: `npm run bench:admission`. See bench/README.md.
import { fileURLToPath } from 'node:url';
import { contenders, LIBRARY } from '../connect/contenders.mjs';
import { disperse, storm, tokens } from '../connect/storm.mjs';
import { rows } from '../echo/contenders.mjs';
import { check, openAskers, round } from '../echo/round.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { startServer } from '../support/server-process.mjs';
import { median, medianRatio, thousands } from '../support/statistics.mjs';

const connections = Number(process.env.CONNECTIONS ?? 2_000);
const publishers = Number(process.env.PUBLISHERS ?? 100);
const rounds = Number(process.env.ROUNDS ?? 7);
const roundMs = Number(process.env.ROUND_MS ?? 300);
/** Clients that stay connected throughout, and rounds that are not counted: see bench/connect. */
const RESIDENTS = 20;
const WARM_UP = 3;

const script = fileURLToPath(new URL('server.mjs', import.meta.url));
const { join } = contenders.find(({ name }) => name === LIBRARY);
const kinds = [
  { name: 'all of it on', settings: { isOn: true } },
  { name: 'all of it off', settings: { isOn: false } },
];

pinLoadGenerator();
const report = new Report('admission', `${rounds} alternating rounds`);

const stormed = [];
for (const kind of kinds)
  stormed.push({ ...kind, join, server: await startServer(script, kind.settings), samples: [] });
for (const one of stormed) await storm(one, tokens(RESIDENTS));
const all = tokens(connections);
for (let index = -WARM_UP; index < rounds; index++)
  for (const one of stormed) {
    const { clients, ...sample } = await storm(one, all);
    if (index >= 0) one.samples.push(sample.cpuPerConnection);
    await disperse(one, clients, RESIDENTS);
  }
for (const { server } of stormed) server.stop();

const asked = [];
for (const kind of kinds) {
  const askers = await openAskers({ script, settings: kind.settings, join: join(tokens(1)[0]) }, publishers);
  asked.push({ ...kind, askers, samples: [] });
}
for (const { askers } of asked) await check(askers, rows.publish);
for (let index = -WARM_UP; index < rounds; index++)
  for (const one of asked) {
    const { cpuPerRequest } = await round(one.askers, rows.publish, roundMs);
    if (index >= 0) one.samples.push(cpuPerRequest);
  }
for (const { askers } of asked) askers.stop();

for (const [title, unit, [on, off]] of [
  [`Upgrade, token, hello and one channel, ${thousands(connections)} clients`, 'connection', stormed],
  [`A publish that is acknowledged, ${publishers} clients of one user`, 'publish', asked],
]) {
  report.table({
    title,
    columns: ['', `CPU µs/${unit}`, '× off'],
    rows: [on, off].map(({ name, samples }) => [
      name,
      median(samples).toFixed(1),
      medianRatio(samples, off.samples).toFixed(3),
    ]),
  });
  report.target(`CPU of a ${unit}, off / on`, {
    atLeast: 0.91,
    measured: medianRatio(off.samples, on.samples),
  });
}
report.end();
