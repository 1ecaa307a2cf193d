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

/** Names beyond these take more: V8 may make a table for each of them, until it gives up. */
const FEW_NAMES = 8;
const FURTHER_BYTES = 16;
/** The same where an object before it has the same names in the same order: it shares their table. */
const ALIKE_BYTES = 56;
const ALIKE_PROPERTY_BYTES = 8;
/** A number that V8 keeps as an object of its own. */
const NUMBER_BYTES = 16;

/** Beyond this a value is not weighed further. */
const MAX_WEIGHED = 16 * 1024 * 1024;
/** No JSON of `n` bytes has a structure that weighs more than this times `n`. */
const MOST_PER_BYTE = 48;

/** Kinds of objects that are remembered while a value is weighed; a power of two. */
const KINDS = 8;
/** Objects of more names, or of longer ones, are not remembered. */
const MAX_NAMES = 32;
const MAX_NAME_LENGTH = 64;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

// One of each for all calls, so that weighing allocates nothing.
/** Values that are still to be weighed. */
const open: unknown[] = [];
/** The names of the last object of each kind, in their order. */
const names = Array.from({ length: KINDS }, (): (string | undefined)[] => []);
/** How many; 0 where there was none in this value. */
const counts = new Int32Array(KINDS);

/**
 * What the structure of a value weighs beside its text: `[[],[],[]]` is ten bytes of JSON, four of MessagePack, and four arrays.
 * Not recursive: a client chooses how deep its payload is.
 */
export function structureOf(value: unknown): number {
  return isContainer(value) ? walk(value, false, MAX_WEIGHED) : 0;
}

/**
 * The same of a value whose JSON was measured.
 *
 * @param bytes of that JSON: bounds the walk, whatever an application's object leads to.
 */
export function structureOfJson(value: unknown, bytes: number): number {
  return isContainer(value) ? walk(value, false, MOST_PER_BYTE * bytes) : 0;
}

/** What a value weighs, its texts included. */
export function weightOf(value: unknown): number {
  return isContainer(value) ? walk(value, true, MAX_WEIGHED) : leaf(value);
}

function walk(root: object, withLeaves: boolean, most: number): number {
  let bytes = 0;
  // One object, as most messages are, is like no other.
  let areSeveral = false;
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
      if (value.length > 1) areSeveral = true;
      for (const item of value as readonly unknown[]) {
        // Nothing in it: the cheapest way to make a large value.
        if (Array.isArray(item) && item.length === 0) bytes += LIST_BYTES;
        else if (withLeaves || isContainer(item)) open.push(item);
        else if (typeof item === 'string') bytes += BARE_TEXT_BYTES;
      }
    } else {
      bytes += record(value as Readonly<Record<string, unknown>>, withLeaves, areSeveral);
    }
  }
  // V8 takes long to set a length, and nearly always all were weighed.
  if (open.length > 0) open.length = 0;
  // What a value weighs does not depend on those before it.
  if (areSeveral) counts.fill(0);
  return Math.min(bytes, most);
}

/** Of an object itself, and of what is no container in it. @param areSeveral whether it may be like one before it. */
function record(value: Readonly<Record<string, unknown>>, withLeaves: boolean, areSeveral: boolean): number {
  let bytes = 0;
  let count = 0;
  let kind = 0;
  let isAlike = areSeveral;
  for (const key in value) {
    if (areSeveral && count === 0) {
      const first = key.charCodeAt(0);
      kind = (key.length + first) & (KINDS - 1);
      // V8 keeps members with numbers for names apart, and hands them out first.
      isAlike = first < DIGIT_0 || first > DIGIT_9;
    }
    if (areSeveral && !isAlikeAt(kind, count, key)) isAlike = false;
    count++;
    const item = value[key];
    if (withLeaves) bytes += key.length;
    if (withLeaves || isContainer(item)) open.push(item);
    else if (typeof item === 'string') bytes += BARE_TEXT_BYTES;
    else if (typeof item === 'number' && !isSmall(item)) bytes += NUMBER_BYTES;
  }
  if (count === 0) return OBJECT_BYTES;
  if (isAlike && counts[kind] === count) return bytes + ALIKE_BYTES + ALIKE_PROPERTY_BYTES * count;
  if (areSeveral) counts[kind] = count <= MAX_NAMES ? count : 0;
  return (
    bytes +
    OBJECT_BYTES +
    NAMES_BYTES +
    PROPERTY_BYTES * count +
    FURTHER_BYTES * Math.max(0, count - FEW_NAMES)
  );
}

/** Whether the last object of this kind had the same name there; else it is remembered. */
function isAlikeAt(kind: number, at: number, name: string): boolean {
  const known = names[kind] as (string | undefined)[];
  if (known[at] === name) return true;
  if (at < MAX_NAMES) known[at] = name.length <= MAX_NAME_LENGTH ? name : undefined;
  return false;
}

function isContainer(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/** Whether V8 keeps it in the place of a pointer. */
function isSmall(value: number): boolean {
  return (value | 0) === value;
}

function leaf(value: unknown): number {
  if (typeof value === 'string') return TEXT_BYTES + 2 * value.length;
  return typeof value === 'number' && !isSmall(value) ? NUMBER_BYTES : 0;
}
