/** Something that the engine of this node renews. */
interface Lease<T> {
  readonly value: T;
  readonly generation: number;
  until: number;
  leaseMs: number;
}

/**
 * What this node has put into the log and has to renew. The log hears nothing of renewals: there the node's own lease keeps all of it. So
 * renewing a hundred thousand members costs no record, and one that the engine no longer renews is ended by this node.
 */
export class LocalLeases<T> {
  private readonly leases = new Map<string, Lease<T>>();

  get size(): number {
    return this.leases.size;
  }

  put(key: string, value: T, generation: number, leaseMs: number, now: number): void {
    const found = this.leases.get(key);
    // An older session neither renews nor ends what a newer one has (P28).
    if (found !== undefined && found.generation > generation) return;
    this.leases.set(key, { value, generation, leaseMs, until: now + leaseMs });
  }

  /** @returns Whether it was there: otherwise it has to be put into the log. */
  renew(key: string, generation: number, leaseMs: number, now: number): boolean {
    const found = this.leases.get(key);
    if (found === undefined || found.generation < generation) return false;
    if (found.generation === generation) {
      found.until = now + leaseMs;
      found.leaseMs = leaseMs;
    }
    return true;
  }

  delete(key: string, generation: number): void {
    const found = this.leases.get(key);
    if (found !== undefined && found.generation <= generation) this.leases.delete(key);
  }

  /** Removes and returns what was not renewed in time. */
  take(now: number): readonly T[] {
    const ended: T[] = [];
    for (const [key, { until, value }] of this.leases) {
      if (until > now) continue;
      this.leases.delete(key);
      ended.push(value);
    }
    return ended;
  }

  /** Everything, with its lease: to be put into a log that does not have it. */
  all(): readonly { readonly value: T; readonly leaseMs: number }[] {
    return [...this.leases.values()];
  }
}
