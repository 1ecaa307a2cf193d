import type { HistoryCommand } from '../../protocol/commands.js';
import type { HistoryEvent, HistoryResult } from '../../protocol/messages.js';
import { MAX_PAGE } from '../../protocol/validation/command-schemas.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import type { BrokerLog } from '../ports/broker.js';
import type { Clock } from '../ports/clock.js';
import { positionOf } from '../hub/recovery.js';
import type { Session } from '../session/session.js';
import type { Authorizer } from './authorization.js';

const DEFAULT_LIMIT = 100;

/** What a history query may say; bounds are inclusive. */
export interface HistoryQuery {
  /** The epoch that the bounds belong to; left out, the current one. */
  readonly epoch?: string;
  /** First `seq` wanted. Default: the oldest that is kept. */
  readonly from?: number;
  /** Last `seq` wanted. Default: the newest. */
  readonly until?: number;
  /** Most events, 1–1000. Default 100. */
  readonly limit?: number;
  /** Newest first. Default false. */
  readonly reverse?: boolean;
}

export interface HistoryDeps {
  readonly authorizer: Authorizer;
  readonly log: Pick<BrokerLog, 'read'>;
  readonly clock: Clock;
}

/** Reads a range of the log. Of an epoch that is not a prefix of it, nothing; the answer's `position` says so. */
export class History {
  constructor(private readonly deps: HistoryDeps) {}

  async run(session: Session, command: HistoryCommand): Promise<void> {
    const { authorizer, log, clock } = this.deps;
    const match = authorizer.resolve(command.channel);
    const call = session.call(match, command.id, '', command.payload);
    const requireStillAllowed = await authorizer.authorizeSubscriber(session, match, 'history', call);
    const result = await readHistory(log, match.channel, command.payload, clock.now());
    requireStillAllowed();
    // Queued as the subscription's own: it is dropped with it, and never leaves after a revoke (G11).
    if (!session.isClosed) session.reply(command.id, result, session.channels.get(match.channel));
  }
}

/** A page of the log, for clients and for the application alike. */
export async function readHistory(
  log: Pick<BrokerLog, 'read'>,
  channel: string,
  query: HistoryQuery,
  now: number,
): Promise<HistoryResult> {
  const limit = Math.min(query.limit ?? DEFAULT_LIMIT, MAX_PAGE);
  const reverse = query.reverse === true;
  let { epoch, until, from = 1 } = query;
  const found: ChannelEvent[] = [];
  // One more than asked for tells whether there is more.
  let step = limit + 1;
  for (;;) {
    const page = await log.read({ channel, epoch, from: Math.max(1, from), until, limit: step, reverse });
    for (const event of page.events) if (!event.isExpired(now)) found.push(event);
    const last = page.events[step - 1];
    if (last === undefined || found.length > limit) {
      const position = positionOf(page.tip);
      return { events: found.slice(0, limit).map(toHistoryEvent), position, more: found.length > limit };
    }
    // Whoever pages goes on from the last event that it was given: a page of expired ones alone would be the end for it.
    epoch = page.tip.epoch;
    step = MAX_PAGE;
    if (reverse) until = last.seq - 1;
    else from = last.seq + 1;
  }
}

function toHistoryEvent({ id, ts, seq, event, payload, user, key, meta }: ChannelEvent): HistoryEvent {
  return {
    id,
    ts,
    seq,
    event,
    ...(payload === undefined ? {} : { payload }),
    ...(user === undefined ? {} : { user }),
    ...(key === undefined ? {} : { key }),
    ...(meta === undefined ? {} : { meta }),
  };
}
