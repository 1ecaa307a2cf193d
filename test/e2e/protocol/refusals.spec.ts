import { afterEach, describe, expect, it } from '@jest/globals';
import { request } from 'node:http';
import { connect } from 'node:net';
import { until } from '../../support/until.js';
import { post } from '../../support/wire/http-post.js';
import { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

const JSON_V1 = 'realtime.v1.json';
const HELLO = JSON.stringify([{ type: 'hello', id: '1', payload: { versions: [1] } }]);

let server: WireServer;
afterEach(() => server.close());

async function start(options: WireServerOptions = {}): Promise<WireServer> {
  server = await startWireServer(options);
  return server;
}

const refused = (protocols: readonly string[]) => WireClient.refused(server.url, { protocols });

/** What a browser learns with `fetch` after a WebSocket that never opened. */
function probe(
  headers: Record<string, string> = {},
): Promise<{ status: number; retryAfter?: string; body: object }> {
  return new Promise((resolve, reject) => {
    const req = request(server.httpUrl, { headers, agent: false }, (res) => {
      const chunks: Buffer[] = [];
      res.on('data', (chunk: Buffer) => chunks.push(chunk));
      res.on('end', () => {
        const retryAfter = res.headers['retry-after'];
        resolve({
          status: res.statusCode ?? 0,
          ...(retryAfter === undefined ? {} : { retryAfter }),
          body: JSON.parse(Buffer.concat(chunks).toString()) as object,
        });
      });
    });
    req.on('error', reject).end();
  });
}

describe('refusals before the upgrade (P18)', () => {
  it('a full address is refused with 429 and a full node with 503, both with Retry-After, and the probe answers the same (P18)', async () => {
    await start({ settings: { limits: { maxConnectionsPerAddress: 1 } } });
    const first = await server.connect('ada');
    const crowded = await refused([JSON_V1]);
    expect(crowded.status).toBe(429);
    expect(Number(crowded.headers['retry-after'])).toBeGreaterThan(0);
    expect(await probe()).toMatchObject({ status: 429, retryAfter: expect.stringMatching(/^\d+$/) });
    await first.close();
    await until('the session to end', () => server.engine.status.sessions === 0);
    expect(await probe()).toMatchObject({ status: 426 });
    await server.close();

    await start({ settings: { limits: { maxConnections: 1 } } });
    await server.connect('ada');
    const full = await refused([JSON_V1]);
    expect(full.status).toBe(503);
    expect(Number(full.headers['retry-after'])).toBeGreaterThan(0);
    expect(JSON.parse(full.body)).toMatchObject({ statusCode: 503, retryAfterMs: 2_000 });
  });

  it('a draining node refuses upgrades, probes and openings over HTTP with 503, and advises a short wait (P18, G18)', async () => {
    await start();
    expect((await probe()).status).toBe(426);
    server.engine.beginDrain();
    const body = { statusCode: 503, message: 'This node is not taking connections', retryAfterMs: 250 };
    const upgrade = await refused([JSON_V1]);
    expect(upgrade).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
    expect(JSON.parse(upgrade.body)).toEqual(body);
    expect(await probe()).toEqual({ status: 503, retryAfter: '1', body });
    for (const path of ['poll', 'sse']) {
      const opening = await post(`${server.httpUrl}/${path}`, { body: HELLO });
      expect(opening).toMatchObject({ status: 503, headers: { 'retry-after': '1' } });
      expect(JSON.parse(opening.body)).toEqual(body);
    }
  });

  it('a bad token is refused with 401 by upgrade and probe; a good token is accepted (P18)', async () => {
    await start();
    expect((await refused([JSON_V1, 'bearer.old'])).status).toBe(401);
    expect((await probe({ authorization: 'Bearer old' })).status).toBe(401);
    expect((await probe({ authorization: 'Bearer ada' })).status).toBe(426);
  });

  it('a banned user is refused in answer to hello, even if the token came with the upgrade (P18a)', async () => {
    await start();
    await server.engine.ban('ada', { forMs: 60_000 });
    const client = await server.open({ protocols: [JSON_V1, 'bearer.ada'] });
    expect(await client.error({ type: 'hello', payload: { versions: [1] } })).toMatchObject({
      code: 'banned',
      retryAfterMs: expect.any(Number),
    });
    await client.expectClose(4803);
  });

  it('another path is 404, another version of WebSocket is 426 (P18)', async () => {
    await start();
    const elsewhere = await WireClient.refused(server.url.replace('/realtime', '/elsewhere'));
    expect(elsewhere.status).toBe(404);
    const status = await new Promise<number | undefined>((resolve, reject) => {
      const req = request(server.httpUrl, {
        headers: {
          connection: 'Upgrade',
          upgrade: 'websocket',
          'sec-websocket-version': '8',
          'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
        },
      });
      req.on('response', (res) => resolve(res.resume().statusCode));
      req.on('error', reject).end();
    });
    expect(status).toBe(426);
  });
});

/** What the server sends until it ends the connection. */
function exchange(bytes: string): Promise<string> {
  const socket = connect(Number(new URL(server.httpUrl).port), '127.0.0.1');
  const chunks: Buffer[] = [];
  return new Promise((resolve) => {
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    // A connection that is cut may end with a reset.
    socket.on('error', () => undefined);
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.on('end', () => socket.destroy());
    socket.write(bytes, 'latin1');
  });
}

function upgrade(...headers: string[]): string {
  const lines = [
    'GET /realtime HTTP/1.1',
    'Host: example.com',
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...headers,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

describe('an upgrade never ends the process (G16)', () => {
  it.each(['fe80::1%eth0.100', 'fe80::1%br-lan', '2001:db8::1%a:b'])(
    'the address %s, which a trusted proxy tells, is that without its zone',
    async (address) => {
      await start({ transport: { trustProxy: 1 } });
      const seen: string[] = [];
      server.engine.host.onRefused = (_refusal, ip) => void seen.push(ip);
      // Refused, so that the answer ends.
      const answer = await exchange(
        upgrade(`X-Forwarded-For: ${address}`, 'Sec-WebSocket-Protocol: nothing'),
      );
      expect(answer).toMatch(/^HTTP\/1\.1 400 /);
      expect(seen).toEqual([address.replace(/%.*/, '')]);
      const client = await server.open({ headers: { 'x-forwarded-for': address } });
      expect((await client.hello('ada')).user).toBe('ada');
    },
  );

  it('a trustProxy that throws is logged, refuses the upgrade and its probe with 503, and is asked once for each', async () => {
    let asked = 0;
    let fails = true;
    const trustProxy = (): boolean => {
      asked++;
      if (fails) throw new Error('no list of proxies');
      return false;
    };
    await start({ transport: { trustProxy } });
    for (const bytes of [
      upgrade(),
      upgrade('Content-Length: 5'),
      'GET /realtime HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n',
    ]) {
      asked = 0;
      const before = server.records.length;
      expect(await exchange(bytes)).toMatch(/^HTTP\/1\.1 503 /);
      expect(asked).toBe(1);
      const errors = server.records.slice(before).filter(({ level }) => level === 'error');
      expect(errors).toMatchObject([{ error: new Error('no list of proxies') }]);
    }
    fails = false;
    expect((await (await server.open()).hello('ada')).user).toBe('ada');
  });
});

describe('an upgrade behind a request that has no answer yet (P18)', () => {
  it.each([
    ['one probe', 1],
    ['two probes', 2],
  ])('gets none, and neither does %s get its answer into a stream of frames', async (_, probes) => {
    await start();
    const probing = 'GET /realtime HTTP/1.1\r\nHost: example.com\r\n\r\n'.repeat(probes);
    expect(await exchange(probing + upgrade())).toBe('');
    expect(server.engine.status.sessions).toBe(0);
    expect((await (await server.open()).hello('ada')).user).toBe('ada');
  });

  it('an upgrade after the answer, on the same connection, is taken', async () => {
    await start();
    const socket = connect(Number(new URL(server.httpUrl).port), '127.0.0.1');
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    socket.write('GET /realtime HTTP/1.1\r\nHost: example.com\r\n\r\n');
    await until('the answer', () => text.endsWith('\r\n0\r\n\r\n'));
    text = '';
    socket.write(upgrade());
    await until('the upgrade', () => text.includes('\r\n\r\n'));
    expect(text).toMatch(/^HTTP\/1\.1 101 /);
    socket.destroy();
  });
});
