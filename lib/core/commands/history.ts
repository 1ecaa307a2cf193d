import type { Codec } from '../../protocol/codecs/codec.js';
import type { HistoryCommand } from '../../protocol/commands.js';
import type { HistoryEvent, HistoryResult } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { MAX_PAGE } from '../../protocol/validation/command-schemas.js';
import type { ChannelMatch } from '../channel/registry.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import type { BrokerLog } from '../ports/broker.js';
import { isPromise } from '../ports/maybe-promise.js';
import type { Erasures } from '../log/erasures.js';
import type { EnginePorts } from '../ports/settings.js';
import { positionOf } from '../hub/recovery.js';
import { requireRoom } from '../session/answers.js';
import type { Session } from '../session/session.js';
import { askAgain } from './ask-again.js';
import type { Authorizer } from './authorization.js';
import { continueInTurn, type TurnDeps } from './continue-in-turn.js';
import { handlerCall } from './handler-call.js';

const DEFAULT_LIMIT = 100;

/** A range of a channel's log. */
export type HistoryQuery = HistoryCommand['payload'];

/** Reads a range of the log. Of an epoch that is no longer the log's, it reads nothing; `position` in the answer shows that. */
export class History {
  constructor(
    private readonly authorizer: Authorizer,
    private readonly ports: Pick<EnginePorts, 'log'> & TurnDeps & { readonly erasures: Cleanser },
  ) {}

  async run(session: Session, command: HistoryCommand): Promise<void> {
    try {
      const { log, clock, settings, erasures } = this.ports;
      const { maxPageBytes } = settings.limits;
      const match = this.authorizer.resolve(session, command.channel);
      const call = handlerCall(session, match, command);
      const authorized = this.authorizer.authorizeSubscriber(session, match, 'history', call);
      const requireStillAllowed = await authorized;
      const { payload } = command;
      if (!(await continueInTurn(this.ports, session, 'history', isPromise(authorized)))) return;
      const result = await readHistory(
        { log, erasures },
        match.channel,
        payload,
        clock.monotonic(),
        maxPageBytes,
      );
      requireStillAllowed();
      requireRoom(session.outbox);
      if (!session.isClosed) session.chargeAnswer(this.answer(session, command, match, result));
    } catch (error) {
      throw askAgain(session, error);
    }
  }

  private answer(
    session: Session,
    { id, channel }: HistoryCommand,
    match: ChannelMatch,
    result: HistoryResult,
  ): number {
    // A revoke drops it with the subscription, or by itself: so it is never sent after a revoke (G11).
    const flow = session.channels.get(channel) ?? this.authorizer.answerFlow(match);
    try {
      return session.replyRead(id, result, flow, undefined, 'copy');
    } catch (error) {
      if (error instanceof RealtimeError) throw error;
      // An event that cannot be written to this client is left out, as one that was trimmed (P14e).
      const { codec } = session.connection.variant;
      const events = result.events.filter((event) => isWritable(event, codec));
      return session.replyRead(id, { ...result, events }, flow, undefined, 'copy');
    }
  }
}

/** Knows what was erased since a read began. */
type Cleanser = Pick<Erasures, 'cleanse'>;

/** How the page of a log is read. */
interface Progress {
  /** Events of the page, and perhaps the first that does not fit. */
  readonly found: ChannelEvent[];
  bytes: number;
}

/**
 * A page of the log, for clients and for the application alike: as many events as were asked for, but no more than fit into
 * `maxBytes` (see {@link ChannelEvent.size}), and at least one.
 */
export async function readHistory(
  { log, erasures }: { readonly log: Pick<BrokerLog, 'read'>; readonly erasures: Cleanser },
  channel: string,
  query: HistoryQuery,
  now: number,
  maxBytes: number,
): Promise<HistoryResult> {
  const limit = Math.min(query.limit ?? DEFAULT_LIMIT, MAX_PAGE);
  const reverse = query.reverse === true;
  let { epoch, until, from = 1 } = query;
  const progress: Progress = { found: [], bytes: 0 };
  // One more than asked for tells whether there is more.
  let step = limit + 1;
  for (;;) {
    const page = await log.read({ channel, epoch, from: Math.max(1, from), until, limit: step, reverse });
    const isFull = collect(page.events, progress, limit, maxBytes, now);
    const last = page.events.at(-1);
    const end = reverse ? Math.max(from, page.oldest) : Math.min(until ?? Infinity, page.tip.seq);
    // A broker bounds what one read answers with: fewer than were asked for are not the end of the log.
    if (isFull || last === undefined || last.seq === end) {
      // The first of several reads may have been before an erasure.
      const found = erasures.cleanse(channel, progress.found);
      const events = (isFull ? found.slice(0, -1) : found).map(toHistoryEvent);
      return { events, position: positionOf(page.tip), more: isFull };
    }
    // The caller continues from the last event that it got: a page of expired events alone would look like the end of the log.
    epoch = page.tip.epoch;
    step = MAX_PAGE;
    if (reverse) until = last.seq - 1;
    else from = last.seq + 1;
  }
}

/** Takes events into the page. @returns whether the last one no longer fits. */
function collect(
  events: readonly ChannelEvent[],
  progress: Progress,
  limit: number,
  maxBytes: number,
  now: number,
): boolean {
  const { found } = progress;
  for (const event of events) {
    if (!event.isReadable || event.isExpired(now)) continue;
    found.push(event);
    progress.bytes += event.size;
    if (found.length > limit || (found.length > 1 && progress.bytes > maxBytes)) return true;
  }
  return false;
}

function isWritable(event: HistoryEvent, codec: Codec): boolean {
  try {
    codec.encode({ type: 'reply', payload: event });
    return true;
  } catch {
    return false;
  }
}

function toHistoryEvent({ id, ts, seq, event, payload, user, key, meta }: ChannelEvent): HistoryEvent {
  return { id, ts, seq, event, payload, user, key, meta };
}
