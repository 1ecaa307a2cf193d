import { bannedIn } from '../access/access-guard.js';
import type { BanList } from '../access/ban-list.js';
import type { Restrictions } from '../access/restrictions.js';
import type { Revocations } from '../access/revocations.js';
import { ChannelSet } from '../channel/channel-set.js';
import type { Unsubscribe } from '../commands/unsubscribe.js';
import type { Clock } from '../ports/clock.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import type { RestrictedSubject, Restriction, RestrictionName } from '../ports/moderation.js';
import type { SessionRegistry } from '../session/registry.js';
import type { Session } from '../session/session.js';
import { inTurns } from './cluster/in-turns.js';

export interface RestrictionApplierDeps {
  readonly sessions: Pick<SessionRegistry, 'ofUser' | 'ofLineage' | 'ofNetwork'>;
  readonly restrictions: Restrictions;
  /** Users that are refused for abuse. */
  readonly bans: BanList;
  /** Addresses whose anonymous clients are refused for abuse. */
  readonly addressBans: BanList;
  readonly revocations: Revocations;
  readonly unsubscribe: Pick<Unsubscribe, 'endIn'>;
  readonly clock: Clock;
}

/** Puts restrictions on this node, and lifts them (G30). */
export class RestrictionApplier {
  constructor(private readonly deps: RestrictionApplierDeps) {}

  /**
   * When it returns, or its promise resolves, the restriction is in force: no command that is under way evades it.
   *
   * @throws RangeError for what this version does not understand.
   */
  put(restriction: Restriction): MaybePromise<void> {
    const { restrictions, revocations, unsubscribe, clock } = this.deps;
    const { act, whom, channel, forMs } = restriction;
    requireKnown(restriction);
    restrictions.put(restriction, clock.monotonic());
    this.endAbuse(restriction);
    if (act !== 'ban' || (forMs !== undefined && forMs <= 0)) return undefined;
    if (channel === undefined && whom.of === 'user') revocations.record(whom.id, ChannelSet.ALL);
    const channels = ChannelSet.parse(channel);
    const error = bannedIn(forMs === undefined ? undefined : Math.ceil(forMs));
    const end = (session: Session): void => {
      if (channel === undefined) session.close('banned', forMs);
      else unsubscribe.endIn(session, channels, error);
    };
    const concerned = this.sessionsOf(whom);
    // There may be many of an address.
    if (whom.of === 'address') return inTurns(concerned, clock, end);
    concerned.forEach(end);
    return undefined;
  }

  lift(name: RestrictionName): void {
    requireKnown(name);
    this.deps.restrictions.lift(name);
    this.endAbuse(name);
  }

  /** An administrator has the last word, also about what the node did by itself. */
  private endAbuse({ act, whom, channel }: RestrictionName): void {
    if (act !== 'ban' || channel !== undefined) return;
    if (whom.of === 'user') this.deps.bans.remove(whom.id);
    if (whom.of === 'address') this.deps.addressBans.remove(whom.id);
  }

  private sessionsOf({ of, id }: RestrictedSubject): readonly Session[] {
    const { sessions } = this.deps;
    if (of === 'user') return sessions.ofUser(id);
    if (of === 'address') return sessions.ofNetwork(id);
    const session = sessions.ofLineage(id);
    return session === undefined ? [] : [session];
  }
}

/** Of a newer version there may be others: the receipt of the sender then names this node as one where it has no effect. */
function requireKnown({ act, whom }: RestrictionName): void {
  const isKnown =
    act === 'slow'
      ? ['everybody', 'user', 'session', 'address'].includes(whom.of)
      : ['ban', 'mute'].includes(act) && ['user', 'session', 'address'].includes(whom.of);
  if (!isKnown)
    throw new RangeError(
      `A restriction ${JSON.stringify(act)} of ${JSON.stringify(whom.of)} is unknown to this node: update its nestjs-realtime`,
    );
}
