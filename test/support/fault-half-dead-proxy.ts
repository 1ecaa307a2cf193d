import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { RespFrames, stringsOf } from './fault-resp.js';

/** One connection of the node. */
interface Path {
  readonly node: Socket;
  /** As it called itself. */
  name: string;
  /** Answers that were not let through. */
  held: Buffer[];
}

/**
 * Stands between one node and Redis, and can let the way of the control records die while events go on: connections for
 * commands are not answered, and the messages of control records are lost. That is what a half-open connection beside a
 * subscription that was away for a moment looks like.
 */
export class HalfDeadProxy {
  /** Messages of control records that were lost. */
  lost = 0;
  private isCut = false;
  private readonly sockets = new Set<Socket>();
  private readonly paths = new Set<Path>();

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {
    server.on('connection', (socket) => this.accept(socket));
  }

  static async start(targetPort: number): Promise<HalfDeadProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new HalfDeadProxy(server, targetPort);
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.isCut = true;
  }

  /** What was asked meanwhile is answered, late. */
  mend(): void {
    this.isCut = false;
    for (const path of this.paths) for (const frame of path.held.splice(0)) write(path.node, frame);
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private accept(node: Socket): void {
    const redis = createConnection({ port: this.target, host: '127.0.0.1' });
    const path: Path = { node, name: '', held: [] };
    const commands = new RespFrames();
    const answers = new RespFrames();
    this.paths.add(path);
    for (const [socket, other] of [
      [node, redis],
      [redis, node],
    ] as const) {
      this.sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        this.paths.delete(path);
        other.destroy();
      });
    }
    node.on('data', (chunk: Buffer) => {
      for (const frame of commands.take(chunk)) {
        const [command = '', verb = '', name = ''] = stringsOf(frame) ?? [];
        if (/^client$/i.test(command) && /^setname$/i.test(verb)) path.name = name;
      }
      redis.write(chunk);
    });
    redis.on('data', (chunk: Buffer) => {
      for (const frame of answers.take(chunk)) this.pass(path, frame);
    });
  }

  private pass(path: Path, frame: Buffer): void {
    if (!this.isCut) return write(path.node, frame);
    if (path.name.endsWith('-commands')) return void path.held.push(frame);
    const [kind, topic = ''] = stringsOf(frame) ?? [];
    if (kind !== 'smessage' || !topic.endsWith(':c:$rt.control')) return write(path.node, frame);
    this.lost++;
  }
}

function write(socket: Socket, frame: Buffer): void {
  if (socket.writable) socket.write(frame);
}
