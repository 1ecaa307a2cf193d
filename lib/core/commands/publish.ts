import { hash } from 'node:crypto';
import type { PublishCommand } from '../../protocol/commands.js';
import type { PublishResult } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { AccessGuard } from '../access/access-guard.js';
import type { DrainSwitch } from '../access/drain-switch.js';
import { withTimeout } from '../async/with-timeout.js';
import type { ChannelMatch } from '../channel/registry.js';
import type { AppendQueue } from '../log/append-queue.js';
import type { RecentPublishes } from '../log/recent-publishes.js';
import type { Broker } from '../ports/broker.js';
import type { EventDraft } from '../ports/channel-event.js';
import type { Clock } from '../ports/clock.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import type { Session } from '../session/session.js';
import type { Authorizer } from './authorization.js';
import { notSerializable } from './not-serializable.js';

export interface PublishDeps {
  readonly authorizer: Authorizer;
  readonly access: AccessGuard;
  readonly appends: AppendQueue;
  readonly recentPublishes: RecentPublishes;
  readonly broker: Pick<Broker, 'read'>;
  readonly drain: DrainSwitch;
  readonly clock: Clock;
  readonly settings: { readonly handlerTimeoutMs: number };
}

/** One publish of a client on its way into the log. */
interface Attempt {
  readonly session: Session;
  readonly command: PublishCommand;
  readonly match: ChannelMatch;
  readonly fingerprint: string;
}

/**
 * Puts an event of a client into the log (protocol §5): authorized, handled, appended, then acknowledged. Publishes of a
 * connection to one channel keep their order (P16); the answer of one does not wait for the next.
 */
export class Publish {
  constructor(private readonly deps: PublishDeps) {}

  run(session: Session, command: PublishCommand): MaybePromise<void> {
    const { authorizer, recentPublishes, clock } = this.deps;
    const match = authorizer.matchOf(session, command.channel);
    const { behaviour } = match.definition;
    // Undeclared means refused (G9, G10); the two cases look alike on purpose.
    if (behaviour.authorize.publish === undefined || !behaviour.publish.has(command.event)) {
      throw new RealtimeError('forbidden', 'Clients may not publish this event here');
    }
    const fingerprint = fingerprintOf(command.event, command.payload);
    const attempt = { session, command, match, fingerprint };
    const known = recentPublishes.find(command.channel, session.producer, command.id, clock.now());
    if (known !== undefined) {
      if (known.fingerprint !== fingerprint) throw new RealtimeError('conflict');
      return this.answerRetry(attempt, known.position);
    }
    return this.append(attempt);
  }

  /**
   * Answers a retry without running the application's handler again, once the log has proved that it still holds the first
   * (G6): a log that lost its end must be given the event anew.
   */
  private async answerRetry(attempt: Attempt, { epoch, seq }: Position): Promise<void> {
    const { session, command, match } = attempt;
    const { authorizer, broker } = this.deps;
    const call = session.call(match, command.id, command.event, command.payload);
    await authorizer.authorize(match, 'publish', call);
    const log = await broker.read({ channel: match.channel, epoch, from: seq + 1, limit: 1 });
    if (!log.continuous) return this.append(attempt);
    if (!session.isClosed) session.reply(command.id, { seq, epoch, duplicate: true } satisfies PublishResult);
  }

  private append(attempt: Attempt): MaybePromise<void> {
    const { session, command } = attempt;
    return session.lanes.run(command.channel, () => {
      let step: MaybePromise<EventDraft>;
      try {
        step = this.prepare(attempt);
      } catch (error) {
        return session.fail(command.id, error);
      }
      if (!isPromise(step)) return this.submit(attempt, step);
      return step.then(
        (event) => this.submit(attempt, event),
        (error: unknown) => session.fail(command.id, error),
      );
    });
  }

  /** Authorizes and runs the application's handler; what it returns is what is appended. */
  private prepare({ session, command, match }: Attempt): MaybePromise<EventDraft> {
    const { authorizer, access, drain, clock, settings } = this.deps;
    // It may have waited in its lane until a drain began; the handler of another node takes it.
    if (session.isClosed || drain.isDraining) throw new RealtimeError('unavailable');
    const { revision } = access;
    const call = session.call(match, command.id, command.event, command.payload);
    const handle = (): MaybePromise<EventDraft> => {
      const handler = match.definition.behaviour.publish.get(command.event);
      if (handler === undefined) return draft(session, command, command.payload);
      const result = withTimeout(handler(call), settings.handlerTimeoutMs, clock);
      return isPromise(result)
        ? result.then((payload) => draft(session, command, payload ?? command.payload))
        : draft(session, command, result ?? command.payload);
    };
    const checked = (event: EventDraft): EventDraft => {
      access.requireUnrevoked(session.user?.id, match.channel, revision);
      return event;
    };
    const grant = authorizer.authorize(match, 'publish', call);
    const event = isPromise(grant) ? grant.then(handle) : handle();
    return isPromise(event) ? event.then(checked) : checked(event);
  }

  /** Hands the event to the broker. Returns as soon as its place in the order is taken. */
  private submit({ session, command, match, fingerprint }: Attempt, event: EventDraft): void {
    const { producer } = session;
    const { log } = match.definition.policy;
    const appended = this.deps.appends
      .append(
        {
          channel: match.channel,
          producer,
          fingerprint,
          // A log that remembers no ids cannot tell whether the one before is there.
          after: log.dedupeMs > 0 ? command.after : undefined,
          event,
          policy: log,
        },
        match.definition.pattern,
      )
      .then((result) => {
        this.remember(match.channel, producer, event.id, fingerprint, result, log.dedupeMs);
        if (!session.isClosed) session.reply(command.id, result);
      });
    session.track(appended, command.id);
  }

  private remember(
    channel: string,
    producer: string,
    id: string,
    fingerprint: string,
    { seq, epoch }: PublishResult,
    dedupeMs: number,
  ): void {
    if (dedupeMs <= 0) return;
    const until = this.deps.clock.now() + dedupeMs;
    this.deps.recentPublishes.remember(channel, producer, id, {
      fingerprint,
      position: { seq, epoch },
      until,
    });
  }
}

function draft(session: Session, command: PublishCommand, payload: unknown): EventDraft {
  // What the handler made of it must be serializable too: found out here, not when it is on its way to everybody.
  if (payload !== command.payload) {
    try {
      JSON.stringify(payload);
    } catch (error) {
      throw notSerializable(`the publish handler of "${command.event}"`, error);
    }
  }
  return {
    id: command.id,
    event: command.event,
    payload,
    user: session.user?.id,
    key: command.key,
    ttl: command.ttl,
    trace: command.trace,
    meta: command.meta,
  };
}

/**
 * Digest of what was published, as it was sent: tells a retry from another event under the same id (P15).
 *
 * @throws RealtimeError `bad_request` for a payload that cannot be written down.
 */
export function fingerprintOf(event: string, payload: unknown): string {
  return hash('sha1', `${event.length} ${event} ${serialize(payload)}`, 'base64');
}

/**
 * The empty fingerprint of an event whose id was made here, so that nobody can send it again.
 *
 * @throws RealtimeError `bad_request` for what cannot be written down.
 */
export function assertSerializable(payload: unknown, meta: unknown): '' {
  // A text or a number always can be, and is what most small events are.
  if (typeof payload !== 'string' && typeof payload !== 'number') serialize(payload);
  if (meta !== undefined) serialize(meta);
  return '';
}

function serialize(value: unknown): string {
  try {
    return JSON.stringify(value) ?? '';
  } catch (error) {
    throw new RealtimeError(
      'bad_request',
      'The payload cannot be written down: it holds a BigInt, or contains itself',
      { cause: error },
    );
  }
}
