import { systemClock } from '../../core/ports/clock.js';
import type { Authentication, Authenticator, Credentials } from '../../core/ports/identity.js';
import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import { NestEngineLogger } from '../lifecycle/engine-logger.js';
import { introspectionSettings, type IntrospectionOptions } from './introspection-options.js';
import { Introspection } from './introspection.js';

/**
 * Verifies opaque tokens by asking the authorization server about them (RFC 7662). A token that is not active is refused with
 * `unauthorized`; where the server cannot be reached, has no time or refuses this application itself, the answer is `unavailable` with
 * `retryAfterMs`, since nothing is known of the token. At the same time one token is asked for once.
 *
 * An answer counts for `cacheFor` and never beyond its `exp`, which ends the connection too (G12). Tokens are kept as hashes only.
 *
 * @throws RangeError for options that cannot work, with the remedy.
 * @example
 * RealtimeModule.forRoot({
 *   auth: new IntrospectionAuthenticator({
 *     url: 'https://id.example.com/oauth2/introspect',
 *     client: { id: 'realtime', secret: process.env.INTROSPECTION_SECRET ?? '' },
 *     audience: 'realtime',
 *   }),
 * });
 */
export class IntrospectionAuthenticator implements Authenticator {
  private readonly introspection: Introspection;

  /** @param options see {@link IntrospectionOptions}. */
  constructor(options: IntrospectionOptions) {
    this.introspection = new Introspection(introspectionSettings(options), {
      clock: systemClock,
      logger: new NestEngineLogger(),
      fetch: globalThis.fetch,
    });
  }

  /** Called by the module, for each credential. */
  authenticate(credentials: Credentials): MaybePromise<Authentication> {
    return this.introspection.authenticate(credentials);
  }
}
