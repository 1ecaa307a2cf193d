import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Subscription } from '../hub/subscription.js';
import type { EngineContext } from '../engine/context.js';
import { planWithSnapshot } from './snapshot.js';
import { resumedAt, toResult } from './subscribe.js';

/**
 * Moves live and replaying subscriptions to another log of their channel (G6, P10): each is told `reset` with what a
 * subscribe from its cursor would have answered, before the first event of the new epoch.
 */
export class Resetter {
  constructor(private readonly context: () => EngineContext) {}

  reset(subscription: Subscription): void {
    // What is withheld is found to be of another log when it goes on.
    if (subscription.ended || subscription.moving || subscription.channel.isWithheld) return;
    subscription.moving = true;
    subscription.channel.stopLive(subscription);
    this.move(subscription).then(
      () => {
        subscription.moving = false;
        if (!subscription.ended) this.context().catchUp.pump(subscription);
      },
      (error: unknown) => this.onFailure(subscription, error),
    );
  }

  private onFailure(subscription: Subscription, error: unknown): void {
    const { logger, retries } = this.context();
    if (error instanceof RealtimeError && error.retryable) {
      logger.debug(`A reset is tried again: ${error.message}`);
      retries.later(() => {
        subscription.moving = false;
        this.reset(subscription);
      });
      return;
    }
    // The application's snapshot failed: the client comes back with its positions and asks again, later.
    subscription.moving = false;
    logger.error(`A reset failed on connection ${subscription.call.connection.id}`, error);
    subscription.outbox.fail();
  }

  private async move(subscription: Subscription): Promise<void> {
    const context = this.context();
    const since = { epoch: subscription.epoch, seq: subscription.cursor };
    const { plan, snapshot } = await planWithSnapshot(context, subscription, since);
    if (subscription.ended || subscription.channel.isWithheld) return;
    subscription.outbox.pushData(
      {
        type: 'reset',
        channel: subscription.channel.name,
        ts: context.clock.now(),
        payload: toResult(plan, snapshot),
      },
      subscription,
    );
    subscription.epoch = plan.position.epoch;
    subscription.cursor = plan.cursor;
    subscription.resumedAt = resumedAt(plan);
  }
}
