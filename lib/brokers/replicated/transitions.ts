import type { BrokerTransitions, Hold, Transition } from '../../core/ports/transitions.js';
import { perform, STATE_PARTITION, type Write } from './commander.js';
import { LocalLeases } from './local-leases.js';
import { isKept, leasedBy, type LeaseSettings } from './presence.js';

/** Most holders in one command. */
const HOLDS = 200;

/** Transitions of all channels over the log (G19). */
export class ReplicatedTransitions implements BrokerTransitions {
  private readonly local = new LocalLeases<Hold>();

  constructor(
    private readonly write: Write,
    private readonly settings: LeaseSettings,
  ) {}

  async hold(holds: readonly Hold[], leaseMs: number): Promise<void> {
    const { clock } = this.settings;
    if (!isKept(this.settings, leaseMs)) return this.append(holds, leaseMs);
    const missing = holds.filter((hold) => {
      const key = keyOf(hold);
      if (this.local.renew(key, hold.generation, leaseMs, clock.monotonic())) return false;
      this.local.put(key, hold, hold.generation, leaseMs, clock.monotonic());
      return true;
    });
    await this.append(missing, leaseMs);
  }

  async release(hold: Hold, graceMs: number): Promise<void> {
    this.local.delete(keyOf(hold), hold.generation);
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
    this.local.delete(keyOf(hold), hold.generation);
  }

  /** Ends what was not renewed. */
  expire(): void {
    for (const hold of this.local.take(this.settings.clock.monotonic()))
      this.write(STATE_PARTITION, { kind: 'release', hold, graceMs: 0 }, () => undefined);
  }

  /** The log does not have what this node holds, or no longer keeps it. */
  restore(): void {
    for (const { value, leaseMs } of this.local.all()) this.append([value], leaseMs).catch(() => undefined);
  }

  private async append(holds: readonly Hold[], leaseMs: number): Promise<void> {
    const parts: Promise<unknown>[] = [];
    for (let at = 0; at < holds.length; at += HOLDS) {
      const leased = leasedBy(this.settings, leaseMs);
      const command = { kind: 'hold', holds: holds.slice(at, at + HOLDS), ...leased } as const;
      parts.push(perform(this.write, STATE_PARTITION, command));
    }
    await Promise.all(parts);
  }
}

function keyOf({ channel, member, holder }: Hold): string {
  return JSON.stringify([channel, member ?? null, holder]);
}
