import type { JwtService } from '@nestjs/jwt';
import type {
  Authentication,
  Authenticator,
  Credentials,
  RealtimeIdentity,
} from '../../core/session/identity.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { isRecord } from '../../protocol/validation/checks.js';
import { toMilliseconds } from '../options/duration.js';
import type { RealtimeJwtOptions } from '../realtime.options.js';
import { jwtKey, type JwtKey } from './jwt.key.js';

const DEFAULT_TOLERANCE_MS = 5_000;

type Claims = Readonly<Record<string, unknown>>;

/** What `@nestjs/jwt` gives with `complete: true`. */
interface VerifiedToken {
  readonly header: Readonly<Record<string, unknown>>;
  readonly payload: unknown;
}

/**
 * Verifies tokens with `@nestjs/jwt`. Nothing is kept between two tokens: a result that is remembered would outlive its
 * token, or its revocation.
 */
export class JwtAuthenticator implements Authenticator {
  private constructor(
    private readonly jwt: JwtService,
    private readonly key: JwtKey,
    private readonly options: RealtimeJwtOptions,
  ) {}

  /**
   * Loads `@nestjs/jwt`, which only applications with tokens need.
   *
   * @throws Error that says how to install it.
   */
  static async create(options: RealtimeJwtOptions): Promise<JwtAuthenticator> {
    const key = jwtKey(options);
    const { JwtService } = await import('@nestjs/jwt').catch((cause: unknown) => {
      throw new Error('auth.jwt needs the package @nestjs/jwt. Install it: npm i @nestjs/jwt', { cause });
    });
    return new JwtAuthenticator(new JwtService({}), key, options);
  }

  async authenticate({ token }: Credentials): Promise<Authentication> {
    if (token === undefined) throw new RealtimeError('unauthorized', 'A token is needed');
    const { header, payload } = await this.verify(token);
    // RFC 7515 §4.1.11: an extension that must be understood and is not makes the token invalid; jsonwebtoken ignores
    // it.
    if (header.crit !== undefined)
      throw new RealtimeError('unauthorized', 'The token has an unknown critical header');
    if (!isRecord(payload)) throw new RealtimeError('unauthorized', 'The token has no claims');
    const user = await this.userOf(payload);
    const expiresAt = this.expiryOf(payload);
    return expiresAt === undefined ? { user } : { user, expiresAt };
  }

  private async verify(token: string): Promise<VerifiedToken> {
    const { issuer, audience } = this.options;
    const maxAgeMs = toMilliseconds(this.options.maxAge);
    try {
      return await this.jwt.verifyAsync<VerifiedToken & object>(token, {
        ...(this.key.kind === 'secret' ? { secret: this.key.value } : { publicKey: this.key.value }),
        algorithms: [...this.key.algorithms],
        clockTolerance: this.toleranceMs / 1_000,
        complete: true,
        ...(issuer === undefined ? {} : { issuer: listOrOne(issuer) }),
        ...(audience === undefined ? {} : { audience: listOrOne(audience) }),
        ...(maxAgeMs === undefined ? {} : { maxAge: `${maxAgeMs}ms` }),
      });
    } catch (error) {
      throw refusal(error);
    }
  }

  private userOf(claims: Claims): RealtimeIdentity | Promise<RealtimeIdentity> {
    if (this.options.user !== undefined) return this.options.user(claims);
    const { sub } = claims;
    if ((typeof sub !== 'string' && typeof sub !== 'number') || sub === '') {
      throw new RealtimeError('unauthorized', 'The token names no user (claim "sub")');
    }
    return { ...claims, id: String(sub) };
  }

  /** `exp`, and no earlier than it is refused: who is let in late by the tolerance is not thrown out at once. */
  private expiryOf({ exp }: Claims): number | undefined {
    return typeof exp === 'number' ? exp * 1_000 + this.toleranceMs : undefined;
  }

  private get toleranceMs(): number {
    return toMilliseconds(this.options.clockTolerance) ?? DEFAULT_TOLERANCE_MS;
  }
}

type StringOrList = string | [string, ...string[]];

function listOrOne(value: string | readonly string[]): StringOrList {
  return typeof value === 'string' ? value : ([...value] as [string, ...string[]]);
}

/** By name: the classes are those of the copy of jsonwebtoken that @nestjs/jwt brings. */
function refusal(error: unknown): RealtimeError {
  // A token older than `maxAge` is reported the same way, and a fresh one helps all the same.
  if ((error as Error).name === 'TokenExpiredError') return new RealtimeError('token_expired');
  // Which check failed is for the server's own eyes: it tells a forger how far he came.
  return new RealtimeError('unauthorized', 'The token is not valid', { cause: error });
}
