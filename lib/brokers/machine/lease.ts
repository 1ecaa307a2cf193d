import type { Leased } from './commands.js';
import type { NodeLease, NodeLeases } from './nodes.js';

/** How long something is kept: to a time, or as long as the lease of a node and a grace more. */
export class Lease {
  private constructor(
    /** Machine time; where there is a node, milliseconds after the end of its lease. */
    readonly ms: number,
    readonly node: NodeLease | undefined,
  ) {}

  static until(time: number): Lease {
    return new Lease(time, undefined);
  }

  static of({ leaseMs, node }: Leased, nodes: NodeLeases, now: number): Lease {
    const keeper = node === undefined ? undefined : nodes.get(node);
    return keeper === undefined ? Lease.until(now + leaseMs) : Lease.after(keeper, leaseMs);
  }

  static after(node: NodeLease, graceMs: number): Lease {
    return new Lease(graceMs, node);
  }

  static restored([ms, node]: LeaseState, nodes: NodeLeases): Lease {
    const keeper = node === undefined ? undefined : nodes.get(node);
    return new Lease(ms, keeper);
  }

  /** The lease of a node that has ended never moves again. */
  save(nodes: NodeLeases): LeaseState {
    const { ms, node, until } = this;
    if (node === undefined) return [ms];
    return nodes.get(node.id) === node ? [ms, node.id] : [until];
  }

  /** When it ends, as far as is known. */
  get until(): number {
    return this.node === undefined ? this.ms : this.node.until + this.ms;
  }
}

/** A {@link Lease} in a checkpoint. */
export type LeaseState = readonly [ms: number, node?: string];
