import { createServer, type RequestListener, type Server } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { occupy, RequestRouter } from '../../../../lib/transports/http/request-router.js';
import { until } from '../../../support/until.js';
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

describe('a router that only watches', () => {
  it('sees the requests until the last watch is released, each once, and then puts everything back', async () => {
    const app = answers('app');
    const server = createServer(app);
    const router = RequestRouter.of(server);
    const [first, second] = [router.watch(), RequestRouter.of(server).watch()];
    await listen(server);
    const isWatched = (): boolean => server.rawListeners('request')[0] !== app;
    expect(isWatched()).toBe(true);
    first();
    // The second time it releases nothing of the other one.
    first();
    expect(isWatched()).toBe(true);
    second();
    expect([server.rawListeners('request'), server.listenerCount('newListener')]).toEqual([[app], 0]);
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

describe('a request that came behind one before it was known that its answer lasts', () => {
  /** Serves `/guarded` with an answer that lasts, once `decide` is called; `/long` at once; and `/slow` once `finish` is called. */
  async function guarded() {
    const held: { decide?: () => boolean; finish?: () => void; seen: (string | undefined)[] } = { seen: [] };
    const { port, server } = await routed((made) =>
      made.on('request', (req, res) => {
        held.seen.push(req.url);
        if (req.url === '/slow') held.finish = () => void res.end('slow');
        else if (req.url === '/guarded')
          held.decide = () => {
            const isAlone = occupy(req, res);
            if (isAlone) res.end('lasts');
            return isAlone;
          };
        else res.end('app');
      }),
    );
    const socket = connect(port, '127.0.0.1').setEncoding('latin1');
    let text = '';
    socket.on('data', (part: string) => (text += part)).on('error', () => undefined);
    const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(text)));
    const ask = (...paths: string[]): void =>
      void socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''));
    const saw = (...paths: string[]) => until('the requests', () => held.seen.join() === paths.join());
    return { held, server, socket, closed, ask, saw, text: () => text };
  }

  it.each([[['/guarded', '/x']], [['/slow', '/guarded', '/x']], [['/guarded', '/x', '/y']]])(
    'ends the connection: %j',
    async (paths) => {
      const { held, closed, ask, saw } = await guarded();
      ask(...paths);
      await saw(...paths);
      expect(held.decide?.()).toBe(false);
      expect(await closed).toBe('');
    },
  );

  it.each([[['/guarded']], [['/slow', '/guarded']], [['/x', '/y', '/guarded']]])(
    'is looked for behind it only: %j',
    async (paths) => {
      const { held, ask, saw, socket, text } = await guarded();
      ask(...paths);
      await saw(...paths);
      expect(held.decide?.()).toBe(true);
      held.finish?.();
      await until('the answer', () => text().endsWith('lasts'));
      socket.destroy();
    },
  );

  it('is forgotten once it had its turn', async () => {
    const { held, ask, saw, socket, text } = await guarded();
    ask('/slow', '/x');
    await saw('/slow', '/x');
    held.finish?.();
    await until('both answers', () => text().endsWith('app'));
    ask('/guarded');
    await saw('/slow', '/x', '/guarded');
    expect(held.decide?.()).toBe(true);
    await until('the answer', () => text().endsWith('lasts'));
    socket.destroy();
  });
});
