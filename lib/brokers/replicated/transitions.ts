import type { BrokerTransitions, Hold, Transition } from '../../core/ports/transitions.js';
import { perform, STATE_PARTITION, type Write } from './commander.js';
import { NodeLeasesOf, type LeaseSettings } from './node-leases.js';

/** Most holders in one command. */
const HOLDS = 200;

/** Transitions of all channels over the log (G19). */
export class ReplicatedTransitions implements BrokerTransitions {
  private readonly leases: NodeLeasesOf<Hold>;

  constructor(
    private readonly write: Write,
    private readonly settings: LeaseSettings,
  ) {
    this.leases = new NodeLeasesOf<Hold>(settings, {
      keyOf: ({ channel, member, holder }) => JSON.stringify([channel, member ?? null, holder]),
      most: HOLDS,
      write: (holds, leased) => perform(write, STATE_PARTITION, { kind: 'hold', holds, ...leased }),
    });
  }

  hold(holds: readonly Hold[], leaseMs: number): Promise<void> {
    return this.leases.renew(holds, leaseMs);
  }

  async release(hold: Hold, graceMs: number): Promise<void> {
    this.leases.delete(hold);
    await perform(this.write, STATE_PARTITION, { kind: 'release', hold, graceMs });
  }

  async take(limit: number): Promise<readonly Transition[]> {
    const command = { kind: 'take', node: this.settings.lease, limit } as const;
    return (await perform(this.write, STATE_PARTITION, command)).transitions;
  }

  async done(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await perform(this.write, STATE_PARTITION, { kind: 'done', ids });
  }

  /** Another node has ended the holder, or has it now. */
  forget(hold: Hold): void {
    this.leases.delete(hold);
  }

  /** Ends what was not renewed. */
  expire(): void {
    for (const hold of this.leases.takeEnded())
      this.write(STATE_PARTITION, { kind: 'release', hold, graceMs: 0 }, () => undefined);
  }

  /** The log does not have what this node holds, or no longer keeps it. */
  restore(): void {
    this.leases.restore();
  }
}
