import type { INestApplicationContext } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { RealtimeRuntime } from '../lifecycle/realtime-runtime.js';
import { RIDING, type RidingAdapter, type RidingOptions } from './shared-connection.js';
import { VirtualWsServers } from './virtual-server.js';

/** How plain gateways ride on realtime connections. */
export interface RealtimeWsAdapterOptions {
  /** Whether clients without a user may reach gateways, as with other adapters. Default `false`. */
  readonly anonymous?: boolean;
}

/** What `create` is given by Nest. */
type ServerOptions = Record<string, unknown> & { namespace?: string; server?: unknown; path?: string };

/**
 * Lets plain `@WebSocketGateway` classes ride on realtime connections: one socket for channels and gateways, with the
 * same authentication, limits and drain. Their `@SubscribeMessage` events are requests without a channel
 * (`client.request('event', payload)`), what they return is the reply (of `{ event, data }` the data), and what they
 * throw is its error. `handleConnection` runs after `welcome`, `handleDisconnect` once at the end. The `path` of a
 * gateway means nothing here. A gateway with a port of its own is served by platform-ws as ever.
 *
 * Gateways cannot push to a client by themselves: publish to a channel, or to `realtime.user(id)`.
 *
 * @example
 * import { RealtimeWsAdapter } from 'nestjs-realtime/platform-ws';
 * app.useWebSocketAdapter(new RealtimeWsAdapter(app));
 * @publicApi
 */
export class RealtimeWsAdapter extends WsAdapter implements RidingAdapter {
  /** How the library finds the adapter. Not for applications. */
  readonly [RIDING]: RidingOptions;
  private readonly servers = new VirtualWsServers();

  /** @throws Error when the application does not import `RealtimeModule`: its gateways would be unreachable. */
  constructor(app: INestApplicationContext, { anonymous = false }: RealtimeWsAdapterOptions = {}) {
    super(app);
    try {
      app.get(RealtimeRuntime, { strict: false });
    } catch (cause) {
      throw new Error(
        'RealtimeWsAdapter needs RealtimeModule: import RealtimeModule.forRoot() in the application.',
        {
          cause,
        },
      );
    }
    this[RIDING] = { anonymous, listener: this.servers };
  }

  /** Called by Nest. A gateway without a port of its own shares the realtime connections. */
  override create(port: number, options?: ServerOptions): unknown {
    return port === 0 ? this.servers.create() : (super.create(port, options) as unknown);
  }

  /** Called by Nest. */
  override bindClientConnect(server: never, callback: (...args: unknown[]) => void): void {
    // The engine drives the handlers of gateways that ride.
    if (!this.servers.has(server)) super.bindClientConnect(server, callback);
  }

  /** Called by Nest. Closes servers with a port of their own; the library closes the shared one. */
  override async close(server: never): Promise<void> {
    if (!this.servers.has(server)) await super.close(server);
  }
}
