import type { Type } from '@nestjs/common';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { RealtimeAuthenticator } from '../realtime-options.js';
import { resolveJwt, type JwtConfig } from './jwt-options.js';
import { OptionReader } from './option-reader.js';
import { MODULE_TABLE } from './option-table.js';
import { TOKEN, type CookieConfig } from './transport-options.js';

/** How clients authenticate. `undecided` is refused where there is a server to attach to. */
export type AuthConfig =
  | { readonly mode: 'undecided' | 'anonymous' }
  | ({ readonly mode: 'jwt' } & JwtConfig)
  | { readonly mode: 'custom'; readonly authenticator: Type<RealtimeAuthenticator> | RealtimeAuthenticator };

/** Shortest secret of tokens against cross-site requests: as long as what HMAC-SHA256 makes. */
const LEAST_SECRET_BYTES = 32;
const UNDECIDED: AuthConfig = { mode: 'undecided' };

/** Reads the option `auth` in all its forms: options, a class, or an instance. */
export function resolveAuth(auth: unknown, problems: BootProblems) {
  const { anonymous, requiredAhead } = MODULE_TABLE.auth;
  if (auth === undefined || typeof auth === 'function' || isAuthenticator(auth)) {
    return {
      config: auth === undefined ? UNDECIDED : custom(auth, 'auth', problems),
      anonymous: anonymous.default,
      cookie: undefined,
      requiredAheadMs: requiredAhead.default,
    };
  }
  const reader = OptionReader.of(auth, 'auth', problems);
  const isAnonymous = reader.one('anonymous', anonymous);
  const resolved = {
    config: choose(reader, isAnonymous, problems),
    anonymous: isAnonymous,
    cookie: reader.value('cookie') === undefined ? undefined : resolveCookie(reader.object('cookie')),
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
  if (jwt !== undefined) return { mode: 'jwt', ...resolveJwt(jwt, problems) };
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

function resolveCookie(reader: OptionReader): CookieConfig | undefined {
  const name = reader.value('name');
  const isName = typeof name === 'string' && name.length <= 256 && TOKEN.test(name);
  if (!isName) {
    reader.report(
      'name',
      'is not the name of a cookie.',
      'Give the name of the cookie that holds the token.',
    );
  }
  const csrf = reader.value('csrf') === undefined ? undefined : resolveCsrf(reader.object('csrf'));
  reader.end();
  return isName ? { name, csrf } : undefined;
}

function resolveCsrf(reader: OptionReader): CookieConfig['csrf'] {
  const secret = reader.value('secret');
  const isSecret = typeof secret === 'string' && Buffer.byteLength(secret) >= LEAST_SECRET_BYTES;
  if (!isSecret) {
    reader.report(
      'secret',
      `is no text of at least ${LEAST_SECRET_BYTES} bytes, and could be guessed.`,
      'Give a random one, the same on every node. Is the environment variable set?',
    );
  }
  reader.end();
  return isSecret ? { secret } : undefined;
}
