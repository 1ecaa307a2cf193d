import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('../../test-artifacts/', import.meta.url));

export const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;

/** Keeps what a test measured, in `test-artifacts/<name>.json`: for a reader, not for the test. */
export function recordFigures(name: string, what: string, values: readonly number[]): void {
  const file = `${FOLDER}${name}.json`;
  mkdirSync(FOLDER, { recursive: true });
  const before = existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>) : {};
  const sorted = values.map(Math.round).sort((a, b) => a - b);
  const figures = { ...before, [what]: { median: median(sorted), of: sorted } };
  writeFileSync(file, `${JSON.stringify(figures, null, 2)}\n`);
}
