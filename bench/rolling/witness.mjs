const KINDS = ['tick', 'said'];

/** What one client was sent: how often each event, in which order, and for how long nothing. */
export class Witness {
  disordered = 0;
  /** Whether it lost its connection since the last `measure`. */
  moved = false;
  #seen = { tick: new Counts(), said: new Counts() };
  #last = { tick: -1, said: -1 };
  #longest = 0;
  #heardAt;

  note(kind, { n }) {
    const now = performance.now();
    if (this.#heardAt !== undefined) this.#longest = Math.max(this.#longest, now - this.#heardAt);
    this.#heardAt = now;
    if (this.#seen[kind].add(n) === 1 && n < this.#last[kind]) this.disordered++;
    this.#last[kind] = Math.max(this.#last[kind], n);
  }

  /** The longest time without an event since it was last asked, and whether the connection ended in it. */
  measure() {
    const now = performance.now();
    const open = this.#heardAt === undefined ? 0 : now - this.#heardAt;
    const figures = { longest: Math.max(this.#longest, open), moved: this.moved };
    this.#longest = 0;
    this.moved = false;
    return figures;
  }

  /** @param {{ tick: readonly number[], said: readonly number[] }} acknowledged Numbers of its channel that it must have. */
  missing(acknowledged) {
    let missing = 0;
    for (const kind of KINDS) for (const n of acknowledged[kind]) if (this.#seen[kind].of(n) === 0) missing++;
    return missing;
  }

  get doubled() {
    return KINDS.reduce((sum, kind) => sum + this.#seen[kind].doubled, 0);
  }
}

/** How often each number came. */
class Counts {
  doubled = 0;
  #times = new Uint8Array(256);

  add(n) {
    if (n >= this.#times.length) {
      const larger = new Uint8Array(2 * n);
      larger.set(this.#times);
      this.#times = larger;
    }
    const times = ++this.#times[n];
    if (times > 1) this.doubled++;
    return times;
  }

  of(n) {
    return this.#times[n] ?? 0;
  }
}
