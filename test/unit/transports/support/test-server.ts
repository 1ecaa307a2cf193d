import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { WebSocketTransportOptions } from '../../../../lib/transports/websocket/options.js';
import { WebSocketTransport } from '../../../../lib/transports/websocket/transport.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { FakeHost } from './fake-host.js';

/** Every server of a spec, for `afterEach(closeServers)`. */
const servers = new Set<Server>();

/** A real HTTP server on a free port. */
export async function listen(server: Server = createServer((_req, res) => res.end('http'))): Promise<{
  server: Server;
  port: number;
}> {
  servers.add(server);
  // Some specs leave sockets open on purpose.
  const sockets = new Set<{ destroy(): unknown }>();
  server.on('connection', (socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
  server.on('close-for-test', () => sockets.forEach((socket) => socket.destroy()));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { server, port: (server.address() as AddressInfo).port };
}

export async function closeServers(): Promise<void> {
  const open = [...servers];
  servers.clear();
  for (const server of open) {
    server.emit('close-for-test');
    await new Promise((resolve) => server.close(resolve));
  }
}

/** A transport on a real server, with an engine that says yes and a clock that stands still. */
export async function serve(
  options: WebSocketTransportOptions = {},
  host = new FakeHost(),
  ofServer?: Server,
) {
  const clock = new ManualClock();
  const errors: unknown[] = [];
  const transport = new WebSocketTransport(host, {
    clock,
    onError: (error) => errors.push(error),
    ...options,
  });
  const { server, port } = await listen(ofServer);
  transport.attach(server);
  return { transport, host, clock, errors, server, port };
}
