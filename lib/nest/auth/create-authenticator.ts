import type { ModuleRef } from '@nestjs/core';
import type { Authentication, Authenticator } from '../../core/ports/identity.js';
import { isPromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { resolveInjectable } from '../discovery/injectable-resolver.js';
import type { ErrorMapper } from '../errors/error-mapper.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { AuthConfig } from '../options/auth-options.js';
import { JwksAuthenticator } from './jwks-authenticator.js';
import { JwtAuthenticator } from './jwt-authenticator.js';
import type { RemoteKeysDeps } from './remote-keys.js';

/** What an authenticator is made with. */
export interface AuthenticatorDeps extends RemoteKeysDeps {
  readonly moduleRef: ModuleRef;
  readonly mapper: ErrorMapper;
  readonly problems: BootProblems;
}

/** Makes the authenticator that the options ask for. */
export async function createAuthenticator(
  auth: AuthConfig,
  anonymous: boolean,
  deps: AuthenticatorDeps,
): Promise<Authenticator> {
  const { moduleRef, mapper, problems } = deps;
  switch (auth.mode) {
    case 'undecided':
    case 'anonymous':
      return anonymousOnly;
    case 'jwt': {
      const made =
        auth.jwt.jwks === undefined
          ? JwtAuthenticator.create(auth.jwt, deps.clock)
          : JwksAuthenticator.create(auth.jwt, auth.jwksCache, deps);
      const jwt = await made.catch((error: Error): Authenticator => {
        problems.add('auth.jwt', 'cannot be used.', error.message);
        return anonymousOnly;
      });
      // It can judge only tokens: clients without one are admitted here.
      const tokenOptional: Authenticator = {
        authenticate: (given) => (given.token === undefined ? {} : jwt.authenticate(given)),
      };
      return checked(anonymous ? tokenOptional : jwt, 'auth.jwt.user', anonymous, mapper);
    }
    case 'custom': {
      const { authenticator: given } = auth;
      if (typeof given !== 'function') return checked(given, given.constructor.name, anonymous, mapper);
      const made = await resolveInjectable(given, moduleRef, 'auth', problems);
      return checked(made ?? anonymousOnly, given.name, anonymous, mapper);
    }
  }
}

/** Admits everybody, and refuses tokens, because none would be verified. */
const anonymousOnly: Authenticator = {
  authenticate({ token }) {
    if (token !== undefined) throw new RealtimeError('unauthorized', 'This server takes no tokens');
    return {};
  },
};

/**
 * Maps the errors of an authenticator to those of the protocol, and checks its result: without a user it refuses, unless
 * anonymous clients may connect, and a user without an id is an error of the application.
 */
function checked(
  authenticator: Authenticator,
  source: string,
  anonymous: boolean,
  mapper: ErrorMapper,
): Authenticator {
  const refuse = (error: unknown): never => {
    throw mapper.toRealtimeError(error, { source, action: 'authenticate' });
  };
  const check = (result: unknown): Authentication => {
    const user: unknown = isRecord(result) ? result.user : undefined;
    if (user == null) {
      if (anonymous) return {};
      throw new RealtimeError(
        'unauthorized',
        'No valid credentials: send a token in hello or with the upgrade',
      );
    }
    const { id } = user as { id?: unknown };
    if (typeof id === 'string' && id !== '') return result as Authentication;
    return refuse(
      new TypeError(`${source} returned a user without an id. Return { user: { id: 'a string' } }.`),
    );
  };
  return {
    authenticate(credentials) {
      let result: unknown;
      try {
        result = authenticator.authenticate(credentials);
      } catch (error) {
        return refuse(error);
      }
      return isPromise(result) ? result.then(check, refuse) : check(result);
    },
  };
}
