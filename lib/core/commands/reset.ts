import { RealtimeError } from '../../protocol/realtime-error.js';
import type { RetryQueue } from '../async/retry-queue.js';
import { resumedAt } from '../hub/recovery.js';
import type { Subscription } from '../hub/subscription.js';
import type { Clock } from '../ports/clock.js';
import type { EngineLogger } from '../ports/logger.js';
import type { Observer } from '../ports/observer.js';
import type { SubscribePlanner } from './snapshot.js';
import { toResult } from './subscribe.js';

export interface ResetterDeps {
  readonly planner: SubscribePlanner;
  readonly retries: RetryQueue;
  readonly clock: Clock;
  readonly logger: EngineLogger;
  readonly observer: Observer;
  /** Continues the delivery of a subscription. */
  readonly pump: (subscription: Subscription) => void;
}

/**
 * Moves live and replaying subscriptions to another log of their channel (G6, P10): each is told `reset` with what a
 * subscribe from its cursor would have answered, before the first event of the new epoch.
 */
export class Resetter {
  constructor(private readonly deps: ResetterDeps) {}

  reset(subscription: Subscription): void {
    // A frozen subscription finds the other log when it continues.
    if (subscription.ended || subscription.moving || subscription.isWithheld) return;
    subscription.startMoving();
    subscription.channel.stopLive(subscription);
    this.move(subscription).then(
      () => {
        subscription.stopMoving();
        if (!subscription.ended) this.deps.pump(subscription);
      },
      (error: unknown) => this.onFailure(subscription, error),
    );
  }

  private onFailure(subscription: Subscription, error: unknown): void {
    const { logger, retries } = this.deps;
    if (error instanceof RealtimeError && error.retryable) {
      logger.debug(`A reset is tried again: ${error.message}`);
      retries.later(() => {
        subscription.stopMoving();
        this.reset(subscription);
      });
      return;
    }
    // The application's snapshot failed: the client comes back with its positions and asks again, later.
    subscription.stopMoving();
    logger.error(`A reset failed on connection ${subscription.call.connection.id}`, error);
    subscription.outbox.fail();
  }

  private async move(subscription: Subscription): Promise<void> {
    const { planner, clock, observer } = this.deps;
    const since = { epoch: subscription.epoch, seq: subscription.cursor };
    const { plan, snapshot } = await planner.plan(subscription, since);
    if (subscription.ended || subscription.isWithheld) return;
    subscription.outbox.pushData(
      { type: 'reset', channel: subscription.name, ts: clock.now(), payload: toResult(plan, snapshot) },
      subscription,
    );
    observer.onReset?.(subscription.pattern, plan.recovery);
    subscription.begin({ ...plan, resumedAt: resumedAt(plan) });
  }
}
