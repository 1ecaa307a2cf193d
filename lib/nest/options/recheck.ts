import type { OptionReader } from './option-reader.js';

/** Shortest time between two questions, in milliseconds: below it a number is seconds or minutes that somebody took for one. */
const LEAST_RECHECK_MS = 1_000;

/** Reports a `recheck` that would ask the application's database without pause. */
export function reportTooOften(reader: Pick<OptionReader, 'report'>, recheckMs: number | undefined): void {
  if (recheckMs === undefined || recheckMs === 0 || recheckMs >= LEAST_RECHECK_MS) return;
  reader.report(
    'recheck',
    `asks every ${recheckMs} ms.`,
    "Give at least '1s', such as '5m', or 0 for never. A number is milliseconds.",
  );
}
