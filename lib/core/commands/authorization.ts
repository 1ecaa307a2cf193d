import type { ErrorCode } from '../../protocol/error-codes.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { AccessGuard } from '../access/access-guard.js';
import type { ChannelNames } from '../access/channel-names.js';
import type { ChannelMatch, ChannelRegistry } from '../channel/registry.js';
import type { Subscription } from '../hub/subscription.js';
import { AnswerFlow } from '../outbox/answer-flow.js';
import type {
  AuthorizationResult,
  AuthorizeHandler,
  ChannelAction,
  HandlerCall,
} from '../ports/channel-definition.js';
import { attempt, isPromise, whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { Outcome } from '../ports/observer.js';
import type { EnginePorts } from '../ports/settings.js';
import type { Session } from '../session/session.js';
import type { ApplicationCalls } from './application-calls.js';

/** A positive authorization: without end, or for `forMs` milliseconds. */
export type Grant = { readonly forMs?: number };

export const WITHOUT_END: Grant = {};
const UNANSWERED = 'Whether the subscription is still allowed could not be found out. Try again later';

/**
 * @param lasts whether the permission ends with the subscription, or only when the server takes that away: the answer to a request
 * is its client's after an `unsubscribe` too. Default: with the subscription.
 * @throws RealtimeError when an authorization no longer holds: access was or may have been revoked, or the subscription ended (G11).
 */
export type StillAllowed = (lasts?: 'until taken') => void;

export interface AuthorizerDeps extends Pick<EnginePorts, 'clock' | 'observer' | 'settings'> {
  readonly channels: ChannelRegistry;
  readonly access: AccessGuard;
  readonly names: ChannelNames;
  readonly calls: ApplicationCalls;
}

/** Asks the application, and the records of revokes, whether a session may do something (G10, G11). */
export class Authorizer {
  constructor(private readonly deps: AuthorizerDeps) {}

  /**
   * Asks the application. Synchronous when the application is.
   *
   * @throws RealtimeError `forbidden`, or what the authorizer threw.
   */
  authorize(match: ChannelMatch, action: ChannelAction, call: HandlerCall): MaybePromise<Grant> {
    const { definition } = match;
    const rule = definition.behaviour.authorize[action];
    if (rule === undefined) throw new RealtimeError('forbidden');
    const decided = this.decide(rule, call, definition.pattern, action);
    if (match.onGranted === undefined) return decided;
    if (isPromise(decided))
      return decided.then((grant) => {
        match.onGranted?.();
        return grant;
      });
    match.onGranted();
    return decided;
  }

  /**
   * Whether a subscriber may also have what the action opens beside new events: what was missed (`history`), the members
   * (`presence`). Without an authorization of its own it comes with the subscription (G10).
   *
   * @returns `undefined` for a no.
   * @throws RealtimeError for an authorization that failed, which is neither a yes nor a no.
   */
  permit(match: ChannelMatch, action: ChannelAction, call: HandlerCall): MaybePromise<Grant | undefined> {
    if (match.definition.behaviour.authorize[action] === undefined) return WITHOUT_END;
    return attempt(
      (): MaybePromise<Grant | undefined> => this.authorize(match, action, call),
      (grant) => grant,
      (error) => {
        if (isRefusal(error)) return undefined;
        throw error;
      },
    );
  }

  /** The same by a rule that is known already. @param pattern of the channel; `''` for a request without one. */
  decide(
    rule: AuthorizeHandler | 'public',
    call: HandlerCall,
    pattern: string,
    action: ChannelAction,
  ): MaybePromise<Grant> {
    if (rule === 'public') return WITHOUT_END;
    const { observer, clock } = this.deps;
    if (observer.onAuthorization === undefined) return this.ask(rule, call, pattern, action);
    const startedAt = clock.monotonic();
    const notify = (outcome: Outcome): void =>
      observer.onAuthorization?.(call, pattern, action, outcome, clock.monotonic() - startedAt);
    return attempt(
      () => this.ask(rule, call, pattern, action),
      (grant) => {
        notify('ok');
        return grant;
      },
      (error) => {
        notify(codeOf(error));
        throw error;
      },
    );
  }

  private ask(
    rule: AuthorizeHandler,
    call: HandlerCall,
    pattern: string,
    action: ChannelAction,
  ): MaybePromise<Grant> {
    const what = (): string => `The authorization of ${action}${ofChannel(pattern)}`;
    return whenReady(
      this.deps.calls.guard(rule, call, what, 'unavailable', () => rule(call)),
      toGrant,
    );
  }

  /**
   * For commands that need the connection's own live subscription, unless the channel declares an authorization for
   * them (G10). Waits for a subscribe that is under way: clients send both in one frame.
   *
   * @returns The check to repeat after a wait, before the answer is sent.
   */
  authorizeSubscriber(
    session: Session,
    match: ChannelMatch,
    action: ChannelAction,
    call: HandlerCall,
  ): MaybePromise<StillAllowed> {
    const allowed = this.checkOf(session, match);
    return match.definition.behaviour.authorize[action] === undefined
      ? whenReady(this.subscription(session, match.channel), allowed)
      : whenReady(this.authorize(match, action, call), () => allowed());
  }

  /**
   * For commands about the connection's own live subscription, which no authorization replaces.
   *
   * @throws RealtimeError `not_subscribed`, and `unavailable` while nothing of it is delivered (G11).
   */
  subscriptionOf(session: Session, match: ChannelMatch): MaybePromise<Subscription> {
    const allowed = this.checkOf(session, match);
    return whenReady(this.subscription(session, match.channel), (subscription) => {
      allowed(subscription);
      return subscription;
    });
  }

  /** @throws RealtimeError `not_subscribed`, or `banned` where that is why. */
  private subscription(session: Session, channel: string): MaybePromise<Subscription> {
    return whenReady(session.channels.pendingOf(channel)?.settled, () => {
      const subscription = session.channels.get(channel);
      if (subscription !== undefined) return subscription;
      this.deps.access.requireAdmitted(session, channel);
      throw new RealtimeError('not_subscribed');
    });
  }

  /** What an answer about a channel is queued as where it is not dropped with a subscription. */
  answerFlow({ channel, definition }: ChannelMatch): AnswerFlow {
    return new AnswerFlow(channel, definition, this.deps.access);
  }

  /** @returns what is called once access was granted: it checks that at once, and makes the check to repeat. */
  private checkOf(session: Session, match: ChannelMatch): (subscription?: Subscription) => StillAllowed {
    const { access } = this.deps;
    const { revision } = access;
    return (subscription) => {
      const check: StillAllowed = (lasts) => {
        access.requireFresh(match.definition);
        access.requireUnrevoked(session, match.channel, revision);
        const isOver = lasts === undefined ? subscription?.ended : subscription?.wasTaken;
        if (isOver === true) throw new RealtimeError('not_subscribed');
        if (subscription?.isWithheld === true) throw new RealtimeError('unavailable', UNANSWERED);
      };
      check();
      return check;
    };
  }

  /**
   * The definition of a command's channel. A live subscription knows it already: its name is not looked up for every message.
   *
   * @throws RealtimeError `unknown_channel` (G9), `banned` where the client is banned in it: then nothing is asked of the application;
   * `rate_limited` when the client names too many different channels.
   */
  resolve(session: Session, channel: string): ChannelMatch {
    const { access } = this.deps;
    const subscription = session.channels.get(channel);
    if (subscription === undefined) {
      const { definition, params } = this.deps.channels.resolve(channel);
      access.requireAdmitted(session, channel);
      this.countName(session, channel, false);
      return { channel, definition, params, onGranted: () => this.countName(session, channel, true) };
    }
    access.requireAdmitted(session, channel);
    return { channel, definition: subscription.channel.definition, params: subscription.call.params };
  }

  /**
   * Anonymous clients of one address do not know each other: what the others named leaves each connection a few names of its own.
   *
   * @throws RealtimeError `rate_limited`.
   */
  private countName(session: Session, channel: string, isUsed: boolean): void {
    const { names, clock } = this.deps;
    const now = clock.monotonic();
    const refusal = isUsed
      ? names.use(session.client, channel, now)
      : names.refusal(session.client, channel, now);
    if (refusal === undefined) return;
    if (session.userId !== undefined || !session.channels.takeOwnName(channel, isUsed)) throw refusal;
  }
}

/** @throws RealtimeError `forbidden` for everything but `true` and a positive `forMs`. */
function toGrant(result: AuthorizationResult): Grant {
  if (result === true) return WITHOUT_END;
  if (typeof result === 'object' && result !== null && result.forMs > 0) return result;
  throw new RealtimeError('forbidden');
}

/** Whether an authorization said no. One that failed, or that asks to be called again, said nothing. */
export function isRefusal(error: unknown): boolean {
  return error instanceof RealtimeError && !error.retryable && error.code !== 'internal';
}

/** The grant that ends first. */
export function shorter(one: Grant, other: Grant): Grant {
  return (one.forMs ?? Infinity) <= (other.forMs ?? Infinity) ? one : other;
}

/** Names a channel by its pattern in a message of the log: names of channels are the clients'. */
export function ofChannel(pattern: string): string {
  return pattern === '' ? ' without a channel' : ` of ${pattern}`;
}

/** The code under which a client gets an error. */
export function codeOf(error: unknown): ErrorCode {
  return error instanceof RealtimeError ? error.code : 'internal';
}
