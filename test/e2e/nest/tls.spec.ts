import { request } from 'node:https';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ConnectedSocket } from '@nestjs/websockets';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import { Channel, OnPublish, OnRequest, PublicChannel, Authorize } from '../../../lib/nest/index.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';
import { makeCertificate } from '../../support/certificate.js';
import { WireClient, type WireClientOptions } from '../../support/wire/client.js';
import { makeApp, PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

@PublicChannel()
@Channel('rooms.:room')
class RoomsChannel {
  @Authorize('publish')
  everybody() {
    return true;
  }

  @OnPublish('said')
  said() {}

  @OnRequest('where', { scope: 'connection', authorize: 'authenticated' })
  where(@ConnectedSocket() { secure }: RealtimeConnection) {
    return { secure };
  }
}

const certificate = makeCertificate('localhost');
const trusting: WireClientOptions = { socket: { ca: certificate.cert, servername: 'localhost' } };

/** As main.ts would make an application with TLS of its own. */
const SECURE = [
  ['Express', () => new ExpressAdapter(), { httpsOptions: certificate }],
  ['Fastify', () => new FastifyAdapter({ https: certificate }), {}],
] as const;

let running: TestApp | undefined;

afterEach(async () => {
  await running?.close();
  running = undefined;
});

function options(realtime: RealtimeModuleOptions): AppOptions {
  return { providers: [RoomsChannel], realtime };
}

describe.each(SECURE)('An application on %s that ends TLS itself', (_name, platform, application) => {
  it('speaks wss, and requireTls is satisfied (P18f)', async () => {
    running = await startApp(platform, { ...options({ requireTls: true }), application });
    const url = `wss://localhost:${running.port}/realtime`;
    const client = await WireClient.open(url, trusting);
    try {
      await client.hello('alice');
      expect(await client.reply({ type: 'request', event: 'where', payload: {} })).toEqual({ secure: true });
      await client.subscribe('rooms.1');
      const text = 'x'.repeat(50_000);
      await client.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: { text } });
      expect((await client.take({ event: 'said' })).payload['text']).toBe(text);
    } finally {
      client.terminate();
    }
  });

  it('answers the probe over https, and refuses a bad token before the upgrade (P18)', async () => {
    running = await startApp(platform, { ...options({ requireTls: true }), application });
    const { port } = running;
    const status = await new Promise((resolve, reject) =>
      request(
        { host: 'localhost', port, path: '/realtime', ca: certificate.cert, agent: false },
        (response) => {
          response.resume();
          resolve(response.statusCode);
        },
      )
        .once('error', reject)
        .end(),
    );
    expect(status).toBe(426);
    const refused = await WireClient.refused(`wss://localhost:${port}/realtime`, {
      ...trusting,
      protocols: ['realtime.v1.json', 'bearer.bad'],
    });
    expect(refused.status).toBe(401);
  });
});

describe.each(PLATFORMS)('requireTls in an application on %s without TLS of its own', (_name, platform) => {
  it('does not boot where nobody could connect, and names three remedies', async () => {
    const { app } = await makeApp(platform, options({ requireTls: true }));
    await expect(app.init()).rejects.toThrow(
      /requireTls.*every client would be refused.*trustProxy.*httpsOptions.*leave requireTls out/s,
    );
    await app.close();
  });

  it.each([false, 0] as const)('does not boot with trustProxy %j either', async (trustProxy) => {
    const { app } = await makeApp(platform, options({ requireTls: true, trustProxy }));
    await expect(app.init()).rejects.toThrow('requireTls');
    await app.close();
  });

  it('boots behind a trusted proxy, takes what came to it over TLS, and refuses the rest (P18f)', async () => {
    running = await startApp(platform, options({ requireTls: true, trustProxy: 1 }));
    const client = await running.connect('alice', { headers: { 'X-Forwarded-Proto': 'https' } });
    expect(await client.reply({ type: 'request', event: 'where', payload: {} })).toEqual({ secure: true });
    expect((await WireClient.refused(running.url)).status).toBe(403);
    expect((await fetch(running.httpUrl)).status).toBe(403);
    expect((await fetch(`${running.httpUrl}/sse?channels=rooms.1`)).status).toBe(403);
    for (const path of ['sse', 'poll', 'send'])
      expect((await fetch(`${running.httpUrl}/${path}`, { method: 'POST', body: '[]' })).status).toBe(403);
  });

  it('leaves a process alone that only publishes', async () => {
    running = await startApp(platform, options({ requireTls: true, publisherOnly: true }));
  });
});
