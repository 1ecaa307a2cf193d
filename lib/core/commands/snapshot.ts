import type { Position } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { toWireValue } from '../../protocol/wire-value.js';
import type { SnapshotHandler, SnapshotState } from '../ports/channel-definition.js';
import { notSerializable } from '../log/event-content.js';
import { planRecovery, positionOf, type RecoveryPlan } from '../hub/recovery.js';
import type { ServedChannel, Subscription } from '../hub/subscription.js';
import type { EnginePorts } from '../ports/settings.js';
import { whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Erasures } from '../log/erasures.js';
import type { ApplicationCalls } from './application-calls.js';

/** How often a handler is asked for a state while events of its channel are being erased. */
const MAX_ATTEMPTS = 3;

/** A plan, with the state for a subscriber that starts without events. */
export interface PlanWithSnapshot {
  readonly plan: RecoveryPlan;
  readonly snapshot?: unknown;
  /** {@link Erasures.mark} when the handler was called for it. */
  readonly madeAt?: number;
}

/**
 * Plans how a subscriber continues, and runs the channel's snapshot handler where it has no position to continue from (P26).
 * The tip is read before the handler runs, so events that the state lacks follow it; the state may contain some of them.
 */
export class SubscribePlanner {
  constructor(
    private readonly ports: Pick<EnginePorts, 'log'>,
    private readonly calls: ApplicationCalls,
    private readonly journal: Pick<ThrottledLog, 'error'>,
    private readonly erasures: Pick<Erasures, 'mark' | 'hasSince'>,
  ) {}

  /** @param replay whether the subscriber may be sent what it missed. */
  plan(
    subscription: Subscription,
    since: Position | undefined,
    replay = true,
  ): MaybePromise<PlanWithSnapshot> {
    const { channel, wantsSnapshot } = subscription;
    const { policy, behaviour } = channel.definition;
    return whenReady(planRecovery(channel, since, this.ports.log, policy, replay), (plan) => {
      const { snapshot } = behaviour;
      if (snapshot === undefined || !wantsSnapshot || !needsState(plan)) return { plan };
      return this.withSnapshot(subscription, snapshot, plan);
    });
  }

  /**
   * The state as it is now, for a subscriber that was given everything up to its cursor (P26e).
   *
   * @throws RealtimeError `unavailable` when the handler states a position before that.
   */
  async current(subscription: Subscription): Promise<Omit<PlanWithSnapshot, 'plan'>> {
    const { snapshot } = subscription.definition.behaviour;
    if (snapshot === undefined) return {};
    const position = positionOf(subscription.channel.tip);
    const { plan, ...state } = await this.withSnapshot(subscription, snapshot, {
      recovery: 'new',
      position,
      cursor: position.seq,
    });
    const { epoch, cursor } = subscription;
    const isStated = plan.position !== position;
    if (isStated && (plan.position.epoch !== epoch || plan.position.seq < cursor)) throw notReady();
    return state;
  }

  /**
   * To be called right before a state is queued for its client: an erasure that came since its handler was called is not in it (G29).
   *
   * @throws RealtimeError `unavailable`.
   */
  requireUnerased(channel: string, { madeAt }: Omit<PlanWithSnapshot, 'plan'>): void {
    if (madeAt !== undefined && this.erasures.hasSince(channel, madeAt)) throw erasedSince();
  }

  /** Asks the handler, and once more where events were erased before its answer: it may have read them before. */
  private async withSnapshot(
    subscription: Subscription,
    snapshot: SnapshotHandler,
    plan: RecoveryPlan,
  ): Promise<PlanWithSnapshot> {
    for (let attempt = 1; ; attempt++) {
      const madeAt = this.erasures.mark;
      const found = await this.askFor(subscription, snapshot, plan);
      if (!this.erasures.hasSince(subscription.channel.name, madeAt)) return { ...found, madeAt };
      if (attempt === MAX_ATTEMPTS) throw erasedSince();
    }
  }

  private async askFor(
    { channel, call }: Subscription,
    snapshot: SnapshotHandler,
    plan: RecoveryPlan,
  ): Promise<PlanWithSnapshot> {
    const what = (): string => `The snapshot of ${channel.definition.pattern}`;
    // Fixed before anybody is given it: those who share a run are answered one after another (P29).
    const run = async (): Promise<SnapshotState> => {
      const { state, ...position } = await this.calls.limit(snapshot.run(call), call, what);
      try {
        return { state: toWireValue(state, 'snapshot'), ...position };
      } catch (error) {
        throw notSerializable(`the snapshot handler of ${channel.definition.source}`, error);
      }
    };
    const { state, position } = await (snapshot.shareable
      ? channel.sharedSnapshot(snapshot, plan.position, run)
      : run());
    if (position === undefined) return { plan, snapshot: state };
    const stated = await this.checkStated(channel, position);
    return { plan: behind(stated, plan), snapshot: state };
  }

  /** @throws RealtimeError `unavailable` when the log cannot continue from the position that the handler stated. */
  private async checkStated(channel: ServedChannel, position: Position): Promise<Position> {
    const read = await this.ports.log.read({
      channel: channel.name,
      epoch: position.epoch,
      from: position.seq + 1,
      limit: 1,
    });
    if (read.continuous && (read.oldest <= position.seq + 1 || position.seq === read.tip.seq)) {
      return { epoch: read.tip.epoch, seq: position.seq };
    }
    const { source } = channel.definition;
    this.journal.error(
      `snapshot ${source}`,
      () =>
        `The snapshot of ${source} states the position ${position.epoch}/${position.seq}, ` +
        `from which the log of the channel cannot continue (its tip is ${read.tip.epoch}/${read.tip.seq}, its oldest event ${read.oldest}). ` +
        'Return the position that the state was stored with, or none. The log of the memory broker ends with its process',
    );
    throw notReady();
  }
}

/** Whether a subscriber cannot have all that it missed, from the log or from its history. */
function needsState({ recovery, cause }: RecoveryPlan): boolean {
  return recovery === 'new' || recovery === 'lost' || cause === 'trimmed';
}

/** The plan without the events that the state has. @param stated where the handler says that the state was stored. */
function behind(stated: Position, plan: RecoveryPlan): RecoveryPlan {
  if (plan.recovery !== 'truncated') return { ...plan, position: stated, cursor: stated.seq };
  const { position, cursor } = plan;
  // The log changed while the handler ran, and a reset is about to say so: until then the two cannot be compared.
  if (stated.epoch !== position.epoch) return plan;
  // The state may have events that were appended since.
  const to = Math.max(position.seq, stated.seq);
  const from = Math.max(cursor, stated.seq) + 1;
  return { ...plan, position: { ...position, seq: to }, from, to, cursor: from - 1 };
}

function erasedSince(): RealtimeError {
  return new RealtimeError(
    'unavailable',
    'Events were erased while the state of the channel was made; ask again',
  );
}

function notReady(): RealtimeError {
  return new RealtimeError('unavailable', 'The state of the channel is not ready');
}
