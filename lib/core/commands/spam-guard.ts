import { RealtimeError } from '../../protocol/realtime-error.js';
import { JudgedPublishes } from '../access/spam/judged-publishes.js';
import { Strikes } from '../access/spam/strikes.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import { ChannelSet } from '../channel/channel-set.js';
import type { ChannelMatch } from '../channel/registry.js';
import type { HandlerCall } from '../ports/channel-definition.js';
import type { Clock } from '../ports/clock.js';
import type { ControlMessage } from '../ports/control.js';
import { attempt, type MaybePromise } from '../ports/maybe-promise.js';
import { BY_SPAM } from '../ports/moderation.js';
import type { Observer } from '../ports/observer.js';
import type { IsExempt } from '../ports/settings.js';
import type { SpamContext, SpamPolicy, SpamStep, SpamVerdict } from '../ports/spam.js';
import type { Session } from '../session/session.js';
import type { ApplicationCalls } from './application-calls.js';
import { isExempted } from './exemption.js';

/** What the reason of a step begins with: other nodes read the number of strikes from it. */
const REASON = 'strike ';

const VERDICTS: readonly SpamVerdict[] = ['allow', 'refuse', 'escalate'];

export interface SpamGuardDeps {
  readonly policy: SpamPolicy;
  readonly isExempt: IsExempt | undefined;
  readonly calls: Pick<ApplicationCalls, 'guard'>;
  /** Puts what a step says on a client, on every node. On this one it is in force when the call returns. */
  readonly restrict: (step: Exclude<SpamStep, { step: 'warn' }>, session: Session, reason: string) => void;
  readonly observer: Pick<Observer, 'onSpam'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly journal: Pick<ThrottledLog, 'warn' | 'error'>;
}

/** A publish that is judged. */
export interface JudgedPublish {
  readonly session: Session;
  readonly match: ChannelMatch;
  readonly call: HandlerCall;
  /** Of its event and payload. */
  readonly fingerprint: string;
}

/** Asks the detector about publishes of clients, and takes the steps against those that it finds (G31). */
export class SpamGuard {
  private readonly strikes: Strikes;
  private readonly judged = new JudgedPublishes();
  private readonly channels: readonly ChannelSet[] | undefined;

  constructor(private readonly deps: SpamGuardDeps) {
    const { decayMs, channels } = deps.policy;
    this.strikes = new Strikes(decayMs);
    this.channels = channels?.map((pattern) => ChannelSet.parse(pattern));
  }

  /**
   * Synchronous when the detector is.
   *
   * @throws RealtimeError `refused` with the reason `spam_warning` or `spam`, `muted`, or `banned`, for what is spam.
   */
  judge(publish: JudgedPublish): MaybePromise<void> {
    const { session, match, call, fingerprint } = publish;
    const { policy, calls, clock } = this.deps;
    if (this.channels?.some((set) => set.has(match.channel)) === false) return undefined;
    if (isExempted(this.deps, session, match.channel)) return undefined;
    const { dedupeMs } = match.definition.policy.log;
    // A log that remembers no ids takes each as a publish of its own.
    const name =
      dedupeMs > 0 ? { producer: session.producer, channel: match.channel, id: call.id } : undefined;
    const now = clock.monotonic();
    // Sent again, as its answer was lost or is late: nothing new is said.
    if (name !== undefined && this.judged.has(name, fingerprint, now)) return undefined;
    const context: SpamContext = {
      user: session.user,
      session: session.lineage,
      address: session.network,
      channel: match.channel,
      pattern: match.definition.pattern,
      event: call.event,
      payload: call.payload,
      ts: now,
    };
    const what = (): string => `The spam detector for ${match.definition.pattern}`;
    const { detector } = policy;
    return attempt(
      () => calls.guard(detector, call, what, 'unavailable', () => detector.judge(context)),
      (verdict) => {
        if (!VERDICTS.includes(verdict))
          return this.onFailure(new TypeError('judge() returned no verdict: allow, refuse or escalate'));
        this.act(publish, verdict);
        if (name !== undefined) this.judged.add(name, fingerprint, now + dedupeMs);
      },
      (error) => this.onFailure(error),
    );
  }

  /** A control record has come: what another node did against a user counts here too. */
  note(message: ControlMessage): void {
    if (message.kind !== 'restrict' && message.kind !== 'ban') return;
    if (message.by !== BY_SPAM || message.reason?.startsWith(REASON) !== true) return;
    const strikes = Number(message.reason.slice(REASON.length));
    const user =
      message.kind === 'ban' ? message.user : message.whom.of === 'user' ? message.whom.id : undefined;
    if (user !== undefined && Number.isSafeInteger(strikes))
      this.strikes.learn(user, strikes, this.deps.clock.monotonic());
  }

  private act(publish: JudgedPublish, verdict: SpamVerdict): void {
    if (verdict === 'allow') return;
    const { session, match } = publish;
    const { policy, clock, observer, restrict, journal } = this.deps;
    const now = clock.monotonic();
    const strikes = verdict === 'escalate' ? this.strikes.add(session.client, now) : undefined;
    const step = strikes === undefined ? undefined : policy.steps[Math.min(strikes, policy.steps.length) - 1];
    if (step !== undefined) {
      journal.warn(
        `spam ${step.step}`,
        () =>
          `A client was found to send spam to ${match.definition.pattern}: step ${step.step}, strike ${strikes}`,
        session.view.about,
      );
      if (step.step !== 'warn') restrict(step, session, `${REASON}${strikes}`);
    }
    observer.onSpam?.({
      user: session.userId,
      session: session.lineage,
      address: session.network,
      channel: match.channel,
      pattern: match.definition.pattern,
      step: step?.step,
      strikes: strikes ?? this.strikes.count(session.client, now),
    });
    throw refusalOf(step);
  }

  private onFailure(error: unknown): void {
    const { policy, journal } = this.deps;
    journal.error(
      'spam_detector',
      () => `The spam detector failed, and moderation.spam.onFailure is ${policy.onFailure}`,
      error,
    );
    if (policy.onFailure === 'allow') return;
    // Of an open circuit: when it is tried again.
    const retryAfterMs = error instanceof RealtimeError ? error.retryAfterMs : undefined;
    const message = 'Whether this may be published could not be found out. Try again later';
    throw new RealtimeError('unavailable', message, { retryAfterMs });
  }
}

function refusalOf(step: SpamStep | undefined): RealtimeError {
  switch (step?.step) {
    case undefined:
      return new RealtimeError('refused', {
        message: 'This was not published: it looks like spam',
        reason: 'spam',
      });
    case 'warn':
      return new RealtimeError('refused', {
        message: 'This was not published: it looks like spam. The next time has consequences',
        reason: 'spam_warning',
      });
    case 'slow':
      return new RealtimeError('muted', {
        message: 'This was not published: it looks like spam. You may publish more slowly for a time',
        // Without a time: what was refused took no place in slow mode, and the next one need not wait.
        reason: 'spam',
      });
    case 'mute':
    case 'ban':
      return new RealtimeError(step.step === 'mute' ? 'muted' : 'banned', {
        message: 'This was not published: it looks like spam',
        reason: 'spam',
        retryAfterMs: step.forMs,
      });
  }
}
