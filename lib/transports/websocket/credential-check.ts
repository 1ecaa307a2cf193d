import { refusalOf } from '../../core/engine/refusal.js';
import type { Clock } from '../../core/ports/clock.js';
import type { Opening, Refusal, TransportHost } from '../../core/ports/transport-host.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Admission } from './handshake-policy.js';

/** Says nothing of what went wrong here (G25). */
export const TRY_LATER: Refusal = { status: 503, message: 'Try again later', retryAfterMs: 1_000 };

/** What a check needs. */
export interface CredentialCheckSettings {
  readonly clock: Clock;
  readonly handshakeTimeoutMs: number;
  readonly maxPendingHandshakes: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Verifies credentials before the upgrade, bounded in time and number: an authenticator that hangs holds sockets no
 * longer than the timeout, and a storm of upgrades holds no more of them than the bound.
 */
export class CredentialCheck {
  private readonly pending = new Set<(outcome: Refusal) => void>();

  constructor(
    private readonly host: TransportHost,
    private readonly settings: CredentialCheckSettings,
  ) {}

  /** Never rejects. */
  verify(credentials: NonNullable<Admission['credentials']>): Promise<Opening | Refusal> {
    const { clock, handshakeTimeoutMs, maxPendingHandshakes } = this.settings;
    if (this.pending.size >= maxPendingHandshakes) return Promise.resolve(TRY_LATER);
    return new Promise((resolve) => {
      const settle = (outcome: Opening | Refusal): void => {
        timer.cancel();
        this.pending.delete(settle);
        resolve(outcome);
      };
      const timer = clock.schedule(handshakeTimeoutMs, () => settle(TRY_LATER));
      this.pending.add(settle);
      void this.authenticate(credentials).then(settle);
    });
  }

  /** Refuses what is still being verified. */
  dispose(): void {
    for (const settle of this.pending) settle(TRY_LATER);
  }

  private async authenticate(credentials: NonNullable<Admission['credentials']>): Promise<Opening | Refusal> {
    try {
      return { authentication: await this.host.authenticate(credentials), token: credentials.token };
    } catch (error) {
      if (error instanceof RealtimeError) return refusalOf(error);
      this.settings.onError(error);
      return TRY_LATER;
    }
  }
}
