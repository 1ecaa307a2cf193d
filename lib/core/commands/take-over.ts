import type { HandlerCall } from '../ports/channel-definition.js';
import { bounded } from '../async/with-timeout.js';
import type { Scheduled } from '../ports/clock.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import { notifyUnsubscribed } from './lifecycle.js';
import type { Session } from '../session/session.js';
import type { Ticket } from '../access/ticket.js';

/**
 * How long `welcome` waits for the older connection's node, in milliseconds. A node that is alive confirms within a round
 * trip; one that was killed never does, and its clients must not wait until it counts as dead.
 */
const SUPERSEDE_WAIT_MS = 200;

/** Channels of an older generation, with the call that their hooks are given, until they are taken up again. */
export class InheritedChannels extends Map<string, HandlerCall> {
  /** Ends those that are not taken up again. */
  timer: Scheduled | undefined;
}

/**
 * Gives the session its lineage (P28). A valid ticket of the same user continues the lineage: the older connection,
 * here or on another node, is closed with 4810, and what it was subscribed to passes over without life-cycle hooks.
 * Any other ticket begins a new lineage; it costs no events, since positions are the client's (P13).
 */
export function takeOver(session: Session, text: string | undefined): MaybePromise<void> {
  const { tickets, sessions, settings, entropy } = session.context;
  const ticket = text === undefined ? undefined : tickets.read(text);
  if (ticket === undefined || ticket.user !== session.user?.id) {
    session.lineage = entropy.token();
    session.generation = 1;
    sessions.adopt(session);
    return;
  }
  if (ticket.node === settings.nodeId) return continueLineage(session, ticket);
  return supersedeElsewhere(session, ticket).then(() => continueLineage(session, ticket));
}

/** Nothing waits in here: of two connections with one ticket, the later is the newer generation. */
function continueLineage(session: Session, { lineage, generation }: Ticket): void {
  if (session.isClosed) return;
  const { sessions } = session.context;
  const older = sessions.ofLineage(lineage);
  session.lineage = lineage;
  session.generation = Math.max(generation, older?.generation ?? 0) + 1;
  if (older !== undefined) inherit(session, older);
  sessions.adopt(session);
}

function inherit(session: Session, older: Session): void {
  const inherited = new InheritedChannels(older.inherited);
  for (const [channel, { call }] of older.subscriptions) inherited.set(channel, call);
  session.inherited = inherited.size === 0 ? undefined : inherited;
  older.close('superseded');
  if (inherited.size === 0) return;
  const { wheel, settings } = session.context;
  endUnclaimed(session, settings.limits.maxChannels);
  inherited.timer = wheel.schedule(settings.retry.stableMs, { onTimer: () => endUnclaimed(session, 0) });
}

/**
 * Ends channels that were not taken up again, the oldest first: a client gave them up while it was away, and one that comes
 * back again and again, each time to others, must not collect them.
 */
function endUnclaimed({ inherited, pendingSubscriptions, context }: Session, keep: number): void {
  if (inherited === undefined) return;
  for (const [channel, call] of inherited) {
    if (inherited.size <= keep) return;
    if (pendingSubscriptions?.has(channel) === true) continue;
    inherited.delete(channel);
    notifyUnsubscribed(context, call);
  }
}

async function supersedeElsewhere(session: Session, { lineage, generation }: Ticket): Promise<void> {
  const { broker, clock, logger } = session.context;
  try {
    await bounded(
      broker.control({ kind: 'supersede', lineage, generation: generation + 1 }),
      SUPERSEDE_WAIT_MS,
      clock,
    );
  } catch (error) {
    // The record is durable: its node ends the older connection when it reads it, or the heartbeat does.
    logger.debug(`A supersede was not confirmed: ${String(error)}`);
  }
}
