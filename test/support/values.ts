import { isDeepStrictEqual } from 'node:util';

/** A value as an application gives it, and what every client must get, made beside it and by hand. */
export interface GeneratedValue {
  readonly given: unknown;
  /** `undefined` where nothing arrives. */
  readonly expected: unknown;
}

const NOTHING: GeneratedValue = { given: undefined, expected: undefined };
const LETTERS = [
  'a',
  'Z',
  '0',
  ' ',
  '"',
  '\\',
  '\n',
  '\u0000',
  '\u2028',
  'é',
  'ß',
  '中',
  '😀',
  '👩‍👩‍👧',
  '$',
  '\u007f',
  '\ufffd',
];
const KEYS = [
  'a',
  'b',
  'id',
  '0',
  '17',
  '',
  'toString',
  'constructor',
  'length',
  'then',
  'é😀',
  '$ref',
  'bytes',
  '$Bytes',
];
const NUMBERS = [
  0,
  1,
  -1,
  127,
  128,
  255,
  256,
  65_535,
  65_536,
  2 ** 31,
  2 ** 32,
  2 ** 53,
  -(2 ** 53),
  1e308,
  5e-324,
  0.1,
  -2.5,
];

class Hidden {
  readonly secret = 'hash';
  constructor(private readonly shown: unknown) {}
  toJSON(): unknown {
    return this.shown;
  }
}

class Instance {
  readonly #inner = 1;
  [name: string]: unknown;
  constructor(members: object) {
    Object.assign(this, members);
  }
  get derived(): number {
    return this.#inner;
  }
  describe(): string {
    return 'x';
  }
}

/** Generates values of all kinds. Two of one seed generate the same. */
export class ValueGenerator {
  constructor(private state: number) {}

  /** The next value; never nothing. */
  next(): GeneratedValue {
    if (this.chance(100)) return this.deep();
    const value = this.value(this.below(5));
    return value.expected === undefined ? { given: { x: value.given }, expected: {} } : value;
  }

  private value(depth: number): GeneratedValue {
    return depth <= 0 || this.chance(4) ? this.leaf() : this.container(depth - 1);
  }

  private leaf(): GeneratedValue {
    switch (this.below(14)) {
      case 0:
        return same(null);
      case 1:
        return same(this.chance(2));
      case 2:
      case 3:
        return same(this.text());
      case 4:
        return same(this.number());
      case 5:
        return { given: this.pick([NaN, Infinity, -Infinity]), expected: null };
      case 6:
        return { given: -0, expected: 0 };
      case 7:
        return this.chance(4) ? NOTHING : this.date();
      case 8:
      case 9:
        return this.bytes();
      case 10:
        return this.boxed();
      case 11:
        return this.chance(2)
          ? { given: 'x\ud800y\udc00', expected: 'x\ufffdy\ufffd' }
          : { given: '\udfff😀', expected: '\ufffd😀' };
      case 12:
        return { given: new Hidden(undefined), expected: undefined };
      default:
        return same(this.chance(50) ? 'long '.repeat(4_000) : this.text());
    }
  }

  private container(depth: number): GeneratedValue {
    switch (this.below(9)) {
      case 0:
      case 1:
        return this.list(depth);
      case 2: {
        const { given, expected } = this.value(depth);
        // What `toJSON` returns is not asked for its own.
        return hasToJSON(given)
          ? { given: new Hidden([given]), expected: [expected ?? null] }
          : { given: new Hidden(given), expected };
      }
      case 3:
        return this.tagged(depth);
      case 4: {
        const { given, expected } = this.record(depth);
        return { given: new Instance(given), expected };
      }
      case 5: {
        const { given, expected } = this.record(depth);
        return { given: new Proxy(given, {}), expected };
      }
      case 6: {
        const { given, expected } = this.record(depth);
        return { given: Object.assign(Object.create(null) as object, given), expected };
      }
      default:
        return this.record(depth);
    }
  }

  private record(depth: number): { given: object; expected: object } {
    const given: Record<string | symbol, unknown> = {};
    const expected: Record<string, unknown> = {};
    for (let count = this.below(5); count > 0; count--) {
      const key = this.pick(KEYS);
      const value = this.value(depth);
      given[key] = value.given;
      delete expected[key];
      if (value.expected !== undefined) expected[key] = value.expected;
    }
    if (this.chance(5)) given['dropped'] = this.pick([() => 1, Symbol('s'), undefined]);
    if (this.chance(5)) given[Symbol('member')] = 1;
    if (this.chance(5)) Object.defineProperty(given, 'hidden', { value: 1, enumerable: false });
    if (this.chance(8)) {
      const value = this.value(depth);
      Object.defineProperty(given, 'got', { enumerable: true, get: () => value.given });
      if (value.expected !== undefined) expected['got'] = value.expected;
    }
    if (this.chance(8))
      Object.defineProperty(given, '__proto__', {
        value: { admin: true },
        enumerable: true,
        configurable: true,
      });
    // The order in which an object was given is that of its first assignment.
    return { given, expected: inOrderOf(given, expected) };
  }

  /** An object whose only key looks like the tag of bytes, or nearly. */
  private tagged(depth: number): GeneratedValue {
    const key = `${'$'.repeat(1 + this.below(3))}bytes`;
    const inner = this.chance(3) ? same(this.pick(['AQID', '', 'A', '====', 'AQ=='])) : this.value(depth);
    const expected = inner.expected === undefined ? {} : { [key]: inner.expected };
    if (!this.chance(4)) return { given: { [key]: inner.given }, expected };
    return { given: { [key]: inner.given, more: 1 }, expected: { ...expected, more: 1 } };
  }

  private list(depth: number): GeneratedValue {
    const items = Array.from({ length: this.below(5) }, () => this.value(depth));
    const given = items.map((item) => item.given);
    const expected = items.map((item) => item.expected ?? null);
    if (this.chance(5)) {
      given.length += 2;
      expected.push(null, null);
    }
    return { given: this.chance(8) ? Object.assign(given, { extra: 1 }) : given, expected };
  }

  private deep(): GeneratedValue {
    let { given, expected } = this.bytes();
    for (let level = 1 + this.below(120); level > 0; level--) {
      const key = this.pick(['a', '$bytes', '$$bytes']);
      [given, expected] = this.chance(2) ? [[given], [expected]] : [{ [key]: given }, { [key]: expected }];
    }
    return { given, expected };
  }

  private bytes(): GeneratedValue {
    const length = this.chance(20) ? 5_000 : this.below(20);
    const bytes = Uint8Array.from({ length }, () => this.below(256));
    const padded = new Uint8Array(length + 16);
    padded.set(bytes, 8);
    const given = this.pick<unknown>([
      bytes,
      Buffer.from(bytes),
      bytes.slice().buffer,
      padded.subarray(8, 8 + length),
      new DataView(padded.buffer, 8, length),
      new Int8Array(padded.buffer, 8, length),
      new Hidden(bytes),
    ]);
    return { given, expected: bytes };
  }

  private date(): GeneratedValue {
    if (this.chance(5)) return { given: new Date(NaN), expected: null };
    const date = new Date(this.below(2 ** 31) * 1_000 + this.below(1_000));
    return { given: date, expected: date.toISOString() };
  }

  private boxed(): GeneratedValue {
    const value = this.pick<unknown>([1.5, 'boxed', true, false, '']);
    return { given: Object(value) as unknown, expected: value };
  }

  private text(): string {
    return Array.from({ length: this.below(12) }, () => this.pick(LETTERS)).join('');
  }

  private number(): number {
    return this.chance(2) ? this.pick(NUMBERS) : (this.random() - 0.5) * 10 ** this.below(30);
  }

  private pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)] as T;
  }

  private chance(oneOf: number): boolean {
    return this.below(oneOf) === 0;
  }

  private below(bound: number): number {
    return Math.floor(this.random() * bound);
  }

  /** Mulberry32. */
  private random(): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

function hasToJSON(value: unknown): boolean {
  return typeof (value as { toJSON?: unknown } | null | undefined)?.toJSON === 'function';
}

function same(value: unknown): GeneratedValue {
  return { given: value, expected: value };
}

function inOrderOf(given: object, expected: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(
    Object.keys(given).flatMap((key) => (Object.hasOwn(expected, key) ? [[key, expected[key]]] : [])),
  );
}

/** Bytes in the place of their form in JSON, as docs/protocol.md has it (P29), for what `JSON.parse` gives. */
export function untagged(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(untagged);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  const entries = Object.entries(value);
  const [[key, member] = ['', undefined]] = entries;
  if (entries.length === 1 && /^\$+bytes$/.test(key)) {
    if (key.startsWith('$$')) return { [key.slice(1)]: untagged(member) };
    if (typeof member === 'string' && Buffer.from(member, 'base64').toString('base64') === member)
      return new Uint8Array(Buffer.from(member, 'base64'));
  }
  return Object.fromEntries(entries.map(([name, inner]) => [name, untagged(inner)]));
}

/** What a plain decoder of MessagePack gives, with `Uint8Array` for its bytes. */
export function plainBytes(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainBytes);
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plainBytes(inner)]));
}

/** Whether two values are the same, in the order of their members too. */
export function isSame(left: unknown, right: unknown): boolean {
  return isDeepStrictEqual(left, right) && JSON.stringify(left) === JSON.stringify(right);
}
