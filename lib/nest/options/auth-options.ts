import type { Type } from '@nestjs/common';
import { jwtKey, JwtKeyError } from '../auth/jwt-key.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { RealtimeAuthenticator, RealtimeJwtOptions } from '../realtime-options.js';
import { text } from '../../core/ports/settings-defaults.js';
import { OptionReader } from './option-reader.js';
import { MODULE_TABLE } from './option-table.js';
import { TOKEN } from './transport-options.js';

/** How clients authenticate. `undecided` is refused where there is a server to attach to. */
export type AuthConfig =
  | { readonly mode: 'undecided' | 'anonymous' }
  | { readonly mode: 'jwt'; readonly jwt: RealtimeJwtOptions }
  | { readonly mode: 'custom'; readonly authenticator: Type<RealtimeAuthenticator> | RealtimeAuthenticator };

/** The option `auth` after validation. */
export interface ResolvedAuth {
  readonly config: AuthConfig;
  readonly anonymous: boolean;
  readonly cookieName: string | undefined;
  readonly requiredAheadMs: number;
}

const UNDECIDED: AuthConfig = { mode: 'undecided' };

/** Reads the option `auth` in all its forms: options, a class, or an instance. */
export function resolveAuth(auth: unknown, problems: BootProblems): ResolvedAuth {
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
  const name = reader.one('name', text(undefined));
  if (name === undefined || !TOKEN.test(name)) {
    reader.report(
      'name',
      'is not the name of a cookie.',
      'Give the name of the cookie that holds the token.',
    );
  }
  reader.end();
  return name;
}

/** Reads `auth.jwt`. Where something is wrong, the result is reported and never used. */
function resolveJwt(given: unknown, problems: BootProblems): RealtimeJwtOptions {
  const reader = OptionReader.of(given, 'auth.jwt', problems);
  const check = (key: string, isValid: (value: unknown) => boolean, problem: string, remedy: string) => {
    const value = reader.value(key);
    const ok = value === undefined || isValid(value);
    if (!ok) reader.report(key, problem, remedy);
    return ok;
  };
  const isReadable = [
    check('secret', isKey, 'is not a key.', 'Give a string or a Buffer.'),
    check('publicKey', isKey, 'is not a key.', 'Give a PEM as a string or a Buffer.'),
    check('algorithms', Array.isArray, 'is not a list.', 'Give a list such as ["RS256"].'),
  ].every(Boolean);
  for (const claim of ['issuer', 'audience']) {
    // jsonwebtoken takes an empty one for none, and then accepts the tokens of everybody.
    check(
      claim,
      isExpectation,
      'is neither a text nor a list of texts, or is empty.',
      'Give what tokens must say, or leave it out to accept any. Is the environment variable set?',
    );
  }
  check(
    'user',
    (value) => typeof value === 'function',
    'is not a function.',
    'Give (claims) => ({ id: … }).',
  );
  reader.all(MODULE_TABLE.auth.jwt);
  reader.end();
  const options = given as RealtimeJwtOptions;
  if (isReadable) checkKey(options, problems);
  return options;
}

function checkKey(options: RealtimeJwtOptions, problems: BootProblems): void {
  if (options.secret !== undefined && options.publicKey !== undefined)
    return problems.add('auth.jwt.secret', 'is given beside auth.jwt.publicKey.', 'Keep one of them.');
  try {
    jwtKey(options);
  } catch (error) {
    if (!(error instanceof JwtKeyError)) throw error;
    problems.add('auth.jwt', error.problem, error.remedy);
  }
}

function isKey(value: unknown): boolean {
  return typeof value === 'string' || Buffer.isBuffer(value);
}

function isExpectation(value: unknown): boolean {
  const isText = (one: unknown): boolean => typeof one === 'string' && one !== '';
  return isText(value) || (Array.isArray(value) && value.length > 0 && value.every(isText));
}
