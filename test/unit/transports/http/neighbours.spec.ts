import { createServer } from 'node:http';
import { afterEach, describe, expect, it } from '@jest/globals';
import { WsAdapter } from '@nestjs/platform-ws';
import { Server as SocketIoServer } from 'socket.io';
import { io } from 'socket.io-client';
import { WebSocket, WebSocketServer } from 'ws';
import { WebSocketTransport } from '../../../../lib/transports/websocket/transport.js';
import { elapse } from '../../../support/patience.js';
import { FakeHost } from '../support/fake-host.js';
import { refusalOf } from '../support/raw-client.js';
import { closeServers, listen } from '../support/test-server.js';

/** The libraries that share an HTTP server with us in real applications, as they are installed. */
const cleanups: (() => unknown)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
  await closeServers();
});

const ORDERS = ['before', 'after'] as const;

/** A server with our transport and a neighbour that attaches before or after it. */
async function beside(
  order: (typeof ORDERS)[number],
  attach: (server: ReturnType<typeof createServer>) => unknown,
) {
  const server = createServer();
  const host = new FakeHost();
  // The system's clock: neighbours have timers of their own.
  const transport = new WebSocketTransport(host);
  if (order === 'before') await attach(server);
  transport.attach(server);
  if (order === 'after') await attach(server);
  const { port } = await listen(server);
  cleanups.push(() => transport.close());
  return { server, host, transport, port };
}

/** The first thing that a WebSocket server sends, or why there was none. */
function greeting(url: string, protocols?: string[]): Promise<string> {
  return new Promise((resolve) => {
    const client = new WebSocket(url, protocols);
    cleanups.push(() => client.terminate());
    client.on('message', (data: Buffer) => resolve(data.toString()));
    client.on('error', (error) => resolve(error.message));
    client.on('close', (code) => resolve(`closed ${code}`));
  });
}

async function ourGreeting(host: FakeHost, port: number, protocols?: string[]): Promise<string> {
  host.onOpen = (session) => void setImmediate(() => session.send('ours'));
  return greeting(`ws://127.0.0.1:${port}/realtime`, protocols);
}

describe.each(ORDERS)('a neighbour on the same server, attached %s us', (order) => {
  it('ws with a path works', async () => {
    const { host, port } = await beside(order, (server) => {
      const wss = new WebSocketServer({ server, path: '/plain' });
      wss.on('connection', (ws) => ws.send('plain'));
      cleanups.push(() => wss.clients.forEach((client) => client.terminate()));
    });
    expect(await ourGreeting(host, port)).toBe('ours');
    expect(await greeting(`ws://127.0.0.1:${port}/plain`)).toBe('plain');
    expect((await refusalOf(port, '/unknown')).status).toBe(400);
  });

  it('Nest’s WsAdapter works, which destroys the sockets of unknown paths', async () => {
    let adapter: WsAdapter | undefined;
    const { server, host, port } = await beside(order, (fresh) => {
      adapter = new WsAdapter(fresh);
      const wss = adapter.create(0, { path: '/gateway' }) as WebSocketServer;
      wss.on('connection', (ws) => ws.send('gateway'));
      cleanups.push(() => wss.clients.forEach((client) => client.terminate()));
    });
    expect(await ourGreeting(host, port)).toBe('ours');
    expect(await greeting(`ws://127.0.0.1:${port}/gateway`)).toBe('gateway');
    expect(await greeting(`ws://127.0.0.1:${port}/unknown`)).toBe('socket hang up');

    // Its own clean-up finds its listener behind our guard.
    await adapter?.dispose();
    expect(server.listenerCount('upgrade')).toBe(1);
    expect((await refusalOf(port, '/gateway')).status).toBe(404);
    expect(await ourGreeting(host, port)).toBe('ours');
  });

  it('Socket.IO works, which ends unanswered upgrades after a second', async () => {
    const { host, port } = await beside(order, (server) => {
      // Sooner here, so that nobody has to wait for it.
      const sockets = new SocketIoServer(server, { transports: ['websocket'], destroyUpgradeTimeout: 50 });
      sockets.on('connection', (socket) => socket.emit('hello', 'socket.io'));
      cleanups.push(() => sockets.disconnectSockets(true));
    });
    const client = io(`http://127.0.0.1:${port}`, { transports: ['websocket'], reconnection: false });
    cleanups.push(() => client.disconnect());
    expect(await new Promise((resolve) => client.on('hello', resolve))).toBe('socket.io');

    host.verify = async ({ token }) => {
      // Begun behind its timer, and longer.
      await elapse(100);
      return { user: { id: token ?? '' } };
    };
    expect(await ourGreeting(host, port, ['realtime.v1.json', 'bearer.slow'])).toBe('ours');
  });
});

describe('two applications on one server', () => {
  it('serve their own paths, and one may be removed', async () => {
    const { server, host, transport, port } = await beside('before', () => undefined);
    const other = new FakeHost();
    const second = new WebSocketTransport(other, { path: '/second' });
    second.attach(server);
    other.onOpen = (session) => void setImmediate(() => session.send('second'));
    cleanups.push(() => second.close());

    expect(await ourGreeting(host, port)).toBe('ours');
    expect(await greeting(`ws://127.0.0.1:${port}/second`)).toBe('second');
    expect(() => new WebSocketTransport(new FakeHost(), { path: '/second' }).attach(server)).toThrow(
      'already taken',
    );

    transport.close();
    expect((await refusalOf(port, '/realtime')).status).toBe(404);
    expect(await greeting(`ws://127.0.0.1:${port}/second`)).toBe('second');
    second.close();
    expect(server.listenerCount('upgrade')).toBe(0);
  });
});
