import { createServer, type IncomingMessage, type Server } from 'node:http';
import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from '@jest/globals';
import { UpgradeRouter } from '../../../../lib/transports/http/upgrade-router.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { exchange, parseResponse, refusalOf, upgradeRequest } from '../support/raw-client.js';
import { closeServers, listen } from '../support/test-server.js';

type Listener = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

afterEach(closeServers);

/** Answers with its name, so that a test sees who got the upgrade. */
function answers(name: string): Listener {
  return (_req, socket) => void socket.end(`HTTP/1.1 418 ${name}\r\nConnection: close\r\n\r\n`);
}

/** What Nest's WsAdapter does to every path that it does not know (ws-adapter.js:195). */
function destroysStrangers(path: string, name: string): Listener {
  return (req, socket, head) => (req.url === path ? answers(name)(req, socket, head) : void socket.destroy());
}

async function who(port: number, target: string): Promise<string> {
  const { statusLine } = await refusalOf(port, target);
  return statusLine.slice('HTTP/1.1 '.length);
}

/** A tick later than the router's microtask. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function routed(prepare: (server: Server) => void = () => undefined) {
  const server = createServer((_req, res) => res.end('http'));
  prepare(server);
  const clock = new ManualClock();
  const router = UpgradeRouter.of(server, clock);
  const release = router.claim('/realtime', answers('ours'));
  const { port } = await listen(server);
  return { server, clock, router, release, port };
}

describe('paths of the upgrade router', () => {
  it.each(['/realtime', '/realtime/', '/realtime?a=b', '/realtime/?a=/x', 'http://example.com/realtime'])(
    '%s is served here',
    async (target) => {
      const { port } = await routed();
      expect(await who(port, target)).toBe('418 ours');
    },
  );

  it.each([
    '/',
    '/realtime2',
    '/realtime//',
    '/realtime/sse',
    '//realtime',
    '/x/realtime',
    '/REALTIME',
    '/%72ealtime',
    '/realtime;x',
    '*',
    'http://[/realtime',
    'ftp://example.com/realtime',
  ])('%s is answered with 404 when no other listener exists (P18)', async (target) => {
    const { port } = await routed();
    const response = await refusalOf(port, target);
    expect(response.statusLine).toBe('HTTP/1.1 404 Not Found');
    expect(response.headers).toMatchObject({
      connection: 'close',
      'content-length': String(response.body.length),
    });
  });

  it('a claimed path cannot be claimed again on the same server', async () => {
    const { server, router } = await routed();
    expect(() => UpgradeRouter.of(server, new ManualClock()).claim('/realtime/', answers('x'))).toThrow(
      'Upgrades of "/realtime/" are already taken on this server.',
    );
    expect(() => router.claim('/other', answers('x'))).not.toThrow();
  });

  it('ordinary requests are not touched', async () => {
    const { port } = await routed();
    const response = await exchange(port, 'GET /realtime HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
    expect(response.status).toBe(200);
  });
});

describe('neighbours on the same server', () => {
  it.each(['before', 'after'])(
    'a neighbour that destroys unknown sockets and was attached %s us does no harm',
    async (when) => {
      const neighbour = destroysStrangers('/gateway', 'gateway');
      const { server, port } = await routed(
        (fresh) => void (when === 'before' && fresh.on('upgrade', neighbour)),
      );
      if (when === 'after') server.on('upgrade', neighbour);
      await turn();
      expect(await who(port, '/realtime')).toBe('418 ours');
      expect(await who(port, '/gateway')).toBe('418 gateway');
      await expect(refusalOf(port, '/unknown')).resolves.toMatchObject({ status: NaN });
    },
  );

  it('a neighbour that prepends its listener runs before the other neighbours, but not before us', async () => {
    const order: string[] = [];
    const { server, port } = await routed((fresh) => void fresh.on('upgrade', () => order.push('second')));
    server.prependListener('upgrade', (req, socket, head) => {
      order.push('first');
      answers('first')(req, socket, head);
    });
    await turn();
    expect(await who(port, '/realtime')).toBe('418 ours');
    expect(order).toEqual([]);
    expect(await who(port, '/x')).toBe('418 first');
    expect(order).toEqual(['first', 'second']);
  });

  it('a neighbour that was attached later can be removed by its owner', async () => {
    const { server, port } = await routed();
    const neighbour = destroysStrangers('/gateway', 'gateway');
    server.on('upgrade', neighbour);
    await turn();
    server.removeListener('upgrade', neighbour);
    await turn();
    expect(server.listenerCount('upgrade')).toBe(1);
    expect(await who(port, '/gateway')).toBe('404 Not Found');
  });

  it('a neighbour that was attached earlier can be removed by its owner', async () => {
    const neighbour = destroysStrangers('/gateway', 'gateway');
    const { server, port } = await routed((fresh) => void fresh.on('upgrade', neighbour));
    server.off('upgrade', neighbour);
    expect(await who(port, '/gateway')).toBe('404 Not Found');
    expect(await who(port, '/realtime')).toBe('418 ours');
  });

  it('a neighbour that is removed in the turn in which it was attached is not called', async () => {
    const { server, port } = await routed();
    const neighbour = answers('neighbour');
    server.on('upgrade', neighbour);
    server.off('upgrade', neighbour);
    await turn();
    expect(await who(port, '/x')).toBe('404 Not Found');
  });

  it.each(['before', 'after'])(
    'a once-listener that was attached %s us is called once, for a path that is not ours',
    async (when) => {
      const neighbour = answers('once');
      const { server, port } = await routed(
        (fresh) => void (when === 'before' && fresh.once('upgrade', neighbour)),
      );
      if (when === 'after') server.once('upgrade', neighbour);
      await turn();
      expect(await who(port, '/realtime')).toBe('418 ours');
      expect(await who(port, '/x')).toBe('418 once');
      expect(await who(port, '/x')).toBe('404 Not Found');
    },
  );

  it('an owner finds its listener where it attached it', async () => {
    const earlier = answers('earlier');
    const later = answers('later');
    const { server } = await routed((fresh) => void fresh.on('upgrade', earlier));
    server.once('upgrade', later);
    await turn();
    expect(server.listeners('upgrade').slice(1)).toEqual([earlier, later]);
  });

  it('a neighbour that removes all listeners does not remove us', async () => {
    const { server, port } = await routed();
    server.removeAllListeners('upgrade');
    await turn();
    expect(await who(port, '/realtime')).toBe('418 ours');
    server.removeAllListeners('upgrade');
    server.on('upgrade', destroysStrangers('/gateway', 'gateway'));
    await turn();
    expect(await who(port, '/realtime')).toBe('418 ours');
    expect(await who(port, '/gateway')).toBe('418 gateway');
  });

  it('a neighbour that captures and delegates listeners, as Engine.IO does, takes no upgrade from us', async () => {
    const { server, port } = await routed((fresh) => void fresh.on('upgrade', destroysStrangers('/a', 'a')));
    const captured = server.listeners('upgrade') as Listener[];
    server.removeAllListeners('upgrade');
    server.on('upgrade', (req, socket, head) => {
      if (req.url === '/b') return answers('b')(req, socket, head);
      for (const listener of captured) listener.call(server, req, socket, head);
    });
    await turn();
    expect(await who(port, '/realtime')).toBe('418 ours');
    expect(await who(port, '/a')).toBe('418 a');
    expect(await who(port, '/b')).toBe('418 b');
  });
});

describe('upgrades that no listener handles', () => {
  const ignores: Listener = () => undefined;

  async function stray(neighbour: Listener) {
    const context = await routed((fresh) => void fresh.on('upgrade', neighbour));
    const socket = connect(context.port, '127.0.0.1');
    const answer = new Promise<string>((resolve) => {
      let text = '';
      socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(text));
    });
    const arrived = new Promise((resolve) => context.server.once('upgrade', resolve));
    await turn();
    return { ...context, socket, answer, arrived };
  }

  it('an upgrade that no listener handles is answered with 404 after a second (P18)', async () => {
    const { clock, socket, answer, arrived } = await stray(ignores);
    socket.write(upgradeRequest('/unknown'));
    await arrived;
    clock.advance(999);
    await turn();
    expect(socket.bytesRead).toBe(0);
    clock.advance(1);
    expect(parseResponse(await answer).status).toBe(404);
  });

  it('an upgrade is left to a neighbour that wrote to the socket, however slow it is', async () => {
    let finish: () => void = () => undefined;
    const slow: Listener = (_req, socket) => {
      socket.on('error', () => undefined);
      finish = () => socket.end('HTTP/1.1 418 slow\r\n\r\n');
    };
    const { clock, socket, answer, arrived } = await stray(slow);
    socket.write(upgradeRequest('/slow'));
    await arrived;
    clock.advance(60_000);
    await turn();
    finish();
    expect(await answer).toContain('418 slow');
  });

  it('an unhandled upgrade is detected on a connection that carried responses before', async () => {
    const { clock, socket, answer, arrived } = await stray(ignores);
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await new Promise((resolve) => socket.once('data', resolve));
    socket.write(upgradeRequest('/unknown'));
    await arrived;
    clock.advance(1_000);
    expect(await answer).toContain('404 Not Found');
  });

  it('an unhandled upgrade may be reset without harm, and leaves no timer (CVE-2020-7693)', async () => {
    const { clock, socket, answer, arrived } = await stray(ignores);
    socket.write(upgradeRequest('/unknown'));
    await arrived;
    expect(clock.pending).toBe(1);
    socket.resetAndDestroy();
    await answer;
    for (let wait = 0; clock.pending > 0 && wait < 100; wait++) await turn();
    expect(clock.pending).toBe(0);
  });
});

describe('releasing a path', () => {
  it('releasing a path restores the listeners of the server', async () => {
    const server = createServer();
    const plain = answers('plain');
    const once = answers('once');
    server.on('upgrade', plain);
    server.once('upgrade', once);
    const before = server.rawListeners('upgrade');
    const release = UpgradeRouter.of(server, new ManualClock()).claim('/realtime', answers('ours'));
    expect(server.rawListeners('upgrade')).not.toEqual(before);

    release();
    expect(server.rawListeners('upgrade')).toEqual(before);
    expect(server.listenerCount('newListener')).toBe(0);
    expect(server.listenerCount('removeListener')).toBe(0);
    expect(Object.getOwnPropertySymbols(server).map(String)).not.toContain(
      'Symbol(nestjs-realtime.upgrade-router.v1)',
    );
    server.removeListener('upgrade', plain);
    server.removeListener('upgrade', once);
    expect(server.listenerCount('upgrade')).toBe(0);
  });

  it('releasing a path restores listeners that were attached later, too', async () => {
    const { server, release, port } = await routed();
    const neighbour = destroysStrangers('/gateway', 'gateway');
    server.on('upgrade', neighbour);
    await turn();
    release();
    expect(server.rawListeners('upgrade')).toEqual([neighbour]);
    expect(await who(port, '/gateway')).toBe('418 gateway');
  });

  it('releasing a path keeps a neighbour that was attached in the same turn', async () => {
    const { server, release } = await routed();
    const neighbour = answers('neighbour');
    server.on('upgrade', neighbour);
    release();
    await turn();
    expect(server.rawListeners('upgrade')).toEqual([neighbour]);
  });

  it('a path may be released twice', async () => {
    const { router, release, port } = await routed();
    release();
    router.claim('/realtime', answers('next'));
    release();
    expect(await who(port, '/realtime')).toBe('418 next');
  });

  it('releasing one of two applications on a server keeps the other', async () => {
    const { server, release, port } = await routed(
      (fresh) => void fresh.on('upgrade', destroysStrangers('/g', 'g')),
    );
    const second = UpgradeRouter.of(server, new ManualClock()).claim('/second', answers('second'));
    expect(await who(port, '/realtime')).toBe('418 ours');
    expect(await who(port, '/second')).toBe('418 second');

    release();
    expect(await who(port, '/second')).toBe('418 second');
    expect(await who(port, '/g')).toBe('418 g');
    second();
    expect(server.listenerCount('upgrade')).toBe(1);
    expect(await who(port, '/g')).toBe('418 g');
  });
});
