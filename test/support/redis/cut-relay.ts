import { createConnection, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A way through the network to one server, which can be cut: then nothing arrives, in either direction, and nobody is told. */
export class CutRelay {
  /** Connections that were ever made. */
  accepted = 0;
  private readonly sockets = new Set<Socket>();
  private readonly cuttable = new Set<Socket>();
  private isCut = false;

  private constructor(
    private readonly server: Server,
    private target: number,
    private readonly from?: string,
  ) {
    server.on('connection', (socket) => this.accept(socket));
  }

  /** @param from Only connections from this address are cut. Default: all. */
  static async start(target: number, from?: string): Promise<CutRelay> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new CutRelay(server, target, from);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.port}`;
  }

  cut(): void {
    this.isCut = true;
    for (const socket of this.cuttable) socket.pause();
  }

  /** What was sent meanwhile arrives now. */
  heal(): void {
    this.isCut = false;
    for (const socket of this.cuttable) socket.resume();
  }

  /** New connections lead there; those that are open stay where they are. */
  lead(target: number): void {
    this.target = target;
  }

  async close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private accept(near: Socket): void {
    this.accepted += 1;
    const far = createConnection({ port: this.target, host: '127.0.0.1' });
    const isCuttable = this.from === undefined || near.remoteAddress === this.from;
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      this.sockets.add(socket);
      if (isCuttable) this.cuttable.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        this.sockets.delete(socket);
        this.cuttable.delete(socket);
        other.destroy();
      });
      socket.on('data', (chunk: Buffer) => other.write(chunk));
      if (this.isCut && isCuttable) socket.pause();
    }
  }
}
