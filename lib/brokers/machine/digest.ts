const BASIS_LOW = 0x811c9dc5;
const BASIS_HIGH = 0x9747b28c;
const PRIME_LOW = 0x01000193;
const PRIME_HIGH = 0x85ebca6b;

/** Holds one number at a time, whose bits are the same on every machine. */
const scratch = new DataView(new ArrayBuffer(8));

/**
 * 64 bits of all that was mixed in, in that order. It finds what differs by accident: nobody gains by making two things look equal, as
 * all of them are written by nodes of the same application.
 */
export class Digest {
  private low = BASIS_LOW;
  private high = BASIS_HIGH;

  /** Sixteen characters. */
  get value(): string {
    return hex(this.high) + hex(this.low);
  }

  static of(value: string): Digest {
    const digest = new Digest();
    digest.high = Number.parseInt(value.slice(0, 8), 16);
    digest.low = Number.parseInt(value.slice(8), 16);
    return digest;
  }

  number(value: number): void {
    scratch.setFloat64(0, value);
    this.word(scratch.getInt32(0));
    this.word(scratch.getInt32(4));
  }

  text(value: string): void {
    this.word(value.length);
    for (let index = 0; index < value.length; index += 1) this.word(value.charCodeAt(index));
  }

  bytes(value: Uint8Array): void {
    const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
    this.word(value.byteLength);
    const words = value.byteLength & ~3;
    for (let index = 0; index < words; index += 4) this.word(view.getInt32(index));
    for (let index = words; index < value.byteLength; index += 1) this.word(view.getUint8(index));
  }

  /** Plain data. What is `undefined` counts as left out. */
  data(value: unknown): void {
    if (typeof value === 'string') this.text(value);
    else if (typeof value === 'number') this.number(value);
    else if (Array.isArray(value)) {
      this.word(value.length);
      for (const item of value) this.data(item);
    } else if (typeof value === 'object' && value !== null) {
      for (const [name, item] of Object.entries(value)) {
        if (item === undefined) continue;
        this.text(name);
        this.data(item);
      }
      this.word(-1);
    } else this.word(value === true ? 1 : value === false ? 2 : 3);
  }

  private word(value: number): void {
    this.low = Math.imul(this.low ^ value, PRIME_LOW);
    const high = Math.imul(this.high ^ value ^ (this.low >>> 15), PRIME_HIGH);
    this.high = (high << 13) | (high >>> 19);
  }
}

function hex(value: number): string {
  return (value >>> 0).toString(16).padStart(8, '0');
}
