import type { Heartbeat } from './commands.js';
import { EndQueue, queuedBy, type Expiring } from './end-queue.js';

/** The lease of a node. One that has ended is never renewed: a node that comes back gets another. */
export interface NodeLease extends Expiring {
  readonly id: string;
  until: number;
  versions: readonly number[];
}

/** The nodes that are alive, as their heartbeats say. */
export class NodeLeases {
  private readonly leases = new Map<string, NodeLease>();
  private readonly ends = new EndQueue<NodeLease>();
  /** Leases that were ever made. */
  private made = 0;

  /** When the next may end. */
  get next(): number {
    return this.ends.next;
  }

  get(id: string): NodeLease | undefined {
    return this.leases.get(id);
  }

  /** In the order in which they came. */
  all(): readonly NodeLease[] {
    return [...this.leases.values()];
  }

  /** @returns Whether the node had no lease. */
  heartbeat({ node, leaseMs, versions }: Heartbeat, now: number): boolean {
    const until = now + leaseMs;
    const found = this.leases.get(node);
    if (found !== undefined) {
      // Never earlier: what it keeps is queued by its end.
      found.until = Math.max(found.until, until);
      found.versions = versions;
      return false;
    }
    this.made += 1;
    this.add({ id: node, until, versions, order: this.made, index: -1, key: 0 });
    return true;
  }

  /** @returns Whether it had a lease, whose end what it keeps is to be queued by again. */
  goodbye(id: string, now: number): boolean {
    const lease = this.leases.get(id);
    if (lease === undefined) return false;
    lease.until = now;
    this.end(lease);
    return true;
  }

  /** Ends what has run out by `now`. */
  expire(now: number): void {
    if (this.ends.next > now) return;
    for (const lease of this.ends.take(now)) this.end(lease);
  }

  save(): NodeLeasesState {
    const leases = this.all().map((lease): NodeLeaseState => [
      lease.id,
      lease.until,
      lease.versions,
      lease.order,
      queuedBy(lease),
    ]);
    return { made: this.made, leases };
  }

  restore({ made, leases }: NodeLeasesState): void {
    this.made = made;
    for (const [id, until, versions, order, key] of leases) {
      const lease = { id, until, versions, order, index: -1, key: 0 };
      this.leases.set(id, lease);
      this.ends.restore(lease, key);
    }
  }

  private add(lease: NodeLease): void {
    this.leases.set(lease.id, lease);
    this.ends.track(lease);
  }

  private end(lease: NodeLease): void {
    this.leases.delete(lease.id);
    this.ends.delete(lease);
  }
}

type NodeLeaseState = readonly [
  id: string,
  until: number,
  versions: readonly number[],
  order: number,
  key: number | null,
];

/** {@link NodeLeases} in a checkpoint. */
export interface NodeLeasesState {
  readonly made: number;
  readonly leases: readonly NodeLeaseState[];
}
