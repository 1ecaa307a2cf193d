import type { Provider } from '@nestjs/common';
import { ApplicationConfig, DiscoveryService } from '@nestjs/core';
import { isGateway } from '../decorators/subscribe-message-metadata.js';
import { isMissingPackage } from '../errors/missing-package.js';
import { StandaloneWsAdapter } from './standalone.adapter.js';

const SOCKET_IO = '@nestjs/platform-socket.io';

/** Resolves when a missing adapter has been provided. */
export const MISSING_ADAPTER = Symbol('MISSING_ADAPTER');

/**
 * Keeps Nest from ending the process: for an application with a gateway and without an adapter it loads
 * @nestjs/platform-socket.io, and calls `process.exit(1)` when that is not installed. Only there a stand-in is set;
 * where Socket.IO is installed its gateways stay Socket.IO's, and `app.useWebSocketAdapter()` replaces it as always.
 * It is a provider because Nest looks for the adapter after all providers are made and before any hook runs.
 */
export const missingAdapterProvider: Provider = {
  provide: MISSING_ADAPTER,
  inject: [ApplicationConfig, DiscoveryService],
  useFactory: async (config: ApplicationConfig, discovery: DiscoveryService): Promise<void> => {
    if (lacksAdapter(config) && hasGateway(discovery) && !(await socketIoInstalled()) && lacksAdapter(config))
      config.setIoAdapter(new StandaloneWsAdapter());
  },
};

function lacksAdapter(config: ApplicationConfig): boolean {
  // Null until somebody sets one, whatever its type says.
  const adapter: unknown = config.getIoAdapter();
  return adapter == null;
}

function hasGateway(discovery: DiscoveryService): boolean {
  return discovery
    .getProviders()
    .some(({ metatype }) => typeof metatype === 'function' && isGateway(metatype));
}

/** Nest is about to load the package too. One that is there and fails to load is Nest's to report. */
async function socketIoInstalled(): Promise<boolean> {
  try {
    await import('@nestjs/platform-socket.io');
    return true;
  } catch (error) {
    return !isMissingPackage(error, SOCKET_IO);
  }
}
