import { trimOldest } from '../../core/async/oldest.js';
import type { AbuseRecord, ControlMessage } from '../../core/ports/control.js';
import { abuseKey, actOnAbuse } from '../common/abuse.js';
import { KeptRestrictions, type KeptRestrictionsState } from './kept-restrictions.js';

/** Bans for abuse that are kept for nodes that start later: clients cause them. */
const MAX_ABUSE_BANS = 10_000;

interface AbuseBan {
  readonly record: AbuseRecord;
  readonly endsAt: number;
}

/** What control records have put on somebody, and is in force: for nodes that start later (G11, G16). */
export class Restrictions {
  private readonly kept = new KeptRestrictions();
  /** Bans for abuse, by whom they concern, in order of age. */
  private readonly abuse = new Map<string, AbuseBan>();

  /** @param now of the clock that restrictions end by. */
  control(message: ControlMessage, now: number): void {
    if (message.kind === 'abuse') return this.keepAbuse(message, now + message.forMs);
    // An administrator has the last word.
    const ended = actOnAbuse(message);
    if (ended !== undefined) this.abuse.delete(ended);
    if (message.kind === 'ban' || message.kind === 'restrict') this.kept.put(message, now);
    if (message.kind === 'unban' || message.kind === 'lift') this.kept.lift(message);
  }

  /**
   * Those that hold, with what is left of each. Those of administrators first: one for abuse only extends them.
   *
   * @param now of the clock that restrictions end by.
   */
  inForce(now: number): readonly ControlMessage[] {
    const abuse = [...this.abuse.values()]
      .filter(({ endsAt }) => endsAt > now)
      .map(({ record, endsAt }) => ({ ...record, forMs: endsAt - now }));
    return [...this.kept.inForce(now), ...abuse];
  }

  save(): RestrictionsState {
    return { kept: this.kept.save(), abuse: [...this.abuse.values()] };
  }

  /** Into a new one. */
  restore({ kept, abuse }: RestrictionsState): void {
    this.kept.restore(kept);
    for (const ban of abuse) this.abuse.set(abuseKey(ban.record.of, ban.record.id), ban);
  }

  private keepAbuse(record: AbuseRecord, endsAt: number): void {
    const key = abuseKey(record.of, record.id);
    if ((this.abuse.get(key)?.endsAt ?? -Infinity) >= endsAt) return;
    this.abuse.delete(key);
    this.abuse.set(key, { record, endsAt });
    trimOldest(this.abuse, MAX_ABUSE_BANS);
  }
}

/** {@link Restrictions} in a checkpoint. */
export interface RestrictionsState {
  readonly kept: KeptRestrictionsState;
  readonly abuse: readonly AbuseBan[];
}
