import type { WebSocketAdapter } from '@nestjs/common';
import { RIDING, type RidingAdapter } from './shared-connection.js';
import { VirtualWsServers, type VirtualWsServer } from './virtual-server.js';

/**
 * Stands in where an application has gateways and no WebSocket adapter: Nest would end the process for want of one.
 * Gateways then ride on the realtime connections; a gateway with a port of its own needs a real adapter, and the
 * error says which.
 */
export class StandaloneWsAdapter implements WebSocketAdapter<VirtualWsServer>, RidingAdapter {
  private readonly servers = new VirtualWsServers();
  readonly [RIDING] = { anonymous: false, listener: this.servers };

  create(port: number): VirtualWsServer {
    if (port === 0) return this.servers.create();
    throw new Error(
      `A gateway asks for port ${port}, and no WebSocket adapter is installed. Install @nestjs/platform-ws and call ` +
        'app.useWebSocketAdapter(new WsAdapter(app)), or leave the port out.',
    );
  }

  // The engine drives the handlers; Nest has nothing to bind.
  bindClientConnect(): void {}

  bindMessageHandlers(): void {}

  close(): void {}

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}
