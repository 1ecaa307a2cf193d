import type { Position } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { SnapshotHandler, SnapshotState } from '../ports/channel-definition.js';
import { planRecovery, positionOf, type RecoveryPlan } from '../hub/recovery.js';
import type { Subscription } from '../hub/subscription.js';
import type { EngineContext } from '../engine/context.js';
import { bounded } from '../async/with-timeout.js';
import { whenReady, type MaybePromise } from '../ports/maybe-promise.js';

/** A plan, with the state for a subscriber that starts anew. */
export interface PlanWithSnapshot {
  readonly plan: RecoveryPlan;
  readonly snapshot?: unknown;
}

/**
 * Plans how a subscriber continues, and runs the channel's snapshot where it starts anew (P26). The tip is read
 * before the handler runs, so what the state does not contain follows it; it may contain some of it already.
 */
export function planWithSnapshot(
  context: EngineContext,
  subscription: Subscription,
  since: Position | undefined,
): MaybePromise<PlanWithSnapshot> {
  const { channel, wantsSnapshot } = subscription;
  const { policy, behaviour } = channel.definition;
  return whenReady(planRecovery(channel, since, context.broker, policy), (plan) => {
    const { snapshot } = behaviour;
    const anew = plan.recovery === 'new' || plan.recovery === 'lost';
    return snapshot === undefined || !wantsSnapshot || !anew
      ? { plan }
      : withSnapshot(context, subscription, snapshot, plan);
  });
}

async function withSnapshot(
  context: EngineContext,
  subscription: Subscription,
  snapshot: SnapshotHandler,
  plan: RecoveryPlan,
): Promise<PlanWithSnapshot> {
  const { call } = subscription;
  const run = (): Promise<SnapshotState> =>
    Promise.resolve(bounded(snapshot.run(call), context.settings.handlerTimeoutMs, context.clock));
  const { state, position } = await (snapshot.shareable
    ? shared(subscription, snapshot, plan.position, run)
    : run());
  if (position === undefined) return { plan, snapshot: state };
  const stated = await acceptStated(context, subscription, position);
  return { plan: { ...plan, position: stated, cursor: stated.seq }, snapshot: state };
}

/** Subscribers of one channel and moment share one run, so a thousand newcomers cost one query. */
function shared(
  { channel }: Subscription,
  handler: SnapshotHandler,
  position: Position,
  run: () => Promise<SnapshotState>,
): Promise<SnapshotState> {
  const current = channel.snapshotRun;
  if (current?.handler === handler && current.epoch === position.epoch && current.seq === position.seq)
    return current.result;
  const result = run();
  const mine = { handler, ...positionOf(position), result };
  channel.snapshotRun = mine;
  const forget = (): void => {
    if (channel.snapshotRun === mine) channel.snapshotRun = undefined;
  };
  result.then(forget, forget);
  return result;
}

/** A position that the handler states must be one that the log can go on from. */
async function acceptStated(
  context: EngineContext,
  { channel }: Subscription,
  position: Position,
): Promise<Position> {
  const { broker } = context;
  const log = await broker.read({
    channel: channel.name,
    epoch: position.epoch,
    from: position.seq + 1,
    limit: 1,
  });
  if (log.continuous && (log.oldest <= position.seq + 1 || position.seq === log.tip.seq)) {
    return { epoch: log.tip.epoch, seq: position.seq };
  }
  context.logger.error(
    `The snapshot of ${channel.definition.source} states the position ${position.epoch}/${position.seq}, ` +
      `which the log of the channel cannot go on from (its tip is ${log.tip.epoch}/${log.tip.seq}, its oldest event ${log.oldest}). ` +
      'State the position that the state was stored with, or none.',
  );
  throw new RealtimeError('unavailable', 'The state of the channel is not ready');
}
