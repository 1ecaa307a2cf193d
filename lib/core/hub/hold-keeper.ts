import type { RetryQueue } from '../async/retry-queue.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Clock } from '../ports/clock.js';
import type { BrokerTransitions, Hold } from '../ports/transitions.js';
import { Renewals } from './renewals.js';

/** Most holds, and bytes of their names, that are written again in one call; the next call waits for its answer. */
const BATCH = 500;
const BATCH_BYTES = 256 * 1024;

export interface HoldKeeperDeps {
  readonly transitions: Pick<BrokerTransitions, 'hold' | 'release'>;
  readonly clock: Clock;
  readonly retries: Pick<RetryQueue, 'later'>;
  readonly journal: Pick<ThrottledLog, 'warn'>;
  readonly leaseMs: number;
}

/**
 * What this node holds at the broker: written at once, renewed until it is released. A node that is killed renews nothing, and
 * its leases end.
 */
export class HoldKeeper {
  private readonly held = new Map<string, Hold>();
  /** Names of those that the broker did not take when they began. */
  private failed = new Set<string>();
  private readonly renewals: Renewals<Hold>;
  private closed = false;

  constructor(private readonly deps: HoldKeeperDeps) {
    this.renewals = new Renewals({
      ...deps,
      what: 'channels and members with hooks',
      all: this.held,
      has: (hold) => this.held.get(nameOf(hold)) === hold,
      bytesOf,
      renew: (holds) => this.renew(holds),
    });
  }

  /** Renews everything, several times within a lease. */
  start(): void {
    this.renewals.start();
  }

  /** Holds from now on. An older generation of what is held changes nothing (P28). */
  hold(hold: Hold): void {
    const name = nameOf(hold);
    const known = this.held.get(name);
    if (this.closed || (known !== undefined && known.generation > hold.generation)) return;
    this.held.set(name, hold);
    void this.write([hold]);
  }

  /** Ends a hold after `graceMs`. One that is not held, or by a newer generation, is left as it is (P28). */
  release(hold: Hold, graceMs: number): void {
    const name = nameOf(hold);
    const known = this.held.get(name);
    if (known === undefined || known.generation > hold.generation) return;
    this.held.delete(name);
    // Where it does not reach the broker, the lease ends.
    this.deps.transitions.release(known, graceMs).catch((error: unknown) => this.report(error));
  }

  /** Nothing is renewed any more; what is still held ends with its lease. */
  close(): void {
    this.closed = true;
    this.renewals.close();
    this.held.clear();
    this.failed.clear();
  }

  private async renew(holds: readonly Hold[]): Promise<void> {
    try {
      await this.deps.transitions.hold(holds, this.deps.leaseMs);
    } catch (error) {
      this.report(error);
      throw error;
    }
  }

  /** One call after another: all at once would fill the queues of the broker. What was released on the way is left out. */
  private async writeAll(names: Iterable<string>): Promise<void> {
    let batch: Hold[] = [];
    let bytes = 0;
    for (const name of names) {
      const hold = this.held.get(name);
      if (hold === undefined) continue;
      batch.push(hold);
      bytes += bytesOf(hold);
      if (batch.length < BATCH && bytes < BATCH_BYTES) continue;
      await this.write(batch);
      batch = [];
      bytes = 0;
    }
    if (batch.length > 0) await this.write(batch);
  }

  /** Never rejects. */
  private async write(batch: readonly Hold[]): Promise<void> {
    try {
      await this.deps.transitions.hold(batch, this.deps.leaseMs);
    } catch (error) {
      if (this.closed) return;
      this.report(error);
      for (const hold of batch) this.failed.add(nameOf(hold));
      this.deps.retries.later(this.writeAgain);
    }
  }

  private readonly writeAgain = (): void => {
    const { failed } = this;
    this.failed = new Set();
    void this.writeAll(failed);
  };

  private report(error: unknown): void {
    if (this.closed) return;
    this.deps.journal.warn(
      'holds',
      () => `Which channels and members are held here did not reach the broker: ${String(error)}`,
    );
  }
}

/** Of channels it is their name, so that nothing is made for them. Neither names nor devices have a line break. */
function nameOf({ channel, member, holder }: Hold): string {
  return member === undefined ? channel : `${channel}\n${holder}\n${member}`;
}

function bytesOf({ channel, member = '', holder }: Hold): number {
  return 2 * (channel.length + member.length + holder.length);
}
