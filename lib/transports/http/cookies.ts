/**
 * The value of one cookie of a `Cookie` header (RFC 6265 §4.2), `undefined` when it is absent or empty.
 *
 * The first of several cookies of one name counts, as with the `cookie` package that Express and Fastify use:
 * two parsers that disagree would let one request be two users. Nothing is built that a name such as
 * `__proto__` could poison.
 *
 * @example readCookie('theme=dark; session=abc', 'session') // 'abc'
 */
export function readCookie(header: string | undefined, name: string): string | undefined {
  if (header === undefined) return undefined;
  for (const pair of header.split(';')) {
    const equals = pair.indexOf('=');
    if (equals === -1 || pair.slice(0, equals).trim() !== name) continue;
    const value = decode(unquote(pair.slice(equals + 1).trim()));
    return value === '' ? undefined : value;
  }
  return undefined;
}

function unquote(value: string): string {
  return value.length >= 2 && value.startsWith('"') && value.endsWith('"') ? value.slice(1, -1) : value;
}

function decode(value: string): string {
  if (!value.includes('%')) return value;
  try {
    return decodeURIComponent(value);
  } catch {
    // Not percent-encoded; the authenticator decides about it as it is.
    return value;
  }
}
