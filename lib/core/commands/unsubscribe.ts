import type { UnsubscribeCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Hub } from '../hub/hub.js';
import type { PresenceTracker } from '../hub/presence-tracker.js';
import type { Subscription } from '../hub/subscription.js';
import type { Clock } from '../ports/clock.js';
import type { Session } from '../session/session.js';
import type { LifecycleHooks } from './lifecycle.js';

export interface UnsubscribeDeps {
  readonly hub: Hub;
  readonly presence: PresenceTracker;
  readonly hooks: LifecycleHooks;
  readonly clock: Clock;
}

/** Ends subscriptions, on the client's wish or by the server's decision. */
export class Unsubscribe {
  constructor(private readonly deps: UnsubscribeDeps) {}

  /** The client's wish. Idempotent; a subscribe that is under way is called off. */
  run(session: Session, command: UnsubscribeCommand): void {
    const { channels } = session;
    channels.pendingOf(command.channel)?.cancel();
    const subscription = channels.get(command.channel);
    if (subscription !== undefined) {
      const refs = this.drop(session, subscription);
      if (refs.length > 0) this.refuse(session, refs, new RealtimeError('not_subscribed'));
    }
    const inherited = channels.claim(command.channel);
    if (inherited !== undefined) this.deps.hooks.unsubscribed(inherited);
    session.replyControl(command.id, {});
  }

  /** The server's decision, which the client is told with its reason (P24). */
  end(session: Session, subscription: Subscription, reason: RealtimeError): void {
    this.refuse(session, this.drop(session, subscription), reason);
    const { code, message, retryable, retryAfterMs } = reason;
    session.outbox.pushControl({
      type: 'unsubscribed',
      channel: subscription.name,
      ts: this.deps.clock.now(),
      payload: { code, message, retryable, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) },
    });
  }

  /** Answers commands whose replies told of a subscription and were dropped with it (P7), before its end is told. */
  private refuse(session: Session, refs: readonly string[], reason: RealtimeError): void {
    const ts = this.deps.clock.now();
    for (const ref of refs) session.outbox.pushControl({ type: 'error', ref, ts, payload: reason.toBody() });
  }

  /** @returns the commands whose answers were dropped. */
  private drop(session: Session, subscription: Subscription): readonly string[] {
    const { channel, outbox } = subscription;
    const { hub, presence, hooks } = this.deps;
    subscription.end();
    session.channels.remove(subscription);
    channel.remove(subscription);
    const refs = outbox.purge(subscription);
    presence.leave(subscription, 0);
    hub.release(channel);
    const { onUnsubscribe } = channel.definition.behaviour;
    if (onUnsubscribe !== undefined) hooks.runHook(onUnsubscribe, subscription.call);
    return refs;
  }
}
