import { createRequire } from 'node:module';
import type { ApplicationConfig, DiscoveryService } from '@nestjs/core';
import { isGateway } from '../decorators/subscribe-message.metadata.js';
import { StandaloneWsAdapter } from './standalone.adapter.js';

/**
 * Keeps Nest from ending the process: for an application with a gateway and without an adapter it loads
 * @nestjs/platform-socket.io, and calls `process.exit(1)` when that is not installed. Only there a stand-in is set,
 * before Nest looks; where Socket.IO is installed its gateways stay Socket.IO's, and `app.useWebSocketAdapter()`
 * replaces it as always.
 */
export function provideMissingAdapter(config: ApplicationConfig, discovery: DiscoveryService): void {
  // Null until somebody sets one, whatever its type says.
  const adapter: unknown = config.getIoAdapter();
  if (adapter == null && hasGateway(discovery) && !socketIoInstalled())
    config.setIoAdapter(new StandaloneWsAdapter());
}

function hasGateway(discovery: DiscoveryService): boolean {
  return discovery
    .getProviders()
    .some(({ metatype }) => typeof metatype === 'function' && isGateway(metatype));
}

/** Looked up from where Nest imports it. */
function socketIoInstalled(): boolean {
  try {
    const websockets = createRequire(import.meta.url).resolve('@nestjs/websockets');
    createRequire(websockets).resolve('@nestjs/platform-socket.io');
    return true;
  } catch {
    return false;
  }
}
