import { isTag } from '../../protocol/bytes.js';
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
