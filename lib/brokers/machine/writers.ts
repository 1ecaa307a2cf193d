/** How long the last record of a writer is remembered, in machine time. */
const WRITER_MS = 24 * 60 * 60_000;

interface Writer {
  n: number;
  at: number;
}

/** The last record of each writer: what was sent again, or comes late, is known by its number. */
export class Writers {
  /** By nonce, in the order of the last record. */
  private readonly writers = new Map<string, Writer>();

  /** Notes a record. @returns Whether it is above the writer's last. */
  admit(name: string, n: number, now: number): boolean {
    const found = this.writers.get(name);
    if (found !== undefined && n <= found.n) return false;
    this.writers.delete(name);
    this.writers.set(name, { n, at: now });
    return true;
  }

  /** Forgets who wrote nothing for a day. */
  expire(now: number): void {
    for (const [name, { at }] of this.writers) {
      if (at + WRITER_MS > now) return;
      this.writers.delete(name);
    }
  }

  save(): WritersState {
    return [...this.writers].map(([name, { n, at }]) => [name, n, at] as const);
  }

  /** Into new ones. */
  restore(state: WritersState): void {
    for (const [name, n, at] of state) this.writers.set(name, { n, at });
  }
}

/** {@link Writers} in a checkpoint. */
export type WritersState = readonly (readonly [name: string, n: number, at: number])[];
