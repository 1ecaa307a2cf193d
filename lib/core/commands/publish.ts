import { hash } from 'node:crypto';
import type { PublishCommand } from '../../protocol/commands.js';
import type { PublishResult } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ChannelMatch } from '../channel/registry.js';
import type { EventDraft } from '../ports/channel-event.js';
import type { EngineContext } from '../engine/context.js';
import { bounded } from '../async/with-timeout.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import type { Session } from '../session/session.js';
import { authorize, matchOf, refuseIfRevoked } from './authorization.js';
import { unwritable } from './unwritable.js';

/**
 * Puts an event of a client into the log (protocol §5): authorized, handled, appended, then acknowledged. Publishes of a
 * connection to one channel keep their order (P16); the answer of one does not wait for the next.
 */
export function publish(session: Session, command: PublishCommand): MaybePromise<void> {
  const { context } = session;
  const match = matchOf(session, command.channel);
  const { behaviour } = match.definition;
  // Undeclared means refused (G9, G10); the two cases look alike on purpose.
  if (behaviour.authorize.publish === undefined || !behaviour.publish.has(command.event)) {
    throw new RealtimeError('forbidden', 'Clients may not publish this event here');
  }
  const fingerprint = fingerprintOf(command.event, command.payload);
  const known = context.recentIds.find(command.channel, session.producer, command.id, context.clock.now());
  if (known !== undefined) {
    if (known.fingerprint !== fingerprint) throw new RealtimeError('conflict');
    return answerRetry(session, command, match, fingerprint, known.position);
  }
  return append(session, command, match, fingerprint);
}

/**
 * Answers a retry without running the application's handler again, once the log has proved that it still holds the first
 * (G6): a log that lost its end must be given the event anew.
 */
async function answerRetry(
  session: Session,
  command: PublishCommand,
  match: ChannelMatch,
  fingerprint: string,
  position: Position,
): Promise<void> {
  const { broker } = session.context;
  await authorize(session, match, 'publish', session.call(match, command.id, command.event, command.payload));
  const { epoch, seq } = position;
  const log = await broker.read({ channel: match.channel, epoch, from: seq + 1, limit: 1 });
  if (!log.continuous) return append(session, command, match, fingerprint);
  if (!session.isClosed) session.reply(command.id, { seq, epoch, duplicate: true } satisfies PublishResult);
}

function append(
  session: Session,
  command: PublishCommand,
  match: ChannelMatch,
  fingerprint: string,
): MaybePromise<void> {
  return session.lanes.run(command.channel, () => {
    let step: MaybePromise<EventDraft>;
    try {
      step = prepare(session, command, match);
    } catch (error) {
      return session.fail(command.id, error);
    }
    if (!isPromise(step)) return submit(session, command, match, fingerprint, step);
    return step.then(
      (event) => submit(session, command, match, fingerprint, event),
      (error: unknown) => session.fail(command.id, error),
    );
  });
}

/** Authorizes and runs the application's handler; what it returns is what is appended. */
function prepare(session: Session, command: PublishCommand, match: ChannelMatch): MaybePromise<EventDraft> {
  const { context } = session;
  // It may have waited in its lane until a drain began; the handler of another node takes it.
  if (session.isClosed || context.draining) throw new RealtimeError('unavailable');
  const revision = context.revocations.current;
  const call = session.call(match, command.id, command.event, command.payload);
  const handle = (): MaybePromise<EventDraft> => {
    const handler = match.definition.behaviour.publish.get(command.event);
    if (handler === undefined) return draft(session, command, command.payload);
    const result = bounded(handler(call), context.settings.handlerTimeoutMs, context.clock);
    return isPromise(result)
      ? result.then((payload) => draft(session, command, payload ?? command.payload))
      : draft(session, command, result ?? command.payload);
  };
  const checked = (event: EventDraft): EventDraft => {
    refuseIfRevoked(session, match.channel, revision);
    return event;
  };
  const grant = authorize(session, match, 'publish', call);
  const event = isPromise(grant) ? grant.then(handle) : handle();
  return isPromise(event) ? event.then(checked) : checked(event);
}

function draft(session: Session, command: PublishCommand, payload: unknown): EventDraft {
  // What the handler made of it must be writable too: found out here, not when it is on its way to everybody.
  if (payload !== command.payload) {
    try {
      JSON.stringify(payload);
    } catch (error) {
      throw unwritable(`the publish handler of "${command.event}"`, error);
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

/** Hands the event to the broker. Returns as soon as its place in the order is taken. */
function submit(
  session: Session,
  command: PublishCommand,
  match: ChannelMatch,
  fingerprint: string,
  event: EventDraft,
): void {
  const { context, producer } = session;
  const { log } = match.definition.policy;
  const appended = context.appends
    .append({
      channel: match.channel,
      producer,
      fingerprint,
      // A log that remembers no ids cannot tell whether the one before is there.
      after: log.dedupeMs > 0 ? command.after : undefined,
      event,
      policy: log,
    })
    .then((result) => {
      remember(context, match.channel, producer, event.id, fingerprint, result, log.dedupeMs);
      if (!session.isClosed) session.reply(command.id, result);
    });
  session.track(appended, command.id);
}

function remember(
  context: EngineContext,
  channel: string,
  producer: string,
  id: string,
  fingerprint: string,
  { seq, epoch }: PublishResult,
  dedupeMs: number,
): void {
  if (dedupeMs <= 0) return;
  const until = context.clock.now() + dedupeMs;
  context.recentIds.remember(channel, producer, id, { fingerprint, position: { seq, epoch }, until });
}

/**
 * Digest of what was published, as it was sent: tells a retry from another event under the same id (P15).
 *
 * @throws RealtimeError `bad_request` for a payload that cannot be written down.
 */
export function fingerprintOf(event: string, payload: unknown): string {
  return hash('sha1', `${event.length} ${event} ${written(payload)}`, 'base64');
}

/**
 * The empty fingerprint of an event whose id was made here, so that nobody can send it again.
 *
 * @throws RealtimeError `bad_request` for what cannot be written down.
 */
export function writable(payload: unknown, meta: unknown): '' {
  // A text or a number always can be, and is what most small events are.
  if (typeof payload !== 'string' && typeof payload !== 'number') written(payload);
  if (meta !== undefined) written(meta);
  return '';
}

function written(value: unknown): string {
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
