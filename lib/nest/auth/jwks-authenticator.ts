import type * as Jose from 'jose';
import type { Authentication, Authenticator, Credentials } from '../../core/ports/identity.js';
import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isMissingPackage } from '../../core/ports/missing-package.js';
import type { RealtimeJwks, RealtimeJwtOptions } from '../realtime-options.js';
import { ClaimJudge, invalid } from './claims.js';
import { claimRulesOf } from './jwt-authenticator.js';
import { MAX_KID_LENGTH, type PinnedKey } from './key-set.js';
import { RemoteKeys, type RemoteKeysDeps, type RemoteKeysSettings } from './remote-keys.js';

interface Issuer {
  readonly keys: RemoteKeys;
  readonly judge: ClaimJudge;
}

/**
 * Verifies tokens of issuers with the keys that they publish. Of a token that is not verified yet, three things are used: its issuer, to
 * find the entry of the options, the id of its key, to find that key, and when it was issued, to know whether an answer without that key
 * is older than the token. What it says of keys itself (`jwk`, `jku`, `x5c`, `x5u`) is
 * not read, and its `alg` only has to be one of those that its key is pinned to.
 */
export class JwksAuthenticator implements Authenticator {
  private constructor(
    private readonly jose: typeof Jose,
    private readonly issuers: ReadonlyMap<string, Issuer>,
  ) {}

  /**
   * Loads `jose`, which only applications with `auth.jwt.jwks` need to install.
   *
   * @throws Error that says how to install it.
   */
  static async create(
    options: RealtimeJwtOptions,
    settings: RemoteKeysSettings,
    deps: RemoteKeysDeps,
  ): Promise<JwksAuthenticator> {
    const jose = await import('jose').catch((cause: unknown) => {
      throw new Error(
        isMissingPackage(cause, 'jose')
          ? 'auth.jwt.jwks needs the package jose. Install it: npm i jose@6'
          : `auth.jwt.jwks needs the package jose, which is installed and cannot be loaded: ${String(cause)}`,
        { cause },
      );
    });
    const rules = claimRulesOf(options);
    const issuerOf = ({ issuer, audience, ...source }: RealtimeJwks): [string, Issuer] => {
      const judge = new ClaimJudge({ ...rules, issuer, audience: audience ?? rules.audience }, deps.clock);
      return [issuer, { judge, keys: new RemoteKeys({ issuer, ...source }, settings, deps) }];
    };
    return new JwksAuthenticator(jose, new Map(jwksOf(options).map(issuerOf)));
  }

  authenticate({ token }: Credentials): MaybePromise<Authentication> {
    if (token === undefined) throw new RealtimeError('unauthorized', 'A token is needed');
    return this.verify(token);
  }

  private async verify(token: string): Promise<Authentication> {
    const { iss, iat, header } = this.peek(token);
    // Before anything is asked of anybody: whom a token names as its issuer is up to whoever made it.
    const issuer = typeof iss === 'string' ? this.issuers.get(iss) : undefined;
    if (issuer === undefined) throw invalid('an unknown issuer');
    const { kid, alg } = header;
    // Critical extensions (RFC 7515 §4.1.11), `b64` among them: none is understood here.
    if (header.crit !== undefined) throw invalid('a critical header');
    if (typeof kid !== 'string' || kid === '' || kid.length > MAX_KID_LENGTH) throw invalid('kid');
    if (typeof alg !== 'string' || !ASYMMETRIC.test(alg)) throw invalid('alg');
    const candidates = await issuer.keys.find(kid, typeof iat === 'number' ? iat * 1_000 : undefined);
    const pinned = candidates?.find(({ algorithms }) => (algorithms as readonly string[]).includes(alg));
    if (pinned === undefined) throw invalid('kid or alg');
    return issuer.judge.judge(await this.claimsOf(token, pinned));
  }

  /** What a token says of itself, unverified. */
  private peek(token: string): {
    readonly iss: unknown;
    readonly iat: unknown;
    readonly header: Jose.ProtectedHeaderParameters;
  } {
    try {
      const { iss, iat } = this.jose.decodeJwt(token);
      return { iss, iat, header: this.jose.decodeProtectedHeader(token) };
    } catch (error) {
      throw invalid('its form', error);
    }
  }

  private async claimsOf(token: string, { key, algorithms }: PinnedKey): Promise<unknown> {
    try {
      const { payload } = await this.jose.compactVerify(token, key, { algorithms: [...algorithms] });
      return JSON.parse(new TextDecoder().decode(payload));
    } catch (error) {
      throw invalid('the signature', error);
    }
  }
}

/** What a key of a set may have as `alg`: `none` and HMAC cause no request. */
const ASYMMETRIC = /^(?:[RPE]S(?:256|384|512)|EdDSA|Ed25519)$/;

/** The issuers of the options, one or several. */
export function jwksOf({ jwks = [] }: RealtimeJwtOptions): readonly RealtimeJwks[] {
  return [jwks].flat();
}
