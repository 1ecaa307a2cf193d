import type { Clock } from '../../core/ports/clock.js';
import { isPromise, type MaybePromise } from '../../core/ports/maybe-promise.js';
import type { Opening, Refusal, TransportHost } from '../../core/ports/transport-host.js';
import type { Verified } from '../../core/ports/identity.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { AcceptedHandshake } from './handshake-policy.js';
import { refusalOf, TRY_LATER } from './refusal.js';

type Attached = NonNullable<AcceptedHandshake['credentials']>;

/** What a check needs. */
export interface CredentialCheckSettings {
  readonly clock: Clock;
  readonly handshakeTimeoutMs: number;
  readonly onError: (error: unknown) => void;
}

/**
 * Verifies credentials before the upgrade, bounded in time: an authenticator that hangs holds a socket for no longer than the
 * timeout. How many may be under way is the host's to say, whose bound covers the tokens of `hello` and `auth` too (G16).
 */
export class CredentialCheck {
  private readonly pending = new Set<(outcome: Refusal) => void>();

  constructor(
    private readonly host: TransportHost,
    private readonly settings: CredentialCheckSettings,
  ) {}

  /** Synchronous when the authenticator is. Neither throws nor rejects. */
  verify(credentials: Attached): MaybePromise<Opening | Refusal> {
    const opened = (authentication: Verified): Opening => ({
      authentication,
      token: credentials.token,
    });
    try {
      const authentication = this.host.authenticate(credentials);
      return isPromise(authentication) ? this.follow(authentication.then(opened)) : opened(authentication);
    } catch (error) {
      return this.refuse(error);
    }
  }

  private follow(work: Promise<Opening>): Promise<Opening | Refusal> {
    const { clock, handshakeTimeoutMs } = this.settings;
    return new Promise((resolve) => {
      const settle = (outcome: Opening | Refusal): void => {
        timer.cancel();
        this.pending.delete(settle);
        resolve(outcome);
      };
      const timer = clock.schedule(handshakeTimeoutMs, () => settle(TRY_LATER));
      this.pending.add(settle);
      work.then(settle, (error: unknown) => settle(this.refuse(error)));
    });
  }

  /** Refuses what is still being verified. */
  close(): void {
    for (const settle of this.pending) settle(TRY_LATER);
  }

  private refuse(error: unknown): Refusal {
    if (error instanceof RealtimeError) return refusalOf(error);
    this.settings.onError(error);
    return TRY_LATER;
  }
}
