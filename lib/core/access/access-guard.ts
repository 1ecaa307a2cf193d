import { RealtimeError } from '../../protocol/realtime-error.js';
import { isGuarded, type ChannelDefinition } from '../ports/channel-definition.js';
import type { RevocationFreshness } from './revocation-freshness.js';
import type { Revocations } from './revocations.js';

/**
 * Whether access that was granted still holds (G11). Everything that delivers, answers or commits asks here: nobody else
 * looks at the records of revokes or at how fresh they are.
 */
export class AccessGuard {
  constructor(
    private readonly revocations: Pick<Revocations, 'current' | 'revokedSince'>,
    private readonly freshness: Pick<RevocationFreshness, 'isStale'>,
  ) {}

  /** To be noted before work that waits, and given to {@link requireUnrevoked} after it. */
  get revision(): number {
    return this.revocations.current;
  }

  /** Whether nothing of such a channel may be told: a revoke may be in force that this node does not know. */
  isFrozen(definition: ChannelDefinition): boolean {
    return isGuarded(definition) && this.freshness.isStale;
  }

  /** @throws RealtimeError `unavailable` while {@link isFrozen}. */
  requireFresh(definition: ChannelDefinition): void {
    if (this.isFrozen(definition))
      throw new RealtimeError('unavailable', 'It cannot be proved at the moment that access was not revoked');
  }

  /** @throws RealtimeError `forbidden` when the user lost the channel since `revision`: a revoke that races wins. */
  requireUnrevoked(user: string | undefined, channel: string, revision: number): void {
    if (this.revocations.revokedSince(revision, user, channel))
      throw new RealtimeError('forbidden', 'Access was revoked');
  }
}
