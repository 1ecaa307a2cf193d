import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { occupy, RequestRouter } from '../../../../lib/transports/http/request-router.js';
import { exchange } from '../support/raw-client.js';
import { closeServers, listen } from '../support/test-server.js';

afterEach(closeServers);

/** Answers with its name, so that a test sees who got the request. */
const answers =
  (name: string): RequestListener =>
  (_req, res) =>
    void res.end(name);

async function who(port: number, target: string): Promise<string> {
  return (await exchange(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)).body
    .split('\r\n')
    .filter((line) => /^[a-z]/.test(line) && line.length > 1)
    .join();
}

/** A tick later than the router's microtask. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function routed(prepare: (server: Server) => void = (server) => server.on('request', answers('app'))) {
  const server = createServer();
  prepare(server);
  const router = RequestRouter.of(server);
  const release = router.claim('/realtime/sse', answers('ours'));
  const { port } = await listen(server);
  return { server, router, release, port };
}

describe('paths of the request router (P20)', () => {
  it.each(['/realtime/sse', '/realtime/sse/', '/realtime/sse?channels=a', 'http://a/realtime/sse?x'])(
    '%s is served here, and the application never sees it',
    async (target) => {
      const seen: (string | undefined)[] = [];
      const { port } = await routed((server) => server.on('request', (req) => seen.push(req.url)));
      expect(await who(port, target)).toBe('ours');
      expect(seen).toEqual([]);
    },
  );

  it.each(['/', '/realtime', '/realtime/sse/x', '/realtime/sse2', '/realtime/%73se', '//realtime/sse'])(
    '%s is the application’s',
    async (target) => {
      const { port } = await routed();
      expect(await who(port, target)).toBe('app');
    },
  );

  it('a listener that the application adds later sees everything but the claimed path', async () => {
    const { port, server } = await routed(() => undefined);
    const app = answers('late');
    server.on('request', app);
    await turn();
    expect([await who(port, '/realtime/sse'), await who(port, '/x')]).toEqual(['ours', 'late']);
    expect(server.listeners('request')).toContain(app);
  });

  it('is put back when its last path is released, and two applications share one server', async () => {
    const app = answers('app');
    const { port, server, release } = await routed((made) => made.on('request', app));
    const second = RequestRouter.of(server).claim('/second', answers('second'));
    expect(() => RequestRouter.of(server).claim('/second/', app)).toThrow(
      'Requests of "/second/" are already taken on this server',
    );
    release();
    release();
    expect([await who(port, '/realtime/sse'), await who(port, '/second')]).toEqual(['app', 'second']);
    second();
    expect(await who(port, '/second')).toBe('app');
    expect(server.rawListeners('request')).toEqual([app]);
    expect(server.listenerCount('newListener')).toBe(0);
  });
});

describe('a request behind an answer that lasts', () => {
  it('ends the connection, unseen by the application, and is served again once the answer is complete', async () => {
    const seen: (string | undefined)[] = [];
    const { port, server } = await routed((made) =>
      made.on('request', (req, res) => {
        seen.push(req.url);
        res.end('app');
      }),
    );
    let isShort = false;
    RequestRouter.of(server).claim('/long', (req, res) => {
      occupy(req, res);
      if (isShort) res.end('short');
      else res.write('lasts');
    });
    const pipelined =
      'GET /long HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n';
    await exchange(port, pipelined).catch(() => undefined);
    expect(seen).toEqual([]);
    isShort = true;
    expect((await exchange(port, pipelined)).body).toContain('app');
    expect(seen).toEqual(['/x']);
  });
});
