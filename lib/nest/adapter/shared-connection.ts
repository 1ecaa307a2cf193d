import type { ConnectionListener, RealtimeConnection } from '../../core/ports/realtime-connection.js';

/**
 * Marks WebSocket adapters whose gateways share the realtime connections. It is a registered symbol, so that this module
 * and the subpath of the adapter need not import each other.
 */
export const SHARED_CONNECTION = Symbol.for('nestjs-realtime.shared-connection.v1');

/** An adapter whose gateways share the realtime connections. */
export interface SharedConnectionAdapter {
  readonly [SHARED_CONNECTION]: SharedConnectionOptions;
}

/** How the gateways share them. */
export interface SharedConnectionOptions {
  /** Whether clients without a user may reach gateways. */
  readonly anonymous: boolean;
  /** Notified of the connections, to maintain the gateways' `server.clients`. */
  readonly listener: ConnectionListener;
}

/** The options of an adapter whose gateways share the realtime connections; `undefined` for any other. */
export function sharedConnectionOf(adapter: unknown): SharedConnectionOptions | undefined {
  return (adapter as Partial<SharedConnectionAdapter> | null | undefined)?.[SHARED_CONNECTION];
}

/**
 * What `@WebSocketServer()` gives a gateway that shares the realtime connections. It is no server of its own: it lists
 * the connections of this node.
 */
export class VirtualWsServer {
  /** @param clients Connections of this node, from `welcome` to the end. */
  constructor(readonly clients: ReadonlySet<RealtimeConnection>) {}

  /** @throws Error always: a broadcast would reach only this node, unauthorized and unordered. */
  emit(event: string): never {
    throw new Error(
      `A gateway on realtime connections cannot emit "${event}". Publish to a channel instead: realtime.channel(name).publish(event, payload).`,
    );
  }
}

/** Makes the virtual servers of one adapter, which all list the same connections. */
export class VirtualWsServers implements ConnectionListener {
  private readonly clients = new Set<RealtimeConnection>();

  create(): VirtualWsServer {
    return new VirtualWsServer(this.clients);
  }

  opened(connection: RealtimeConnection): void {
    this.clients.add(connection);
  }

  closed(connection: RealtimeConnection): void {
    this.clients.delete(connection);
  }
}
