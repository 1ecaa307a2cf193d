import { missesOf } from './misses.mjs';
import { promisesOf } from './promises.mjs';

const INTRODUCTION = `# Performance

What the library costs beside other servers, measured by the commands in [bench/](../bench/README.md), which you can run on your own machine. This page is generated from their results: \`npm run bench:report\`.

Read the ratios. Absolute figures are of one small machine on one day; CPU is what the operating system charged the server's process. Peers ran in the same run, in turns with the library.
`;

/** The whole page. */
export function renderPerformance(results, chart) {
  const settings = results.map(whereOf);
  // What all benches have in common is told once.
  const common = settings[0].filter((part) => settings.every((parts) => parts.includes(part)));
  const parts = [INTRODUCTION];
  if (common.length > 0) parts.push(`All of it ran on: ${common.join(', ')}.\n`);
  if (chart) parts.push(`![The library beside its peers](${chart})\n`);
  parts.push(
    targetsOf(results),
    missesOf(results),
    promisesOf(),
    ...results.map((result) => section(result, common)),
  );
  return `${parts.join('\n').trimEnd()}\n`;
}

function targetsOf(results) {
  const rows = results.flatMap(({ bench, targets = [] }) =>
    targets.map(({ name, wanted, bound = 'at least', measured, ok }) => [
      `[${bench}](#${anchor(bench)})`,
      name,
      `${bound} ${figure(wanted)}`,
      measured === null || measured === undefined ? '–' : figure(measured),
      ok === null || ok === undefined ? 'not measured' : ok ? 'yes' : '**no**',
    ]),
  );
  if (rows.length === 0) return '';
  return `## Targets\n\n${table(['bench', 'figure', 'wanted', 'measured', 'met'], rows, 2)}\n`;
}

/** The machine that a bench ran on, in parts. */
function whereOf({ node, cpu, cores, placement }) {
  return [cpu, cores && `${cores} cores`, `Node ${node}`, placement].filter(Boolean);
}

function section(result, common) {
  const { bench, question, setting, commit, tables } = result;
  const where = [...whereOf(result).filter((part) => !common.includes(part)), `commit ${commit}`];
  const parts = [
    `## ${bench}`,
    `${question} \`npm run bench:${bench}\`. ${setting ? `${sentence(setting)} ` : ''}${sentence(where.join(', '))}`,
  ];
  for (const { title, columns, rows, note } of tables) {
    parts.push(`### ${title}`, table(columns, rows));
    if (note) parts.push(note);
  }
  return `${parts.join('\n\n')}\n`;
}

/** @param texts how many of the first columns hold text; the others hold numbers. */
function table(columns, rows, texts = 1) {
  const cells = [columns, columns.map((_, index) => (index < texts ? '---' : '---:')), ...rows];
  return cells.map((row) => `| ${row.map(escaped).join(' | ')} |`).join('\n');
}

function escaped(cell) {
  return String(cell).replaceAll('|', '\\|');
}

function anchor(heading) {
  return heading
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-');
}

function figure(value) {
  return Number(value.toPrecision(3)).toLocaleString('en-US');
}

function sentence(text) {
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}
