/**
 * Bytes in JSON (P29): `{"$bytes": "<base64>"}`. A plain object whose only key is `$bytes`, with any number of `$` in
 * front of it, gets one more `$` on the wire, and the reader takes one away.
 */
const TAG = /^\$+bytes$/;
/** Base64 of RFC 4648 §4, when its length is a multiple of four: the padding is always written. */
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
/** One character of the tag as JSON may escape it. */
const ESCAPED_CHARACTER = /\\u00(?:24|6[25]|7[349])/;
/** Bytes of one call of `String.fromCharCode`; a multiple of three. */
const CHUNK = 0x6000;

/**
 * Bytes in a wire value. MessagePack writes them as `bin`, and JSON in the tagged form, by `toJSON`.
 */
export class WireBytes extends Uint8Array {
  /** @internal What `slice` and `map` return; the bytes of a wire value are its own alone. */
  static get [Symbol.species](): Uint8ArrayConstructor {
    return Uint8Array;
  }

  toJSON(): unknown {
    return { $bytes: toBase64(this) };
  }
}

/** A plain object in a wire value whose only key looks like the tag of bytes. JSON writes the key with one more `$`. */
export class TaggedObject {
  readonly [key: string]: unknown;

  constructor(key: string, value: unknown) {
    (this as Record<string, unknown>)[key] = value;
  }

  toJSON(): unknown {
    return Object.fromEntries(Object.entries(this).map(([key, value]) => [`$${key}`, value]));
  }
}

/** Whether an object with this only key has to be a {@link TaggedObject}. */
export function isTag(key: string): boolean {
  return key.endsWith('bytes') && TAG.test(key);
}

/** Whether JSON text may hold bytes. `false` is certain, and nothing has to be looked for. */
export function mayHoldBytes(text: string): boolean {
  return text.includes('$bytes"') || (text.includes('\\u00') && ESCAPED_CHARACTER.test(text));
}

/**
 * Puts bytes in the place of their tagged form, and takes away what escapes other objects. What looks like the tagged form
 * and holds no base64 stays as it is.
 *
 * @param value parsed JSON, which is changed in place.
 */
export function readBytes(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = readBytes(value[index]);
    return value;
  }
  const record = value as Record<string, unknown>;
  const keys = Object.keys(record);
  const [only = ''] = keys;
  if (keys.length === 1 && isTag(only)) return readTagged(only, record[only]) ?? record;
  for (const key of keys) {
    const member = record[key];
    // To assign `__proto__` would change the prototype.
    if (typeof member === 'object' && member !== null && key !== '__proto__') record[key] = readBytes(member);
  }
  return record;
}

function readTagged(tag: string, value: unknown): unknown {
  if (tag !== '$bytes') return { [tag.slice(1)]: readBytes(value) };
  if (typeof value !== 'string') return { [tag]: readBytes(value) };
  return value.length % 4 === 0 && BASE64.test(value) ? fromBase64(value) : undefined;
}

function toBase64(bytes: Uint8Array): string {
  let base64 = '';
  for (let start = 0; start < bytes.length; start += CHUNK)
    base64 += btoa(String.fromCharCode(...bytes.subarray(start, start + CHUNK)));
  return base64;
}

function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let index = 0; index < binary.length; index++) bytes[index] = binary.charCodeAt(index);
  return bytes;
}
