import type { ModuleRef } from '@nestjs/core';
import type { Authenticator } from '../../core/ports/identity.js';
import { resolveInjectable } from '../discovery/injectable-resolver.js';
import type { ErrorMapper } from '../errors/error-mapper.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { RealtimeConfig } from '../options/resolve-options.js';
import type { RealtimeAuthenticator } from '../realtime-options.js';
import { anonymousOnly, CheckedAuthenticator, TokenOptional } from './checked-authenticator.js';
import { JwtAuthenticator } from './jwt-authenticator.js';

/** Makes the authenticator that the options ask for. */
export class AuthenticatorFactory {
  constructor(
    private readonly moduleRef: ModuleRef,
    private readonly mapper: ErrorMapper,
  ) {}

  async create({ auth, settings }: RealtimeConfig, problems: BootProblems): Promise<Authenticator> {
    const { anonymous } = settings;
    switch (auth.mode) {
      case 'undecided':
      case 'anonymous':
        return anonymousOnly;
      case 'jwt': {
        const jwt = await this.jwt(auth.jwt, problems);
        return this.checked(anonymous ? new TokenOptional(jwt) : jwt, 'auth.jwt.user', anonymous);
      }
      case 'custom': {
        const { authenticator, source } = await this.custom(auth.authenticator, problems);
        return this.checked(authenticator, source, anonymous);
      }
    }
  }

  private async jwt(
    options: Parameters<typeof JwtAuthenticator.create>[0],
    problems: BootProblems,
  ): Promise<Authenticator> {
    try {
      return await JwtAuthenticator.create(options);
    } catch (error) {
      problems.add('auth.jwt', 'cannot be used.', (error as Error).message);
      return anonymousOnly;
    }
  }

  private async custom(
    given: Extract<RealtimeConfig['auth'], { mode: 'custom' }>['authenticator'],
    problems: BootProblems,
  ): Promise<{ authenticator: RealtimeAuthenticator; source: string }> {
    if (typeof given !== 'function') return { authenticator: given, source: given.constructor.name };
    const authenticator = await resolveInjectable(given, this.moduleRef, 'auth', problems);
    return { authenticator: authenticator ?? anonymousOnly, source: given.name };
  }

  private checked(authenticator: Authenticator, source: string, anonymous: boolean): Authenticator {
    return new CheckedAuthenticator(authenticator, source, anonymous, this.mapper);
  }
}
