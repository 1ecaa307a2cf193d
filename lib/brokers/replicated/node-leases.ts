import type { Clock } from '../../core/ports/clock.js';
import type { Leased } from '../machine/commands.js';

/** What presence and holds need of their node. */
export interface LeaseSettings {
  readonly clock: Clock;
  /** Name of the node's lease: another one at each start. */
  readonly lease: string;
  /** How long the node's lease runs on after its last sign of life, in milliseconds. */
  readonly nodeTtlMs: number;
}

/** A kind of thing that is renewed. */
export interface LeasedKind<T> {
  keyOf(value: T): string;
  /** Most of them in one command. */
  readonly most: number;
  /** Puts some into the log, or renews them there. */
  write(values: readonly T[], leased: Leased): Promise<unknown>;
}

interface Lease<T> {
  readonly value: T;
  until: number;
  leaseMs: number;
}

/**
 * What this node has put into the log and has to renew. The log hears nothing of renewals: there the node's own lease keeps all of it. So
 * renewing a hundred thousand members costs no record, and one that the engine no longer renews is ended by this node.
 */
export class NodeLeasesOf<T extends { readonly generation: number }> {
  private readonly leases = new Map<string, Lease<T>>();

  constructor(
    private readonly settings: LeaseSettings,
    private readonly kind: LeasedKind<T>,
  ) {}

  /** Notes that the log is about to have it. @returns what keeps it there */
  put(value: T, leaseMs: number): Leased {
    if (this.isKept(leaseMs)) this.note(value, leaseMs);
    return this.leased(leaseMs);
  }

  /** Renews; puts into the log what this node has not put there, and what the node's own lease does not keep. */
  async renew(values: readonly T[], leaseMs: number): Promise<void> {
    const missing = this.isKept(leaseMs) ? values.filter((value) => !this.extend(value, leaseMs)) : values;
    await this.write(missing, leaseMs);
  }

  /** It was ended, here or by another node, or another node has it now. */
  delete(value: T): void {
    const key = this.kind.keyOf(value);
    const found = this.leases.get(key);
    if (found !== undefined && found.value.generation <= value.generation) this.leases.delete(key);
  }

  /** Removes and returns what was not renewed in time. */
  takeEnded(): readonly T[] {
    const now = this.settings.clock.monotonic();
    const ended: T[] = [];
    for (const [key, { until, value }] of this.leases) {
      if (until > now) continue;
      this.leases.delete(key);
      ended.push(value);
    }
    return ended;
  }

  /** The log does not have what this node put there, or no longer keeps it: puts all of it there again. */
  restore(): void {
    const byLease = new Map<number, T[]>();
    for (const { value, leaseMs } of this.leases.values()) {
      const values = byLease.get(leaseMs) ?? [];
      values.push(value);
      byLease.set(leaseMs, values);
    }
    for (const [leaseMs, values] of byLease) this.write(values, leaseMs).catch(() => undefined);
  }

  private async write(values: readonly T[], leaseMs: number): Promise<void> {
    const { most } = this.kind;
    const leased = this.leased(leaseMs);
    const parts: Promise<unknown>[] = [];
    for (let at = 0; at < values.length; at += most)
      parts.push(this.kind.write(values.slice(at, at + most), leased));
    await Promise.all(parts);
  }

  /** @returns Whether it was there, and is renewed. */
  private extend(value: T, leaseMs: number): boolean {
    const found = this.leases.get(this.kind.keyOf(value));
    if (found === undefined || found.value.generation < value.generation) {
      this.note(value, leaseMs);
      return false;
    }
    // An older session neither renews nor ends what a newer one has (P28).
    if (found.value.generation === value.generation) {
      found.until = this.settings.clock.monotonic() + leaseMs;
      found.leaseMs = leaseMs;
    }
    return true;
  }

  private note(value: T, leaseMs: number): void {
    const key = this.kind.keyOf(value);
    const found = this.leases.get(key);
    if (found !== undefined && found.value.generation > value.generation) return;
    this.leases.set(key, { value, leaseMs, until: this.settings.clock.monotonic() + leaseMs });
  }

  /** Whether the node's own lease keeps what has this lease. A shorter one ends by itself, and is renewed in the log. */
  private isKept(leaseMs: number): boolean {
    return leaseMs >= this.settings.nodeTtlMs;
  }

  /** With the lease of the node the rest of the time that was asked for: otherwise what a dead node kept would last for both. */
  private leased(leaseMs: number): Leased {
    const { lease, nodeTtlMs } = this.settings;
    return this.isKept(leaseMs) ? { leaseMs: leaseMs - nodeTtlMs, node: lease } : { leaseMs };
  }
}
