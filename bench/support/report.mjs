import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { placement } from './pinning.mjs';

const RESULTS = new URL('../results/', import.meta.url);

/**
 * What one bench found: tables and targets, printed as they come and kept in `bench/results/<name>.json`.
 *
 * @example
 * const report = new Report('echo', '100 connections');
 * report.table({ title, columns, rows });
 * report.target('library / ws', { atLeast: 0.9, measured });
 * report.end(); // exit code 1 when a target was missed
 */
export class Report {
  tables = [];
  targets = [];

  /** @param {string} [where] How the processes are placed, where the bench does not do as the others. */
  constructor(bench, setting, where = placement) {
    this.bench = bench;
    this.setting = setting;
    this.where = where;
    console.log(`${bench}: ${setting}, Node ${process.version}, ${where}`);
  }

  table({ title, columns, rows, note }) {
    this.tables.push({ title, columns, rows: rows.map((row) => row.map(String)), ...(note && { note }) });
    console.log(`\n${title}`);
    printTable(columns, rows);
    if (note) console.log(note);
  }

  /** A promise with a figure. `measured` undefined: the peer was not there, which is reported and is no miss. */
  target(name, { atLeast, atMost, measured }) {
    const wanted = atLeast ?? atMost;
    const bound = atLeast === undefined ? 'at most' : 'at least';
    const known = Number.isFinite(measured);
    const ok = known && (atLeast === undefined ? measured <= atMost : measured >= atLeast);
    this.targets.push({
      name,
      wanted,
      bound,
      measured: known ? rounded(measured) : null,
      ok: known ? ok : null,
    });
  }

  end() {
    if (this.targets.length > 0) {
      console.log('\ntargets');
      for (const { name, wanted, bound, measured, ok } of this.targets) {
        const verdict = ok === null ? 'NOT MEASURED' : ok ? 'ok' : 'MISSED';
        console.log(`${verdict.padEnd(12)} ${name}: wanted ${bound} ${wanted}, measured ${measured ?? '–'}`);
      }
    }
    if (this.targets.some(({ ok }) => ok === false)) process.exitCode = 1;
    // Under a profiler the figures are of no use.
    if (process.env.PROFILE) return;
    const { bench, setting, where, tables, targets } = this;
    const result = {
      bench,
      setting,
      commit: commit(),
      node: process.version,
      cpu: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      placement: where,
      tables,
      targets,
    };
    mkdirSync(RESULTS, { recursive: true });
    const file = new URL(`${bench}.json`, RESULTS);
    writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
    console.log(`\nwritten to bench/results/${bench}.json`);
  }
}

/** Prints rows as a table with aligned columns. */
export function printTable(header, rows) {
  const table = [header, ...rows].map((row) => row.map(String));
  const widths = header.map((_, column) => Math.max(...table.map((row) => row[column].length)));
  for (const row of table) {
    console.log(
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column])))
        .join('  '),
    );
  }
}

function rounded(value) {
  return Number(value.toPrecision(3));
}

/** The commit that was measured; of a changed library the figures are of no commit. */
function commit() {
  const git = (...args) =>
    execFileSync('git', args, { cwd: fileURLToPath(RESULTS), encoding: 'utf8' }).trim();
  try {
    const changed = git('status', '--porcelain', '--', '../../lib') !== '';
    return `${git('rev-parse', '--short', 'HEAD')}${changed ? ' with changes' : ''}`;
  } catch {
    return 'unknown';
  }
}
