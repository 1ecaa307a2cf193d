// What the log costs: `npm run bench:log`. See bench/README.md.
import { fileURLToPath } from 'node:url';
import { closedLoop } from '../support/closed-loop.mjs';
import { LOGGED, UNLOGGED } from '../support/log-names.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { startServer } from '../support/server-process.mjs';
import { median, medianRatio, percent, thousands } from '../support/statistics.mjs';
import { joins, openSubscribers } from '../support/subscribers.mjs';

const rounds = Number(process.env.ROUNDS ?? 41);
const roundMs = Number(process.env.ROUND_MS ?? 150);
const bytes = 128;
/** Wanted CPU per delivery without the log, as a multiple of that with it, by subscribers. */
const TARGETS = { 1000: 0.95, 100: 0.95, 10: 0.9, 1: 0.8 };
/** Deliveries between two looks at the load generator: enough that the look itself costs nothing. */
const DELIVERIES_PER_LOOK = 1_000;

pinLoadGenerator();
const report = new Report(
  'log',
  `${bytes} B, 1 event per turn, ${rounds} alternating rounds of ${roundMs} ms`,
);
const script = fileURLToPath(new URL('server.mjs', import.meta.url));
const sizes = Object.keys(TARGETS)
  .map(Number)
  .sort((a, b) => b - a);
const rows = [];
for (const subscribers of sizes) rows.push(await compare(subscribers));
report.table({
  title: 'With and without history and dedupe',
  columns: [
    'subscribers',
    'CPU µs/delivery with',
    'without',
    'without / with',
    'CPU µs/publish more',
    'load generator CPU',
  ],
  rows,
  note: 'Two channels of one process, with the same subscribers. Both number their events.',
});
report.end();

async function compare(subscribers) {
  const server = await startServer(script, { bytes });
  const load = await openSubscribers(server.port, joins.library([LOGGED, UNLOGGED]), subscribers);
  const turns = Math.ceil(DELIVERIES_PER_LOOK / subscribers);
  const samples = { logged: [], unlogged: [] };
  for (let index = -1; index < rounds; index++) {
    const kinds = Object.entries(samples);
    // Whoever is second finds what the first left behind, so they take turns at that too.
    for (const [type, list] of index % 2 === 0 ? kinds : kinds.reverse()) {
      const deliveries = turns * subscribers;
      const sample = await closedLoop(
        { name: 'nestjs-realtime', server, load },
        { turn: { type, turns }, deliveries, leastBytes: deliveries * bytes, roundMs },
      );
      if (index >= 0) list.push(sample);
    }
  }
  for (const client of load.clients) client.close();
  server.stop();
  const cpuOf = (type) => samples[type].map(({ cpuPerDelivery }) => cpuPerDelivery);
  const ratio = medianRatio(cpuOf('unlogged'), cpuOf('logged'));
  report.target(`CPU without the log / with it, ${thousands(subscribers)} subscribers`, {
    atLeast: TARGETS[subscribers],
    measured: ratio,
  });
  const [costly, cheap] = [median(cpuOf('logged')), median(cpuOf('unlogged'))];
  return [
    thousands(subscribers),
    costly.toFixed(2),
    cheap.toFixed(2),
    ratio.toFixed(2),
    // Among many writes it cannot be told from their noise.
    subscribers <= 10 ? ((costly - cheap) * subscribers).toFixed(1) : '–',
    percent(median(samples.logged.map(({ loadShare }) => loadShare))),
  ];
}
