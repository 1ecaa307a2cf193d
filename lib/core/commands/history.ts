import type { Codec } from '../../protocol/codecs/codec.js';
import type { HistoryCommand } from '../../protocol/commands.js';
import type { HistoryEvent, HistoryResult } from '../../protocol/messages.js';
import { MAX_PAGE } from '../../protocol/validation/command-schemas.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import type { BrokerLog } from '../ports/broker.js';
import type { EnginePorts } from '../ports/settings.js';
import { positionOf } from '../hub/recovery.js';
import type { Session } from '../session/session.js';
import type { Authorizer } from './authorization.js';
import { handlerCall } from './handler-call.js';

const DEFAULT_LIMIT = 100;

/** A range of a channel's log. */
export type HistoryQuery = HistoryCommand['payload'];

/** Reads a range of the log. Of an epoch that is no longer the log's, it reads nothing; `position` in the answer shows that. */
export class History {
  constructor(
    private readonly authorizer: Authorizer,
    private readonly ports: Pick<EnginePorts, 'log' | 'clock'>,
  ) {}

  async run(session: Session, command: HistoryCommand): Promise<void> {
    const { log, clock } = this.ports;
    const match = this.authorizer.resolve(session, command.channel);
    const call = handlerCall(session, match, command);
    const requireStillAllowed = await this.authorizer.authorizeSubscriber(session, match, 'history', call);
    const result = await readHistory(log, match.channel, command.payload, clock.monotonic());
    requireStillAllowed();
    // Queued with the subscription: it is dropped with it, so it is never sent after a revoke (G11).
    if (!session.isClosed) session.chargeAnswer(this.answer(session, command, result));
  }

  private answer(session: Session, { id, channel }: HistoryCommand, result: HistoryResult): number {
    const subscription = session.channels.get(channel);
    try {
      return session.reply(id, result, subscription);
    } catch {
      // An event that cannot be written to this client is left out, as one that was trimmed (P14e).
      const { codec } = session.connection.variant;
      const events = result.events.filter((event) => isWritable(event, codec));
      return session.reply(id, { ...result, events }, subscription);
    }
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
    for (const event of page.events) if (event.isReadable && !event.isExpired(now)) found.push(event);
    const last = page.events[step - 1];
    if (last === undefined || found.length > limit) {
      const position = positionOf(page.tip);
      return { events: found.slice(0, limit).map(toHistoryEvent), position, more: found.length > limit };
    }
    // The caller continues from the last event that it got: a page of expired events alone would look like the end of the log.
    epoch = page.tip.epoch;
    step = MAX_PAGE;
    if (reverse) until = last.seq - 1;
    else from = last.seq + 1;
  }
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
