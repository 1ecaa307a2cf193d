import type { Subscription } from '../hub/subscription.js';
import type { RevocationFreshnessEvents } from '../access/revocation-freshness.js';
import type { CatchUp } from '../hub/catch-up.js';
import type { Hub } from '../hub/hub.js';
import type { EngineLogger } from '../ports/logger.js';
import type { SessionRegistry } from '../session/registry.js';

/** Subscriptions that resume in one turn: each may have to be sent all events that the node keeps of its channel. */
const PER_TURN = 256;

export interface DeliveryFreezeDeps {
  readonly hub: Hub;
  readonly catchUp: CatchUp;
  readonly sessions: SessionRegistry;
  readonly logger: EngineLogger;
}

/**
 * Withholds the events of channels that are not public while a revoke may be in force that this node does not know (G11).
 * Subscriptions stay, with their cursors; queued events are put aside, and new ones stay in the log, from which each
 * subscription resumes at its cursor. So nothing is lost, and no client is disconnected.
 */
export class DeliveryFreeze implements RevocationFreshnessEvents {
  /** Counts the changes, so that a later one stops the work of an earlier one. */
  private round = 0;

  /** @param deps Called late: the hub needs the freshness whose events this handles. */
  constructor(private readonly deps: () => DeliveryFreezeDeps) {}

  onStale(): void {
    this.round++;
    const { hub, sessions, logger } = this.deps();
    logger.warn(
      'Events of channels with an authorization are withheld: the broker has not proved in time that every revoke and ban is ' +
        'known here. Delivery resumes with its next proof; until then check the connection to the broker.',
    );
    for (const channel of hub.channels()) if (channel.isFrozen) channel.freeze();
    for (const { outbox, channels, connection } of sessions.list()) {
      outbox.hold();
      if (channels.hasFrozen) connection.onWithdrawn?.();
    }
  }

  onCurrent(): void {
    this.round++;
    const { hub, sessions, logger } = this.deps();
    logger.log('Delivery resumes: the broker has proved that every revoke and ban is known here');
    // First what was put aside: it is older than what the log has for the same subscription.
    for (const { outbox } of sessions.list()) outbox.release();
    const guarded = hub.channels().filter(({ isGuarded }) => isGuarded);
    for (const { presence } of guarded) presence?.catchUp();
    this.resume(
      guarded.flatMap(({ subscriptions }) => [...subscriptions]),
      this.round,
    );
  }

  private resume(waiting: readonly Subscription[], round: number): void {
    if (round !== this.round) return;
    const { catchUp } = this.deps();
    for (const subscription of waiting.slice(0, PER_TURN)) catchUp.pump(subscription);
    if (waiting.length > PER_TURN) setImmediate(() => this.resume(waiting.slice(PER_TURN), round));
  }
}
