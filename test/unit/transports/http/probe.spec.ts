import { createServer } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { refusalBody, refusalHeaders } from '../../../../lib/transports/http/refusal.js';
import type { WebSocketTransportOptions } from '../../../../lib/transports/websocket/options.js';
import { WebSocketTransport } from '../../../../lib/transports/websocket/transport.js';
import { FakeHost } from '../support/fake-host.js';
import { exchange } from '../support/raw-client.js';
import { closeServers, listen } from '../support/test-server.js';

afterEach(closeServers);

/** The route as the Nest layer mounts it. */
async function route(options: WebSocketTransportOptions = {}) {
  const host = new FakeHost();
  const transport = new WebSocketTransport(host, options);
  const { port } = await listen(
    createServer((req, res) => {
      void transport.probe(req).then((refusal) => {
        res.writeHead(refusal.status, refusalHeaders(refusal)).end(refusalBody(refusal));
      });
    }),
  );
  const ask = (headers: Record<string, string> = {}, query = ''): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}/realtime${query}`, { headers });
  return { host, transport, ask, port };
}

describe('the probe GET {path} of a client whose WebSocket never opened (P18)', () => {
  it('the probe is answered with 426 when an upgrade would succeed (P18)', async () => {
    const { host, ask } = await route();
    const response = await ask();
    expect(response.status).toBe(426);
    expect(response.headers.get('upgrade')).toBe('websocket');
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(await response.json()).toMatchObject({ statusCode: 426 });
    expect(host.sessions).toEqual([]);
    expect(host.refused).toEqual([]);
  });

  it('the probe takes the token from Authorization, as a page cannot set Sec-WebSocket-Protocol (P18)', async () => {
    const { host, ask } = await route();
    expect((await ask({ Authorization: 'Bearer abc' })).status).toBe(426);
    expect(host.asked).toMatchObject([{ token: 'abc', via: 'subprotocol' }]);
    host.verify = () => Promise.reject(new RealtimeError('token_expired'));
    const refused = await ask({ Authorization: 'bearer abc' });
    expect(refused.status).toBe(401);
    expect(refused.headers.get('www-authenticate')).toBe('Bearer');
  });

  it.each(['Basic abc', 'Bearer', 'Bearer a b'])(
    'the probe takes no token from %s (P18)',
    async (authorization) => {
      const { host, ask } = await route();
      expect((await ask({ Authorization: authorization })).status).toBe(426);
      expect(host.asked).toEqual([]);
    },
  );

  it('the probe is answered with the refusal of the engine (P18)', async () => {
    const { host, ask } = await route();
    host.admit = () => ({ status: 503, message: 'Draining', retryAfterMs: 1_500 });
    const response = await ask();
    expect(response.status).toBe(503);
    expect(response.headers.get('retry-after')).toBe('2');
  });

  it('the probe applies the same rules for Origin and Host (P18, G22)', async () => {
    const { ask } = await route({ allowedOrigins: 'https://app.example.com' });
    expect((await ask({ Origin: 'https://evil.net' })).status).toBe(403);
    expect((await ask({ Origin: 'https://app.example.com' })).status).toBe(426);
    const hosts = await route({ allowedHosts: ['example.com'] });
    expect((await hosts.ask()).status).toBe(403);
  });

  it('the probe needs no Origin with a cookie, as a fetch of the same origin has none (P18)', async () => {
    const { host, ask } = await route({ cookie: { name: 'session' } });
    expect((await ask({ Cookie: 'session=abc' })).status).toBe(426);
    expect(host.asked).toMatchObject([{ token: 'abc', via: 'cookie' }]);
  });

  it.each<[string, Record<string, string>]>([
    ['a page of another origin', { Origin: 'https://evil.net' }],
    ['a page whose origin is opaque', { Origin: 'null' }],
    ['an image on another site', { 'Sec-Fetch-Site': 'cross-site' }],
    ['a script of another subdomain', { 'Sec-Fetch-Site': 'same-site' }],
  ])('the probe of %s is answered without a look at the cookie (P18b)', async (_what, headers) => {
    const { host, ask } = await route({ cookie: { name: 'session' } });
    host.verify = () => Promise.reject(new RealtimeError('unauthorized'));
    const answer = async (response: Response) => [
      response.status,
      await response.text(),
      [...response.headers].filter(([name]) => name !== 'date'),
    ];
    const without = await answer(await ask(headers));
    expect(await answer(await ask({ ...headers, Cookie: 'session=abc' }))).toEqual(without);
    expect(await answer(await ask({ ...headers, Cookie: 'session=' }))).toEqual(without);
    expect(host.asked).toEqual([]);
    // Its own token still counts.
    expect((await ask({ ...headers, Cookie: 'session=abc', Authorization: 'Bearer b' })).status).toBe(401);
    expect(host.asked).toMatchObject([{ token: 'b', via: 'subprotocol' }]);
  });

  it.each(['same-origin', 'none'])('the probe of the own page (%s) counts the cookie', async (site) => {
    const { host, ask } = await route({ cookie: { name: 'session' } });
    expect((await ask({ Cookie: 'session=abc', 'Sec-Fetch-Site': site })).status).toBe(426);
    expect(host.asked).toMatchObject([{ token: 'abc', via: 'cookie' }]);
  });

  it('the probe is refused where two Host headers came (P18)', async () => {
    const { port } = await route();
    const request = 'GET /realtime HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n';
    expect((await exchange(port, request)).status).toBe(400);
  });

  it('the probe is answered with 503 after an internal failure, and after close (P18)', async () => {
    const failures: unknown[] = [];
    const { host, transport, ask } = await route({ onError: (error) => failures.push(error) });
    host.verify = () => Promise.reject(new Error('database'));
    expect((await ask({ Authorization: 'Bearer abc' })).status).toBe(503);
    expect(failures).toHaveLength(1);
    transport.close();
    const closed = await ask();
    expect([closed.status, await closed.json()]).toMatchObject([503, { retryAfterMs: 250 }]);
  });
});
