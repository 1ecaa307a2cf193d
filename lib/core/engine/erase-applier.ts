import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Unsubscribe } from '../commands/unsubscribe.js';
import type { CatchUp } from '../hub/catch-up.js';
import type { Hub } from '../hub/hub.js';
import type { Erasures } from '../log/erasures.js';
import type { Clock } from '../ports/clock.js';
import type { EraseRecord } from '../ports/control.js';
import type { Session } from '../session/session.js';
import { inTurns } from './cluster/in-turns.js';

export interface EraseApplierDeps {
  readonly erasures: Erasures;
  readonly hub: Hub;
  readonly catchUp: CatchUp;
  readonly sessions: { list(): readonly Session[] };
  readonly unsubscribe: Pick<Unsubscribe, 'withdrawErased'>;
  readonly clock: Clock;
}

/**
 * Takes erased events out of what a node holds for later (G29). Everything that delivers is left as it is: nothing is asked per
 * delivery, and what arrives later is cleansed once, where it arrives.
 */
export class EraseApplier {
  constructor(private readonly deps: EraseApplierDeps) {}

  /** When it resolves, this node delivers nothing more of the events. */
  async apply({ channel, epoch, seqs }: EraseRecord): Promise<void> {
    const { erasures, hub, catchUp } = this.deps;
    const served = hub.find(channel)?.tip.epoch;
    // A node that has not noticed the newer log yet holds the same events under the epoch before.
    erasures.record(channel, served === undefined || served === epoch ? [epoch] : [epoch, served], seqs);
    catchUp.forget(channel);
    await this.purge(channel, seqs);
    // What was on its way from one of these places to the next, in the same turn, has arrived by now.
    await new Promise<void>((resolve) => setImmediate(resolve));
    await this.purge(channel, seqs);
  }

  private async purge(channel: string, seqs: readonly number[]): Promise<void> {
    const { erasures, hub, sessions, unsubscribe, clock } = this.deps;
    const served = hub.erase(channel);
    const reason = new RealtimeError('unavailable', 'Events of this answer were erased; ask again');
    await inTurns(served?.subscriptions ?? [], clock, (subscription) =>
      subscription.outbox.erase(subscription, (event) => erasures.covers(event)),
    );
    // Who reads a log need not be subscribed to it.
    await inTurns(sessions.list(), clock, (session) => {
      unsubscribe.withdrawErased(session, channel, reason);
      session.connection.onErased?.(seqs);
    });
    erasures.notify(seqs, channel);
  }
}
