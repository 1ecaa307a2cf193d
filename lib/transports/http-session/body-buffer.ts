/** What is made room for at first, where the body may be as large. */
const FIRST_BYTES = 4 * 1024;

const NOTHING = Buffer.alloc(0);

/**
 * The bytes of a body, in one piece: a buffer for each chunk would take a hundred times what a chunk of one byte holds. Room is made for
 * twice what came, and never for more than may come, so that nobody holds much by saying that much will.
 */
export class BodyBuffer {
  private bytes: Buffer = NOTHING;
  private used = 0;

  /** @param mostBytes that may come. */
  constructor(private readonly mostBytes: number) {}

  /** Bytes that came. */
  get length(): number {
    return this.used;
  }

  /** Bytes that it takes of the memory. */
  get capacity(): number {
    return this.bytes.length;
  }

  append(chunk: Uint8Array): void {
    const needed = this.used + chunk.length;
    if (needed > this.capacity) this.grow(needed);
    this.bytes.set(chunk, this.used);
    this.used = needed;
  }

  /** What came, without a copy. */
  whole(): Buffer {
    return this.bytes.subarray(0, this.used);
  }

  /** Gives the memory back. */
  drop(): void {
    this.bytes = NOTHING;
    this.used = 0;
  }

  private grow(needed: number): void {
    const capacity = Math.min(this.mostBytes, Math.max(FIRST_BYTES, 2 * this.capacity));
    // None of Node's pool, of which a few bytes would keep 8 KiB.
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, capacity));
    larger.set(this.whole());
    this.bytes = larger;
  }
}
