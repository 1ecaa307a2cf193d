import type { Authentication, Authenticator, Credentials } from '../../core/ports/identity.js';
import { isPromise, type MaybePromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';
import type { ErrorMapper } from '../errors/error-mapper.js';

/**
 * What stands around every authenticator: errors of the application become errors of the protocol, a result without a
 * user is a refusal unless anonymous clients are wanted, and a user without an id is a mistake that lets nobody in.
 */
export class CheckedAuthenticator implements Authenticator {
  constructor(
    private readonly authenticator: Authenticator,
    private readonly source: string,
    private readonly anonymous: boolean,
    private readonly mapper: ErrorMapper,
  ) {}

  authenticate(credentials: Credentials): MaybePromise<Authentication> {
    let result: unknown;
    try {
      result = this.authenticator.authenticate(credentials);
    } catch (error) {
      throw this.mapper.toRealtimeError(error, { source: this.source });
    }
    if (!isPromise(result)) return this.check(result);
    return result.then(
      (settled) => this.check(settled),
      (error: unknown) => {
        throw this.mapper.toRealtimeError(error, { source: this.source });
      },
    );
  }

  private check(result: unknown): Authentication {
    const user: unknown = isRecord(result) ? result.user : undefined;
    if (user == null) {
      if (this.anonymous) return {};
      throw new RealtimeError(
        'unauthorized',
        'No valid credentials: send a token in hello or with the upgrade',
      );
    }
    const { id } = user as { id?: unknown };
    if (typeof id !== 'string' || id === '') {
      const error = new TypeError(
        `${this.source} returned a user without an id. Return { user: { id: 'a string' } }.`,
      );
      throw this.mapper.toRealtimeError(error, { source: this.source });
    }
    return result as Authentication;
  }
}

/**
 * For `auth: { anonymous: true }` alone: nobody has credentials, and who brings some is told that they mean nothing
 * here.
 */
export const anonymousOnly: Authenticator = {
  authenticate({ token }) {
    if (token !== undefined) throw new RealtimeError('unauthorized', 'This server takes no tokens');
    return {};
  },
};

/** Lets clients without a token in without asking, where the authenticator can only judge tokens. */
export class TokenOptional implements Authenticator {
  constructor(private readonly authenticator: Authenticator) {}

  authenticate(credentials: Credentials) {
    return credentials.token === undefined ? {} : this.authenticator.authenticate(credentials);
  }
}
