/** What a server said of its replicas, when it answered a heartbeat. */
export interface ReplicationView {
  /** Names the process of the server. */
  readonly server: string;
  /** How many bytes it had for its replicas, before the heartbeat itself. */
  readonly offset: number;
  /** How many of them each replica that is connected has acknowledged. */
  readonly acknowledged: readonly number[];
  /** Most replicas that were connected under the present identity of the data. */
  readonly most: number;
}

/** How long replicas that do not come back are counted, where the others prove the master: as long as a server waits for one itself. */
const GONE_MS = 60_000;

interface Asked {
  readonly at: number;
  readonly offset: number;
}

/**
 * When a server was certainly the master: a master that is cut off together with this node answers as before, while another
 * has taken its place. A replica that acknowledges something that was written after a heartbeat was asked for followed the
 * server at that time or later. So a heartbeat is proved by one of the next: replicas acknowledge once a second.
 *
 * A server that had no replica since it became the master, as one that was just promoted, is believed. One that had some needs
 * half of the most that it had, rounded up: with itself more than half of the servers, so that no other part of them has as many.
 * That is a proof where a promotion needs most of the servers, as with a Sentinel beside each and none elsewhere.
 *
 * Replicas that were removed would be counted for ever: where the rest proves that the server was the master a minute after it had
 * them last, only the rest counts. Without such a proof nothing is forgotten.
 */
export class ReplicaProof {
  private server = '';
  private most = 0;
  /** Heartbeats that are not proved yet, oldest first. */
  private asked: Asked[] = [];
  private provenAt = -Infinity;
  /** When as many as ever were connected last. */
  private fullAt = -Infinity;
  private left: number | undefined;

  /**
   * @param replicas How many must have acknowledged; `undefined` for half of those that there were.
   * @param maxAgeMs How old a proof may be that is of use.
   */
  constructor(
    private readonly replicas: number | undefined,
    private readonly maxAgeMs: number,
  ) {}

  /** How many replicas must have acknowledged something. */
  get needed(): number {
    return this.replicas ?? Math.ceil(this.most / 2);
  }

  /** How many there are, where more may be stored and these were found to be gone; for the next heartbeat. */
  get remaining(): number | undefined {
    return this.left;
  }

  /**
   * @param askedAt When the heartbeat was sent, in milliseconds of the monotonic clock.
   * @returns The latest such time at which the server that answers now was the master; `-Infinity` when none is known.
   */
  note(view: ReplicationView, askedAt: number): number {
    if (view.server !== this.server) {
      this.server = view.server;
      this.most = 0;
      this.asked = [];
      this.provenAt = -Infinity;
      this.fullAt = askedAt;
    }
    const connected = view.acknowledged.length;
    this.left = undefined;
    this.most = Math.max(this.most, view.most, connected);
    if (connected === this.most) this.fullAt = askedAt;
    const { needed } = this;
    if (needed === 0) return (this.provenAt = askedAt);
    const reached = [...view.acknowledged].sort((a, b) => b - a)[needed - 1] ?? -1;
    const left: Asked[] = [];
    for (const one of this.asked) {
      if (one.offset < reached) this.provenAt = one.at;
      else if (askedAt - one.at < this.maxAgeMs) left.push(one);
    }
    left.push({ at: askedAt, offset: view.offset });
    this.asked = left;
    if (this.replicas === undefined && this.provenAt - this.fullAt >= GONE_MS) {
      this.most = this.left = connected;
      this.fullAt = askedAt;
    }
    return this.provenAt;
  }
}
