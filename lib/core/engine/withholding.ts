import type { RevokeViewOwner } from '../protection/revoke-view.js';
import type { EngineContext } from './engine.context.js';

/**
 * Keeps the events of channels that are not public from the sessions while a revoke may be in force that this node does not
 * know (G11). Subscriptions stay, with their cursors; what was queued waits aside, and what comes stays in the log, from
 * which each goes on where it was. So nothing is lost, and nobody is disconnected.
 */
export class Withholding implements RevokeViewOwner {
  constructor(private readonly context: () => EngineContext) {}

  onStale(): void {
    const { hub, sessions, logger } = this.context();
    logger.warn(
      'Events of authorized channels are withheld: it cannot be proved that every revoke and ban is known here. ' +
        'They go out when the broker proves it again.',
    );
    for (const channel of hub.channels()) if (channel.isWithheld) channel.withhold();
    for (const { outbox } of sessions.list()) outbox.hold();
  }

  onCurrent(): void {
    const { hub, sessions, catchUp, logger } = this.context();
    logger.log('Every revoke and ban is known again: events of authorized channels go out');
    // First what was queued before: it is older than whatever the log has for the same subscription.
    for (const { outbox } of sessions.list()) outbox.release();
    for (const channel of hub.channels()) {
      if (!channel.isGuarded) continue;
      channel.presence?.catchUp();
      for (const subscription of [...channel.subscriptions]) catchUp.pump(subscription);
    }
  }
}
