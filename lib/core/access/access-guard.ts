import { RealtimeError } from '../../protocol/realtime-error.js';
import { isGuarded, type ChannelDefinition } from '../ports/channel-definition.js';
import type { RevocationFreshness } from './revocation-freshness.js';
import type { Revocations } from './revocations.js';

const UNKNOWN = 'At the moment it cannot be proved that access was not revoked. Try again later';

/**
 * Whether access that was granted still holds (G11). All code that delivers, answers or commits asks here: nothing else reads
 * the records of revokes or their freshness.
 */
export class AccessGuard {
  constructor(
    private readonly revocations: Pick<Revocations, 'current' | 'revokedSince'>,
    private readonly freshness: Pick<RevocationFreshness, 'isStale'>,
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
   * @throws RealtimeError `forbidden` when the user lost the channel since `revision`: a revoke that races wins. `unavailable` when
   * that is no longer known.
   */
  requireUnrevoked(user: string | undefined, channel: string, revision: number): void {
    const revoked = this.revocations.revokedSince(revision, user, channel);
    if (revoked === 'unknown') throw new RealtimeError('unavailable', UNKNOWN);
    if (revoked) throw new RealtimeError('forbidden', 'Access was revoked');
  }
}
