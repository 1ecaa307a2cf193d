import type { Type } from '@nestjs/common';
import { jwtKey, JwtKeyError } from '../auth/jwt-key.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { JwtAlgorithm, RealtimeAuthenticator, RealtimeJwtOptions } from '../realtime-options.js';
import { isTexts, OptionReader } from './option-reader.js';
import { MODULE_TABLE } from './option-table.js';
import { TOKEN } from './transport-options.js';

/** How clients authenticate. `undecided` is refused where there is a server to attach to. */
export type AuthConfig =
  | { readonly mode: 'undecided' | 'anonymous' }
  | { readonly mode: 'jwt'; readonly jwt: RealtimeJwtOptions }
  | { readonly mode: 'custom'; readonly authenticator: Type<RealtimeAuthenticator> | RealtimeAuthenticator };

const UNDECIDED: AuthConfig = { mode: 'undecided' };

/** Reads the option `auth` in all its forms: options, a class, or an instance. */
export function resolveAuth(auth: unknown, problems: BootProblems) {
  const { anonymous, requiredAhead } = MODULE_TABLE.auth;
  if (auth === undefined || typeof auth === 'function' || isAuthenticator(auth)) {
    return {
      config: auth === undefined ? UNDECIDED : custom(auth, 'auth', problems),
      anonymous: anonymous.default,
      cookieName: undefined,
      requiredAheadMs: requiredAhead.default,
    };
  }
  const reader = OptionReader.of(auth, 'auth', problems);
  const isAnonymous = reader.one('anonymous', anonymous);
  const resolved = {
    config: choose(reader, isAnonymous, problems),
    anonymous: isAnonymous,
    cookieName: reader.value('cookie') === undefined ? undefined : cookieName(reader.object('cookie')),
    requiredAheadMs: reader.one('requiredAhead', requiredAhead),
  };
  reader.end();
  return resolved;
}

function choose(reader: OptionReader, isAnonymous: boolean, problems: BootProblems): AuthConfig {
  const jwt = reader.value('jwt');
  const authenticator = reader.value('authenticator');
  if (jwt !== undefined && authenticator !== undefined)
    reader.report('jwt', 'is given beside auth.authenticator.', 'Keep one of them.');
  if (authenticator !== undefined) return custom(authenticator, 'auth.authenticator', problems);
  if (jwt !== undefined) return { mode: 'jwt', jwt: resolveJwt(jwt, problems) };
  if (isAnonymous) return { mode: 'anonymous' };
  reader.report(
    'jwt',
    'is missing, so nobody could connect.',
    'Set auth.jwt, auth.authenticator, or auth.anonymous: true.',
  );
  return UNDECIDED;
}

function custom(authenticator: unknown, path: string, problems: BootProblems): AuthConfig {
  if (isAuthenticator(authenticator)) return { mode: 'custom', authenticator };
  problems.add(
    path,
    'has no authenticate() method.',
    'Give a class or an instance of RealtimeAuthenticator.',
  );
  return UNDECIDED;
}

function isAuthenticator(value: unknown): value is Type<RealtimeAuthenticator> | RealtimeAuthenticator {
  const instance: unknown = typeof value === 'function' ? value.prototype : value;
  return typeof (instance as Partial<RealtimeAuthenticator> | null | undefined)?.authenticate === 'function';
}

function cookieName(reader: OptionReader): string | undefined {
  const name = reader.value('name');
  const isName = typeof name === 'string' && name.length <= 256 && TOKEN.test(name);
  if (!isName) {
    reader.report(
      'name',
      'is not the name of a cookie.',
      'Give the name of the cookie that holds the token.',
    );
  }
  reader.end();
  return isName ? name : undefined;
}

/** Reads `auth.jwt`. Where something is wrong, it is reported and the result is never used. */
function resolveJwt(given: unknown, problems: BootProblems): RealtimeJwtOptions {
  const reader = OptionReader.of(given, 'auth.jwt', problems);
  const key = {
    secret: reader.checked('secret', isKey, 'is not a key.', 'Give a string or a Buffer.'),
    publicKey: reader.checked('publicKey', isKey, 'is not a key.', 'Give a PEM as a string or a Buffer.'),
    algorithms: reader.checked('algorithms', isList, 'is not a list.', 'Give a list such as ["RS256"].'),
  };
  for (const claim of ['issuer', 'audience']) {
    // jsonwebtoken treats an empty one as left out, and would then accept any token.
    reader.checked(
      claim,
      isExpectation,
      'is neither a text nor a list of texts, or is empty.',
      'Give what tokens must say, or leave it out to accept any. Is the environment variable set?',
    );
  }
  const isFunction = (value: unknown) => typeof value === 'function';
  reader.checked('user', isFunction, 'is not a function.', 'Give (claims) => ({ id: … }).');
  reader.all(MODULE_TABLE.auth.jwt);
  reader.end();
  if (key.secret !== undefined && key.publicKey !== undefined)
    reader.report('secret', 'is given beside auth.jwt.publicKey.', 'Keep one of them.');
  else if (Object.entries(key).every(([name, value]) => value === reader.value(name)))
    checkKey(key, problems);
  return given as RealtimeJwtOptions;
}

function checkKey(key: RealtimeJwtOptions, problems: BootProblems): void {
  try {
    jwtKey(key);
  } catch (error) {
    if (!(error instanceof JwtKeyError)) throw error;
    problems.add('auth.jwt', error.problem, error.remedy);
  }
}

function isKey(value: unknown): value is string | Buffer {
  return typeof value === 'string' || Buffer.isBuffer(value);
}

function isList(value: unknown): value is readonly JwtAlgorithm[] {
  return Array.isArray(value);
}

function isExpectation(value: unknown): value is string | readonly string[] {
  return isTexts(typeof value === 'string' ? [value] : value) && (value as string[]).length > 0;
}
