import type { Server } from 'node:http';
import type { ServerHttp2Session } from 'node:http2';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';

/**
 * Connections that a server waits for when it closes, although nothing is under way on them, and of which Node keeps no list: those
 * that have not finished the handshake of TLS, which Node ends after two minutes, and before Node 24 those of HTTP/2.
 */
export class OpenConnections {
  /** By where they come from. */
  private readonly handshakes = new Map<string, Socket>();
  private readonly sessions = new Set<ServerHttp2Session>();

  constructor(server: Server) {
    // A server of HTTP/1 has none.
    server.on('session', (session: ServerHttp2Session) => {
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
    });
    if (!((server as unknown) instanceof TlsServer)) return;
    server.on('connection', (socket: Socket) => {
      const from = originOf(socket);
      this.handshakes.set(from, socket);
      socket.once('close', () => {
        if (this.handshakes.get(from) === socket) this.handshakes.delete(from);
      });
    });
    server.on('secureConnection', (socket: Socket) => this.handshakes.delete(originOf(socket)));
  }

  /** Ends those on which nothing is under way. What is being answered is the application's. */
  endUnused(): void {
    for (const socket of this.handshakes.values()) socket.destroy();
    // Ends when its last stream does.
    for (const session of this.sessions) if (!session.closed) session.close();
  }
}

function originOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
