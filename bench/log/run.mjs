// What the log costs: `npm run bench:log`. See bench/README.md.
import { contenders, LIBRARY } from '../fanout/contenders.mjs';
import { dismiss, populate, round } from '../fanout/round.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio, percent, thousands } from '../support/statistics.mjs';

const rounds = Number(process.env.ROUNDS ?? 9);
const roundMs = Number(process.env.ROUND_MS ?? 250);
/** Wanted CPU per delivery without the log, as a multiple of that with it, by subscribers. */
const TARGETS = { 1000: 0.95, 100: 0.95, 10: 0.9, 1: 0.8 };
/** Deliveries between two looks at the load generator: enough that the look itself costs nothing. */
const DELIVERIES_PER_LOOK = 1_000;

pinLoadGenerator();
const report = new Report('log', `128 B, 1 event per turn, ${rounds} alternating rounds of ${roundMs} ms`);
const library = contenders.find(({ name }) => name === LIBRARY);
const rows = [];
for (const subscribers of Object.keys(TARGETS)
  .map(Number)
  .sort((a, b) => b - a))
  rows.push(await compare(subscribers));
report.table({
  title: 'With and without sequence, history, dedupe',
  columns: [
    'subscribers',
    'CPU µs/delivery with',
    'without',
    'without / with',
    'µs per publish',
    'load generator CPU',
  ],
  rows,
  note: 'With: the defaults, each publish under an id of its own. Without: history and dedupe switched off.',
});
report.end();

async function compare(subscribers) {
  const load = {
    subscribers,
    bytes: 128,
    perTurn: 1,
    repeat: Math.ceil(DELIVERIES_PER_LOOK / subscribers),
    roundMs,
  };
  // A pause that lets events share a write would make the writes, which are what the log is compared with, disappear.
  const settings = { ids: true, options: { maxFlushDelay: 0 } };
  const withLog = await populate({ ...library, settings: { ...settings, log: true } }, load);
  const without = await populate({ ...library, settings: { ...settings, log: false } }, load);
  const samples = { with: [], without: [] };
  for (let index = -1; index < rounds; index++) {
    const a = await round(withLog, load);
    const b = await round(without, load);
    if (index < 0) continue;
    samples.with.push(a);
    samples.without.push(b);
  }
  dismiss(withLog);
  dismiss(without);
  const cpu = (list) => list.map(({ cpuPerDelivery }) => cpuPerDelivery);
  const ratio = medianRatio(cpu(samples.without), cpu(samples.with));
  report.target(`CPU without the log / with it, ${thousands(subscribers)} subscribers`, {
    atLeast: TARGETS[subscribers],
    measured: ratio,
  });
  const [costly, cheap] = [median(cpu(samples.with)), median(cpu(samples.without))];
  return [
    thousands(subscribers),
    costly.toFixed(2),
    cheap.toFixed(2),
    ratio.toFixed(2),
    ((costly - cheap) * subscribers).toFixed(1),
    percent(median(samples.with.map(({ loadShare }) => loadShare))),
  ];
}
