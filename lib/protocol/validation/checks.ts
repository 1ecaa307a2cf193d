import type { ErrorDetail } from '../realtime-error.js';
import { isWellFormed } from '../wire-value.js';

type Report = (detail: ErrorDetail) => void;

/** Checks one value, reports what is wrong with it under `path`, and returns what is known of it (P6a). */
export type Check = (value: unknown, path: string, report: Report) => unknown;

/** Whether a value is a plain object in the sense of JSON. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** Whether a value can be a number of things, or a place among them. */
export function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** A value that satisfies `predicate`; `message` tells what it must be. */
export function matching(predicate: (value: unknown) => boolean, message: string): Check {
  return (value, path, report) => {
    if (!predicate(value)) report({ path, message });
    return value;
  };
}

/** Unicode text of `min` to `max` characters: half a surrogate pair would not arrive as it is (P29). */
export function text(max: number, min = 1): Check {
  return matching(
    (value) => typeof value === 'string' && value.length >= min && value.length <= max && isWellFormed(value),
    `must be a string of ${min} to ${max} characters`,
  );
}

/** A whole number of at least `min`. */
export function integer(min: number): Check {
  return matching(
    (value) => typeof value === 'number' && Number.isSafeInteger(value) && value >= min,
    `must be a whole number of at least ${min}`,
  );
}

export const finite = matching(Number.isFinite, 'must be a number');
export const flag = matching((value) => typeof value === 'boolean', 'must be true or false');
export const record = matching(isRecord, 'must be an object');
export const anything: Check = (value) => value;

/** A list of at most `max` items that are no objects. */
export function list(item: Check, max: number): Check {
  return (value, path, report) => {
    if (!Array.isArray(value) || value.length > max) {
      report({ path, message: `must be a list of at most ${max} items` });
      return value;
    }
    value.forEach((entry, index) => item(entry, `${path}.${index}`, report));
    return value as unknown[];
  };
}

/** One field of an object: its check, and whether it may be missing. */
export interface Field {
  readonly check: Check;
  readonly required?: boolean;
}

/** An object with the given fields; unknown ones are left out (P6a). */
export function object(fields: Readonly<Record<string, Field>>): Check {
  const entries = Object.entries(fields);
  return (value, path, report) => {
    record(value, path, report);
    return isRecord(value) ? checkFields(value, entries, path, report) : value;
  };
}

/**
 * Applies the fields of one object; shared by the payload and the top level of an envelope.
 *
 * @param known Takes the fields that are known.
 * @returns `known`.
 */
export function checkFields<T extends object>(
  value: Record<string, unknown>,
  fields: readonly (readonly [string, Field])[],
  path: string,
  report: Report,
  known = {} as T & Record<string, unknown>,
): T {
  for (const [name, field] of fields) {
    const present = value[name];
    // Most fields of most envelopes are absent, and cost no more than this. Only own properties count: `{"__proto__": …}`
    // must not lend an envelope fields that it does not have.
    if (present !== undefined && Object.hasOwn(value, name))
      (known as Record<string, unknown>)[name] = field.check(present, join(path, name), report);
    else if (field.required === true) report({ path: join(path, name), message: 'is required' });
  }
  return known;
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`;
}
