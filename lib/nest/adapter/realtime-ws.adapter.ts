import type { INestApplicationContext } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { RealtimeRuntime } from '../lifecycle/realtime-runtime.js';
import {
  SHARED_CONNECTION,
  VirtualWsServer,
  VirtualWsServers,
  type SharedConnectionAdapter,
  type SharedConnectionOptions,
} from './shared-connection.js';

/** How plain gateways share the realtime connections. */
export interface RealtimeWsAdapterOptions {
  /** Whether clients without a user may reach gateways, as with other adapters. Default `false`. */
  readonly anonymous?: boolean;
}

/** The options that Nest passes to `create`. */
type ServerOptions = Record<string, unknown> & { namespace?: string; server?: unknown; path?: string };

/**
 * Lets plain `@WebSocketGateway` classes share the realtime connections: one socket for channels and gateways, with the
 * same authentication, limits and drain. Clients call their `@SubscribeMessage` events as requests without a channel
 * (`client.request('event', payload)`). The result is the reply (of `{ event, data }`, the data), and an error is its
 * error. `handleConnection` runs after `welcome`, `handleDisconnect` once at the end. The `path` of a gateway is ignored.
 * A gateway with a port of its own is served by platform-ws as usual.
 *
 * Gateways cannot push to a client themselves: publish to a channel, or to `realtime.user(id)`.
 *
 * @example
 * import { RealtimeWsAdapter } from 'nestjs-realtime/platform-ws';
 * app.useWebSocketAdapter(new RealtimeWsAdapter(app));
 * @publicApi
 */
export class RealtimeWsAdapter extends WsAdapter implements SharedConnectionAdapter {
  /** For the library, which recognizes the adapter by it. */
  readonly [SHARED_CONNECTION]: SharedConnectionOptions;
  private readonly servers = new VirtualWsServers();

  /** @throws Error when the application does not import `RealtimeModule`: its gateways would be unreachable. */
  constructor(app: INestApplicationContext, { anonymous = false }: RealtimeWsAdapterOptions = {}) {
    super(app);
    try {
      app.get(RealtimeRuntime, { strict: false });
    } catch (cause) {
      throw new Error(
        'RealtimeWsAdapter needs RealtimeModule: import RealtimeModule.forRoot() in the application.',
        { cause },
      );
    }
    this[SHARED_CONNECTION] = { anonymous, listener: this.servers };
  }

  /** Called by Nest. A gateway without a port of its own shares the realtime connections. */
  override create(port: number, options?: ServerOptions): unknown {
    return port === 0 ? this.servers.create() : (super.create(port, options) as unknown);
  }

  /** Called by Nest. */
  override bindClientConnect(server: never, callback: (...args: unknown[]) => void): void {
    // The engine calls the handlers of gateways that share its connections.
    if (!isVirtual(server)) super.bindClientConnect(server, callback);
  }

  /** Called by Nest. Closes servers with a port of their own; the library closes the shared one. */
  override async close(server: never): Promise<void> {
    if (!isVirtual(server)) await super.close(server);
  }
}

function isVirtual(server: unknown): boolean {
  return server instanceof VirtualWsServer;
}
