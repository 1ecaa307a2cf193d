import type { SnapshotCommand } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { AccessGuard } from '../access/access-guard.js';
import { isPromise } from '../ports/maybe-promise.js';
import type { Subscription } from '../hub/subscription.js';
import { requireRoom } from '../session/answers.js';
import type { Session } from '../session/session.js';
import { askAgain } from './ask-again.js';
import type { Authorizer } from './authorization.js';
import { continueInTurn, type TurnDeps } from './continue-in-turn.js';
import type { SubscribePlanner } from './snapshot.js';

export interface CurrentStateDeps extends TurnDeps {
  readonly authorizer: Authorizer;
  readonly access: Pick<AccessGuard, 'requireAdmitted'>;
  readonly planner: Pick<SubscribePlanner, 'current' | 'requireUnerased'>;
  /** Continues the delivery of a subscription. */
  readonly pump: (subscription: Subscription) => void;
}

/**
 * Gives a subscriber the state of its channel again (P26e). Delivery stands still from before the handler runs until the answer is
 * queued: so the state has all that the client was sent before it, and what it may lack comes behind it.
 */
export class CurrentState {
  constructor(private readonly deps: CurrentStateDeps) {}

  async run(session: Session, command: SnapshotCommand): Promise<void> {
    try {
      await this.give(session, command);
    } catch (error) {
      throw askAgain(session, error);
    }
  }

  private async give(session: Session, { id, channel }: SnapshotCommand): Promise<void> {
    const { authorizer, pump } = this.deps;
    const found = authorizer.subscriptionOf(session, authorizer.resolve(session, channel));
    const subscription = await found;
    if (!(await continueInTurn(this.deps, session, 'snapshot', isPromise(found)))) return;
    requireDelivered(subscription);
    subscription.channel.stopLive(subscription);
    subscription.startMoving();
    try {
      await this.answer(session, id, subscription);
    } finally {
      subscription.stopMoving();
      if (!subscription.ended) pump(subscription);
    }
  }

  private async answer(session: Session, id: string, subscription: Subscription): Promise<void> {
    const { planner } = this.deps;
    const found = await planner.current(subscription);
    this.deps.access.requireAdmitted(session, subscription.name);
    if (subscription.ended) throw new RealtimeError('not_subscribed');
    if (session.isClosed) return;
    requireRoom(session.outbox);
    if (subscription.isFrozen) throw notNow();
    planner.requireUnerased(subscription.name, found);
    const { snapshot } = found;
    const { epoch, cursor: seq, definition } = subscription;
    const handler = `the snapshot handler of ${definition.source}`;
    // Queued with the subscription: it is dropped with it, so it is never sent after a revoke (G11).
    const bytes = session.replyRead(
      id,
      { position: { epoch, seq }, snapshot },
      subscription,
      handler,
      'copy',
    );
    session.chargeAnswer(bytes);
  }
}

/** @throws RealtimeError `unavailable` while the subscription is moved to another epoch, withheld, or given its state already. */
function requireDelivered(subscription: Subscription): void {
  if (subscription.ended) throw new RealtimeError('not_subscribed');
  if (subscription.moving || subscription.isFrozen) throw notNow();
}

function notNow(): RealtimeError {
  return new RealtimeError('unavailable', 'The state of the channel cannot be given at this moment');
}
