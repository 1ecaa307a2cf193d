import {
  decode,
  decodeTimestampExtension,
  encode,
  EXT_TIMESTAMP,
  type ExtensionCodecType,
} from '@msgpack/msgpack';
import { MAX_DEPTH, type Envelope, type FrameLimits } from '../envelope.js';
import { FrameError, tooManyBytes, tooManyEnvelopes, type Codec, type Encoded } from './codec.js';
import { isNumbered, recordFor } from '../numbered-names.js';
import { endOfValue } from './msgpack-scanner.js';

/** Of the extension types only the timestamp is read: as the text that JSON has for a date (P29). None is written. */
const extensionCodec: ExtensionCodecType<undefined> = {
  tryToEncode: () => null,
  decode(data, type) {
    if (type !== EXT_TIMESTAMP) throw new TypeError(`The extension type ${type} is not read`);
    return decodeTimestampExtension(data).toJSON();
  },
};
/** Before a name that the decoder is not to see as it is. */
const MARK = '\0';
/** Whether the value that was decoded last has marked names. */
let hasMarks = false;

/** Keeps names that are numbers from the decoder, which would make room for all numbers before them. */
function markNumbered(key: unknown): string {
  if (typeof key !== 'string' && typeof key !== 'number')
    throw new TypeError('The key of a map is no string');
  const name = String(key);
  if (!isNumbered(name) && !name.startsWith(MARK)) return name;
  hasMarks = true;
  return MARK + name;
}

/** Takes away what {@link markNumbered} put before names. */
function withoutMarks(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = withoutMarks(value[index]);
    return value;
  }
  const members = value as Record<string, unknown>;
  const keys = Object.keys(members);
  const names = keys.map((key) => (key.startsWith(MARK) ? key.slice(1) : key));
  const record = recordFor(names.filter(isNumbered));
  for (let index = 0; index < keys.length; index++)
    record[names[index] as string] = withoutMarks(members[keys[index] as string]);
  return record;
}

// Deeper than what is accepted, as an envelope and a handler may wrap a value that a client sent.
const OPTIONS = { ignoreUndefined: true, maxDepth: 4 * MAX_DEPTH, extensionCodec };

/** MessagePack values that follow one another in binary frames (P1, P4). */
export const msgpackCodec: Codec = {
  name: 'msgpack',
  subprotocol: 'realtime.v1.msgpack',
  binary: true,
  separator: undefined,

  encode(envelope: Envelope): Uint8Array {
    const bytes = encode(envelope, OPTIONS);
    return isReadable(bytes) ? bytes : encode(readable(envelope), OPTIONS);
  },

  decode(frame: Encoded, limits?: FrameLimits): unknown[] {
    if (typeof frame === 'string')
      throw new FrameError('A text frame where MessagePack is spoken: send it in binary frames');
    const values: unknown[] = [];
    let start = 0;
    while (start < frame.byteLength) {
      if (limits !== undefined && values.length >= limits.maxEnvelopesPerFrame)
        throw tooManyEnvelopes(limits);
      const end = endOfValue(frame, start, limits === undefined ? Infinity : MAX_DEPTH);
      if (limits !== undefined && end - start > limits.maxMessageBytes) throw tooManyBytes(limits);
      // Not `subarray`: of a `Buffer` that is one too, and so would be the bytes in the value.
      values.push(decodeValue(new Uint8Array(frame.buffer, frame.byteOffset + start, end - start)));
      start = end;
    }
    return values;
  },

  endOf: (frame, start) => endOfValue(frame, start),
};

/** The key as the encoder writes it: the tag of a string of nine bytes, and those. */
const PROTO_KEY = Uint8Array.from('\xa9__proto__', (character) => character.charCodeAt(0));

/**
 * Whether every decoder reads these bytes. What another program stored may hold half a surrogate pair, which is not UTF-8,
 * and the key `__proto__`, which the decoder of the library's own client refuses; one event must not end the connections of
 * its subscribers. Numbers and binary data may look the same, which only costs the time of the slow way.
 */
function isReadable(bytes: Uint8Array): boolean {
  for (let at = bytes.indexOf(0xed); at !== -1; at = bytes.indexOf(0xed, at + 1)) {
    if ((bytes[at + 1] ?? 0) >= 0xa0) return false;
  }
  for (let at = bytes.indexOf(0xa9); at !== -1; at = bytes.indexOf(0xa9, at + 1)) {
    if (PROTO_KEY.every((byte, index) => bytes[at + index] === byte)) return false;
  }
  return true;
}

/** The value with U+FFFD for each half of a pair, and without `__proto__` keys. */
function readable(value: unknown): unknown {
  if (typeof value === 'string') return value.replace(/[\ud800-\udfff]/gu, '\ufffd');
  if (Array.isArray(value)) return value.map(readable);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  const record = value as Readonly<Record<string, unknown>>;
  const keys = Object.keys(record).filter((key) => key !== '__proto__');
  const copy = recordFor(keys);
  for (const key of keys) copy[readable(key) as string] = readable(record[key]);
  return copy;
}

/** Whether a tag of binary data is in it. Other data may look the same. */
function mayHoldBinary(bytes: Uint8Array): boolean {
  return bytes.includes(0xc4) || bytes.includes(0xc5) || bytes.includes(0xc6);
}

/** Binary data is decoded as a view: one byte that is kept would keep all that was read from the socket with it. */
function withOwnBytes(value: unknown): unknown {
  if (value instanceof Uint8Array) return value.slice();
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) value[index] = withOwnBytes(value[index]);
    return value;
  }
  const members = value as Record<string, unknown>;
  for (const key in members) members[key] = withOwnBytes(members[key]);
  return value;
}

function decodeValue(bytes: Uint8Array): unknown {
  try {
    hasMarks = false;
    const decoded = decode(bytes, { extensionCodec, mapKeyConverter: markNumbered });
    const value = hasMarks ? withoutMarks(decoded) : decoded;
    return mayHoldBinary(bytes) ? withOwnBytes(value) : value;
  } catch {
    // The decoder refuses what the scanner does not look at: a `__proto__` key, a key that is not a string.
    throw new FrameError('The frame is not MessagePack that this version reads');
  }
}
