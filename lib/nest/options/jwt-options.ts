import { jwtKey, JwtKeyError } from '../auth/jwt-key.js';
import type { RemoteKeysSettings } from '../auth/remote-keys.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { JwksAlgorithm, JwtAlgorithm, RealtimeJwtOptions } from '../realtime-options.js';
import { isTexts, OptionReader } from './option-reader.js';
import { MODULE_TABLE } from './option-table.js';

/** `auth.jwt` after validation. */
export interface JwtConfig {
  readonly jwt: RealtimeJwtOptions;
  readonly jwksCache: RemoteKeysSettings;
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;
const JWKS_ALGORITHMS: readonly JwksAlgorithm[] = [
  ...(['RS', 'PS', 'ES'] as const).flatMap((kind) =>
    ([256, 384, 512] as const).map((bits): JwksAlgorithm => `${kind}${bits}`),
  ),
  'EdDSA',
  'Ed25519',
];
/** Options that each issuer has for itself, or its keys. */
const OF_ONE_KEY = ['secret', 'publicKey', 'algorithms', 'issuer'] as const;

/** Reads `auth.jwt`. Where something is wrong, it is reported and the result is never used. */
export function resolveJwt(given: unknown, problems: BootProblems): JwtConfig {
  const reader = OptionReader.of(given, 'auth.jwt', problems);
  const key = {
    secret: reader.checked('secret', isKey, 'is not a key.', 'Give a string or a Buffer.'),
    publicKey: reader.checked('publicKey', isKey, 'is not a key.', 'Give a PEM as a string or a Buffer.'),
    algorithms: reader.checked('algorithms', isList, 'is not a list.', 'Give a list such as ["RS256"].'),
  };
  checkExpectations(reader, ['issuer', 'audience']);
  const isFunction = (value: unknown) => typeof value === 'function';
  reader.checked('user', isFunction, 'is not a function.', 'Give (claims) => ({ id: … }).');
  const { jwksCache } = reader.all(MODULE_TABLE.auth.jwt);
  if (reader.value('jwks') !== undefined) checkJwks(reader, jwksCache, problems);
  else if (key.secret !== undefined && key.publicKey !== undefined)
    reader.report('secret', 'is given beside auth.jwt.publicKey.', 'Keep one of them.');
  else if (Object.entries(key).every(([name, value]) => value === reader.value(name)))
    checkKey(key, problems);
  reader.end();
  return { jwt: given as RealtimeJwtOptions, jwksCache };
}

function checkKey(key: RealtimeJwtOptions, problems: BootProblems): void {
  try {
    jwtKey(key);
  } catch (error) {
    if (!(error instanceof JwtKeyError)) throw error;
    problems.add('auth.jwt', error.problem, error.remedy);
  }
}

function checkJwks(reader: OptionReader, cache: RemoteKeysSettings, problems: BootProblems): void {
  for (const name of OF_ONE_KEY) {
    if (reader.value(name) !== undefined)
      reader.report(name, 'is given beside auth.jwt.jwks.', 'Keep one of them; each issuer has its own.');
  }
  if (cache.keepMs < cache.refreshMs) {
    reader.report(
      'jwksCache.keep',
      'is shorter than auth.jwt.jwksCache.refresh.',
      'Keys would end before they are asked for again: make it longer.',
    );
  }
  const given = reader.value('jwks');
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (list.length === 0)
    reader.report('jwks', 'is an empty list, so every token would be refused.', 'Name an issuer.');
  const issuers = list.map((one, index) =>
    checkIssuer(
      OptionReader.of(one, Array.isArray(given) ? `auth.jwt.jwks[${index}]` : 'auth.jwt.jwks', problems),
    ),
  );
  const again = issuers.find((issuer, index) => issuer !== '' && issuers.indexOf(issuer) !== index);
  if (again !== undefined) reader.report('jwks', `names the issuer "${again}" twice.`, 'Keep one of them.');
  // Else an issuer could name the users of another one.
  if (list.length > 1 && reader.value('user') === undefined) {
    reader.report(
      'user',
      'is missing beside several issuers, which may name different users by the same "sub".',
      'Give a user() that puts the tenant before the id, e.g. ({ iss, sub }) => ({ id: `${tenantOf(iss)}:${sub}` }).',
    );
  }
}

/** @returns what it gave as its issuer; nothing where it gave none. */
function checkIssuer(reader: OptionReader): string {
  const issuer = reader.value('issuer');
  if (typeof issuer !== 'string' || issuer === '')
    reader.report('issuer', 'is not a text.', 'Give the "iss" of its tokens, exactly.');
  checkExpectations(reader, ['audience']);
  reader.checked(
    'algorithms',
    isJwksAlgorithms,
    'is no list of algorithms of public keys, or is empty.',
    `Known here: ${JWKS_ALGORITHMS.join(', ')}.`,
  );
  const allowHttp = reader.value('allowHttp') ?? false;
  if (typeof allowHttp !== 'boolean')
    reader.report('allowHttp', 'is neither true nor false.', 'Give one of them.');
  const problem = urlProblem(reader.value('url'), allowHttp === true);
  if (problem !== undefined) reader.report('url', ...problem);
  reader.end();
  return typeof issuer === 'string' ? issuer : '';
}

/** Why another server cannot be asked at a URL, and the remedy; `undefined` where it can. Never shows the URL, which may hold a secret. */
export function urlProblem(given: unknown, allowHttp: boolean): [string, string] | undefined {
  if (typeof given !== 'string' || !URL.canParse(given))
    return ['is not a URL.', 'Give the whole address, with https:. Is the environment variable set?'];
  const { protocol, hostname, username, password } = new URL(given);
  if (username !== '' || password !== '') return ['holds a user or a password.', 'Leave them out.'];
  if (protocol === 'https:') return undefined;
  if (protocol === 'http:' && (allowHttp || LOOPBACK.test(hostname))) return undefined;
  return [
    'is not https:, so whoever is on the way could answer instead.',
    'Use https:, or set allowHttp: true where the network itself is trusted.',
  ];
}

/** An empty one would be taken as left out, and would then accept any token. */
function checkExpectations(reader: OptionReader, claims: readonly string[]): void {
  for (const claim of claims) {
    reader.checked(
      claim,
      isExpectation,
      'is neither a text nor a list of texts, or is empty.',
      'Give what tokens must say, or leave it out to accept any. Is the environment variable set?',
    );
  }
}

function isKey(value: unknown): value is string | Buffer {
  return typeof value === 'string' || Buffer.isBuffer(value);
}

function isList(value: unknown): value is readonly JwtAlgorithm[] {
  return Array.isArray(value);
}

function isJwksAlgorithms(value: unknown): value is readonly JwksAlgorithm[] {
  return (
    isTexts(value) && value.length > 0 && value.every((one) => (JWKS_ALGORITHMS as string[]).includes(one))
  );
}

function isExpectation(value: unknown): value is string | readonly string[] {
  return isTexts(typeof value === 'string' ? [value] : value) && (value as string[]).length > 0;
}
