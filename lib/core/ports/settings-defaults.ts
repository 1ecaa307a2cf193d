import type { EngineSettings } from './settings.js';

/** Defaults of everything but identity and secrets. Each is explained where a user sets it. */
export const ENGINE_DEFAULTS: Omit<EngineSettings, 'nodeId' | 'ticketSecret'> = {
  applicationName: 'application',
  helloTimeoutMs: 10_000,
  heartbeat: { intervalMs: 25_000, timeoutMs: 10_000 },
  retry: { baseMs: 500, maxMs: 20_000, firstSpreadMs: 2_000, stableMs: 10_000 },
  limits: {
    maxFrameBytes: 256 * 1024,
    maxMessageBytes: 64 * 1024,
    maxEnvelopesPerFrame: 256,
    maxChannels: 128,
    ratePerSecond: 50,
    dedupeMs: 5 * 60_000,
    burst: 100,
    bytesPerSecond: 512 * 1024,
    userRatePerSecond: 200,
    maxInFlight: 64,
    maxConnectionsPerAddress: 1_000,
    maxConnections: 100_000,
  },
  abuse: { throttleAfter: 20, closeAfter: 200, windowMs: 10_000, banMs: 60_000 },
  outbox: { maxBytes: 1024 * 1024, maxMessages: 4_096 },
  maxFlushDelayMs: 20,
  handlerTimeoutMs: 10_000,
  anonymous: false,
  authRequiredAheadMs: 30_000,
  lingerMs: 5_000,
  ringSize: 256,
  presenceLeaseMs: 30_000,
  drainSpreadMs: 5_000,
};
