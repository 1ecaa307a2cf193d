// What metrics cost: the library with them beside itself without, and beside itself again, which is the spread of such a
// run: `npm run bench:metrics`. See bench/README.md.
import { contenders as fanouts, LIBRARY } from '../fanout/contenders.mjs';
import { dismiss, populate, round as fanoutRound } from '../fanout/round.mjs';
import { rows, servers } from '../echo/contenders.mjs';
import { check, openAskers, round as echoRound } from '../echo/round.mjs';
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio } from '../support/statistics.mjs';

const rounds = Number(process.env.ROUNDS ?? 9);
const roundMs = Number(process.env.ROUND_MS ?? 1_000);
const subscribers = Number(process.env.SUBSCRIBERS ?? 1_000);
const connections = Number(process.env.CONNECTIONS ?? 100);

const WITHOUT = 'without';
const WITH = 'with metrics';
const AGAIN = 'without, again';
const settingsOf = { [WITHOUT]: {}, [WITH]: { metrics: true }, [AGAIN]: {} };
/** Most that metrics may cost beyond the spread. */
const MOST = { fanout: 0.03, echo: 0.05 };

pinLoadGenerator();
const report = new Report('metrics', `${rounds} alternating rounds of ${roundMs} ms`);
const library = fanouts.find(({ name }) => name === LIBRARY);
for (const perTurn of [1, 10]) {
  const load = { subscribers, bytes: 128, roundMs, perTurn };
  const running = new Map();
  for (const [name, settings] of Object.entries(settingsOf))
    running.set(name, await populate({ ...library, settings }, load));
  const cpu = await alternate(async (name) => (await fanoutRound(running.get(name), load)).cpuPerDelivery);
  for (const one of running.values()) dismiss(one);
  tell(`fan-out to ${subscribers}, ${perTurn} per turn`, 'CPU µs/delivery', cpu, MOST.fanout);
}
const askers = new Map();
for (const [name, settings] of Object.entries(settingsOf))
  askers.set(name, await openAskers({ ...servers.library, settings }, connections));
for (const key of ['bare', 'publish']) {
  const row = rows[key];
  for (const one of askers.values()) await check(one, row);
  const cpu = await alternate(
    async (name) => (await echoRound(askers.get(name), { ...row }, roundMs)).cpuPerRequest,
  );
  tell(row.name, 'CPU µs', cpu, MOST.echo);
}
for (const { stop } of askers.values()) stop();
report.end();

/** Rounds of all three in turn; the first is not counted. @returns the CPU of each round by name */
async function alternate(run) {
  const cpu = new Map(Object.keys(settingsOf).map((name) => [name, []]));
  for (let index = -1; index < rounds; index++)
    for (const [name, values] of cpu) {
      const value = await run(name);
      if (index >= 0) values.push(value);
    }
  return cpu;
}

function tell(what, unit, cpu, most) {
  const base = cpu.get(WITHOUT);
  const ratio = (name) => medianRatio(cpu.get(name), base);
  report.table({
    title: what,
    columns: ['library', unit, '× without'],
    rows: [...cpu].map(([name, values]) => [name, median(values).toFixed(2), ratio(name).toFixed(3)]),
  });
  const spread = Math.abs(ratio(AGAIN) - 1);
  // Without metrics as a multiple of with them, so that more is better, as of all targets.
  report.target(`${what}: CPU without metrics, and the spread, / with metrics`, {
    atLeast: 1 / (1 + most),
    measured: (1 + spread) / ratio(WITH),
  });
}
