import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Clock } from '../ports/clock.js';
import {
  copyIdentity,
  type Authentication,
  type Authenticator,
  type Credentials,
  type Verified,
  type Verifier,
} from '../ports/identity.js';
import { quoted } from '../ports/log-text.js';
import { whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import { isUserId, USER_ID_RULE } from '../ports/user-id.js';

/** Characters of an id that the log shows. */
const SHOWN = 40;

/**
 * The authenticator of the application. Whom it admits has an id that can be acted on, and its result holds for a time: the
 * life of a credential is measured with the wall clock once, when it was verified, and runs on the monotonic clock from then
 * on (G12).
 */
export class TimedVerifier implements Verifier {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly clock: Clock,
    private readonly journal: Pick<ThrottledLog, 'warn'>,
  ) {}

  authenticate(credentials: Credentials): MaybePromise<Verified> {
    return whenReady(this.authenticator.authenticate(credentials), (result) => this.verified(result));
  }

  private verified({ user, expiresAt }: Authentication): Verified {
    const id = user?.id;
    if (user !== undefined && !isUserId(id)) throw this.unusable(id);
    const endsAt = expiresAt === undefined ? Infinity : this.clock.monotonic() + this.lifeOf(expiresAt);
    if (user === undefined) return { endsAt };
    // The application may keep its object, give it to other connections, and change it: that proves nothing.
    return { user: Object.freeze(copyIdentity(user, id)), endsAt };
  }

  private unusable(id: unknown): RealtimeError {
    this.journal.warn('user_id', () => {
      const text = String(id);
      const shown = quoted(text, SHOWN);
      return (
        `A client was refused as unauthorized: the authenticator returned the user id ${shown} (${Buffer.byteLength(text)} bytes), ` +
        `and an id must be ${USER_ID_RULE}. Return a shorter stable id, e.g. the primary key`
      );
    });
    return new RealtimeError('unauthorized', 'The user id of this credential cannot be used');
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
