// What a value takes of the heap. The figures are those of V8 on 64 bits, rounded up.

const LIST_BYTES = 32;
/** The elements of one that has any. */
const ELEMENTS_BYTES = 16;
const OBJECT_BYTES = 64;
/** The names of one that has any: V8 keeps a table for each object whose names are unlike those of all others. */
const NAMES_BYTES = 96;
const VIEW_BYTES = 112;
const ELEMENT_BYTES = 16;
const PROPERTY_BYTES = 48;
const TEXT_BYTES = 24;
/** What a text takes beside what its JSON has for it. */
const BARE_TEXT_BYTES = 16;

/** Beyond this a value is not weighed further. */
const MAX_WEIGHED = 16 * 1024 * 1024;
/** Up to so many bytes of JSON a payload is not looked through: what little it holds is charged as if it were the worst. */
const SMALL = 256;
const SMALL_PER_BYTE = 8;
/** No JSON of `n` bytes has a structure that weighs more than this times `n`. */
const MOST_PER_BYTE = 48;

/** Values that are still to be weighed: one list for all calls, so that weighing allocates nothing. */
const open: unknown[] = [];

/**
 * What the structure of a value weighs beside its text: `[[],[],[]]` is ten bytes of JSON, four of MessagePack, and four arrays.
 * Not recursive: a client chooses how deep its payload is.
 */
export function structureOf(value: unknown): number {
  return isContainer(value) ? walk(value, false, MAX_WEIGHED) : 0;
}

/**
 * The same, cheaper, of a value whose JSON was measured.
 *
 * @param bytes of that JSON: bounds the walk, whatever an application's object leads to.
 */
export function structureOfJson(value: unknown, bytes: number): number {
  if (!isContainer(value)) return 0;
  return bytes <= SMALL ? SMALL_PER_BYTE * bytes : walk(value, false, MOST_PER_BYTE * bytes);
}

/** What a value weighs, its texts included. */
export function weightOf(value: unknown): number {
  return isContainer(value) ? walk(value, true, MAX_WEIGHED) : leaf(value);
}

function walk(root: object, withLeaves: boolean, most: number): number {
  let bytes = 0;
  open.push(root);
  while (open.length > 0 && bytes < most) {
    const value = open.pop();
    if (!isContainer(value)) {
      bytes += leaf(value);
    } else if (ArrayBuffer.isView(value)) {
      bytes += VIEW_BYTES + (withLeaves ? value.byteLength : 0);
    } else if (Array.isArray(value)) {
      bytes += LIST_BYTES + ELEMENT_BYTES * value.length;
      if (value.length > 0) bytes += ELEMENTS_BYTES;
      for (const item of value as readonly unknown[]) {
        // Nothing in it: the cheapest way to make a large value.
        if (Array.isArray(item) && item.length === 0) bytes += LIST_BYTES;
        else if (withLeaves || isContainer(item)) open.push(item);
        else if (typeof item === 'string') bytes += BARE_TEXT_BYTES;
      }
    } else {
      bytes += OBJECT_BYTES;
      let hasNames = false;
      for (const key in value) {
        hasNames = true;
        bytes += PROPERTY_BYTES + (withLeaves ? key.length : 0);
        const item = (value as Readonly<Record<string, unknown>>)[key];
        if (withLeaves || isContainer(item)) open.push(item);
        else if (typeof item === 'string') bytes += BARE_TEXT_BYTES;
      }
      if (hasNames) bytes += NAMES_BYTES;
    }
  }
  // V8 takes long to set a length, and nearly always all were weighed.
  if (open.length > 0) open.length = 0;
  return Math.min(bytes, most);
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function leaf(value: unknown): number {
  return typeof value === 'string' ? TEXT_BYTES + 2 * value.length : 0;
}
