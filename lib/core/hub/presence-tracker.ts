import type { PresencePage } from '../../protocol/messages.js';
import type { Subscription } from './subscription.js';
import type { BrokerPresence, PresenceEntry } from '../ports/broker.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import type { EngineLogger } from '../ports/logger.js';

/** Members of a page that an answer carries. */
const PAGE = 100;

/** Membership of this node's sessions (G19): kept alive while they are here, let go with grace when they are not. */
export class PresenceTracker {
  /** Subscriptions that are members, which of all subscriptions may be few or none. */
  private readonly members = new Set<Subscription>();
  private renewal: Scheduled | undefined;

  constructor(
    private readonly presence: BrokerPresence,
    private readonly clock: Clock,
    private readonly logger: EngineLogger,
    private readonly leaseMs: number,
  ) {}

  /** Renews the leases of all members of this node, three times within a lease. */
  start(): void {
    this.renewal = this.clock.schedule(this.leaseMs / 3, () => {
      const entries = [...this.members].flatMap(({ presence }) => (presence === undefined ? [] : [presence]));
      if (entries.length > 0) this.note(this.presence.renew(entries, this.leaseMs));
      this.start();
    });
  }

  stop(): void {
    this.renewal?.cancel();
  }

  async enter(subscription: Subscription, entry: PresenceEntry): Promise<void> {
    subscription.enterPresence(entry);
    this.members.add(subscription);
    await this.presence.enter(entry, this.leaseMs);
  }

  async update(subscription: Subscription, entry: PresenceEntry): Promise<void> {
    subscription.enterPresence(entry);
    await this.presence.update(entry);
  }

  /** @param graceMs how long the device may be away before its member leaves; 0 when it left on purpose. */
  leave(subscription: Subscription, graceMs: number): void {
    const presence = subscription.leavePresence();
    if (presence === undefined) return;
    this.members.delete(subscription);
    this.note(this.presence.leave(presence, graceMs));
  }

  /** The first page of members. */
  page(channel: string): Promise<PresencePage> {
    return this.presence.members(channel, { limit: PAGE });
  }

  private note(work: Promise<void>): void {
    // A lease ends what could not be said; nobody waits for the result.
    work.catch((error: unknown) =>
      this.logger.debug(`A presence change did not reach the broker: ${String(error)}`),
    );
  }
}
