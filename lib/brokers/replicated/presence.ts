import type { BrokerPresence, PresenceEntry } from '../../core/ports/broker.js';
import type { PresencePage } from '../../protocol/messages.js';
import { placeOf } from '../common/member-cursor.js';
import { perform, STATE_PARTITION, type Write } from './commander.js';
import { NodeLeasesOf, type LeaseSettings } from './node-leases.js';
import type { Replica } from './replica.js';

/** Most members in one command: data of members is up to some kilobytes. */
const ENTRIES = 50;

/** Membership (G19) over the log. */
export class ReplicatedPresence implements BrokerPresence {
  private readonly leases: NodeLeasesOf<PresenceEntry>;

  constructor(
    private readonly write: Write,
    private readonly replica: Replica,
    settings: LeaseSettings,
  ) {
    this.leases = new NodeLeasesOf<PresenceEntry>(settings, {
      keyOf: ({ channel, member, device }) => JSON.stringify([channel, member, device]),
      most: ENTRIES,
      write: (entries, leased) => perform(write, STATE_PARTITION, { kind: 'renew', entries, ...leased }),
    });
  }

  async enter(entry: PresenceEntry, leaseMs: number): Promise<void> {
    const leased = this.leases.put(entry, leaseMs);
    await perform(this.write, STATE_PARTITION, { kind: 'enter', entry, ...leased });
  }

  async update(entry: PresenceEntry): Promise<void> {
    await perform(this.write, STATE_PARTITION, { kind: 'update', entry });
  }

  async leave(entry: PresenceEntry, graceMs: number): Promise<void> {
    this.leases.delete(entry);
    await perform(this.write, STATE_PARTITION, { kind: 'leave', entry, graceMs });
  }

  renew(entries: readonly PresenceEntry[], leaseMs: number): Promise<void> {
    return this.leases.renew(entries, leaseMs);
  }

  async members(
    channel: string,
    { cursor, limit }: { readonly cursor?: string; readonly limit: number },
  ): Promise<PresencePage> {
    const after = placeOf(cursor);
    await this.replica.caughtUp();
    return this.replica.partition.machine.members(channel, after, limit);
  }

  /** Another node has ended the device, or has it now. */
  forget(entry: PresenceEntry): void {
    this.leases.delete(entry);
  }

  /** Ends what the engine did not renew. */
  expire(): void {
    for (const entry of this.leases.takeEnded())
      this.write(STATE_PARTITION, { kind: 'leave', entry, graceMs: 0 }, () => undefined);
  }

  /** The log does not have what this node entered, or no longer keeps it. */
  restore(): void {
    this.leases.restore();
  }
}
