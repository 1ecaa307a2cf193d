import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Authenticator } from '../../../../lib/core/ports/identity.js';
import type { TrustProxy } from '../../../../lib/transports/websocket/index.js';
import { WireClient } from '../../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../../support/wire/server.js';

let server: WireServer | undefined;
let verified = 0;

const counting: Authenticator = {
  authenticate() {
    verified++;
    return { user: { id: 'alice' } };
  },
};

async function start(trustProxy?: TrustProxy, requireTls = true): Promise<WireServer> {
  server = await startWireServer({
    authenticator: counting,
    transport: { requireTls, ...(trustProxy === undefined ? {} : { trustProxy }) },
  });
  return server;
}

afterEach(async () => {
  verified = 0;
  await server?.close();
});

const withToken = ['realtime.v1.json', 'bearer.alice'];
const proto = (value: string, more: Readonly<Record<string, string>> = {}) => ({
  headers: { 'X-Forwarded-Proto': value, ...more },
});

describe('requireTls', () => {
  it('refuses an upgrade over plain HTTP for good, names the remedy, and reads no credential (P18f)', async () => {
    const { url, records } = await start();
    const refused = await WireClient.refused(url, { protocols: withToken });
    expect(refused.status).toBe(403);
    expect(JSON.parse(refused.body)).toEqual({
      statusCode: 403,
      code: 'forbidden',
      message: 'This server takes TLS connections only: use wss:// or https://',
    });
    expect(refused.headers['retry-after']).toBeUndefined();
    expect(verified).toBe(0);
    expect(records.map(({ message }) => message).join('\n')).toContain('trustProxy has to trust it');
  });

  it('answers a probe over plain HTTP in the same way (P18f)', async () => {
    const { httpUrl } = await start();
    const answer = await fetch(httpUrl, { headers: { Authorization: 'Bearer alice' } });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ statusCode: 403, code: 'forbidden' });
    expect(verified).toBe(0);
  });

  it('refuses a plain stream in the same way, a route of the application that serves one too (P18f, P20)', async () => {
    const { httpUrl, sse } = await start();
    const answer = await fetch(`${httpUrl}/sse?channels=rooms.1`, {
      headers: { Authorization: 'Bearer alice' },
    });
    expect(answer.status).toBe(403);
    expect(await answer.json()).toMatchObject({ statusCode: 403, code: 'forbidden' });
    const route = createServer((req, res) => {
      const authentication = { user: { id: 'alice' }, endsAt: Infinity };
      void sse.serve(req, res, { channels: ['rooms.1'], authentication });
    });
    try {
      await new Promise<void>((resolve) => route.listen(0, '127.0.0.1', resolve));
      const served = await fetch(`http://127.0.0.1:${(route.address() as AddressInfo).port}/feed`);
      expect([served.status, verified]).toEqual([403, 0]);
      await served.text();
    } finally {
      route.closeAllConnections();
      route.close();
    }
  });

  it('does not believe a client that says it came over TLS (P18f)', async () => {
    const { url } = await start();
    expect((await WireClient.refused(url, proto('https'))).status).toBe(403);
  });

  it('does not believe an address that is no trusted proxy (P18f)', async () => {
    const { url } = await start(['10.0.0.0/8']);
    expect((await WireClient.refused(url, proto('https'))).status).toBe(403);
  });

  it.each([
    ['https', 1],
    ['wss', 1],
    ['HTTPS', ['127.0.0.0/8']],
  ] as const)('believes a trusted proxy that says %s', async (scheme, trust) => {
    const { url, open } = await start(trust);
    expect(url).toMatch(/^ws:/);
    const client = await open({ ...proto(scheme), protocols: withToken });
    await client.hello();
    expect(verified).toBe(1);
  });

  it.each([
    ['says http', proto('http')],
    ['says nothing', {}],
    ['says something else', proto('spdy')],
  ])('refuses the client of a trusted proxy that %s', async (_what, options) => {
    const { url } = await start(1);
    expect((await WireClient.refused(url, options)).status).toBe(403);
  });

  it('goes by the client’s own proxy where several are trusted, and by none that the client invented', async () => {
    const two = { 'X-Forwarded-For': '9.9.9.9, 10.0.0.1' };
    const { url, open } = await start(2);
    await open(proto('https, http', two));
    expect((await WireClient.refused(url, proto('http, https', two))).status).toBe(403);
    expect((await WireClient.refused(url, proto('https, http, http', two))).status).toBe(403);
  });

  it('is off by default: plain connections are taken', async () => {
    const { open } = await start(undefined, false);
    await (await open()).hello('alice');
  });
});
