// What a request with a reply costs: `npm run bench:echo`. See bench/README.md.
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio, percent, thousands } from '../support/statistics.mjs';
import { rows, servers } from './contenders.mjs';
import { check, openAskers, round } from './round.mjs';

const connections = Number(process.env.CONNECTIONS ?? 100);
const rounds = Number(process.env.ROUNDS ?? 7);
const roundMs = Number(process.env.ROUND_MS ?? 300);

pinLoadGenerator();
const report = new Report(
  'echo',
  `${connections} connections with one request outstanding each, ${rounds} alternating rounds of ${roundMs} ms`,
);
const running = new Map();
for (const [name, server] of Object.entries(servers))
  running.set(name, await openAskers(server, connections));

for (const row of Object.values(rows)) await check(running.get(row.server), row);
const samples = new Map(Object.keys(rows).map((key) => [key, []]));
for (let index = -1; index < rounds; index++) {
  for (const [key, row] of Object.entries(rows)) {
    const result = await round(running.get(row.server), row, roundMs);
    if (index >= 0) samples.get(key).push(result);
  }
}
for (const { stop } of running.values()) stop();

const cpuOf = (key) => samples.get(key).map(({ cpuPerRequest }) => cpuPerRequest);
/** Round trips per CPU second of the first, as a multiple of those of the second. */
const ratio = (key, of) => medianRatio(cpuOf(of), cpuOf(key));

report.table({
  title: 'A request and its reply',
  columns: ['handler', 'CPU µs', 'round trips per CPU second, × ws', 'round trips/s', 'load generator CPU'],
  rows: Object.entries(rows).map(([key, { name }]) => [
    name,
    median(cpuOf(key)).toFixed(1),
    ratio(key, 'ws').toFixed(2),
    thousands(median(samples.get(key).map(({ rate }) => rate))),
    percent(median(samples.get(key).map(({ loadShare }) => loadShare))),
  ]),
});

const added = (key, bare) => {
  const base = cpuOf(bare);
  return median(cpuOf(key).map((cpu, index) => cpu - base[index])).toFixed(1);
};
report.table({
  title: 'What an enhancer adds, in CPU µs per request',
  columns: ['enhancer', 'nestjs-realtime', '@nestjs/platform-ws'],
  rows: [
    ['guard', added('guard', 'bare'), added('gatewayGuard', 'gateway')],
    ['pipe', added('pipe', 'bare'), added('gatewayPipe', 'gateway')],
    ['interceptor', added('interceptor', 'bare'), added('gatewayInterceptor', 'gateway')],
    ['guard and pipe', added('guardAndPipe', 'bare'), added('gatewayGuardAndPipe', 'gateway')],
    ['ValidationPipe', added('validation', 'bare'), added('gatewayValidation', 'gateway')],
  ],
  note: 'Each does what the smallest of its kind does; ValidationPipe checks three fields with class-validator.',
});

report.target('round trips per CPU second with a guard and a pipe / @nestjs/platform-ws', {
  atLeast: 1.3,
  measured: ratio('guardAndPipe', 'gatewayGuardAndPipe'),
});
report.target('round trips per CPU second with nothing bound / ws', {
  atLeast: 0.9,
  measured: ratio('bare', 'ws'),
});
report.end();
