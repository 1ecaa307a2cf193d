import { missesOf } from './misses.mjs';

const INTRODUCTION = `# Performance

What the library costs beside what else there is, measured by the commands in [bench/](../bench/README.md), which say how, and which you can run on your own machine. This page is made of what they wrote: \`npm run bench:report\`.

Read the ratios. Absolute figures are of one small machine with two cores on one day; CPU is what the operating system charged the server's process. Peers ran in the same run, in turns with the library.
`;

/** The whole page. */
export function renderPerformance(results, chart) {
  const parts = [INTRODUCTION];
  if (chart) parts.push(`![The library beside its peers](${chart})\n`);
  parts.push(targetsOf(results), missesOf(results), ...results.map(section));
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
  return `## Targets\n\n${table(['bench', 'figure', 'wanted', 'measured', 'met'], rows)}\n`;
}

function section({ bench, question, setting, commit, node, cpu, cores, placement, tables }) {
  const where = [cpu, cores && `${cores} cores`, `Node ${node}`, placement, `commit ${commit}`].filter(
    Boolean,
  );
  const parts = [
    `## ${bench}`,
    `${question} \`npm run bench:${bench}\`. ${setting ? `${sentence(setting)} ` : ''}${where.join(', ')}.`,
  ];
  for (const { title, columns, rows, note } of tables) {
    parts.push(`### ${title}`, table(columns, rows));
    if (note) parts.push(note);
  }
  return `${parts.join('\n\n')}\n`;
}

function table(columns, rows) {
  const cells = [columns, columns.map((_, index) => (index === 0 ? '---' : '---:')), ...rows];
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
