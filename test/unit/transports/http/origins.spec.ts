import { afterEach, describe, expect, it } from '@jest/globals';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { RawClient, refusalOf, type HeaderLines } from '../support/raw-client.js';
import { closeServers, serve } from '../support/test-server.js';
import type { WebSocketTransportOptions } from '../../../../lib/transports/websocket/options.js';

afterEach(closeServers);

const COOKIE = { Cookie: 'session=abc' };
const BEARER = { 'Sec-WebSocket-Protocol': 'realtime.v1.json, bearer.abc' };
const byCookie: WebSocketTransportOptions = { cookie: { name: 'session' } };

/** 101 or the status of the refusal. */
async function outcome(port: number, headers: HeaderLines): Promise<number> {
  try {
    const client = await RawClient.open(port, '/realtime', headers);
    client.socket.destroy();
    return 101;
  } catch (error) {
    return Number((error as Error).message.split(' ')[1]);
  }
}

describe('upgrades with a list of allowed origins (G22)', () => {
  const allowedOrigins = ['https://app.example.com', /https:\/\/pr-\d+\.example\.com/];

  it.each([
    ['https://app.example.com', 101],
    ['https://APP.example.com:443', 101],
    ['https://pr-12.example.com', 101],
    ['https://pr-12.example.com.evil.net', 403],
    ['https://app.example.com.evil.net', 403],
    ['https://evil-app.example.com', 403],
    ['https://evil.app.example.com', 403],
    ['https://app.example.com@evil.net', 403],
    ['http://app.example.com', 403],
    ['https://app.example.com:8443', 403],
    ['https://example.com', 403],
    ['null', 403],
    ['', 403],
    ['\u00ff', 403],
  ])('an upgrade from %j is answered with %i, whatever its credentials (G22)', async (origin, expected) => {
    const { port } = await serve({ ...byCookie, allowedOrigins });
    expect(await outcome(port, { Origin: origin })).toBe(expected);
    expect(await outcome(port, { Origin: origin, ...BEARER })).toBe(expected);
    expect(await outcome(port, { Origin: origin, ...COOKIE })).toBe(expected);
  });

  it('a refusal is plain HTTP and calls no authenticator (G22)', async () => {
    const { host, port } = await serve({ ...byCookie, allowedOrigins });
    const response = await refusalOf(port, '/realtime', { Origin: 'https://evil.net', ...COOKIE });
    expect(response.statusLine).toBe('HTTP/1.1 403 Forbidden');
    expect(response.headers['connection']).toBe('close');
    expect(host.asked).toEqual([]);
    // Counting and banning come first (P18), and cost less than what follows.
    expect(host.admitted).toHaveLength(1);
  });

  it('two Origin headers are refused (G22)', async () => {
    const { port } = await serve({ allowedOrigins });
    expect(await outcome(port, { Origin: ['https://app.example.com', 'https://evil.net'] })).toBe(403);
    expect(await outcome(port, { Origin: ['https://app.example.com', 'https://app.example.com'] })).toBe(403);
  });

  it('a client without an Origin needs a token of its own (G22)', async () => {
    const { port } = await serve({ ...byCookie, allowedOrigins });
    expect(await outcome(port, {})).toBe(101);
    expect(await outcome(port, BEARER)).toBe(101);
    expect(await outcome(port, COOKIE)).toBe(403);
  });

  it('a rule of the application that throws refuses the upgrade, and is reported', async () => {
    const failure = new Error('rule');
    const { port, errors } = await serve({
      allowedOrigins: () => {
        throw failure;
      },
    });
    expect(await outcome(port, { Origin: 'https://a.com' })).toBe(503);
    expect(errors).toEqual([failure]);
  });

  it('a rule that is async is refused when the transport is made: a promise would count as true', async () => {
    await expect(serve({ allowedOrigins: [(async () => true) as never] })).rejects.toThrow(
      /^allowedOrigins: The function returns a promise/,
    );
  });

  it.each([
    ['true', () => Promise.resolve(true)],
    ['false', () => Promise.resolve(false)],
    ['an error', () => Promise.reject(new Error('late'))],
  ])('a rule that returns a promise of %s admits nobody, and is reported', async (_what, rule) => {
    const { port, errors } = await serve({ allowedOrigins: rule as never });
    expect(await outcome(port, { Origin: 'https://a.com' })).toBe(503);
    expect(errors.map(String)).toEqual([
      expect.stringContaining('allowedOrigins: The function returns a promise'),
    ]);
    expect(await outcome(port, {})).toBe(101);
  });

  it('a rule whose answer is truthy and no promise admits, as ever', async () => {
    const { port } = await serve({ allowedOrigins: ((origin: string) => /^https/.exec(origin)) as never });
    expect(await outcome(port, { Origin: 'https://a.com' })).toBe(101);
    expect(await outcome(port, { Origin: 'http://a.com' })).toBe(403);
  });
});

describe('upgrades with a cookie and no list of allowed origins (G22)', () => {
  it.each([
    ['http://example.com', 'example.com', true],
    ['https://example.com', 'example.com', true],
    ['https://EXAMPLE.com', 'example.com:443', true],
    ['http://example.com:3000', 'example.com:3000', true],
    ['https://example.com:3000', 'example.com', false],
    ['https://sub.example.com', 'example.com', false],
    ['https://example.com.evil.net', 'example.com', false],
    ['https://evil.net', 'example.com', false],
    ['null', 'example.com', false],
    ['file://', 'example.com', false],
  ])('of a page of %s that connects to %s the cookie counts: %j (G22)', async (origin, name, counts) => {
    const { host, port } = await serve(byCookie);
    host.verify = () => Promise.reject(new RealtimeError('unauthorized'));
    const page = { Origin: origin, Host: name };
    // A page that may not use the cookie does not learn from the answer whether its visitor has one.
    expect(await outcome(port, { ...page, ...COOKIE })).toBe(counts ? 401 : 101);
    expect(await outcome(port, page)).toBe(101);
    expect(host.asked).toHaveLength(counts ? 1 : 0);
  });

  it('a page whose cookie does not count is named in the log once, with the remedy', async () => {
    const warnings: string[] = [];
    const { port } = await serve({ ...byCookie, onWarning: (text) => void warnings.push(text) });
    await outcome(port, { Origin: 'https://evil.net' });
    await outcome(port, { Origin: 'https://evil.net', Cookie: 'other=1; session=' });
    await outcome(port, { Origin: 'http://example.com', ...COOKIE });
    expect(warnings).toEqual([]);
    await outcome(port, { Origin: 'https://Evil.net:443', ...COOKIE });
    await outcome(port, { Origin: 'https://evil.org', ...COOKIE });
    expect(warnings).toEqual([
      expect.stringMatching(/page of https:\/\/evil\.net came .*session.*allowedOrigins/),
    ]);
  });

  it.each([
    ['https://example.com', 'https', true],
    ['http://example.com', 'https', false],
    ['https://example.com', 'http', false],
    ['http://example.com', 'http', true],
  ])(
    'of a page of %s, over %s as a trusted proxy says, the cookie counts: %j (G22)',
    async (origin, proto, counts) => {
      const { host, port } = await serve({ ...byCookie, trustProxy: 1 });
      expect(await outcome(port, { Origin: origin, 'X-Forwarded-Proto': proto, ...COOKIE })).toBe(101);
      expect(host.asked).toHaveLength(counts ? 1 : 0);
    },
  );

  it('an upgrade without an Origin is answered with 403 (G22)', async () => {
    const { host, port } = await serve(byCookie);
    expect(await outcome(port, COOKIE)).toBe(403);
    expect(host.asked).toEqual([]);
  });

  it('a foreign page may connect with its own token, without the cookies of its visitor (G22)', async () => {
    const { host, port } = await serve(byCookie);
    expect(await outcome(port, { Origin: 'https://evil.net', ...COOKIE, ...BEARER })).toBe(101);
    const session = await host.next();
    expect(session.connection.handshake.headers.cookie).toBeUndefined();
    expect(host.asked).toMatchObject([{ token: 'abc', via: 'subprotocol' }]);
    expect(host.asked[0]?.handshake.headers.cookie).toBeUndefined();
  });

  it('a foreign page may connect without a token, and the application gets no cookies (G22)', async () => {
    const { host, port } = await serve();
    await outcome(port, { Origin: 'https://evil.net', ...COOKIE });
    expect((await host.next()).connection.handshake.headers.cookie).toBeUndefined();
    await outcome(port, { Origin: 'http://example.com', ...COOKIE });
    expect((await host.next()).connection.handshake.headers.cookie).toBe('session=abc');
    await outcome(port, COOKIE);
    expect((await host.next()).connection.handshake.headers.cookie).toBe('session=abc');
  });

  it('an allowed page keeps its cookies (G22)', async () => {
    const { host, port } = await serve({ allowedOrigins: 'https://app.example.com' });
    await outcome(port, { Origin: 'https://app.example.com', ...COOKIE });
    expect((await host.next()).connection.handshake.headers.cookie).toBe('session=abc');
  });

  it('any page may connect with its own token where cookies are not used', async () => {
    const { port } = await serve();
    expect(await outcome(port, { Origin: 'https://evil.net', ...BEARER })).toBe(101);
  });
});
