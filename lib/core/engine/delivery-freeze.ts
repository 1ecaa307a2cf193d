import type { Subscription } from '../hub/subscription.js';
import type { RevocationFreshnessEvents } from '../access/revocation-freshness.js';
import type { CatchUp } from '../hub/catch-up.js';
import type { Hub } from '../hub/hub.js';
import type { EngineLogger } from '../ports/logger.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';

/** Subscriptions that go on in one turn: each may have to be given all that the node keeps of its channel. */
const A_TURN = 256;

export interface DeliveryFreezeDeps {
  readonly hub: Hub;
  readonly catchUp: CatchUp;
  readonly sessions: SessionRegistry<Session>;
  readonly logger: EngineLogger;
}

/**
 * Keeps the events of channels that are not public from the sessions while a revoke may be in force that this node does not
 * know (G11). Subscriptions stay, with their cursors; what was queued waits aside, and what comes stays in the log, from
 * which each goes on where it was. So nothing is lost, and nobody is disconnected.
 */
export class DeliveryFreeze implements RevocationFreshnessEvents {
  /** Counts the changes: what is left of an earlier one is not gone on with. */
  private round = 0;

  /** @param deps asked for late: the hub needs to know the freshness that this acts on. */
  constructor(private readonly deps: () => DeliveryFreezeDeps) {}

  onStale(): void {
    this.round++;
    const { hub, sessions, logger } = this.deps();
    logger.warn(
      'Events of authorized channels are withheld: it cannot be proved that every revoke and ban is known here. ' +
        'They go out when the broker proves it again.',
    );
    for (const channel of hub.channels()) if (channel.isFrozen) channel.freeze();
    for (const { outbox } of sessions.list()) outbox.hold();
  }

  onCurrent(): void {
    this.round++;
    const { hub, sessions, logger } = this.deps();
    logger.log('Every revoke and ban is known again: events of authorized channels go out');
    // First what was queued before: it is older than whatever the log has for the same subscription.
    for (const { outbox } of sessions.list()) outbox.release();
    const guarded = hub.channels().filter(({ isGuarded }) => isGuarded);
    for (const { presence } of guarded) presence?.catchUp();
    this.goOn(
      guarded.flatMap(({ subscriptions }) => [...subscriptions]),
      this.round,
    );
  }

  private goOn(waiting: readonly Subscription[], round: number): void {
    if (round !== this.round) return;
    const { catchUp } = this.deps();
    for (const subscription of waiting.slice(0, A_TURN)) catchUp.pump(subscription);
    if (waiting.length > A_TURN) setImmediate(() => this.goOn(waiting.slice(A_TURN), round));
  }
}
