import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import type { RealtimeIdentity } from '../../core/ports/identity.js';
import { toMilliseconds, type Duration, DURATION_HINT } from '../options/duration.js';
import { urlProblem } from '../options/jwt-options.js';

/** How opaque tokens are introspected. */
export interface IntrospectionOptions {
  /** The introspection endpoint of the authorization server: with `https:`, or with `http:` on the host itself. Redirects are not followed. */
  readonly url: string;
  /** Credentials of this application at the endpoint, sent as HTTP Basic (RFC 6749 §2.3.1). */
  readonly client: { readonly id: string; readonly secret: string };
  /** Required `iss` of the answer. Default: not checked. */
  readonly issuer?: string | readonly string[];
  /** Required `aud` of the answer. Set it where the server issues tokens for other applications too. Default: not checked. */
  readonly audience?: string | readonly string[];
  /**
   * How long an active token counts without being asked for again, never beyond its `exp`: as long, a token that was revoked still
   * lets its client in. 0 asks each time. Default `'10s'`.
   */
  readonly cacheFor?: Duration;
  /** How long a token that is not active is refused without being asked for again. Default `'10s'`. */
  readonly refuseFor?: Duration;
  /** Bytes of answers that are kept, for active tokens and for others each; the oldest go first. Default 8388608 (8 MiB). */
  readonly maxCacheBytes?: number;
  /** How long the endpoint may take for its answer. Default `'5s'`. */
  readonly timeout?: Duration;
  /** Bytes of its answer. Default 65536 (64 KiB). */
  readonly maxBytes?: number;
  /** Clock difference that is tolerated at `exp` and `nbf`. Default `'5s'`. */
  readonly clockTolerance?: Duration;
  /** Whether `url` may be plain `http:` to another host. Default `false`. */
  readonly allowHttp?: boolean;
  /** Makes the user from the answer. Default: the answer, with `sub` as `id`; one without `sub` is refused. */
  readonly user?: (answer: Readonly<Record<string, unknown>>) => MaybePromise<RealtimeIdentity>;
}

const PATH = 'IntrospectionAuthenticator';

/** Options with every default filled in. */
export type IntrospectionSettings = ReturnType<typeof introspectionSettings>;

/** The options, checked, with every default. @throws RangeError that names the option and the remedy, never a secret. */
export function introspectionSettings(options: IntrospectionOptions) {
  checkShape(options);
  const { url, client, allowHttp = false, issuer, audience, user } = options;
  const problem = urlProblem(url, allowHttp);
  if (problem !== undefined) throw new RangeError(`${PATH}: url ${problem.join(' ')}`);
  for (const name of ['id', 'secret'] as const) {
    const value: unknown = (client as Partial<typeof client> | undefined)?.[name];
    if (typeof value !== 'string' || value === '')
      throw new RangeError(`${PATH}: client.${name} is missing. Is the environment variable set?`);
  }
  for (const [name, expected] of Object.entries({ issuer, audience })) {
    const texts: readonly unknown[] = [expected ?? 'left out'].flat();
    if (texts.length === 0 || texts.some((text) => typeof text !== 'string' || text === ''))
      throw new RangeError(
        `${PATH}: ${name} is empty, which would accept any token. Give it, or leave it out.`,
      );
  }
  return {
    url,
    authorization: basic(client.id, client.secret),
    cacheMs: milliseconds(options, 'cacheFor', 10_000),
    refuseMs: milliseconds(options, 'refuseFor', 10_000),
    maxCacheBytes: bytes(options, 'maxCacheBytes', 8 * 1024 * 1024),
    timeoutMs: milliseconds(options, 'timeout', 5_000, 100),
    maxBytes: bytes(options, 'maxBytes', 64 * 1024),
    rules: { issuer, audience, toleranceMs: milliseconds(options, 'clockTolerance', 5_000), user },
  };
}

const NAMES: Readonly<Record<keyof IntrospectionOptions, true>> = {
  url: true,
  client: true,
  issuer: true,
  audience: true,
  cacheFor: true,
  refuseFor: true,
  maxCacheBytes: true,
  timeout: true,
  maxBytes: true,
  clockTolerance: true,
  allowHttp: true,
  user: true,
};

/** @throws RangeError for what is no option: `audience` misspelt would accept the tokens of any. */
function checkShape(options: IntrospectionOptions): void {
  if (typeof (options as unknown) !== 'object' || (options as unknown) === null)
    throw new RangeError(`${PATH}: give an instance as \`auth\`: new ${PATH}({ url, client })`);
  const stranger = Object.keys(options).find((name) => !Object.hasOwn(NAMES, name));
  if (stranger !== undefined)
    throw new RangeError(
      `${PATH}: there is no option ${stranger}; there are ${Object.keys(NAMES).join(', ')}.`,
    );
  const { user, allowHttp } = options as { user?: unknown; allowHttp?: unknown };
  if (user !== undefined && typeof user !== 'function')
    throw new RangeError(`${PATH}: user is no function. Give (answer) => ({ id: … }).`);
  if (allowHttp !== undefined && typeof allowHttp !== 'boolean')
    throw new RangeError(`${PATH}: allowHttp is neither true nor false.`);
}

/** RFC 6749 §2.3.1: both are encoded as in a form before they are joined. */
function basic(id: string, secret: string): string {
  const encode = (text: string) => new URLSearchParams({ v: text }).toString().slice('v='.length);
  return `Basic ${Buffer.from(`${encode(id)}:${encode(secret)}`).toString('base64')}`;
}

function milliseconds(
  options: IntrospectionOptions,
  name: keyof IntrospectionOptions,
  otherwise: number,
  min = 0,
): number {
  const value = options[name];
  if (value === undefined) return otherwise;
  const given = toMilliseconds(value);
  if (given === undefined || given < min)
    throw new RangeError(`${PATH}: ${name} is no duration of at least ${min} ms. ${DURATION_HINT}`);
  return given;
}

function bytes(options: IntrospectionOptions, name: keyof IntrospectionOptions, otherwise: number): number {
  const value = options[name] ?? otherwise;
  if (!Number.isSafeInteger(value) || (value as number) < 1_024)
    throw new RangeError(`${PATH}: ${name} is no whole number of at least 1024.`);
  return value as number;
}
