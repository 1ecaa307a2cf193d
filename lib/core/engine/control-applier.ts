import { RealtimeError } from '../../protocol/realtime-error.js';
import { endSubscription } from '../commands/unsubscribe.js';
import type { ControlMessage } from '../ports/control.js';
import type { EngineContext } from './context.js';

/** Applies a control record on this node. When it returns, the record holds here (G11). */
export function applyControl(context: EngineContext, message: ControlMessage): void {
  switch (message.kind) {
    case 'disconnect':
      for (const session of context.sessions.ofUser(message.user)) session.close('kicked');
      return;
    case 'revoke':
      return revoke(context, message.user, message.channel);
    case 'ban': {
      const until = message.until ?? Number.POSITIVE_INFINITY;
      context.bans.add(message.user, { until, reason: message.reason });
      context.revocations.record(message.user);
      const retryAfterMs = Number.isFinite(until) ? until - context.clock.now() : 0;
      for (const session of context.sessions.ofUser(message.user)) session.close('banned', retryAfterMs);
      return;
    }
    case 'unban':
      context.bans.remove(message.user);
      return;
    case 'supersede': {
      const session = context.sessions.ofLineage(message.lineage);
      if (session !== undefined && session.generation < message.generation) session.close('superseded');
      return;
    }
    default:
      // Of a newer version of the library, on another node. Who sent it learns that it has no effect here.
      throw new Error(
        `The control record ${JSON.stringify((message satisfies never as ControlMessage).kind)} is not known`,
      );
  }
}

function revoke(context: EngineContext, user: string, channel: string | undefined): void {
  // Noted first: a subscribe or publish that is under way finds it at its commit.
  context.revocations.record(user, channel);
  const error = new RealtimeError('forbidden', 'Access was revoked');
  for (const session of context.sessions.ofUser(user)) {
    for (const subscription of [...session.subscriptions.values()]) {
      if (channel === undefined || subscription.channel.name === channel)
        endSubscription(session, subscription, error);
    }
  }
}
