import { jwtKey, JwtKeyError } from '../auth/jwt-key.js';
import type { BootProblems } from '../errors/realtime-boot-error.js';
import type { RealtimeJwtOptions } from '../realtime-options.js';
import { OptionReader } from './option-reader.js';

/** Reads `auth.jwt`. What is wrong is reported, and then never used. */
export function resolveJwt(given: unknown, problems: BootProblems): RealtimeJwtOptions {
  const reader = OptionReader.of(given, 'auth.jwt', problems);
  const isReadable = [
    checked(reader, 'secret', isKey, 'is no key.', 'Give a string or a Buffer.'),
    checked(reader, 'publicKey', isKey, 'is no key.', 'Give a PEM as a string or a Buffer.'),
    checked(reader, 'algorithms', Array.isArray, 'is no list.', 'Give a list such as ["RS256"].'),
  ].every(Boolean);
  for (const claim of ['issuer', 'audience']) {
    // jsonwebtoken takes an empty one for none, and then accepts the tokens of everybody.
    checked(
      reader,
      claim,
      isExpectation,
      'is neither a text nor a list of texts, or is empty.',
      'Give what tokens must say, or leave it out to accept any. Is the environment variable set?',
    );
  }
  checked(reader, 'user', isFunction, 'is no function.', 'Give (claims) => ({ id: … }).');
  reader.duration('clockTolerance', 0);
  reader.duration('maxAge', 0);
  reader.end();
  const options = given as RealtimeJwtOptions;
  if (isReadable) checkKey(options, reader, problems);
  return options;
}

function checkKey(options: RealtimeJwtOptions, reader: OptionReader, problems: BootProblems): void {
  if (options.secret !== undefined && options.publicKey !== undefined) {
    return reader.report('secret', 'is given beside auth.jwt.publicKey.', 'Keep one of them.');
  }
  try {
    jwtKey(options);
  } catch (error) {
    if (!(error instanceof JwtKeyError)) throw error;
    problems.add('auth.jwt', error.problem, error.remedy);
  }
}

/** Whether a value is left out or as it should be; reported when it is not. */
function checked(
  reader: OptionReader,
  key: string,
  isValid: (value: unknown) => boolean,
  problem: string,
  remedy: string,
): boolean {
  const value = reader.value(key);
  if (value === undefined || isValid(value)) return true;
  reader.report(key, problem, remedy);
  return false;
}

function isKey(value: unknown): boolean {
  return typeof value === 'string' || Buffer.isBuffer(value);
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}

function isExpectation(value: unknown): boolean {
  return isText(value) || (Array.isArray(value) && value.length > 0 && value.every(isText));
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}
