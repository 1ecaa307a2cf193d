import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** Stands between one node and Redis, and can be cut: nothing passes then, in either direction, and neither side is told. */
export class CutProxy {
  private readonly sockets = new Set<Socket>();
  private isCut = false;

  private constructor(
    private readonly server: Server,
    targetPort: number,
  ) {
    server.on('connection', (node) => {
      const redis = connect(targetPort, '127.0.0.1');
      for (const [from, to] of [
        [node, redis],
        [redis, node],
      ] as const) {
        this.sockets.add(from);
        from.on('data', (chunk) => to.write(chunk));
        from.on('error', () => to.destroy());
        from.on('close', () => {
          this.sockets.delete(from);
          to.destroy();
        });
        if (this.isCut) from.pause();
      }
    });
  }

  static async start(targetPort: number): Promise<CutProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new CutProxy(server, targetPort);
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.isCut = true;
    for (const socket of this.sockets) socket.pause();
  }

  /** What was sent since arrives now, as TCP sends it again. */
  mend(): void {
    this.isCut = false;
    for (const socket of this.sockets) socket.resume();
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}
