import { isTag } from '../../protocol/bytes.js';
import { isNumbered, recordFor } from '../../protocol/numbered-names.js';
import { isWellFormed } from '../../protocol/wire-value.js';

/** What nests deeper is left to `toWireValue`, which knows how to refuse a value that contains itself. */
const MAX_DEPTH = 32;

/**
 * Whether a value is one that every client gets as it is, whatever its codec (P29): plain objects and lists of texts, numbers, `true`,
 * `false` and `null`, as most are. What is written at once then needs no copy, which costs more than to look. `false` says nothing.
 */
export function isPlainValue(value: unknown): boolean {
  // Where every object of the process was given a member, members are not simply its own.
  for (const key in Object.prototype) if (key !== undefined) return false;
  try {
    return isPlain(value, 0);
  } catch {
    // Who reads it again knows how to say what cannot be read.
    return false;
  }
}

/** What {@link plainCopy} returns for what is no plain value. */
export const NOT_PLAIN = Symbol('not plain');

/**
 * A copy of a value of the same kind, cheaper than that of `toWireValue`, which knows paths and every other kind. Each member is
 * read once: what was looked at is what is in the copy.
 *
 * @returns {@link NOT_PLAIN} for any other value, which says nothing.
 */
export function plainCopy(value: unknown): unknown {
  for (const key in Object.prototype) if (key !== undefined) return NOT_PLAIN;
  try {
    return copyPlain(value, 0);
  } catch {
    return NOT_PLAIN;
  }
}

function copyPlain(value: unknown, depth: number): unknown {
  if (typeof value !== 'object' || value === null) return isPlain(value, depth) ? value : NOT_PLAIN;
  if (depth >= MAX_DEPTH || (value as { readonly toJSON?: unknown }).toJSON !== undefined) return NOT_PLAIN;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype)
    return copyRecord(value as Readonly<Record<string, unknown>>, depth + 1);
  return prototype === Array.prototype && Array.isArray(value) ? copyList(value, depth + 1) : NOT_PLAIN;
}

function copyList(list: readonly unknown[], depth: number): unknown {
  const copy: unknown[] = [];
  for (let index = 0; index < list.length; index++) {
    const item = copyPlain(list[index], depth);
    if (item === NOT_PLAIN) return NOT_PLAIN;
    copy.push(item);
  }
  return copy;
}

function copyRecord(record: Readonly<Record<string, unknown>>, depth: number): unknown {
  let copy: Record<string, unknown> = {};
  let count = 0;
  let last = '';
  for (const key in record) {
    // Numbers come first.
    if (count === 0 && isNumbered(key)) copy = recordFor(Object.keys(record));
    if (key === '__proto__' || !isWellFormed(key)) return NOT_PLAIN;
    const member = copyPlain(record[key], depth);
    if (member === NOT_PLAIN) return NOT_PLAIN;
    copy[key] = member;
    count++;
    last = key;
  }
  return count === 1 && isTag(last) ? NOT_PLAIN : copy;
}

function isPlain(value: unknown, depth: number): boolean {
  switch (typeof value) {
    case 'string':
      return isWellFormed(value);
    case 'number':
      // -0 and what is not finite are sent as something else.
      return Number.isFinite(value) && (value !== 0 || 1 / value > 0);
    case 'boolean':
      return true;
    case 'object':
      return value === null || (depth < MAX_DEPTH && isPlainObject(value, depth + 1));
    default:
      return false;
  }
}

function isPlainObject(value: object, depth: number): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if ((value as { readonly toJSON?: unknown }).toJSON !== undefined) return false;
  if (prototype === Object.prototype) return isPlainRecord(value as Readonly<Record<string, unknown>>, depth);
  return prototype === Array.prototype && Array.isArray(value) && isPlainList(value, depth);
}

function isPlainList(list: readonly unknown[], depth: number): boolean {
  for (let index = 0; index < list.length; index++) if (!isPlain(list[index], depth)) return false;
  return true;
}

function isPlainRecord(record: Readonly<Record<string, unknown>>, depth: number): boolean {
  let count = 0;
  let last = '';
  for (const key in record) {
    if (key === '__proto__' || !isWellFormed(key) || !isPlain(record[key], depth)) return false;
    count++;
    last = key;
  }
  return count !== 1 || !isTag(last);
}
