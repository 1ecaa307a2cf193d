/** Longest text of an event that may be cut by the end of a read. */
const MAX_CUT = 1_024;
const STAMP = /"at":(\d+)[,}]/g;

/** A subscriber that reads when each event was due: how late it is, and how many came. */
export class Probe {
  /** Latencies in milliseconds. */
  latencies = [];
  #rest = '';

  constructor() {
    this.onBytes = (length, chunk) => this.#read(length, chunk);
  }

  /** Begins anew, e.g. behind a warm-up. */
  clear() {
    this.latencies = [];
  }

  #read(length, chunk) {
    const now = Number(process.hrtime.bigint() / 1_000n);
    const text = this.#rest + Buffer.from(chunk.buffer, chunk.byteOffset, length).toString('latin1');
    let end = 0;
    for (const match of text.matchAll(STAMP)) {
      this.latencies.push((now - Number(match[1])) / 1_000);
      end = match.index + match[0].length;
    }
    this.#rest = text.slice(Math.max(end, text.length - MAX_CUT));
  }
}
