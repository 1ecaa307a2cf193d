import { createConnection, createServer, type Server, type Socket } from 'node:net';
import type { AddressInfo } from 'node:net';
import { READ } from '../../lib/brokers/redis/scripts/index.js';
import { RespFrames, stringsOf } from './fault-resp.js';

/** What becomes of one pub/sub message on its way to the node. */
export type MessageFate =
  | 'pass'
  | 'drop'
  | 'twice'
  /** After the next message of its channel, or after a while if none comes. */
  | 'swap'
  /** After this many milliseconds; what follows overtakes it. */
  | { readonly delayMs: number };

/** A ranged read of a log that passed. */
export interface SeenRead {
  readonly channel: string;
  readonly from: number;
}

const SWAP_PATIENCE_MS = 300;

/**
 * Stands between one node and Redis and mistreats pub/sub messages of application channels. Commands and answers pass
 * untouched; ranged reads are counted.
 */
export class RespProxy {
  readonly reads: SeenRead[] = [];
  /** Messages of application channels that came by. */
  messages = 0;
  /** Decides; everything passes without it. */
  fate: ((channel: string, text: string) => MessageFate) | undefined;
  private readonly sockets = new Set<Socket>();
  private readonly swapped = new Map<string, () => void>();

  private constructor(
    private readonly server: Server,
    private readonly target: number,
  ) {
    server.on('connection', (socket) => this.accept(socket));
  }

  static async start(targetPort: number): Promise<RespProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new RespProxy(server, targetPort);
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  readsOf(channel: string): number {
    return this.reads.filter((read) => read.channel === channel).length;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
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
        other.destroy();
      });
    }
    node.on('data', (chunk: Buffer) => {
      redis.write(chunk);
      for (const frame of commands.take(chunk)) this.noteCommand(frame);
    });
    redis.on('data', (chunk: Buffer) => {
      for (const frame of answers.take(chunk)) this.pass(frame, node);
    });
  }

  private noteCommand(frame: Buffer): void {
    const [name = '', script, , , stream = '', ...args] = stringsOf(frame) ?? [];
    // A script that the server does not know yet is sent once more as text: that is the same read.
    if (!/^evalsha$/i.test(name) || script !== READ.sha) return;
    const channel = channelOf(stream, 'l');
    // Its arguments are token, head, epoch, from …
    if (channel !== undefined) this.reads.push({ channel, from: Number(args[3]) });
  }

  private pass(frame: Buffer, node: Socket): void {
    const [kind, topic = '', text = ''] = stringsOf(frame) ?? [];
    const channel = kind === 'smessage' ? channelOf(topic, 'c') : undefined;
    const send = (): void => void (node.writable && node.write(frame));
    if (channel === undefined) return send();
    this.messages++;
    const fate = this.fate?.(channel, text) ?? 'pass';
    const earlier = this.swapped.get(channel);
    if (fate === 'drop') return;
    if (typeof fate === 'object') return void setTimeout(send, fate.delayMs);
    if (fate === 'swap' && earlier === undefined) return this.swap(channel, send);
    send();
    if (fate === 'twice') send();
    earlier?.();
  }

  private swap(channel: string, send: () => void): void {
    const release = (): void => {
      clearTimeout(timer);
      this.swapped.delete(channel);
      send();
    };
    const timer = setTimeout(release, SWAP_PATIENCE_MS);
    this.swapped.set(channel, release);
  }
}

/** The application's channel that a key or topic belongs to. */
function channelOf(key: string, kind: 'c' | 'l'): string | undefined {
  const found = /^\{[^}]*\}:v1:(\w+):(rooms\..+)$/.exec(key);
  return found?.[1] === kind ? found[2] : undefined;
}
