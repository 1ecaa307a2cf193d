import { RealtimeError } from '../../protocol/realtime-error.js';

/** A span of time: milliseconds, or a number with `ms`, `s`, `m`, `h` or `d`, e.g. `'30s'`, `'1.5h'`. */
export type Duration = number | `${number}${'ms' | 's' | 'm' | 'h' | 'd'}`;

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const DURATION = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/;

/** How a duration is written, for the remedy of errors. */
export const DURATION_HINT =
  'Write milliseconds or a number with a unit: 500, "500ms", "30s", "5m", "1h", "1d".';

/**
 * The milliseconds of a duration, `undefined` when it is not one: negative, not finite, or not written so.
 *
 * @example toMilliseconds('5m') // 300000
 */
export function toMilliseconds(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) && value >= 0 ? Math.round(value) : undefined;
  if (typeof value !== 'string') return undefined;
  const match = DURATION.exec(value);
  if (match === null) return undefined;
  const milliseconds = Math.round(Number(match[1]) * UNITS[match[2] as keyof typeof UNITS]);
  return Number.isSafeInteger(milliseconds) ? milliseconds : undefined;
}

/**
 * The milliseconds of a duration above zero that comes from the application's code at run time.
 *
 * @throws RangeError that names the value's place and how durations are written.
 */
export function durationMs(value: unknown, place: string): number {
  const milliseconds = toMilliseconds(value);
  if (milliseconds === undefined) throw new RangeError(`${place}: not a duration. ${DURATION_HINT}`);
  if (milliseconds === 0) {
    throw new RangeError(`${place}: shorter than a millisecond. Give at least 1, or leave it out.`);
  }
  return milliseconds;
}

/**
 * As {@link durationMs}, of what a call is given: a handler may pass on what a client sent, and the client is answered with the remedy.
 *
 * @throws RealtimeError `bad_request` that names the value's place and how durations are written.
 */
export function givenDurationMs(value: unknown, place: string): number {
  try {
    return durationMs(value, place);
  } catch (cause) {
    throw new RealtimeError('bad_request', (cause as Error).message, { cause });
  }
}
