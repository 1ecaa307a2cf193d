import type { Clock } from '../../../core/ports/clock.js';

/** What a heartbeat says of the nodes. */
export interface NodesView {
  /** Epoch of the control records: it changes when another server became the master, and when data were lost. */
  readonly epoch: string;
  /** Those that live, by the server that answered. */
  readonly nodes: readonly string[];
  /** When that server was certainly the master, by the monotonic clock. */
  readonly provenAt: number;
}

/** The times of the nodes of a deployment, in milliseconds. */
export interface KnownNodesSettings {
  /** How long a node counts as alive after its last heartbeat. */
  readonly nodeTtlMs: number;
  /** Longest time between two proofs where all is well. */
  readonly proofMs: number;
  /** How long a node delivers after its last proof. */
  readonly controlMaxAgeMs: number;
}

/**
 * The nodes that may live, though a server does not know of them: it may be a replica that took over and did not learn of all,
 * or an old master that is cut off from those that cannot reach it, or one to which nobody could say that it lives. What such a
 * server leaves out is remembered until all had the time to say so again. A receipt that left them out would say that a revoke
 * is in force where it is not (G11).
 */
export class KnownNodes {
  private epoch: string | undefined;
  private provenAt = 0;
  private listed: ReadonlySet<string> = new Set();
  /** By when each that was left out must be listed again. */
  private readonly doubtful = new Map<string, number>();

  constructor(
    private readonly clock: Pick<Clock, 'monotonic'>,
    private readonly settings: KnownNodesSettings,
  ) {}

  note({ epoch, nodes, provenAt }: NodesView): void {
    const now = this.clock.monotonic();
    if (this.epoch === undefined) this.provenAt = now;
    const { controlMaxAgeMs, nodeTtlMs } = this.settings;
    // One that is cut off delivers for as long as its last proof holds, though nobody hears that it lives.
    const until = this.mayLack(epoch, now) ? now + Math.max(nodeTtlMs, controlMaxAgeMs) : undefined;
    if (until !== undefined)
      for (const node of [...this.doubtful.keys(), ...this.listed]) this.doubtful.set(node, until);
    this.epoch = epoch;
    this.provenAt = Math.max(this.provenAt, provenAt);
    this.listed = new Set(nodes);
    // Being listed ends no doubt: a replica that took over lists what the master before it had heard.
    for (const [node, end] of this.doubtful) if (end <= now) this.doubtful.delete(node);
  }

  /** @returns the nodes that a server named when it stored a record under `epoch`, and those that may live beside them, by name. */
  expected(epoch: string, nodes: readonly string[]): readonly string[] {
    const now = this.clock.monotonic();
    const isDoubtful = this.epoch !== undefined && this.mayLack(epoch, now);
    const found = new Set(nodes);
    if (isDoubtful) for (const node of this.listed) found.add(node);
    for (const [node, end] of this.doubtful) if (isDoubtful || end > now) found.add(node);
    return [...found].sort();
  }

  /** Whether a server that answers now under `epoch` may leave out nodes that live. */
  private mayLack(epoch: string, now: number): boolean {
    // Nodes end by themselves only after the whole time, so half of it is early enough, and longer than a slow answer takes.
    const longest = Math.max(this.settings.nodeTtlMs / 2, this.settings.proofMs);
    return this.epoch !== undefined && (epoch !== this.epoch || now - this.provenAt > longest);
  }
}
