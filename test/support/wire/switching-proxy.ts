import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A TCP proxy whose connections can go dead without an end, as they do when a machine changes its network. */
export class SwitchingProxy {
  private readonly paths = new Set<readonly [Socket, Socket]>();

  private constructor(
    private readonly server: Server,
    targetPort: number,
  ) {
    server.on('connection', (client) => {
      const target = connect(targetPort, '127.0.0.1');
      const path = [client, target] as const;
      this.paths.add(path);
      client.pipe(target);
      target.pipe(client);
      for (const socket of path) {
        socket.on('error', () => undefined);
        socket.on('close', () => {
          // A dead path tells neither side that the other one is gone.
          if (!this.paths.delete(path)) return;
          client.destroy();
          target.destroy();
        });
      }
    });
  }

  static async start(targetPort: number): Promise<SwitchingProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new SwitchingProxy(server, targetPort);
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  private readonly dead: Socket[] = [];

  /** Nothing passes on the connections that are open now; new ones work. */
  switchNetwork(): void {
    for (const [client, target] of this.paths) {
      client.unpipe(target);
      target.unpipe(client);
      client.resume();
      target.resume();
      this.dead.push(client, target);
    }
    this.paths.clear();
  }

  async stop(): Promise<void> {
    for (const socket of [...this.dead, ...[...this.paths].flat()]) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}
