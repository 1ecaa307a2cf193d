import type { Clock } from '../ports/clock.js';
import type { Authentication, Authenticator, Credentials, Verified, Verifier } from '../ports/identity.js';
import { whenReady, type MaybePromise } from '../ports/maybe-promise.js';

/**
 * The authenticator of the application, whose result holds for a time: the life of a credential is measured with the wall
 * clock once, when it was verified, and runs on the monotonic clock from then on (G12).
 */
export class TimedVerifier implements Verifier {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly clock: Clock,
  ) {}

  authenticate(credentials: Credentials): MaybePromise<Verified> {
    return whenReady(this.authenticator.authenticate(credentials), (result) => this.verified(result));
  }

  private verified({ user, expiresAt }: Authentication): Verified {
    const endsAt = expiresAt === undefined ? Infinity : this.clock.monotonic() + this.lifeOf(expiresAt);
    return user === undefined ? { endsAt } : { user, endsAt };
  }

  /** @throws TypeError for what is no time: timers would take it for no wait at all. */
  private lifeOf(expiresAt: number): number {
    if (typeof (expiresAt as unknown) !== 'number' || Number.isNaN(expiresAt)) {
      throw new TypeError(
        `The authenticator returned ${String(expiresAt)} as \`expiresAt\`: give milliseconds since the Unix epoch, such as \`exp * 1000\`, or leave it out`,
      );
    }
    return expiresAt - this.clock.now();
  }
}
