import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { RealtimeIdentity } from '../ports/identity.js';
import type { EngineSettings } from '../ports/settings.js';
import type { LimitsForUser, UserLimits } from '../ports/user-limits.js';
import { RateLimit } from './rate-limit.js';

/** When a client may try again whose limits are not known, or for which there is no room, in milliseconds. */
const RETRY_AFTER_MS = 2_000;
const MAX_TENANT_LENGTH = 255;
const USER_LIMITS = ['ratePerSecond', 'burst', 'maxChannels', 'maxConnections', 'tenant'];
const TENANT_LIMITS = ['id', 'maxConnections', 'ratePerSecond'];

/** What a user may do beside what everybody may: see {@link UserLimits}. */
export interface Allowance {
  readonly commands?: RateLimit | undefined;
  readonly maxChannels?: number | undefined;
  readonly maxConnections?: number | undefined;
  readonly tenant?:
    | { readonly id: string; readonly maxConnections: number; readonly commands?: RateLimit | undefined }
    | undefined;
}

/** Whose connections are counted. */
export interface AllowedSession {
  readonly allowance: Allowance;
}

/** The allowance of most users, and of all anonymous clients. */
export const NO_ALLOWANCE: Allowance = {};

export interface AllowancesDeps {
  readonly limitsForUser: LimitsForUser | undefined;
  readonly settings: Pick<EngineSettings, 'limits'>;
  readonly journal: Pick<ThrottledLog, 'error'>;
}

/** Asks the application for the limits of users, and counts the connections of tenants on this node (G16). */
export class Allowances {
  /** Connections of each tenant that has some. */
  private readonly tenants = new Map<string, number>();

  constructor(private readonly deps: AllowancesDeps) {}

  /** Connections of a tenant to this node. */
  connectionsOf(tenant: string): number {
    return this.tenants.get(tenant) ?? 0;
  }

  /** @throws RealtimeError `unavailable` where the application fails, or gives what is no limit. */
  of(user: RealtimeIdentity | undefined): Allowance {
    const { limitsForUser, journal } = this.deps;
    if (limitsForUser === undefined || user === undefined) return NO_ALLOWANCE;
    try {
      const limits = limitsForUser(user);
      return limits === undefined || limits === null ? NO_ALLOWANCE : this.read(limits);
    } catch (error) {
      journal.error(
        'limits_for_user',
        () =>
          'limits.forUser failed, so its user is refused for the moment. It has to return the limits of any user at once',
        error,
      );
      throw new RealtimeError('unavailable', 'The limits of this user are not known at the moment', {
        retryAfterMs: RETRY_AFTER_MS,
        cause: error,
      });
    }
  }

  /**
   * Asks for room for a connection.
   *
   * @param own connections of the user.
   * @param replaced whose place it takes: the older connection of the same session.
   * @throws RealtimeError `rate_limited` where the user, or the tenant, has as many as allowed.
   */
  admit({ maxConnections, tenant }: Allowance, own: number, replaced: AllowedSession | undefined): void {
    const less = replaced === undefined ? 0 : 1;
    if (maxConnections !== undefined && own - less >= maxConnections)
      throw full('This user has', maxConnections);
    if (tenant === undefined) return;
    const lessOfTenant = replaced?.allowance.tenant?.id === tenant.id ? 1 : 0;
    if (this.connectionsOf(tenant.id) - lessOfTenant >= tenant.maxConnections)
      throw full('The tenant of this user has', tenant.maxConnections);
  }

  /**
   * Asks for room in the tenant of a new token.
   *
   * @throws RealtimeError `rate_limited` where that tenant has as many connections as allowed.
   */
  admitTo({ tenant }: Allowance, before: Allowance): void {
    if (tenant !== undefined && tenant.id !== before.tenant?.id) this.admit({ tenant }, 0, undefined);
  }

  /** A session has another allowance from now on, or none any more. */
  change(before: Allowance, after: Allowance): void {
    if (before.tenant?.id === after.tenant?.id) return;
    this.count(before.tenant?.id, -1);
    this.count(after.tenant?.id, 1);
  }

  private count(tenant: string | undefined, by: 1 | -1): void {
    if (tenant === undefined) return;
    const count = this.connectionsOf(tenant) + by;
    if (count > 0) this.tenants.set(tenant, count);
    else this.tenants.delete(tenant);
  }

  private read(limits: UserLimits): Allowance {
    // A promise has none of these names: it would be taken for no limits at all.
    if ('then' in limits) throw new TypeError('it returned a promise');
    onlyKnown(limits, USER_LIMITS);
    const { ratePerSecond, burst, framesPerCommand, maxChannels, maxDistinctChannels } =
      this.deps.settings.limits;
    const rate = whole(limits, 'ratePerSecond', framesPerCommand * ratePerSecond);
    const atOnce = whole(limits, 'burst', framesPerCommand * burst);
    return {
      commands:
        rate === undefined && atOnce === undefined
          ? undefined
          : new RateLimit(rate ?? ratePerSecond, atOnce ?? Math.max(burst, 2 * (rate ?? 0))),
      maxChannels: whole(limits, 'maxChannels', Math.max(maxChannels, Math.floor(maxDistinctChannels / 2))),
      maxConnections: whole(limits, 'maxConnections'),
      tenant: limits.tenant === undefined ? undefined : readTenant(limits.tenant),
    };
  }
}

function readTenant(tenant: NonNullable<UserLimits['tenant']>): NonNullable<Allowance['tenant']> {
  onlyKnown(tenant, TENANT_LIMITS);
  const { id } = tenant;
  if (typeof id !== 'string' || id === '' || id.length > MAX_TENANT_LENGTH)
    throw new TypeError(`tenant.id is not a string of 1 to ${MAX_TENANT_LENGTH} characters`);
  const rate = whole(tenant, 'ratePerSecond');
  return {
    id,
    maxConnections: whole(tenant, 'maxConnections') ?? Number.POSITIVE_INFINITY,
    commands: rate === undefined ? undefined : new RateLimit(rate, 2 * rate),
  };
}

/** @throws TypeError for what is no whole number from 1 to `max`. */
function whole<Limits extends object>(
  limits: Limits,
  name: keyof Limits & string,
  max = Number.MAX_SAFE_INTEGER,
): number | undefined {
  const value: unknown = limits[name];
  if (value === undefined) return undefined;
  if (Number.isSafeInteger(value) && (value as number) >= 1 && (value as number) <= max)
    return value as number;
  throw new TypeError(`${name} is not a whole number of 1 to ${max}`);
}

function full(whose: string, most: number): RealtimeError {
  return new RealtimeError('rate_limited', `${whose} as many connections to this node as allowed: ${most}`, {
    retryAfterMs: RETRY_AFTER_MS,
    reason: 'too_many_connections',
  });
}

/** @throws TypeError for a name that no limit has: a limit that is misspelt would be none. */
function onlyKnown(limits: object, known: readonly string[]): void {
  const stranger = Object.keys(limits).find((name) => !known.includes(name));
  if (stranger !== undefined) throw new TypeError(`${stranger} is no limit: there are ${known.join(', ')}`);
}
