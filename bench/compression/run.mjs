// What compressed fan-out costs: `npm run bench:compression`. See bench/README.md.
import { contenders, LIBRARY, NAIVE } from '../fanout/contenders.mjs';
import { dismiss, populate, round } from '../fanout/round.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio, percent, thousands } from '../support/statistics.mjs';

const subscribers = Number(process.env.SUBSCRIBERS ?? 1_000);
const rounds = Number(process.env.ROUNDS ?? 5);
const roundMs = Number(process.env.ROUND_MS ?? 500);
const load = { subscribers, bytes: 1_024, shape: 'document', perTurn: 1, roundMs };

const extensions = 'permessage-deflate; client_max_window_bits';
const find = (wanted) => contenders.find(({ name }) => name === wanted);
const offering = (wanted) => ({
  ...find(wanted),
  join: { ...find(wanted).join, extensions },
  leastBytes: 100,
});
const options = { threshold: 1_024, zlibDeflateOptions: { level: 3 } };

/** The library's level and threshold; the first with, the second without a window that is kept per client. */
const WS_DEFLATE = 'ws, deflate per client';
const WS_DEFLATE_ANEW = 'ws, deflate per client, no context takeover';
const LIBRARY_DEFLATE = 'nestjs-realtime, deflated once for all';

pinLoadGenerator();
const report = new Report(
  'compression',
  `${thousands(subscribers)} subscribers, documents of 1 KiB, ${rounds} alternating rounds of ${roundMs} ms`,
);
const running = [];
for (const contender of [
  { ...find(NAIVE), name: 'ws, plain' },
  { ...offering(NAIVE), name: WS_DEFLATE, settings: { compression: options } },
  {
    ...offering(NAIVE),
    name: WS_DEFLATE_ANEW,
    settings: { compression: { ...options, serverNoContextTakeover: true, clientNoContextTakeover: true } },
  },
  { ...find(LIBRARY), name: 'nestjs-realtime, plain' },
  { ...offering(LIBRARY), name: LIBRARY_DEFLATE, settings: { compression: true } },
])
  running.push({ ...(await populate(contender, load)), samples: [] });
for (let index = -1; index < rounds; index++) {
  for (const contender of running) {
    const sample = await round(contender, load);
    if (index >= 0) contender.samples.push(sample);
  }
}
running.forEach(dismiss);

const cpuOf = (wanted) =>
  running.find(({ name }) => name === wanted).samples.map(({ cpuPerDelivery }) => cpuPerDelivery);
report.table({
  title: 'One event per turn',
  columns: ['server', 'CPU µs/delivery', '× the library deflating', 'bytes/delivery', 'load generator CPU'],
  rows: running.map(({ name, samples }) => [
    name,
    median(cpuOf(name)).toFixed(1),
    medianRatio(cpuOf(name), cpuOf(LIBRARY_DEFLATE)).toFixed(2),
    thousands(median(samples.map(({ bytesPerDelivery }) => bytesPerDelivery))),
    percent(median(samples.map(({ loadShare }) => loadShare))),
  ]),
});
report.target('CPU of ws with deflate per client / library deflating once', {
  atLeast: 8,
  measured: medianRatio(cpuOf(WS_DEFLATE), cpuOf(LIBRARY_DEFLATE)),
});
report.end();
