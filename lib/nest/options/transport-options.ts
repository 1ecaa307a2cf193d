import type { Codec } from '../../protocol/codecs/codec.js';
import type {
  CompressionOptions,
  OriginRule,
  TrustProxy,
  WebSocketTransportOptions,
} from '../../transports/websocket/index.js';
import { checkCompression } from '../../transports/websocket/options.js';
import { compileTrust } from '../../transports/http/client-address.js';
import { compileHosts } from '../../transports/http/host.js';
import { compileOrigins } from '../../transports/http/origin.js';
import type { OptionReader } from './option-reader.js';

// For rooms that may not look into the transports.
export { canonicalOrigin } from '../../transports/http/origin.js';

/** Options of the transport, after validation. */
export type TransportConfig = WebSocketTransportOptions & { readonly path: string };

/** A cookie that holds a credential, and what pages prove with that they may use it. */
export interface CookieConfig {
  readonly name: string;
  readonly csrf: { readonly secret: string } | undefined;
}

/** Those that have been read already, because they are plain values. */
interface PlainTransportOptions {
  readonly path: string;
  readonly queryToken: string | undefined;
  readonly requireTls: boolean;
  readonly cookie: CookieConfig | undefined;
}

/** The characters of a token (RFC 9110 §5.6.2), which are those of a cookie's name and of `queryToken`. */
export const TOKEN = /^[\w!#$%&'*+.^`|~-]+$/;

/** Reads how clients reach the server: path, origins, hosts, proxies, compression and codecs. */
export function resolveTransport(
  reader: OptionReader,
  { path, queryToken, requireTls, cookie }: PlainTransportOptions,
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
  const codecs = reader.checked(
    'codecs',
    isCodecs,
    'is not a list of codecs.',
    'Give at least one, such as [jsonCodec].',
  );
  const origins = reader.checked(
    'allowedOrigins',
    isOrigins,
    'is not a list of origins.',
    'Give origins such as "https://app.example.com", "same-origin", a RegExp or a function.',
  );
  if (origins !== undefined) attempt(reader, 'allowedOrigins', () => compileOrigins(origins));
  const allowedHosts = reader.texts('allowedHosts');
  if (allowedHosts !== undefined) attempt(reader, 'allowedHosts', () => compileHosts(allowedHosts));
  const trustProxy = reader.checked(
    'trustProxy',
    isTrustProxy,
    'is neither a number nor a list of networks nor a function.',
    'Give the number of proxies in front, e.g. 1, or their networks, e.g. ["10.0.0.0/8"].',
  );
  if (trustProxy !== undefined) attempt(reader, 'trustProxy', () => compileTrust(trustProxy));
  const compression = resolveCompression(reader);
  return {
    path,
    requireTls,
    ...(codecs === undefined ? {} : { codecs }),
    ...(origins === undefined ? {} : { allowedOrigins: origins }),
    ...(allowedHosts === undefined ? {} : { allowedHosts }),
    ...(cookie === undefined ? {} : { cookie }),
    ...(trustProxy === undefined ? {} : { trustProxy }),
    ...(queryToken === undefined ? {} : { queryToken }),
    ...(compression === false ? {} : { compression }),
  };
}

function isOrigins(value: unknown): value is OriginRule | readonly OriginRule[] {
  const isRule = (rule: unknown): boolean =>
    typeof rule === 'string' || typeof rule === 'function' || rule instanceof RegExp;
  return Array.isArray(value) ? value.length > 0 && value.every(isRule) : isRule(value);
}

/** Refuses `true`: it would trust every address, so every client could choose its own. */
function isTrustProxy(value: unknown): value is TrustProxy {
  if (Array.isArray(value)) return value.every((entry) => typeof entry === 'string');
  return (
    value === false || typeof value === 'function' || (Number.isSafeInteger(value) && Number(value) >= 0)
  );
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

function isCodecs(value: unknown): value is readonly Codec[] {
  return Array.isArray(value) && value.length > 0 && value.every(isCodec);
}

function isCodec(value: unknown): value is Codec {
  const codec = value as Partial<Codec> | null | undefined;
  return (
    [codec?.encode, codec?.decode].every((one) => typeof one === 'function') &&
    typeof codec?.subprotocol === 'string'
  );
}

/** Runs a check of the transport, whose error names the option and the remedy. */
function attempt(reader: OptionReader, key: string, check: () => unknown): void {
  try {
    check();
  } catch (error) {
    const { message } = error as Error;
    const [, path = key, remedy = message] = /^([\w.]+): (.*)$/s.exec(message) ?? [];
    reader.report(path, 'is refused.', remedy);
  }
}
