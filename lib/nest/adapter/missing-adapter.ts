import type { Provider, WebSocketAdapter } from '@nestjs/common';
import { ApplicationConfig, DiscoveryService } from '@nestjs/core';
import { isGateway } from '../decorators/subscribe-message-metadata.js';
import { isMissingPackage } from '../../core/ports/missing-package.js';
import {
  SHARED_CONNECTION,
  VirtualWsServers,
  type SharedConnectionAdapter,
  type VirtualWsServer,
} from './shared-connection.js';

/**
 * Keeps Nest from ending the process: for an application with a gateway and without an adapter, Nest loads
 * @nestjs/platform-socket.io, and calls `process.exit(1)` when that is not installed. Only then a stand-in is set. Where
 * Socket.IO is installed, gateways keep using it, and `app.useWebSocketAdapter()` replaces the adapter as always. This is
 * a provider because Nest looks for the adapter after all providers are made and before any hook runs.
 */
export const missingAdapterProvider: Provider = {
  provide: Symbol('MISSING_ADAPTER'),
  inject: [ApplicationConfig, DiscoveryService],
  useFactory: async (config: ApplicationConfig, discovery: DiscoveryService): Promise<void> => {
    const gateway = discovery
      .getProviders()
      .find(({ metatype }) => typeof metatype === 'function' && isGateway(metatype));
    if (gateway === undefined || !lacksAdapter(config) || (await socketIoInstalled())) return;
    // Another provider may have set one in the meantime.
    if (lacksAdapter(config)) config.setIoAdapter(new StandaloneWsAdapter());
  },
};

/**
 * Stands in for the WebSocket adapter of an application that has gateways and none. Gateways then share the realtime
 * connections. A gateway with a port of its own needs a real adapter, and the error says which.
 */
export class StandaloneWsAdapter implements WebSocketAdapter<VirtualWsServer>, SharedConnectionAdapter {
  private readonly servers = new VirtualWsServers();
  readonly [SHARED_CONNECTION] = { anonymous: false, listener: this.servers };

  create(port: number): VirtualWsServer {
    if (port === 0) return this.servers.create();
    throw new Error(
      `A gateway asks for port ${port}, and no WebSocket adapter is installed. Install @nestjs/platform-ws and call ` +
        'app.useWebSocketAdapter(new WsAdapter(app)), or leave the port out.',
    );
  }

  // The engine calls the handlers; Nest has nothing to bind.
  bindClientConnect(): void {}

  bindMessageHandlers(): void {}

  close(): void {}

  dispose(): Promise<void> {
    return Promise.resolve();
  }
}

function lacksAdapter(config: ApplicationConfig): boolean {
  // Null until one is set, although its type does not say so.
  const adapter: unknown = config.getIoAdapter();
  return adapter == null;
}

/** Nest is about to load the package too. If it is installed and fails to load, Nest reports that. */
async function socketIoInstalled(): Promise<boolean> {
  try {
    await import('@nestjs/platform-socket.io');
    return true;
  } catch (error) {
    return !isMissingPackage(error, '@nestjs/platform-socket.io');
  }
}
