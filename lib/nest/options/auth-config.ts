import type { Type } from '@nestjs/common';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { RealtimeAuthenticator } from '../realtime-options.js';
import { resolveJwt } from './jwt-options.js';
import { OptionReader } from './option-reader.js';
import type { AuthConfig } from './realtime-config.js';

/** What the option `auth` comes to. */
export interface ResolvedAuth {
  readonly config: AuthConfig;
  readonly anonymous: boolean;
  readonly cookieName: string | undefined;
  readonly requiredAheadMs: number;
}

const METHOD = 'authenticate() method';
const WHAT_AUTHENTICATES = 'Give a class or an instance of RealtimeAuthenticator.';

/** Whether a value can authenticate, as a class or as an instance. */
function isAuthenticator(value: unknown): value is Type<RealtimeAuthenticator> | RealtimeAuthenticator {
  if (typeof value === 'function')
    return typeof (value.prototype as RealtimeAuthenticator | undefined)?.authenticate === 'function';
  return typeof (value as RealtimeAuthenticator | null | undefined)?.authenticate === 'function';
}

/** Reads the option `auth` in all its forms. */
export function resolveAuth(auth: unknown, requiredAheadMs: number, problems: BootProblems): ResolvedAuth {
  const nothing = { anonymous: false, cookieName: undefined, requiredAheadMs };
  if (auth === undefined) return { config: { mode: 'undecided' }, ...nothing };
  if (isAuthenticator(auth)) return { config: { mode: 'custom', authenticator: auth }, ...nothing };

  if (typeof auth === 'function') {
    problems.add('auth', `has no ${METHOD}.`, WHAT_AUTHENTICATES);
    return { config: { mode: 'undecided' }, ...nothing };
  }
  const reader = OptionReader.of(auth, 'auth', problems);
  const jwt = reader.value('jwt');
  const authenticator = reader.value('authenticator');
  const anonymous = reader.flag('anonymous', false);
  const cookieName = reader.value('cookie') === undefined ? undefined : cookie(reader.object('cookie'));
  const aheadMs = reader.duration('requiredAhead', requiredAheadMs);
  reader.end();
  return {
    config: choose(jwt, authenticator, anonymous, reader, problems),
    anonymous,
    cookieName,
    requiredAheadMs: aheadMs,
  };
}

function choose(
  jwt: unknown,
  authenticator: unknown,
  anonymous: boolean,
  reader: OptionReader,
  problems: BootProblems,
): AuthConfig {
  if (jwt !== undefined && authenticator !== undefined) {
    reader.report('jwt', 'is given beside auth.authenticator.', 'Keep one of them.');
  }
  if (authenticator !== undefined) {
    if (isAuthenticator(authenticator)) return { mode: 'custom', authenticator };
    reader.report('authenticator', `has no ${METHOD}.`, WHAT_AUTHENTICATES);
    return { mode: 'undecided' };
  }
  if (jwt !== undefined) return { mode: 'jwt', jwt: resolveJwt(jwt, problems) };
  if (anonymous) return { mode: 'anonymous' };
  reader.report(
    'jwt',
    'is missing, so nobody could connect.',
    'Set auth.jwt, auth.authenticator, or auth.anonymous: true.',
  );
  return { mode: 'undecided' };
}

function cookie(reader: OptionReader): string | undefined {
  const name = reader.text('name');
  if (name === undefined || !/^[\w!#$%&'*+.^`|~-]+$/.test(name)) {
    reader.report(
      'name',
      'is not the name of a cookie.',
      'Give the name of the cookie that holds the token.',
    );
  }
  reader.end();
  return name;
}
