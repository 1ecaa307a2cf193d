import type { Server } from 'node:http';
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
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
  /** Requests of HTTP/2 with a body. */
  private readonly bodies = new Set<ServerHttp2Stream>();

  constructor(server: Server) {
    // A server of HTTP/1 has none.
    server.on('session', (session: ServerHttp2Session) => {
      this.sessions.add(session);
      session.once('close', () => this.sessions.delete(session));
      session.on('stream', (stream: ServerHttp2Stream) => {
        if (stream.endAfterHeaders) return;
        this.bodies.add(stream);
        stream.once('close', () => this.bodies.delete(stream));
      });
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

  /**
   * Ends those on which nothing is under way. What is being answered is the application's.
   *
   * @param isLate whether bodies have had the time to come; requests whose body has not are ended, too.
   */
  endUnused(isLate: boolean): void {
    for (const socket of this.handshakes.values()) socket.destroy();
    if (isLate)
      for (const stream of this.bodies)
        if (stream.state.remoteClose !== 1) stream.close(constants.NGHTTP2_CANCEL);
    // Ends when its last stream does.
    for (const session of this.sessions) if (!session.closed) session.close();
  }
}

function originOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`;
}
