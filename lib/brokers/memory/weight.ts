// What the things of a store weigh: fixed bytes for each record plus the bytes of what it holds. The figures are those of
// V8 on 64 bits, rounded up, so that a store never takes more of the heap than it says (docs/limits.md).

/** A channel: its record, log, lists and places in the heaps. Its name counts too. */
export const CHANNEL_BYTES = 700;
/** An event without its payload, and its frame as it was sent. Its own bytes count too. */
export const EVENT_BYTES = 400;
/** A remembered id: its entry in the map and the list of its producer. Its texts count too. */
export const ID_BYTES = 280;
/** A producer of remembered ids. Its name counts too. */
export const PRODUCER_BYTES = 140;
/** The ids of one producer whose windows have one length. */
export const ID_LANE_BYTES = 140;
/** A room of members. */
export const ROOM_BYTES = 900;
/** A member, without its data and devices. */
export const MEMBER_BYTES = 450;
/** A device of a member. */
export const DEVICE_BYTES = 250;

const CONTAINER_BYTES = 32;
const ELEMENT_BYTES = 16;
const PROPERTY_BYTES = 48;
const LEAF_BYTES = 24;

/** Beyond this a value that nobody has measured is not weighed further. */
const MAX_WEIGHED = 16 * 1024 * 1024;
/** Up to so many bytes a payload is not looked through: what little it holds is charged as if it were the worst. */
const SMALL = 256;
const SMALL_PER_BYTE = 8;
/** No JSON of `n` bytes has a structure that weighs more than this times `n`. */
const MOST_PER_BYTE = 24;

/** Values that are still to be weighed: one list for all calls, so that weighing allocates nothing. */
const open: unknown[] = [];

/**
 * What the structure of a value weighs in memory beside its text: `[[],[],[]]` is ten bytes of JSON and four arrays. Not
 * recursive: a client chooses how deep its payload is.
 *
 * @param bytes Bytes of the value as JSON: bounds the walk, whatever an application's object leads to.
 */
export function structureOf(value: unknown, bytes: number): number {
  if (typeof value !== 'object' || value === null) return 0;
  return bytes <= SMALL ? SMALL_PER_BYTE * bytes : walk(value, false, MOST_PER_BYTE * bytes);
}

/** What a value weighs, its texts included, where nobody has measured its JSON. */
export function weightOf(value: unknown): number {
  return typeof value === 'object' && value !== null ? walk(value, true, MAX_WEIGHED) : leaf(value);
}

function walk(root: object, withLeaves: boolean, most: number): number {
  let bytes = 0;
  open.length = 0;
  open.push(root);
  while (open.length > 0 && bytes < most) {
    const value = open.pop();
    if (typeof value !== 'object' || value === null) {
      bytes += leaf(value);
    } else if (ArrayBuffer.isView(value)) {
      bytes += CONTAINER_BYTES + (withLeaves ? value.byteLength : 0);
    } else if (Array.isArray(value)) {
      bytes += CONTAINER_BYTES + ELEMENT_BYTES * value.length;
      for (const item of value as readonly unknown[]) if (withLeaves || isContainer(item)) open.push(item);
    } else {
      bytes += CONTAINER_BYTES;
      for (const key in value) {
        bytes += PROPERTY_BYTES + (withLeaves ? key.length : 0);
        const item = (value as Readonly<Record<string, unknown>>)[key];
        if (withLeaves || isContainer(item)) open.push(item);
      }
    }
  }
  open.length = 0;
  return Math.min(bytes, most);
}

function isContainer(value: unknown): boolean {
  return typeof value === 'object' && value !== null;
}

function leaf(value: unknown): number {
  return typeof value === 'string' ? LEAF_BYTES + 2 * value.length : 0;
}
