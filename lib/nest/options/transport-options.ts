import type { Codec } from '../../protocol/codecs/codec.js';
import type {
  CompressionOptions,
  OriginRule,
  TrustProxy,
  WebSocketTransportOptions,
} from '../../transports/websocket/index.js';
import { checkCompression } from '../../transports/websocket/options.js';
import { compileHosts } from '../../transports/http/host.js';
import { compileOrigins } from '../../transports/http/origin.js';
import type { OptionReader } from './option-reader.js';

/** Options of the transport, after validation. */
export type TransportConfig = WebSocketTransportOptions & { readonly path: string };

/** What other options decide about the transport. */
interface Given {
  readonly path: string;
  readonly queryToken: string | undefined;
  readonly cookieName: string | undefined;
}

/** The characters of a token (RFC 9110 §5.6.2), which are those of a cookie's name and of `queryToken`. */
export const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** Reads how clients reach the server: path, origins, hosts, proxies, compression and codecs. */
export function resolveTransport(
  reader: OptionReader,
  { path, queryToken, cookieName }: Given,
): TransportConfig {
  // No client reaches a segment of dots: it is resolved before the address is used (RFC 3986 §5.2.4).
  if (!/^(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._~-]+)+$/.test(path)) {
    reader.report(
      'path',
      `is "${path}".`,
      'Give an absolute path such as "/realtime", without query or trailing slash.',
    );
  }
  if (queryToken !== undefined && !TOKEN.test(queryToken))
    reader.report('queryToken', 'is not the name of a parameter.', 'Give a name such as "token".');
  const codecs = resolveCodecs(reader);
  const allowedOrigins = resolveOrigins(reader);
  const allowedHosts = reader.texts('allowedHosts');
  if (allowedHosts !== undefined) attempt(reader, 'allowedHosts', () => compileHosts(allowedHosts));
  const trustProxy = resolveProxy(reader);
  const compression = resolveCompression(reader);
  return {
    path,
    ...(codecs === undefined ? {} : { codecs }),
    ...(allowedOrigins === undefined ? {} : { allowedOrigins }),
    ...(allowedHosts === undefined ? {} : { allowedHosts }),
    ...(cookieName === undefined ? {} : { cookie: { name: cookieName } }),
    ...(trustProxy === false ? {} : { trustProxy }),
    ...(queryToken === undefined ? {} : { queryToken }),
    ...(compression === false ? {} : { compression }),
  };
}

function resolveOrigins(reader: OptionReader): OriginRule | readonly OriginRule[] | undefined {
  const given = reader.value('allowedOrigins');
  if (given === undefined) return undefined;
  const rules: readonly unknown[] = Array.isArray(given) ? given : [given];
  if (rules.length === 0 || !rules.every(isOriginRule)) {
    reader.report(
      'allowedOrigins',
      'is not a list of origins.',
      'Give origins such as "https://app.example.com", "same-origin", a RegExp or a function.',
    );
    return undefined;
  }
  attempt(reader, 'allowedOrigins', () => compileOrigins(rules));
  return rules;
}

function isOriginRule(value: unknown): value is OriginRule {
  return typeof value === 'string' || typeof value === 'function' || value instanceof RegExp;
}

function resolveProxy(reader: OptionReader): TrustProxy {
  const given = reader.value('trustProxy');
  if (given === undefined || given === false || given === 0) return false;
  if (typeof given === 'function') return given as (address: string) => boolean;
  if (typeof given === 'number' && Number.isSafeInteger(given) && given > 0) return given;
  // `true` would trust every address, so every client could choose its own.
  reader.report(
    'trustProxy',
    'is neither a number nor a function.',
    'Give the number of proxies in front, e.g. 1.',
  );
  return false;
}

function resolveCompression(reader: OptionReader): false | CompressionOptions {
  const given = reader.value('compression');
  if (given === undefined || given === false) return false;
  if (given === true) return {};
  const options = reader.object('compression');
  for (const key of ['threshold', 'level', 'concurrency']) options.value(key);
  options.end();
  attempt(reader, 'compression', () => checkCompression(given as CompressionOptions));
  return given as CompressionOptions;
}

function resolveCodecs(reader: OptionReader): readonly Codec[] | undefined {
  const codecs = reader.value('codecs');
  if (codecs === undefined) return undefined;
  if (Array.isArray(codecs) && codecs.length > 0 && codecs.every(isCodec)) return codecs;
  reader.report('codecs', 'is not a list of codecs.', 'Give at least one, such as [jsonCodec].');
  return undefined;
}

function isCodec(value: unknown): value is Codec {
  const codec = value as Partial<Codec> | null | undefined;
  return (
    typeof codec?.encode === 'function' &&
    typeof codec.decode === 'function' &&
    typeof codec.subprotocol === 'string'
  );
}

/** Runs a check of the transport, whose error says the option and the remedy. */
function attempt(reader: OptionReader, key: string, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    const { message } = error as Error;
    const [, path = key, remedy = message] = /^([\w.]+): (.*)$/s.exec(message) ?? [];
    reader.report(path, 'is refused.', remedy);
  }
}
