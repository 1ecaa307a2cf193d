import type { PresencePage } from '../../protocol/messages.js';
import { readMembers } from './member-pages.js';
import type { Subscription } from './subscription.js';
import type { PresenceEntry } from '../ports/broker.js';
import type { EnginePorts } from '../ports/settings.js';
import { Renewals, type RenewalsDeps } from './renewals.js';

export type PresenceTrackerDeps = Pick<EnginePorts, 'members' | 'logger' | 'settings'> &
  Pick<RenewalsDeps<Subscription>, 'clock' | 'retries' | 'journal'>;

/** Membership of this node's sessions (G19): renewed while they are connected, ended after a grace period when they are not. */
export class PresenceTracker {
  /** The subscriptions that are members, often few of all. */
  private readonly members = new Set<Subscription>();
  private readonly renewals: Renewals<Subscription>;
  /** What the broker has not answered. */
  private readonly underWay = new Set<Promise<void>>();

  private readonly leaseMs: number;

  constructor(private readonly ports: PresenceTrackerDeps) {
    this.leaseMs = ports.settings.presenceLeaseMs;
    this.renewals = new Renewals({
      ...ports,
      leaseMs: this.leaseMs,
      what: 'members',
      all: this.members,
      has: (subscription) => this.members.has(subscription),
      bytesOf: ({ presence }) => (presence === undefined ? 0 : bytesOf(presence)),
      renew: (subscriptions) => this.renew(subscriptions),
    });
  }

  /** Renews the leases of all members of this node, three times within a lease. */
  start(): void {
    this.renewals.start();
  }

  stop(): void {
    this.renewals.close();
  }

  async enter(subscription: Subscription, entry: PresenceEntry): Promise<void> {
    subscription.enterPresence(entry);
    this.members.add(subscription);
    await this.ports.members.enter(entry, this.leaseMs);
  }

  async update(subscription: Subscription, entry: PresenceEntry): Promise<void> {
    subscription.enterPresence(entry);
    await this.ports.members.update(entry);
  }

  /** @param graceMs how long the device may be away before its member leaves; 0 when it left on purpose. */
  leave(subscription: Subscription, graceMs: number): void {
    const presence = subscription.leavePresence();
    if (presence === undefined) return;
    this.members.delete(subscription);
    this.logFailure(this.ports.members.leave(presence, graceMs));
  }

  /** Resolves when the broker has answered all that it was told before. Never rejects. */
  async settled(): Promise<void> {
    await Promise.all(this.underWay);
  }

  /** The first page of members. */
  page(channel: string): Promise<PresencePage> {
    const { members, settings } = this.ports;
    return readMembers(members, channel, {}, settings.limits.maxPageBytes);
  }

  private async renew(subscriptions: readonly Subscription[]): Promise<void> {
    const entries = subscriptions.flatMap(({ presence }) => (presence === undefined ? [] : [presence]));
    const renewal = this.ports.members.renew(entries, this.leaseMs);
    this.logFailure(renewal);
    await renewal;
  }

  private logFailure(work: Promise<void>): void {
    // No caller waits for the result: where a change is lost, the lease expires.
    const done = work
      .catch((error: unknown) =>
        this.ports.logger.debug(`A presence change did not reach the broker: ${String(error)}`),
      )
      .finally(() => this.underWay.delete(done));
    this.underWay.add(done);
  }
}

function bytesOf({ channel, member, device }: PresenceEntry): number {
  return 2 * (channel.length + member.length + device.length);
}
