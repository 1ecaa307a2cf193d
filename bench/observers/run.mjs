// What metrics and tracing cost: the library with them beside itself without, and beside itself again, which is the spread
// of such a run: `npm run bench:observers`. See bench/README.md.
import { pinLoadGenerator } from '../support/pinning.mjs';
import { Report } from '../support/report.mjs';
import { median, medianRatio } from '../support/statistics.mjs';
import { loads } from './loads.mjs';
import { AGAIN, turn, variants, WITHOUT } from './variants.mjs';

/** Each begins with new processes: two of the same code differ by more than two rounds of one. */
const batches = Number(process.env.BATCHES ?? 3);
const rounds = Number(process.env.ROUNDS ?? 5);
const roundMs = Number(process.env.ROUND_MS ?? 600);
const subscribers = Number(process.env.SUBSCRIBERS ?? 1_000);
const connections = Number(process.env.CONNECTIONS ?? 100);
const storms = Number(process.env.STORM ?? 600);
/** Words of the loads, and of what is installed, that are measured. Default all. */
const only = process.env.LOADS?.split(',');
const installed = chosen(process.env.WITH?.split(','));
/** Rounds that are not counted: until then V8 compiles. */
const WARM_UP = 3;

pinLoadGenerator();
const report = new Report(
  'observers',
  `${batches} × ${rounds} alternating rounds of ${roundMs} ms, a process each`,
);
for (const load of loads({ subscribers, connections, storms, roundMs })) {
  if (!(only?.some((word) => load.name.includes(word)) ?? true)) continue;
  const all = [];
  for (let batch = 0; batch < batches; batch++) all.push(await alternate(load));
  tell(load, all);
}
report.end();

/** Rounds of all in turn. @returns the CPU of each round by name */
async function alternate({ open, run, close }) {
  const running = new Map();
  for (const name of installed) running.set(name, await open(variants[name]));
  const cpu = new Map(installed.map((name) => [name, []]));
  for (let round = -WARM_UP; round < rounds; round++)
    for (const name of turn(installed, round)) {
      const value = await run(running.get(name));
      if (round >= 0) cpu.get(name).push(value);
    }
  for (const one of running.values()) close(one);
  return cpu;
}

function tell({ name: what, unit, most }, all) {
  /** One for each batch. */
  const ratios = (name) => all.map((cpu) => medianRatio(cpu.get(name), cpu.get(WITHOUT)));
  const spread = Math.max(...ratios(AGAIN).map((ratio) => Math.abs(ratio - 1)));
  report.table({
    title: what,
    columns: ['library', unit, '× without', 'of each batch'],
    rows: installed.map((name) => [
      name,
      median(all.flatMap((cpu) => cpu.get(name))).toFixed(2),
      median(ratios(name)).toFixed(3),
      ratios(name)
        .map((ratio) => ratio.toFixed(3))
        .join(' '),
    ]),
  });
  // Without them as a multiple of with them, so that more is better, as of all targets.
  for (const name of installed.filter((one) => one !== WITHOUT && one !== AGAIN))
    report.target(`${what}: CPU without, and the spread, / with ${name}`, {
      atLeast: 1 / (1 + most),
      measured: (1 + spread) / median(ratios(name)),
    });
}

/** Names of the variants; those without are always among them. */
function chosen(words) {
  const names = Object.keys(variants);
  if (words === undefined) return names;
  return names.filter(
    (name) => name === WITHOUT || name === AGAIN || words.some((word) => name.includes(word)),
  );
}
