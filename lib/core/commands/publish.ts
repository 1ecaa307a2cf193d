import type { PublishCommand } from '../../protocol/commands.js';
import type { PublishResult } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { AccessGuard } from '../access/access-guard.js';
import type { SlowPlace } from '../access/slow-mode.js';
import type { DrainSwitch } from '../access/drain-switch.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { ChannelMatch } from '../channel/registry.js';
import type { AppendQueue } from '../log/append-queue.js';
import {
  contentOf,
  fingerprintOf,
  jsonOf,
  metaOf,
  notSerializable,
  sizeOf,
  type EventContent,
} from '../log/event-content.js';
import type { RecentPublish, RecentPublishes } from '../log/recent-publishes.js';
import type { AppendRequest } from '../ports/broker.js';
import type { EventDraft } from '../ports/channel-event.js';
import type { EnginePorts } from '../ports/settings.js';
import { attempt as attemptTo, isPromise, whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import { TRACEPARENT } from '../ports/tracer.js';
import type { Session } from '../session/session.js';
import type { Authorizer } from './authorization.js';
import { handlerCall } from './handler-call.js';
import type { ApplicationCalls } from './application-calls.js';
import { PublishRuns, type JoinedRun } from './publish-runs.js';
import type { SlowGate } from './slow-gate.js';
import type { SpamGuard } from './spam-guard.js';

export interface PublishDeps extends Pick<EnginePorts, 'log' | 'clock' | 'settings' | 'tracer'> {
  readonly authorizer: Authorizer;
  readonly access: AccessGuard;
  readonly slow: Pick<SlowGate, 'enter'>;
  readonly spam: Pick<SpamGuard, 'judge'> | undefined;
  readonly appends: AppendQueue;
  readonly recentPublishes: RecentPublishes;
  readonly drain: DrainSwitch;
  readonly calls: ApplicationCalls;
  readonly journal: Pick<ThrottledLog, 'debug'>;
}

/** One publish of a client on its way into the log. */
interface Attempt {
  readonly session: Session;
  readonly command: PublishCommand;
  readonly match: ChannelMatch;
  /** The payload as the client sent it; only where no handler makes another one of it. */
  readonly sent: EventContent | undefined;
  readonly fingerprint: string;
  /** Monotonic time at which it came. */
  readonly receivedAt: number;
  /** The run of the handler, until the event is in the log or refused. */
  run?: JoinedRun;
  /** What slow mode has for it, until then. */
  place?: SlowPlace | undefined;
  /** The same publish, which was appended while this one was authorized. */
  appended?: RecentPublish | undefined;
  /** Whether the log has lost the first publish, which this node still remembers. */
  isLost?: boolean;
}

/** How long a publish waits for those before it. */
interface Patience {
  /** It waits no longer: its own handler has a time of its own. @returns `false` where it has been answered with `timeout`. */
  end(): boolean;
}

/** An event that may be appended. */
type Prepared = Pick<AppendRequest, 'event' | 'bytes'>;

/**
 * Puts an event of a client into the log (protocol §5): authorized, handled, appended, then acknowledged. Publishes of a
 * connection to one channel keep their order (P16); the answer of one does not wait for the next.
 */
export class Publish {
  private readonly runs: PublishRuns;

  constructor(private readonly deps: PublishDeps) {
    this.runs = new PublishRuns(deps.clock, deps.settings.handlerTimeoutMs);
  }

  run(session: Session, command: PublishCommand): MaybePromise<void> {
    const { authorizer, recentPublishes } = this.deps;
    const { receivedAt } = session.flow;
    const match = authorizer.resolve(session, command.channel);
    const { behaviour } = match.definition;
    // What is not declared is refused (G10). Both cases get the same answer, so that a client cannot tell them apart.
    if (behaviour.authorize.publish === undefined || !behaviour.publish.has(command.event))
      throw this.undeclared(session, match, command.event);
    const isHandled = behaviour.publish.get(command.event) !== undefined;
    const sent = isHandled ? undefined : contentOf(command.payload);
    const fingerprint = fingerprintOf(command.event, sent?.json ?? jsonOf(command.payload));
    const attempt: Attempt = { session, command, match, sent, fingerprint, receivedAt };
    const known = recentPublishes.find(session.producer, command.channel, command.id, receivedAt);
    return known === undefined ? this.append(attempt) : this.answerRetry(attempt, known);
  }

  private undeclared({ view }: Session, { definition }: ChannelMatch, event: string): RealtimeError {
    const { pattern, source, behaviour } = definition;
    const hint = (): string => {
      const events = [...behaviour.publish.keys()].map((name) => JSON.stringify(name)).join(', ');
      return (
        `A client published to ${pattern} an event for which ${source} has no @OnPublish, and was answered with forbidden. ` +
        `Clients may publish: ${events === '' ? 'nothing' : events}`
      );
    };
    this.deps.journal.debug(`undeclared ${pattern}`, hint, view.about);
    return new RealtimeError('forbidden', `Clients may not publish ${JSON.stringify(event)} on ${pattern}`);
  }

  /**
   * Answers a retry without running the application's handler again, after a read has proved that the log still holds the
   * first publish (G6). A log that lost its end gets the event again.
   */
  private async answerRetry(attempt: Attempt, { fingerprint, epoch, seq }: RecentPublish): Promise<void> {
    const { session, command, match } = attempt;
    const { authorizer, access, log } = this.deps;
    const { revision } = access;
    const call = handlerCall(session, match, command);
    await authorizer.authorize(match, 'publish', call);
    access.requireUnrevoked(session, match.channel, revision);
    // Only now: who may not publish is told no more than that.
    if (fingerprint !== attempt.fingerprint) throw new RealtimeError('conflict');
    this.deps.recentPublishes.noteRetry();
    const read = await log.read({ channel: match.channel, epoch, from: seq + 1, limit: 1 });
    if (!read.continuous) {
      attempt.isLost = true;
      return this.append(attempt);
    }
    // Also where the first one was appended before the revoke: the refusal says nothing of that one.
    access.requireUnrevoked(session, match.channel, revision);
    if (!session.isClosed) session.reply(command.id, { seq, epoch, duplicate: true } satisfies PublishResult);
  }

  private append(attempt: Attempt): MaybePromise<void> {
    const { session, command } = attempt;
    const { lanes } = session;
    const previous = lanes.last(command.channel);
    const patience = previous === undefined ? undefined : this.limitWait(attempt, previous);
    return lanes.run(command.channel, command.id, () => {
      if (patience?.end() === false) return;
      // The one before it may have been the same.
      const known = previous === undefined || attempt.isLost === true ? undefined : this.known(attempt);
      if (known !== undefined) return session.flow.track(this.answerRetry(attempt, known), command.id);
      return attemptTo(
        () => this.prepare(attempt),
        (prepared) => {
          if (prepared !== undefined) return this.submit(attempt, prepared);
          // Appended while it was authorized or judged.
          attempt.place?.end(true);
          const { appended } = attempt;
          if (appended !== undefined) session.flow.track(this.answerRetry(attempt, appended), command.id);
        },
        (error) => {
          attempt.run?.release();
          attempt.place?.end(false);
          session.fail(command.id, error);
        },
      );
    });
  }

  private known({ session, command }: Attempt): RecentPublish | undefined {
    const { recentPublishes, clock } = this.deps;
    return recentPublishes.find(session.producer, command.channel, command.id, clock.monotonic());
  }

  /**
   * A publish that waits for those before it has its answer after `handlerTimeout` like any other, counted from when it came.
   * After that it is not appended: the client may have sent it again.
   */
  private limitWait({ session, command, receivedAt }: Attempt, previous: string): Patience {
    const { clock, settings } = this.deps;
    let isOver = false;
    const leftMs = receivedAt + settings.handlerTimeoutMs - clock.monotonic();
    const timer = clock.schedule(Math.max(0, leftMs), () => {
      isOver = true;
      const message = `It waited too long for the publish before it, "${previous}", which has not been decided`;
      session.fail(command.id, new RealtimeError('timeout', message));
    });
    return {
      end() {
        timer.cancel();
        return !isOver;
      },
    };
  }

  /** Authorizes and runs the application's handler; what it returns is what is appended. @returns `undefined` for what was appended meanwhile. */
  private prepare(attempt: Attempt): MaybePromise<Prepared | undefined> {
    const { session, command, match, sent, fingerprint } = attempt;
    const { authorizer, access, drain, calls, slow, spam } = this.deps;
    // It may have waited in its lane until a drain began: the client sends it to another node.
    if (session.isClosed || drain.isDraining) throw new RealtimeError('unavailable');
    // Before the application is asked anything. What is in the log already is answered as such: its retry does not come here.
    access.requireVoice(session, match.channel);
    const { revision } = access;
    const call = handlerCall(session, match, command);
    /** Whether it is still to be appended. @param hasWaited whether anything may have changed since it came. */
    const admit = (hasWaited: boolean): boolean => {
      // The handler may write to a database: it does not run for who lost access while that was asked.
      access.requireUnrevoked(session, match.channel, revision);
      if (hasWaited && attempt.isLost !== true) attempt.appended = this.known(attempt);
      if (attempt.appended !== undefined) return false;
      access.requireVoice(session, match.channel);
      return true;
    };
    const judge = (): MaybePromise<Prepared | undefined> => {
      if (!admit(isPromise(granted))) return undefined;
      attempt.place = slow.enter(session, match.channel, command.id, match.definition.policy.log.dedupeMs);
      // What a log has lost was judged when it came first.
      if (spam === undefined || attempt.isLost === true) return handle();
      const judged = spam.judge({ session, match, call, fingerprint });
      return isPromise(judged) ? judged.then(() => (admit(true) ? handle() : undefined)) : handle();
    };
    const handle = (): MaybePromise<Prepared | undefined> => {
      const handler = match.definition.behaviour.publish.get(command.event);
      if (handler === undefined) return this.draft(attempt, sent ?? contentOf(command.payload));
      const what = (): string =>
        `The handler of the publish "${command.event}" of ${match.definition.pattern}`;
      const { channel, id } = command;
      const { producer } = session;
      // Where the handler returns nothing, the payload that it was given, and may have changed.
      const start = (): MaybePromise<unknown> =>
        whenReady(handler(call), (returned) => returned ?? call.payload);
      // A log that remembers no ids takes each as a publish of its own.
      const { dedupeMs } = match.definition.policy.log;
      const begin = (): MaybePromise<unknown> => {
        if (dedupeMs <= 0) return start();
        attempt.run = this.runs.join({ channel, producer, id, fingerprint }, dedupeMs, start);
        return attempt.run.result;
      };
      return whenReady(calls.guard(handler, call, what, 'rate_limited', begin), (payload) =>
        this.draft(attempt, handledContent(command.event, payload)),
      );
    };
    const checked = (prepared: Prepared | undefined): Prepared | undefined => {
      access.requireUnrevoked(session, match.channel, revision);
      if (prepared !== undefined) access.requireVoice(session, match.channel);
      return prepared;
    };
    const granted = authorizer.authorize(match, 'publish', call);
    return whenReady(whenReady(granted, judge), checked);
  }

  /** Hands the event to the broker. Returns as soon as its place in the order is taken. */
  private submit(attempt: Attempt, { event, bytes }: Prepared): void {
    const { session, command, match, fingerprint } = attempt;
    const { appends, recentPublishes, clock } = this.deps;
    const { producer } = session;
    const { channel, definition } = match;
    const { log: policy } = definition.policy;
    // A log that remembers no ids cannot tell whether the previous event is there.
    const after = policy.dedupeMs > 0 ? command.after : undefined;
    const appended = appends
      .append({ channel, producer, fingerprint, after, event, bytes, policy }, definition.pattern)
      .then(
        ({ seq, epoch, duplicate }) => {
          attempt.run?.release();
          attempt.place?.end(true);
          if (policy.dedupeMs > 0) {
            const until = Math.floor(clock.monotonic() + policy.dedupeMs);
            recentPublishes.remember(producer, command.id, { channel, fingerprint, epoch, seq, until });
          }
          if (!session.isClosed) session.reply(command.id, { seq, epoch, duplicate });
        },
        (error: unknown) => {
          attempt.run?.release();
          attempt.place?.end(false);
          throw error;
        },
      );
    session.flow.track(appended, command.id);
  }

  /** The event as it is appended: nothing of it changes any more. */
  private draft({ session, command }: Attempt, { value, json }: EventContent): Prepared {
    const { id, event, key, ttl } = command;
    const { tracer, settings } = this.deps;
    const trace = tracer === undefined ? unsampled(command.trace) : tracer.traceOf(command.trace);
    const meta = metaOf(command.meta);
    const draft: EventDraft = {
      id,
      event,
      payload: value,
      user: session.userId,
      key,
      ttl,
      trace,
      meta: meta.value as EventDraft['meta'],
    };
    return { event: draft, bytes: sizeOf(draft, json, meta.json, settings.limits.maxEventBytes) };
  }
}

/** What a client sent, handed on by a node that does not trace: no other node shall record what this one did not. */
function unsampled(trace: string | undefined): string | undefined {
  return trace?.replace(TRACEPARENT, '00-$1-$2-00');
}

/** The payload that a handler made. */
function handledContent(event: string, payload: unknown): EventContent {
  try {
    return contentOf(payload);
  } catch (error) {
    throw notSerializable(`the publish handler of "${event}"`, error);
  }
}
