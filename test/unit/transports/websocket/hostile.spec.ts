import { createRequire } from 'node:module';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { elapse } from '../../../support/patience.js';
import { exchange, RawClient, refusalOf, upgradeRequest } from '../support/raw-client.js';
import { closeServers, serve } from '../support/test-server.js';

afterEach(closeServers);

const require = createRequire(import.meta.url);

/** The server still works, and nothing was reported or let in. */
async function unharmed({ host, port, errors }: Awaited<ReturnType<typeof serve>>): Promise<void> {
  expect(errors).toEqual([]);
  const before = host.sessions.length;
  await RawClient.open(port);
  await host.next();
  expect(host.sessions).toHaveLength(before + 1);
}

describe('published security advisories', () => {
  it('ws is installed and allowed only from 8.21 on (memory exhaustion by fragments)', () => {
    const minor = (version: string): number => {
      const match = /^\^?8\.(\d+)\.\d+$/.exec(version);
      return Number(match?.[1] ?? NaN);
    };
    const { version } = require('ws/package.json') as { version: string };
    const { dependencies } = require('../../../../package.json') as { dependencies: { ws: string } };
    expect(minor(version)).toBeGreaterThanOrEqual(21);
    expect(minor(dependencies.ws)).toBeGreaterThanOrEqual(21);
  });

  it('more headers than Node keeps hide Upgrade and Origin, and are refused without a crash (CVE-2024-37890)', async () => {
    const context = await serve({ cookie: { name: 'session' }, allowedOrigins: 'https://example.com' });
    context.server.maxHeadersCount = 100;
    const many = Array.from({ length: 200 }, (_, index) => `x${index}: y\r\n`).join('');
    const request = upgradeRequest().replace('\r\n', `\r\n${many}`);
    const response = await exchange(context.port, request);
    expect(response.statusLine).toBe('HTTP/1.1 426 Upgrade Required');
    expect(context.host.sessions).toEqual([]);
    await unharmed(context);
  });

  it.each(['constructor', '__proto__', 'toString; constructor', 'permessage-deflate; __proto__=1', ''])(
    'Sec-WebSocket-Extensions: %s causes no crash, with compression on or off (ws 3.3.1)',
    async (extensions) => {
      const off = await serve();
      const client = await RawClient.open(off.port, '/realtime', { 'Sec-WebSocket-Extensions': extensions });
      expect(client.response.headers['sec-websocket-extensions']).toBeUndefined();
      await off.host.next();
      await unharmed(off);

      const on = await serve({ compression: {} });
      const socket = connect(on.port, '127.0.0.1');
      socket.write(upgradeRequest('/realtime', { 'Sec-WebSocket-Extensions': extensions }));
      const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
      expect(answer.toString()).toMatch(/^HTTP\/1\.1 (101|400) /);
      socket.destroy();
      expect(on.errors).toEqual([]);
    },
  );

  it('a huge Sec-WebSocket-Protocol is refused', async () => {
    const context = await serve();
    const long = `realtime.v1.json, bearer.${'a'.repeat(15_000)}`;
    const client = await RawClient.open(context.port, '/realtime', { 'Sec-WebSocket-Protocol': long });
    expect(client.response.headers['sec-websocket-protocol']).toBe('realtime.v1.json');
    const longer = await refusalOf(context.port, '/realtime', {
      'Sec-WebSocket-Protocol': 'a'.repeat(20_000),
    });
    expect(longer.status).toBe(431);
    const many = Array.from({ length: 5_000 }, (_, index) => index.toString(36))
      .join(',')
      .slice(0, 15_000);
    expect(
      (await refusalOf(context.port, '/realtime', { 'Sec-WebSocket-Protocol': `${many}z` })).status,
    ).toBe(400);
    await context.host.next();
    await unharmed(context);
  });

  it.each(['__proto__', 'constructor', 'hasOwnProperty'])(
    'the subprotocol %s is refused as unknown',
    async (name) => {
      const context = await serve();
      expect((await refusalOf(context.port, '/realtime', { 'Sec-WebSocket-Protocol': name })).status).toBe(
        400,
      );
      await unharmed(context);
    },
  );

  it('a hundred upgrades of an unknown path are each answered with 404 (CVE-2020-7693)', async () => {
    const context = await serve();
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => refusalOf(context.port, `/path${index}`)),
    );
    expect(answers.every(({ status }) => status === 404)).toBe(true);
    await unharmed(context);
  });

  it('a client that resets during a refusal causes no error', async () => {
    const context = await serve();
    for (let round = 0; round < 20; round++) {
      const socket = connect(context.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(upgradeRequest('/realtime', { 'Sec-WebSocket-Version': '99' }));
      // At different moments of it.
      await elapse(round % 5);
      await new Promise((resolve) => socket.once('close', resolve).resetAndDestroy());
    }
    await unharmed(context);
  });

  it('a refused client that continues to send and never closes is destroyed after 2 s', async () => {
    const { port, clock } = await serve();
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    socket.on('error', () => undefined);
    socket.write(upgradeRequest('/unknown'));
    await new Promise((resolve) => socket.once('data', resolve));
    const flood = setInterval(() => socket.writable && socket.write(Buffer.alloc(10_000)), 1);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    clock.advance(2_000);
    await closed;
    clearInterval(flood);
  });

  it('an upgrade in absolute form is checked like any other (GHSA-c4j6-fc7j-m34r)', async () => {
    const { port } = await serve({ allowedOrigins: 'https://example.com', allowedHosts: ['example.com'] });
    const target = 'http://example.com/realtime';
    expect((await refusalOf(port, target, { Origin: 'https://evil.net' })).status).toBe(403);
    expect((await refusalOf(port, target, { Host: 'evil.net' })).status).toBe(403);
  });

  it('a page of another site gains nothing by the cookie of its visitor, and learns nothing of it (CWE-1385)', async () => {
    const { host, port } = await serve({ cookie: { name: 'session' } });
    for (const origin of [
      'https://evil.net',
      'https://example.com.evil.net',
      'null',
      'https://sub.example.com',
    ]) {
      await RawClient.open(port, '/realtime', { Origin: origin, Cookie: 'session=victim' });
      const { opening, connection } = await host.next();
      // As without the cookie: it may say hello with a token of its own.
      expect(opening).toEqual({});
      expect(connection.handshake.headers.cookie).toBeUndefined();
    }
    expect(host.asked).toEqual([]);
  });
});
