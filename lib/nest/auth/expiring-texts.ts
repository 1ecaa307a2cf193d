interface Entry {
  readonly text: string;
  readonly bytes: number;
  /** Monotonic time of its end, in milliseconds. */
  readonly until: number;
}

/** What an entry weighs beside its text, in bytes: its key, its times, its place in the map. */
const ENTRY_BYTES = 256;

/** Texts that are kept for a time, bounded in bytes; the oldest go first. */
export class ExpiringTexts {
  private readonly entries = new Map<string, Entry>();
  private held = 0;

  constructor(private readonly maxBytes: number) {}

  /** Bytes that are kept. */
  get bytes(): number {
    return this.held;
  }

  get(key: string, now: number): string | undefined {
    const entry = this.entries.get(key);
    if (entry === undefined || now < entry.until) return entry?.text;
    this.delete(key);
    return undefined;
  }

  /** @param until monotonic time at which it ends. */
  set(key: string, text: string, until: number): void {
    this.delete(key);
    // Two bytes for each character: more than any text of Node takes.
    const bytes = ENTRY_BYTES + text.length * 2;
    if (bytes > this.maxBytes) return;
    this.entries.set(key, { text, bytes, until });
    this.held += bytes;
    for (const oldest of this.entries.keys()) {
      if (this.held <= this.maxBytes) return;
      this.delete(oldest);
    }
  }

  delete(key: string): void {
    const entry = this.entries.get(key);
    if (entry === undefined) return;
    this.entries.delete(key);
    this.held -= entry.bytes;
  }
}
