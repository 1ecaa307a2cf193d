/** What {@link takeQueryToken} found. */
export interface QueryToken {
  /** The token; absent when the parameter is missing or empty. */
  readonly token?: string;
  /** The URL with the token's value replaced, fit for handlers and logs. */
  readonly url: string;
}

const REDACTED = 'redacted';

/**
 * Reads a token from the query string and replaces it in the URL that the application sees: tokens are never
 * logged (G23), and URLs often are. The first of several counts; all are replaced.
 *
 * @example takeQueryToken('/realtime?v=1&token=abc', 'token') // { token: 'abc', url: '/realtime?v=1&token=redacted' }
 */
export function takeQueryToken(url: string, name: string): QueryToken {
  const query = url.indexOf('?');
  if (query === -1) return { url };
  let token: string | undefined;
  const parts = url
    .slice(query + 1)
    .split('&')
    .map((part) => {
      const equals = part.indexOf('=');
      const key = equals === -1 ? part : part.slice(0, equals);
      if (decode(key) !== name) return part;
      token ??= equals === -1 ? '' : decode(part.slice(equals + 1));
      return `${key}=${REDACTED}`;
    });
  const redacted = `${url.slice(0, query)}?${parts.join('&')}`;
  return token === undefined || token === '' ? { url: redacted } : { token, url: redacted };
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part.replaceAll('+', ' '));
  } catch {
    return part;
  }
}
