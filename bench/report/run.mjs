// Makes docs/performance.md and its chart of what the benches wrote: `npm run bench:report`.
import { mkdirSync, writeFileSync } from 'node:fs';
import { format, resolveConfig } from 'prettier';
import { fileURLToPath } from 'node:url';
import { renderChart } from './chart.mjs';
import { renderPerformance } from './markdown.mjs';
import { readResults } from './results.mjs';

const docs = new URL('../../docs/', import.meta.url);
const results = readResults();
if (results.length === 0) throw new Error('bench/results is empty: run a bench first');

const chart = renderChart(results);
if (chart !== undefined) {
  mkdirSync(new URL('images/', docs), { recursive: true });
  writeFileSync(new URL('images/performance.svg', docs), chart);
}
const page = new URL('performance.md', docs);
const file = fileURLToPath(page);
const text = renderPerformance(results, chart && 'images/performance.svg');
writeFileSync(page, await format(text, { ...(await resolveConfig(file)), filepath: file }));
console.log(`docs/performance.md of ${results.map(({ bench }) => bench).join(', ')}`);
