// What metrics and tracing cost: the library with them beside itself without, and beside itself again, which is the spread
// of such a run: `npm run bench:observers`. See bench/README.md.
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio } from '../support/statistics.mjs';
import { loads } from './loads.mjs';
import { AGAIN, turn, variants, WITHOUT } from './variants.mjs';

const rounds = Number(process.env.ROUNDS ?? 15);
const roundMs = Number(process.env.ROUND_MS ?? 600);
const subscribers = Number(process.env.SUBSCRIBERS ?? 1_000);
const connections = Number(process.env.CONNECTIONS ?? 100);
const storms = Number(process.env.STORM ?? 600);
/** Words of the loads that are measured. Default all. */
const only = process.env.LOADS?.split(',');
/** Rounds that are not counted: until then V8 compiles. */
const WARM_UP = 3;

pinLoadGenerator();
const report = new Report('observers', `${rounds} alternating rounds of ${roundMs} ms, a process each`);
for (const load of loads({ subscribers, connections, storms, roundMs }))
  if (only?.some((word) => load.name.includes(word)) ?? true) tell(load, await alternate(load));
report.end();

/** Rounds of all in turn. @returns the CPU of each round by name */
async function alternate({ open, run, close }) {
  const running = new Map();
  for (const [name, settings] of Object.entries(variants)) running.set(name, await open(settings));
  const cpu = new Map([...running.keys()].map((name) => [name, []]));
  for (let round = -WARM_UP; round < rounds; round++)
    for (const name of turn(round)) {
      const value = await run(running.get(name));
      if (round >= 0) cpu.get(name).push(value);
    }
  for (const one of running.values()) close(one);
  return cpu;
}

function tell({ name: what, unit, most }, cpu) {
  const base = cpu.get(WITHOUT);
  const ratio = (name) => medianRatio(cpu.get(name), base);
  const spread = Math.abs(ratio(AGAIN) - 1);
  report.table({
    title: what,
    columns: ['library', unit, '× without'],
    rows: [...cpu].map(([name, values]) => [name, median(values).toFixed(2), ratio(name).toFixed(3)]),
  });
  // Without them as a multiple of with them, so that more is better, as of all targets.
  for (const name of Object.keys(variants).filter((one) => one !== WITHOUT && one !== AGAIN))
    report.target(`${what}: CPU without, and the spread, / with ${name}`, {
      atLeast: 1 / (1 + most),
      measured: (1 + spread) / ratio(name),
    });
}
