/** Where one `{path}` is reached: by WebSocket, and by plain HTTP for the question of P18. */
export interface Endpoints {
  readonly socket: string;
  readonly http: string;
}

/**
 * Both URLs of the server's path, from any of the four schemes. In a browser the URL may be relative to the page.
 *
 * @throws TypeError when it is not such a URL.
 * @example endpointsOf('https://example.com/realtime').socket // 'wss://example.com/realtime'
 */
export function endpointsOf(url: string): Endpoints {
  const parsed = parse(url);
  const secure = parsed.protocol === 'https:' || parsed.protocol === 'wss:';
  if (!secure && parsed.protocol !== 'http:' && parsed.protocol !== 'ws:') {
    throw new TypeError(
      `The URL "${url}" has the scheme "${parsed.protocol}". Use http, https, ws or wss, e.g. https://example.com/realtime.`,
    );
  }
  // A WebSocket refuses a fragment, and it never reaches a server anyway.
  parsed.hash = '';
  const rest = parsed.href.slice(parsed.protocol.length);
  return { socket: `${secure ? 'wss:' : 'ws:'}${rest}`, http: `${secure ? 'https:' : 'http:'}${rest}` };
}

function parse(url: string): URL {
  const page = (globalThis as { location?: { href?: string } }).location?.href;
  try {
    return new URL(url, page);
  } catch (cause) {
    throw new TypeError(
      `"${url}" is not a URL. Give the whole address of the realtime path, e.g. https://example.com/realtime` +
        ' (in a page a path such as "/realtime" will do).',
      { cause },
    );
  }
}
