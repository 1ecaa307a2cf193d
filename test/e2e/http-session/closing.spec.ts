import { afterEach, describe, expect, it } from '@jest/globals';
import { Agent } from 'node:http';
import { HttpSessionTransport } from '../../../lib/transports/http-session/index.js';
import { SseTransport } from '../../../lib/transports/sse/index.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';
import { ask, hello, PollSession } from './raw.js';

const ORIGIN = 'https://app.example.com';
const NAMES = ['sse', 'poll', 'send'] as const;

let server: WireServer;
const agent = new Agent({ keepAlive: true, maxSockets: 1 });
afterEach(async () => {
  agent.destroy();
  await server.close();
});

async function start(): Promise<void> {
  server = await startWireServer({
    channels: [wireChannel('open.:x')],
    settings: { anonymous: true },
    transport: { allowedOrigins: [ORIGIN] },
  });
}

describe('a node that has closed while its connections last', () => {
  it.each(NAMES)('answers %s with 503 that a page may read, and ends the connection (P21h)', async (name) => {
    await start();
    await PollSession.open(server.httpUrl);
    server.http.close();
    server.http.close();
    expect(server.http.attached).toBe(false);
    const headers = { Origin: ORIGIN };
    for (let again = 0; again < 2; again++) {
      const answer = await ask(`${server.httpUrl}/${name}`, JSON.stringify([hello()]), { agent, headers });
      expect(answer.status).toBe(503);
      expect(answer.headers).toMatchObject({
        connection: 'close',
        'retry-after': '1',
        'access-control-allow-origin': ORIGIN,
      });
      expect(JSON.parse(answer.text)).toMatchObject({ statusCode: 503, retryAfterMs: 250 });
    }
  });

  it('tells a plain stream to come back as soon as another node takes it (P20f)', async () => {
    await start();
    server.sse.close();
    const answer = await ask(`${server.httpUrl}/sse?channels=open.1`, undefined, { method: 'GET', agent });
    expect(answer.status).toBe(200);
    expect(answer.text).toContain('"retryAfterMs":250');
  });

  it('answers the preflights of a page, without which that could not ask, and ends the connection', async () => {
    await start();
    server.http.close();
    server.sse.close();
    for (const asked of ['POST', 'GET']) {
      const headers = { Origin: ORIGIN, 'Access-Control-Request-Method': asked };
      const answer = await ask(`${server.httpUrl}/sse`, undefined, { method: 'OPTIONS', agent, headers });
      expect(answer.status).toBe(204);
      expect(answer.headers).toMatchObject({
        connection: 'close',
        'access-control-allow-methods': asked,
        'access-control-allow-origin': ORIGIN,
      });
    }
  });

  it('tells plain streams when to come back: a browser gives up after any other answer (P20)', async () => {
    await start();
    server.sse.close();
    expect(server.sse.attached).toBe(false);
    const headers = { Origin: ORIGIN };
    const answer = await ask(`${server.httpUrl}/sse?channels=open.1`, undefined, {
      method: 'GET',
      agent,
      headers,
    });
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'text/event-stream']);
    expect(answer.headers).toMatchObject({ connection: 'close', 'access-control-allow-origin': ORIGIN });
    expect(answer.text).toContain('retry: ');
    expect(answer.text).toContain('"unavailable"');
  });

  it('keeps the session of the other transport at its path as it is', async () => {
    await start();
    server.sse.close();
    const session = await PollSession.open(server.httpUrl);
    expect((await session.send(1, [{ type: 'ping', id: 'p' }])).status).toBe(202);
  });

  it('gives its paths to the next application on the server', async () => {
    await start();
    server.http.close();
    server.sse.close();
    const { host } = server.engine;
    const next = new HttpSessionTransport(host, { allowedOrigins: [ORIGIN] });
    const feeds = new SseTransport(host, { allowedOrigins: [ORIGIN] });
    next.attach(server.httpServer);
    feeds.attach(server.httpServer);
    const session = await PollSession.open(server.httpUrl);
    expect((await session.send(1, [{ type: 'ping', id: 'p' }])).status).toBe(202);
    expect(() => new HttpSessionTransport(host).attach(server.httpServer)).toThrow('already taken');
    next.close();
    feeds.close();
    expect((await ask(`${server.httpUrl}/send`, '[]')).status).toBe(503);
  });
});
