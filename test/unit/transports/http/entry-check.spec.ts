import { afterEach, describe, expect, it } from '@jest/globals';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { RawClient, type HeaderLines } from '../support/raw-client.js';
import { closeServers, serve } from '../support/test-server.js';

afterEach(closeServers);

const bearer = (token: string): HeaderLines => ({
  'Sec-WebSocket-Protocol': `realtime.v1.json, bearer.${token}`,
});
const ORIGIN = { Origin: 'http://example.com' };

describe('credentials of the handshake (P2, G22, G23)', () => {
  it('a bearer token is verified before the upgrade, and passed to the engine (P2)', async () => {
    const { host, port } = await serve();
    host.verify = async () => ({ user: { id: 'u1' }, endsAt: 5 });
    await RawClient.open(port, '/realtime', bearer('a.b.c'));
    const session = await host.next();
    expect(host.asked).toMatchObject([{ token: 'a.b.c', via: 'subprotocol' }]);
    expect(session.opening).toEqual({ authentication: { user: { id: 'u1' }, endsAt: 5 }, token: 'a.b.c' });
  });

  it('an upgrade without credentials calls no authenticator, as hello brings them (P2)', async () => {
    const { host, port } = await serve({ cookie: { name: 'session' }, queryToken: 'token' });
    await RawClient.open(port, '/realtime', { 'Sec-WebSocket-Protocol': 'realtime.v1.json, resume.t' });
    expect((await host.next()).opening).toEqual({});
    expect(host.asked).toEqual([]);
  });

  it('a cookie authenticates where it is configured', async () => {
    const { host, port } = await serve({ cookie: { name: '__Host-session' } });
    await RawClient.open(port, '/realtime', { ...ORIGIN, Cookie: 'a=b; __Host-session=abc' });
    await host.next();
    expect(host.asked).toMatchObject([{ token: 'abc', via: 'cookie' }]);
  });

  it('a cookie is ignored where it is not configured', async () => {
    const { host, port } = await serve();
    await RawClient.open(port, '/realtime', { ...ORIGIN, Cookie: 'session=abc; token=abc' });
    expect((await host.next()).opening).toEqual({});
  });

  it('several cookie lines are joined into one header', async () => {
    const { host, port } = await serve({ cookie: { name: 'session' } });
    await RawClient.open(port, '/realtime', { ...ORIGIN, Cookie: ['a=b', 'session=abc'] });
    await host.next();
    expect(host.asked).toMatchObject([{ token: 'abc' }]);
  });

  it('a token in the query is ignored by default (G23)', async () => {
    const { host, port } = await serve();
    await RawClient.open(port, '/realtime?token=abc&access_token=abc');
    expect((await host.next()).opening).toEqual({});
  });

  it('a token in the query is used where it is enabled, and hidden from everything else (G23)', async () => {
    const { host, port } = await serve({ queryToken: 'token' });
    await RawClient.open(port, '/realtime?v=1&token=a%2Eb');
    const session = await host.next();
    expect(host.asked).toMatchObject([{ token: 'a.b', via: 'subprotocol' }]);
    expect(session.connection.handshake.url).toBe('/realtime?v=1&token=redacted');
    expect(host.admitted[0]?.url).toBe('/realtime?v=1&token=redacted');
  });

  it('a bearer token takes precedence over the query, and the query over the cookie', async () => {
    const { host, port } = await serve({ queryToken: 'token', cookie: { name: 'session' } });
    const cookie = { ...ORIGIN, Cookie: 'session=from-cookie' };
    await RawClient.open(port, '/realtime?token=from-query', { ...cookie, ...bearer('from-bearer') });
    await RawClient.open(port, '/realtime?token=from-query', cookie);
    await RawClient.open(port, '/realtime', cookie);
    expect(host.asked.map(({ token }) => token)).toEqual(['from-bearer', 'from-query', 'from-cookie']);
  });

  it('a refused bearer token is not replaced by a cookie (G22)', async () => {
    const { host, port } = await serve({ cookie: { name: 'session' } });
    host.verify = () => Promise.reject(new RealtimeError('unauthorized'));
    await expect(
      RawClient.open(port, '/realtime', { ...ORIGIN, Cookie: 'session=good', ...bearer('bad') }),
    ).rejects.toThrow('401');
    expect(host.asked).toMatchObject([{ token: 'bad' }]);
  });

  it('an Authorization header of an upgrade is ignored, as proxies set their own', async () => {
    const { host, port } = await serve();
    await RawClient.open(port, '/realtime', { Authorization: 'Bearer abc' });
    expect((await host.next()).opening).toEqual({});
  });
});

describe('the handshake that the engine gets', () => {
  it('has headers, URL, address and scheme', async () => {
    const { host, port } = await serve();
    await RawClient.open(port, '/realtime?a=b', { 'User-Agent': 'test', 'X-Forwarded-For': '6.6.6.6' });
    expect((await host.next()).connection.handshake).toMatchObject({
      transport: 'websocket',
      headers: { 'user-agent': 'test', host: 'example.com' },
      url: '/realtime?a=b',
      ip: '127.0.0.1',
      secure: false,
    });
  });

  it('takes address and scheme from trusted proxies', async () => {
    const { host, port } = await serve({ trustProxy: (address) => address === '127.0.0.1' });
    await RawClient.open(port, '/realtime', {
      'X-Forwarded-For': '6.6.6.6, 9.9.9.9',
      'X-Forwarded-Proto': 'https',
    });
    expect((await host.next()).connection.handshake).toMatchObject({ ip: '9.9.9.9', secure: true });
    expect(host.admitted[0]).toMatchObject({ ip: '9.9.9.9', secure: true });
  });
});
