import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Stands between one node and its broker, and can be cut: nothing passes then, and neither side is told. */
export class CutProxy {
  /** Of each socket, whether the broker's answers come from it. */
  private readonly sockets = new Map<Socket, boolean>();
  /** What does not pass now. */
  private held: 'nothing' | 'answers' | 'all' = 'nothing';

  private constructor(
    private readonly server: Server,
    targetPort: () => number,
  ) {
    server.on('connection', (node) => {
      const broker = connect(targetPort(), '127.0.0.1');
      for (const [from, to] of [
        [node, broker],
        [broker, node],
      ] as const) {
        this.sockets.set(from, from === broker);
        from.on('data', (chunk) => to.write(chunk));
        from.on('error', () => to.destroy());
        from.on('close', () => {
          this.sockets.delete(from);
          to.destroy();
        });
        if (this.holds(from === broker)) from.pause();
      }
    });
  }

  /** @param target Port of the broker; a function where that is started later. */
  static async start(target: number | (() => number)): Promise<CutProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new CutProxy(server, typeof target === 'number' ? () => target : target);
  }

  get address(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get url(): string {
    return `redis://${this.address}`;
  }

  /** @param what `answers`: what the node sends is done, and it does not come to know. */
  cut(what: 'answers' | 'all' = 'all'): void {
    this.held = what;
    for (const [socket, isAnswers] of this.sockets) if (this.holds(isAnswers)) socket.pause();
  }

  /** What was sent since arrives now, as TCP sends it again. */
  mend(): void {
    this.held = 'nothing';
    for (const socket of this.sockets.keys()) socket.resume();
  }

  async close(): Promise<void> {
    for (const socket of this.sockets.keys()) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  private holds(isAnswers: boolean): boolean {
    return this.held === 'all' || (this.held === 'answers' && isAnswers);
  }
}
