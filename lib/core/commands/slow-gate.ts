import type { Restrictions } from '../access/restrictions.js';
import type { SlowMode, SlowPlace } from '../access/slow-mode.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import type { Clock } from '../ports/clock.js';
import type { IsExempt } from '../ports/settings.js';
import type { Session } from '../session/session.js';
import { isExempted } from './exemption.js';

export interface SlowGateDeps {
  readonly restrictions: Pick<Restrictions, 'has' | 'slowMs'>;
  readonly places: SlowMode;
  readonly isExempt: IsExempt | undefined;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly journal: Pick<ThrottledLog, 'error'>;
}

/** Applies slow mode to the publishes of clients (G30). */
export class SlowGate {
  constructor(private readonly deps: SlowGateDeps) {}

  /**
   * Gives a publish its place; `undefined` where there is no slow mode for its client.
   *
   * @throws RealtimeError `muted` with the reason `slow_mode` for one that comes too soon.
   */
  enter(session: Session, channel: string, id: string, dedupeMs: number): SlowPlace | undefined {
    const { restrictions, places, clock } = this.deps;
    if (!restrictions.has('slow')) return undefined;
    const now = clock.monotonic();
    const everyMs = restrictions.slowMs(session, channel, now);
    if (everyMs === 0 || isExempted(this.deps, session, channel)) return undefined;
    return places.take(session.client, channel, nameOf(session.producer, id), everyMs, dedupeMs, now);
  }

  /** Events have arrived, of clients of this node and of others. */
  note(channel: string, events: readonly ChannelEvent[]): void {
    const { restrictions, places, clock } = this.deps;
    if (!restrictions.has('slow')) return;
    const now = clock.monotonic();
    for (const { user, id } of events) {
      if (user === undefined) continue;
      const client = { userId: user, lineage: '', network: '' };
      if (restrictions.slowMs(client, channel, now) > 0)
        places.note(user, channel, nameOf(`u:${user}`, id), now);
    }
  }
}

/** What is sent again has the same one. @param producer as {@link Session.producer} has it. */
function nameOf(producer: string, id: string): string {
  return `${producer} ${id}`;
}
