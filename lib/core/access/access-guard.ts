import { RealtimeError } from '../../protocol/realtime-error.js';
import { isGuarded, type ChannelDefinition } from '../ports/channel-definition.js';
import type { Clock } from '../ports/clock.js';
import type { Found, RestrictedClient, Restrictions } from './restrictions.js';
import type { RevocationFreshness } from './revocation-freshness.js';
import type { Revocations } from './revocations.js';

const UNKNOWN = 'At the moment it cannot be proved that access was not revoked. Try again later';

/**
 * Whether access that was granted still holds (G11), and whether somebody is restricted (G30). All code that delivers, answers or
 * commits asks here: nothing else reads the records of revokes, their freshness, or the restrictions.
 */
export class AccessGuard {
  constructor(
    private readonly revocations: Pick<Revocations, 'current' | 'revokedSince'>,
    private readonly freshness: Pick<RevocationFreshness, 'isStale'>,
    private readonly restrictions: Pick<Restrictions, 'has' | 'find'>,
    private readonly clock: Pick<Clock, 'monotonic'>,
  ) {}

  /** Read before work that waits, and passed to {@link requireUnrevoked} after it. */
  get revision(): number {
    return this.revocations.current;
  }

  /** Whether nothing of such a channel may be delivered: a revoke may be in force that this node does not know of. */
  isFrozen(definition: ChannelDefinition): boolean {
    return isGuarded(definition) && this.freshness.isStale;
  }

  /** @throws RealtimeError `unavailable` while {@link isFrozen}. */
  requireFresh(definition: ChannelDefinition): void {
    if (this.isFrozen(definition)) throw new RealtimeError('unavailable', UNKNOWN);
  }

  /**
   * @throws RealtimeError `banned` as {@link requireAdmitted}; `forbidden` when the user lost the channel since `revision`: a revoke
   * that races wins. `unavailable` when that is no longer known.
   */
  requireUnrevoked(client: RestrictedClient, channel: string, revision: number): void {
    this.requireAdmitted(client, channel);
    const revoked = this.revocations.revokedSince(revision, client.userId, channel);
    if (revoked === 'unknown') throw new RealtimeError('unavailable', UNKNOWN);
    if (revoked) throw new RealtimeError('forbidden', 'Access was revoked');
  }

  /** @throws RealtimeError `banned` for a client that is banned in the channel, or everywhere. */
  requireAdmitted(client: RestrictedClient, channel: string): void {
    const ban = this.find('ban', client, channel);
    if (ban !== undefined) throw bannedIn(ban.forMs);
  }

  /** Whether a client may only read the channel. */
  isMuted(client: RestrictedClient, channel: string): boolean {
    return this.find('mute', client, channel) !== undefined;
  }

  /** @throws RealtimeError `muted` for a client that may only read the channel. */
  requireVoice(client: RestrictedClient, channel: string): void {
    const mute = this.find('mute', client, channel);
    if (mute !== undefined) throw new RealtimeError('muted', undefined, { retryAfterMs: mute.forMs });
  }

  /** What is in force, and for how long. The clock is read only where there is any of the act. */
  private find(
    act: 'ban' | 'mute',
    client: RestrictedClient,
    channel: string,
  ): { readonly forMs: number | undefined } | undefined {
    if (!this.restrictions.has(act)) return undefined;
    const now = this.clock.monotonic();
    const found = this.restrictions.find(act, client, channel, now);
    return found && { forMs: leftMs(found, now) };
  }
}

/** The refusal of a client in one channel. @param forMs how long; `undefined` without end. */
export function bannedIn(forMs: number | undefined): RealtimeError {
  return new RealtimeError('banned', 'You are banned from this channel', { retryAfterMs: forMs });
}

/** How long it lasts, in whole milliseconds; `undefined` without end. @param now the monotonic clock. */
export function leftMs({ until }: Pick<Found, 'until'>, now: number): number | undefined {
  return until === Infinity ? undefined : Math.ceil(until - now);
}
