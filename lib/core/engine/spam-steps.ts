import { RealtimeError } from '../../protocol/realtime-error.js';
import { RateLimit } from '../access/rate-limit.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import { SpamGuard, type SpamGuardDeps } from '../commands/spam-guard.js';
import type { BrokerBus } from '../ports/broker.js';
import type { Clock } from '../ports/clock.js';
import type { RestrictRecord, BanRecord } from '../ports/control.js';
import { isPromise } from '../ports/maybe-promise.js';
import { BY_SPAM, type RestrictedSubject } from '../ports/moderation.js';
import type { Observer } from '../ports/observer.js';
import type { SpamPolicy, SpamStep } from '../ports/spam.js';
import type { Session } from '../session/session.js';
import type { ControlApplier } from './control-applier.js';

/** Records that a node sends at once, and until it may send one more, in milliseconds: clients must not fill their log. */
const MAX_RECORDS = 100;
const RECORD_EVERY_MS = 100;

export interface SpamStepsDeps {
  /** Asked for when a step is taken: it is made after the guard. */
  readonly applier: () => Pick<ControlApplier, 'apply'>;
  readonly bus: Pick<BrokerBus, 'control'>;
  readonly clock: Clock;
  readonly observer: Pick<Observer, 'onAct'>;
  readonly journal: Pick<ThrottledLog, 'warn'>;
}

/** Restricts clients that send spam: on this node at once, and on the others, where the broker reaches them (G31). */
export class SpamSteps {
  private readonly rate = new RateLimit(1_000 / RECORD_EVERY_MS, MAX_RECORDS);
  private fullAt = 0;

  constructor(private readonly deps: SpamStepsDeps) {}

  readonly restrict = (step: Exclude<SpamStep, { step: 'warn' }>, session: Session, reason: string): void => {
    const { applier, bus, clock, observer } = this.deps;
    const record = recordOf(step, session, reason);
    const startedAt = clock.monotonic();
    const applied = applier().apply(record);
    if (isPromise(applied)) applied.catch((error: unknown) => this.warn(error));
    const fullAt = this.rate.take(this.fullAt, 1, clock.monotonic());
    const sent =
      fullAt === undefined
        ? Promise.reject(
            new RealtimeError('rate_limited', 'Steps against spam are too many to tell other nodes of'),
          )
        : bus.control(record);
    if (fullAt !== undefined) this.fullAt = fullAt;
    sent.then(
      (receipt) => observer.onAct?.(record, receipt, undefined, clock.monotonic() - startedAt),
      (error: unknown) => {
        this.warn(error);
        observer.onAct?.(record, undefined, error, clock.monotonic() - startedAt);
      },
    );
  };

  private warn(error: unknown): void {
    this.deps.journal.warn(
      'spam_records',
      () => `Other nodes may not know of a step against spam: ${String(error)}`,
    );
  }
}

/** A ban of a user has the form that nodes of the last version know too. */
function recordOf(
  step: Exclude<SpamStep, { step: 'warn' }>,
  { userId, lineage }: Session,
  reason: string,
): RestrictRecord | BanRecord {
  const why = { reason, by: BY_SPAM };
  // Not the address: others may share it.
  const whom: RestrictedSubject =
    userId === undefined ? { of: 'session', id: lineage } : { of: 'user', id: userId };
  if (step.step === 'ban' && userId !== undefined)
    return { kind: 'ban', user: userId, forMs: step.forMs, ...why };
  const everyMs = step.step === 'slow' ? { everyMs: step.everyMs } : {};
  return { kind: 'restrict', act: step.step, whom, forMs: step.forMs, ...everyMs, ...why };
}

/** The guard of a policy, with its steps; `undefined` without one. */
export function spamGuardOf(
  policy: SpamPolicy | undefined,
  deps: SpamStepsDeps & Omit<SpamGuardDeps, 'policy' | 'restrict'>,
): SpamGuard | undefined {
  if (policy === undefined) return undefined;
  return new SpamGuard({ ...deps, policy, restrict: new SpamSteps(deps).restrict });
}
