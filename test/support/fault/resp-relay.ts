import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { RespFrames } from './resp.js';

/** Stands between one node and Redis. Commands pass as they are; what becomes of the answers is for who extends it. */
export abstract class RespRelay {
  private readonly sockets = new Set<Socket>();

  constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {
    server.on('connection', (socket) => this.accept(socket));
  }

  /** A server that listens on a free port. */
  protected static async listen(): Promise<Server> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /** A command of the node on this connection; it passes in any case. */
  protected abstract onCommand(node: Socket, frame: Buffer): void;

  /** An answer or a message for the node; it gets there by {@link forward} alone. */
  protected abstract onAnswer(node: Socket, frame: Buffer): void;

  protected onClosed(_node: Socket): void {
    // Most keep nothing of a connection.
  }

  protected forward(node: Socket, frame: Buffer): void {
    if (node.writable) node.write(frame);
  }

  private accept(node: Socket): void {
    const redis = createConnection({ port: this.target, host: '127.0.0.1' });
    const commands = new RespFrames();
    const answers = new RespFrames();
    for (const [socket, other] of [
      [node, redis],
      [redis, node],
    ] as const) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        this.onClosed(node);
        other.destroy();
      });
    }
    node.on('data', (chunk: Buffer) => {
      for (const frame of commands.take(chunk)) this.onCommand(node, frame);
      redis.write(chunk);
    });
    redis.on('data', (chunk: Buffer) => {
      for (const frame of answers.take(chunk)) this.onAnswer(node, frame);
    });
  }
}
