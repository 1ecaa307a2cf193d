// What attackers can do to a node with default options: `npm run bench:floods`. See bench/README.md.
import { mkdirSync, writeFileSync } from 'node:fs';
import { Report } from '../support/report.mjs';
import { HEAP_MB, runFlood } from './flood-site.mjs';
import { floods } from './floods.mjs';
import { faultsOf, verdictsOf } from './verdict.mjs';

const floodMs = Number(process.env.FLOOD_MS ?? 10_000);
const idleMs = Number(process.env.IDLE_MS ?? 2_000);
const seed = Number(process.env.SEED ?? 1);
const wanted = (process.env.FLOODS ?? '').split(',').filter(Boolean);
const DETAILS = new URL('../../test-artifacts/', import.meta.url);

const chosen = floods.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
if (chosen.length < wanted.length)
  throw new Error(`FLOODS: choose of ${floods.map(({ name }) => name).join(', ')}`);
const report = new Report(
  'floods',
  `${chosen.length} floods of ${floodMs} ms, a heap of ${HEAP_MB} MB, seed ${seed}`,
);
const results = [];
for (const flood of chosen) {
  const result = await runFlood(flood, { floodMs, idleMs, seed, pin: process.env.PIN !== '0' });
  results.push(result);
  result.faults = flood.foreign ? [] : faultsOf(result, flood);
  console.log(`${flood.name}: ${result.faults.join('; ') || 'stands'}`);
}

const whole = (value) => (Number.isFinite(value) ? Math.round(value) : '–');
const share = (value) => (Number.isFinite(value) ? `${Math.round(100 * value)} %` : '–');
const told = (attack) =>
  Object.entries(verdictsOf(attack))
    .sort(([, a], [, b]) => b - a)
    .slice(0, 4)
    .map(([code, times]) => `${code} ×${times}`)
    .join(', ') || 'nothing';
const came = ({ tried, in: inside }) => `${inside}/${tried}`;

report.table({
  title: 'The node',
  columns: ['flood', 'stands', 'RSS', 'heap', 'held', 'loop p99', 'turn p99', 'CPU', 'waited', 'log lines'],
  rows: results.map(({ name, survived, memory, loop, cpu, log }) => [
    name,
    survived ? 'yes' : 'DIED',
    whole(memory?.peakRss),
    whole(memory?.peakHeap),
    whole(memory?.held),
    whole(loop?.p99),
    whole(loop?.turnP99),
    share(cpu.used),
    share(cpu.waited),
    log.lines,
  ]),
  note: 'RSS, heap and held: megabytes above the node before. Held is what is in use after collecting. Loop: delay of the event loop, ms. Turn: how long whoever comes waits for the node, in CPU of the node, ms. Waited: share of the time in which the node had work and no processor.',
});
report.table({
  title: 'The neighbour and the attackers',
  columns: [
    'flood',
    'ping idle',
    'ping p99',
    'publish p99',
    'after',
    'lost',
    'newcomers',
    'at their address',
    'told',
  ],
  rows: results.map(({ name, neighbour: { idle, during, settled, lost, behind }, attack }) => [
    name,
    whole(idle?.pingP99),
    whole(during?.pingP99),
    whole(during?.publishP99),
    whole(settled?.pingP99),
    lost + behind,
    came(during.newcomers.own),
    came(during.newcomers.shared),
    told(attack),
  ]),
  note: 'Ping: round trip of the neighbour, 99th percentile, ms. Newcomers: clients with a token that came during the flood, and how many were served.',
});
for (const { name, title, faults } of results) {
  report.target(`${name}: ${title}${faults.length > 0 ? `: ${faults.join('; ')}` : ''}`, {
    atMost: 0,
    measured: faults.length,
  });
}
mkdirSync(DETAILS, { recursive: true });
writeFileSync(new URL('floods.json', DETAILS), `${JSON.stringify(results, null, 2)}\n`);
report.end();
