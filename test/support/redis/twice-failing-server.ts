import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:tls';
import { makeCertificate } from '../certificate.js';

/** What follows the handshake of the server in the same write, and is no record that may follow it: an alert that is not encrypted. */
const ALERT = Buffer.from('15030300020232', 'hex');

/**
 * A server of TLS at which each connection has two errors: nobody trusts its certificate, and while the client ends the connection for
 * that, what came behind it fails too. A server that gives up on a client does the same, now and then.
 */
export class TwiceFailingServer {
  readonly host = '127.0.0.1';
  /** Connections that were ended after the handshake of the server was sent. */
  failed = 0;
  private readonly sockets = new Set<Socket>();

  private constructor(
    private readonly secure: SecureServer,
    private readonly server: Server,
  ) {
    secure.on('tlsClientError', () => undefined);
    server.on('connection', (socket) => this.accept(socket));
  }

  static async start(): Promise<TwiceFailingServer> {
    const secure = createSecureServer({ ...makeCertificate('localhost'), minVersion: 'TLSv1.3' });
    const server = createServer();
    for (const one of [secure, server])
      await new Promise<void>((resolve) => one.listen(0, '127.0.0.1', resolve));
    return new TwiceFailingServer(secure, server);
  }

  get port(): number {
    return portOf(this.server);
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    for (const one of [this.server, this.secure]) await new Promise((resolve) => one.close(resolve));
  }

  private accept(near: Socket): void {
    const far = createConnection({ port: portOf(this.secure), host: this.host });
    let isSent = false;
    near.on('data', (bytes) => far.write(bytes));
    // All of the server's handshake comes at once; what it sends later nobody reads.
    far.once('data', (bytes) => {
      isSent = true;
      near.write(Buffer.concat([bytes, ALERT]));
    });
    near.on('close', () => {
      if (isSent) this.failed += 1;
      far.destroy();
    });
    for (const socket of [near, far]) {
      this.sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => this.sockets.delete(socket));
    }
  }
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
