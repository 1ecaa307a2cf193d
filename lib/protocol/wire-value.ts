import { isTag, mayHoldBytes, readBytes, TaggedObject, WireBytes } from './bytes.js';
import { isNumbered, recordFor } from './numbered-names.js';
import { RealtimeError } from './realtime-error.js';

/** Deepest nesting of a value that is sent. A client may send less (P4), and a handler may wrap what it sent. */
export const MAX_VALUE_DEPTH = 256;

const LONE_SURROGATE = /[\ud800-\udfff]/gu;

/** Classes whose objects JSON empties without a word; a `Date` only where it is what `toJSON` returned. */
const EMPTIED = /^(?:Date|Map|Set|Weak\w+|Promise|RegExp|Error|DOMException|Symbol|Blob|File)$/;
/** Classes whose objects stand for a primitive value. */
const BOXES = /^(?:Number|String|Boolean|BigInt)$/;
/** What to send instead. */
const REMEDIES: Readonly<Record<string, string>> = {
  BigInt: 'Send it as a string',
  Map: 'Send Object.fromEntries(map) or [...map]',
  Set: 'Send [...set]',
  Promise: 'Await it first',
  Blob: 'Send await blob.arrayBuffer()',
};

/**
 * The value as every client gets it, whatever its codec (P29): a copy of its own, which nobody changes afterwards. The
 * rules are those of JSON: `toJSON` is asked, `NaN` becomes `null`, what is `undefined` is left out, only own enumerable
 * members with string keys count. Bytes stay bytes. What JSON would empty without a word is refused.
 *
 * @param name What the value is, at the beginning of paths in messages.
 * @throws RealtimeError `bad_request` with the path of what cannot be sent, and the remedy.
 */
export function toWireValue(value: unknown, name = 'payload'): unknown {
  // Most small events are one of these, and need no object of their own.
  if (typeof value === 'string') return wellFormed(value);
  if (typeof value === 'number') return finite(value);
  const walk: Walk = { name, keys: [], containers: [] };
  try {
    if (isCallable(value)) refuse(walk, 0, '', value);
    return convert(value, '', walk, 0);
  } catch (error) {
    if (error instanceof Refusal) throw error.reason;
    const problem = error instanceof Error ? error.message : 'something was thrown';
    throw new RealtimeError('bad_request', `${name} cannot be read: ${problem}. Send plain values.`, {
      cause: error,
    });
  }
}

/**
 * Makes wire values of what was parsed from JSON text that wire values were written to.
 *
 * @param text All of the text, which tells whether anything has to be done.
 */
export function wireValueReader(text: string): (parsed: unknown) => unknown {
  return mayHoldBytes(text) ? (parsed) => toWireValue(readBytes(parsed)) : (parsed) => parsed;
}

/**
 * Reads a wire value that a broker wrote with `JSON.stringify`.
 *
 * @throws SyntaxError for what is not JSON.
 */
export function readWireValue(text: string): unknown {
  return wireValueReader(text)(JSON.parse(text));
}

/** A copy of a wire value for the application, which may change it: bytes are plain `Uint8Array`s. */
export function fromWireValue(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (ArrayBuffer.isView(value)) return bytesOf(value, Uint8Array);
  if (Array.isArray(value)) return value.map(fromWireValue);
  const record = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(record);
  const copy = recordFor(keys);
  // What another program wrote may have a member of that name, which no reader makes.
  for (const key of keys) if (key !== '__proto__') copy[key] = fromWireValue(record[key]);
  return copy;
}

/** The text without halves of surrogate pairs, which only some codecs can write: each becomes U+FFFD. */
function wellFormed(text: string): string {
  return isWellFormed(text) ? text : text.replace(LONE_SURROGATE, '\ufffd');
}

/** Whether the text is Unicode: without halves of surrogate pairs. */
export function isWellFormed(text: string): boolean {
  return (text as { isWellFormed?(): boolean }).isWellFormed?.() ?? text.search(LONE_SURROGATE) === -1;
}

type Key = string | number;

/** Where a conversion stands. Both lists have an element for each container on the way, and old ones behind those. */
interface Walk {
  /** What the outermost value is called. */
  readonly name: string;
  readonly keys: Key[];
  readonly containers: object[];
}

/** Carries a finished error out of the conversion, past what getters throw. */
class Refusal extends Error {
  constructor(readonly reason: RealtimeError) {
    super(reason.message);
  }
}

/** @param isAsked whether `toJSON` returned the value: that is not asked again. */
function convert(value: unknown, key: Key, walk: Walk, depth: number, isAsked = false): unknown {
  if (typeof value === 'string') return wellFormed(value);
  if (typeof value === 'number') return finite(value);
  if (typeof value === 'boolean' || value === null) return value;
  if (value === undefined || typeof value === 'symbol') return undefined;
  const isObject = typeof value === 'object';
  if (isObject && isBytes(value)) return copyBytes(value);
  if (!isAsked && hasToJSON(value)) return convert(value.toJSON(String(key)), key, walk, depth, true);
  if (isObject) return convertMembers(value, key, walk, depth);
  return typeof value === 'bigint' ? refuse(walk, depth, key, value) : undefined;
}

function convertMembers(value: object, key: Key, walk: Walk, depth: number): unknown {
  if (depth >= MAX_VALUE_DEPTH) refuseDepth(walk, depth, key, value);
  walk.keys[depth] = key;
  walk.containers[depth] = value;
  if (Array.isArray(value)) return convertList(value, walk, depth + 1);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null)
    return convertRecord(value as Readonly<Record<string, unknown>>, walk, depth + 1);
  return convertInstance(value, key, walk, depth);
}

function convertList(list: readonly unknown[], walk: Walk, depth: number): unknown[] {
  const copy: unknown[] = [];
  for (let index = 0; index < list.length; index++) {
    const item = list[index];
    if (isCallable(item)) refuse(walk, depth, index, item);
    copy.push(convert(item, index, walk, depth) ?? null);
  }
  return copy;
}

function convertRecord(source: Readonly<Record<string, unknown>>, walk: Walk, depth: number): object {
  const keys = Object.keys(source);
  const copy = recordFor(keys);
  let kept = 0;
  let last = '';
  for (const key of keys) {
    const member = convert(source[key], key, walk, depth);
    // As a member it would change the prototype of what a reader makes.
    if (member === undefined || key === '__proto__') {
      if (isNumbered(key)) Reflect.deleteProperty(copy, key);
      continue;
    }
    last = wellFormed(key);
    copy[last] = member;
    kept++;
  }
  return kept === 1 && isTag(last) ? new TaggedObject(last, copy[last]) : copy;
}

/** An object of a class. By its tag, as it may come from another realm. */
function convertInstance(value: object, key: Key, walk: Walk, depth: number): unknown {
  const tag = tagOf(value);
  if (BOXES.test(tag)) return convert(value.valueOf(), key, walk, depth);
  const isEmptied =
    EMPTIED.test(tag) ||
    typeof (value as { readonly then?: unknown }).then === 'function' ||
    ((Symbol.iterator in value || Symbol.asyncIterator in value) && Object.keys(value).length === 0);
  if (isEmptied) refuse(walk, depth, key, value);
  return convertRecord(value as Readonly<Record<string, unknown>>, walk, depth + 1);
}

interface ToJSON {
  toJSON(key: string): unknown;
}

function hasToJSON(value: unknown): value is ToJSON {
  return typeof (value as { readonly toJSON?: unknown }).toJSON === 'function';
}

function isCallable(value: unknown): boolean {
  return typeof value === 'symbol' || (typeof value === 'function' && !hasToJSON(value));
}

type Bytes = ArrayBufferView | ArrayBufferLike;

function isBytes(value: object): value is Bytes {
  return ArrayBuffer.isView(value) || ('byteLength' in value && /ArrayBuffer$/.test(tagOf(value)));
}

function copyBytes(value: Bytes): WireBytes {
  return ArrayBuffer.isView(value) ? bytesOf(value, WireBytes) : new WireBytes(new Uint8Array(value));
}

/** A copy, at the beginning of memory of its own. */
function bytesOf<T extends Uint8Array>(
  { buffer, byteOffset, byteLength }: ArrayBufferView,
  Type: new (bytes: Uint8Array) => T,
): T {
  return new Type(new Uint8Array(buffer, byteOffset, byteLength));
}

/** A number as JSON has it: neither `NaN` nor infinite, nor -0. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value + 0 : null;
}

function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice(8, -1);
}

function refuse(walk: Walk, depth: number, key: Key, value: unknown): never {
  const tag = tagOf(value);
  const { constructor } = value as { readonly constructor?: { readonly name?: string } };
  const what =
    typeof value === 'object'
      ? `is of the class ${constructor?.name ?? tag}, of which nothing would arrive`
      : `is a ${typeof value === 'bigint' ? tag : typeof value}`;
  throw refusal(walk, depth, key, what, REMEDIES[tag] ?? 'Send plain values');
}

function refuseDepth(walk: Walk, depth: number, key: Key, value: object): never {
  const containers = [...walk.containers.slice(0, depth), value];
  for (let end = 1; end <= depth; end++) {
    if (containers.indexOf(containers[end] as object) < end) {
      const what = 'is an object that contains it';
      throw refusal(walk, end, walk.keys[end] ?? key, what, 'Leave out the reference back');
    }
  }
  throw refusal(walk, 0, '', `nests more than ${MAX_VALUE_DEPTH} arrays and objects`, 'Send it flatter');
}

function refusal(walk: Walk, depth: number, key: Key, what: string, remedy: string): Refusal {
  const path = [walk.name, ...walk.keys.slice(1, depth), ...(depth === 0 ? [] : [key])].join('.');
  const message = `${what}, so it cannot be sent. ${remedy}.`;
  return new Refusal(
    new RealtimeError('bad_request', `${path} ${message}`, { details: [{ path, message }] }),
  );
}
