// What asynchronous replication can lose, and what waiting for a replica costs: `npm run bench:durability`. See
// bench/README.md.
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio, thousands } from '../support/statistics.mjs';
import { loseMaster } from './loss.mjs';
import { startPair } from './pair.mjs';
import { startPublisher } from './publisher.mjs';

const bytes = Number(process.env.BYTES ?? 128);
const deaths = Number(process.env.DEATHS ?? 15);
const rounds = Number(process.env.ROUNDS ?? 7);
const messages = Number(process.env.MESSAGES ?? 30_000);
const inFlight = Number(process.env.IN_FLIGHT ?? 1_024);
const LEVELS = ['broker', 'replicated'];
const LINK_MS = Number(process.env.LINK_MS ?? 10);
/** What lies between master and replica, by its delay. */
const LINKS = { 'process dies': undefined, [`host dies, ${LINK_MS} ms away`]: LINK_MS };
/** How publishes come, by how many are under way. */
const LOADS = { 'one by one': 1, 'under load': inFlight };

pinLoadGenerator();
const report = new Report('durability', `a master and a replica on one machine, ${bytes} B`);
await tellDeaths();
await tellCosts();
report.end();

async function tellDeaths() {
  const rows = [];
  const all = { broker: [], replicated: [] };
  for (const [death, linkMs] of Object.entries(LINKS)) {
    for (const level of LEVELS) {
      for (const [load, limit] of Object.entries(LOADS)) {
        const samples = [];
        for (let index = 0; index < deaths; index++) {
          // At any moment of the master's work.
          const aliveMs = 400 + 400 * Math.random();
          samples.push(await loseMaster({ level, limit, linkMs, bytes, aliveMs }));
        }
        all[level].push(...samples);
        rows.push([death, level, load, ...lossOf(samples)]);
      }
    }
  }
  report.table({
    title: `The master is killed and its replica promoted, ${deaths} times each`,
    columns: [
      'death',
      'durability',
      'publishes',
      'acknowledged/s',
      'deaths that lost',
      'lost, median',
      'lost, most',
      'window ms, median',
      'window ms, longest',
    ],
    rows,
    note: 'Lost: acknowledged, and not in the log of the new master. Window: from the acknowledgement of the first of them to the death. When only the process dies, the system still delivers what it wrote to the replica.',
  });
  report.target('acknowledged publishes lost under `replicated`', {
    atMost: 0,
    measured: Math.max(...all.replicated.map(({ lost }) => lost)),
  });
  const every = [...all.broker, ...all.replicated];
  report.target('share of deaths after which the log says truly whether it lacks anything', {
    atLeast: 1,
    measured: every.filter(({ isTrue }) => isTrue).length / every.length,
  });
}

function lossOf(samples) {
  const of = (field) => samples.map((sample) => sample[field]);
  const [lost, windows] = [of('lost'), of('windowMs')];
  return [
    thousands(median(of('perSecond'))),
    `${lost.filter((count) => count > 0).length} of ${samples.length}`,
    thousands(median(lost)),
    thousands(Math.max(...lost)),
    median(windows).toFixed(1),
    Math.max(...windows).toFixed(1),
  ];
}

async function tellCosts() {
  const rows = [];
  for (const linkMs of Object.values(LINKS)) {
    const { master, stop } = await startPair(linkMs);
    const publishers = {};
    for (const level of LEVELS) publishers[level] = await startPublisher({ level, url: master.url, bytes });
    for (const [load, limit] of Object.entries(LOADS)) {
      const rates = await ratesOf(publishers, limit);
      for (const level of LEVELS) {
        const perSecond = median(rates[level]);
        rows.push([
          linkMs === undefined ? 'on the same machine' : `${linkMs} ms away`,
          load,
          level,
          thousands(perSecond),
          medianRatio(rates[level], rates.broker).toFixed(2),
          ((1_000 * limit) / perSecond).toFixed(2),
        ]);
      }
    }
    for (const level of LEVELS) publishers[level].stop();
    await stop();
  }
  report.table({
    title: 'What it costs to wait for the replica',
    columns: ['replica', 'publishes', 'durability', 'acknowledged/s', '× broker', 'ms until acknowledged'],
    rows,
    note: 'The time until a publish is acknowledged follows from the rate and the number under way.',
  });
}

/** Rounds that alternate between the levels. */
async function ratesOf(publishers, limit) {
  const rates = { broker: [], replicated: [] };
  for (let index = -1; index < rounds; index++) {
    for (const level of LEVELS) {
      const count = limit === 1 ? Math.ceil(messages / 40) : messages;
      const { perSecond } = await publishers[level].ask({ type: 'rate', count, limit });
      // The first round warms up.
      if (index >= 0) rates[level].push(perSecond);
    }
  }
  return rates;
}
