import { wireChannel } from '../../../support/wire/channel.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../../support/wire/server.js';

export const GRACE_MS = 10_000;

/** What the timers of the server may be late by. */
export const TICK = 500;

/** For clients of a clock that jumps: they would not have answered a ping meanwhile. */
export const QUIET = { heartbeat: { intervalMs: 6_000_000, timeoutMs: 6_000_000 } };

export const CHANNELS = [
  wireChannel('rooms.:room', { publish: ['said'], signals: ['typing'] }),
  wireChannel('halls.:hall', { publish: ['said'], presence: { graceMs: GRACE_MS } }),
  wireChannel('ticks.:name', { publish: ['tick'], log: { retain: false } }),
];

/** The server of the test that runs. Each spec file has a copy of this module, and so a server of its own. */
export let server: WireServer;

export async function start(options: WireServerOptions = {}): Promise<void> {
  server = await startWireServer({ channels: CHANNELS, ...options });
}

/** For `afterEach`. */
export function stop(): Promise<void> {
  return server.close();
}
