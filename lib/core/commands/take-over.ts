import type { RecentLineages } from '../access/recent-lineages.js';
import type { Ticket, TicketSigner } from '../access/ticket.js';
import type { TimerWheel } from '../async/timer-wheel.js';
import { withTimeout } from '../async/with-timeout.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import type { EnginePorts } from '../ports/settings.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import type { LifecycleHooks } from './lifecycle.js';

/**
 * How long `welcome` waits for the older connection's node, in milliseconds. A node that is alive confirms within a round
 * trip; one that was killed never does, and its clients must not wait until it counts as dead.
 */
const SUPERSEDE_WAIT_MS = 200;

export interface TakeOverDeps extends Pick<EnginePorts, 'bus' | 'clock' | 'entropy' | 'logger' | 'settings'> {
  readonly tickets: TicketSigner;
  readonly sessions: SessionRegistry;
  readonly hooks: LifecycleHooks;
  readonly wheel: TimerWheel;
  readonly recentLineages: RecentLineages;
}

/**
 * Gives a session its lineage (P28). A valid ticket of the same user continues the lineage: the older connection,
 * here or on another node, is closed with 4810, and the session inherits its channels without life-cycle hooks.
 * Any other ticket begins a new lineage; it costs no events, since positions are the client's (P13).
 */
export class TakeOver {
  constructor(private readonly deps: TakeOverDeps) {}

  run(session: Session, text: string | undefined): MaybePromise<void> {
    const { tickets, sessions, settings, entropy } = this.deps;
    const ticket = text === undefined ? undefined : tickets.read(text);
    if (ticket === undefined || ticket.user !== session.userId) {
      session.continueLineage(entropy.token(), 1);
      sessions.adopt(session);
      return;
    }
    if (ticket.node === settings.nodeId) return this.continueLineage(session, ticket);
    return this.supersedeElsewhere(session, ticket).then(() => this.continueLineage(session, ticket));
  }

  /** Synchronous, so that of two connections with one ticket the later one is the newer generation. */
  private continueLineage(session: Session, { lineage, generation }: Ticket): void {
    if (session.isClosed) return;
    const { sessions, recentLineages, clock } = this.deps;
    const older = sessions.ofLineage(lineage);
    session.continueLineage(lineage, Math.max(generation, older?.generation ?? 0) + 1);
    if (older !== undefined) this.inherit(session, older);
    session.allowResume(recentLineages.claim(lineage, clock.monotonic()));
    sessions.adopt(session);
  }

  private inherit({ channels }: Session, older: Session): void {
    const count = channels.inherit(older.channels);
    older.close('superseded');
    if (count === 0) return;
    const { wheel, settings } = this.deps;
    // A client that reconnects again and again, each time to other channels, must not collect them.
    const end = (keep: number): void => {
      for (const call of channels.dropUnclaimed(keep)) this.deps.hooks.unsubscribed(call);
    };
    end(settings.limits.maxChannels);
    channels.endUnclaimedBy(wheel.schedule(settings.retry.stableMs, { onTimer: () => end(0) }));
  }

  private async supersedeElsewhere({ view }: Session, { lineage, generation }: Ticket): Promise<void> {
    const { bus, clock, logger } = this.deps;
    try {
      const sent = bus.control({ kind: 'supersede', lineage, generation: generation + 1 });
      await withTimeout(sent, SUPERSEDE_WAIT_MS, clock);
    } catch (error) {
      // The record is durable: its node ends the older connection when it reads it, or the heartbeat does.
      logger.debug(
        `The node of an older connection did not confirm its end in time: ${String(error)}`,
        view.about,
      );
    }
  }
}
