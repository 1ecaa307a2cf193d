import { RealtimeError } from '../../protocol/realtime-error.js';
import type { RetryQueue } from '../async/retry-queue.js';
import { resumedAt } from '../hub/recovery.js';
import type { Subscription } from '../hub/subscription.js';
import type { EnginePorts } from '../ports/settings.js';
import type { SubscribePlanner } from './snapshot.js';
import { toResult } from './subscribe.js';
import type { AnswerSizes } from '../session/answers.js';

export interface ResetterDeps extends Pick<EnginePorts, 'clock' | 'logger' | 'observer'> {
  readonly planner: SubscribePlanner;
  readonly retries: RetryQueue;
  readonly answers: AnswerSizes;
  /** Continues the delivery of a subscription. */
  readonly pump: (subscription: Subscription) => void;
}

/**
 * Moves subscriptions to the new epoch of their channel's log (P10). Before its first event each is sent `reset`, with what
 * a subscribe from its cursor would be answered.
 */
export class Resetter {
  constructor(private readonly deps: ResetterDeps) {}

  reset(subscription: Subscription): void {
    // A frozen subscription finds the other log when it continues.
    if (subscription.ended || subscription.moving || subscription.isFrozen) return;
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
    const { about } = subscription.call.connection;
    if (error instanceof RealtimeError && error.retryable) {
      logger.debug(`A reset failed and is tried again: ${error.message}`, about);
      retries.later(() => {
        subscription.stopMoving();
        this.reset(subscription);
      });
      return;
    }
    // The application's snapshot failed: the client reconnects with its positions and asks again.
    subscription.stopMoving();
    logger.error(`A reset failed on connection ${about.connection}`, error, about);
    subscription.outbox.fail();
  }

  private async move(subscription: Subscription): Promise<void> {
    const { planner, clock, observer, answers } = this.deps;
    const since = { epoch: subscription.epoch, seq: subscription.cursor };
    const found = await planner.plan(subscription, since);
    if (subscription.ended || subscription.isFrozen) return;
    planner.requireUnerased(subscription.name, found);
    const { plan, snapshot } = found;
    const { outbox, name } = subscription;
    const bytes = outbox.encode({
      type: 'reset',
      channel: name,
      ts: clock.now(),
      payload: toResult(plan, snapshot),
    });
    if (snapshot !== undefined)
      answers.require(bytes.length, `the snapshot handler of ${subscription.definition.source}`);
    outbox.pushReset(bytes, subscription, snapshot !== undefined);
    if (subscription.ended) return;
    observer.onReset?.(subscription.definition.pattern, plan.recovery);
    subscription.begin({ ...plan, resumedAt: resumedAt(plan) });
  }
}
