import type { ConnectionListener } from '../../core/ports/realtime-connection.js';
import type { RealtimeConnection } from '../../core/ports/realtime-connection.js';

/**
 * What `@WebSocketServer()` gives a gateway that rides on realtime connections. There is no server of its own behind
 * it: it lists the connections of this node.
 */
export class VirtualWsServer {
  /** Connections of this node, from `welcome` to the end. */
  readonly clients: ReadonlySet<RealtimeConnection>;

  constructor(clients: ReadonlySet<RealtimeConnection>) {
    this.clients = clients;
  }

  /** @throws Error always: a broadcast would reach this node only, unauthorized and unordered. */
  emit(event: string): never {
    throw new Error(
      `A gateway on realtime connections cannot emit "${event}". Publish to a channel instead: realtime.channel(name).publish(event, payload).`,
    );
  }
}

/** The virtual servers of one adapter, which all show the same connections. */
export class VirtualWsServers implements ConnectionListener {
  private readonly clients = new Set<RealtimeConnection>();
  private readonly servers = new WeakSet<object>();

  create(): VirtualWsServer {
    const server = new VirtualWsServer(this.clients);
    this.servers.add(server);
    return server;
  }

  has(server: unknown): boolean {
    return typeof server === 'object' && server !== null && this.servers.has(server);
  }

  opened(connection: RealtimeConnection): void {
    this.clients.add(connection);
  }

  closed(connection: RealtimeConnection): void {
    this.clients.delete(connection);
  }
}
