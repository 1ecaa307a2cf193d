import { ENGINE_DEFAULTS } from '../../dist/core/engine/engine.defaults.js';
import { RealtimeEngine } from '../../dist/core/engine/realtime-engine.js';
import { systemClock } from '../../dist/core/ports/clock.js';
import { systemEntropy } from '../../dist/core/ports/entropy.js';
import { silentLogger } from '../../dist/core/ports/logger.js';
import { memoryBroker } from '../../dist/brokers/memory/index.js';
import { WebSocketTransport } from '../../dist/transports/websocket/index.js';
import { serve, settings } from '../support/server-process.mjs';
import { payloadOf } from './event.mjs';

// The library as an application uses it: sequenced, kept in history, deduped, authorized.
let engine;
await serve({
  async attach(http) {
    engine = new RealtimeEngine({
      broker: memoryBroker(),
      authenticator: { authenticate: () => ({}) },
      channels: [
        {
          pattern: 'bench.fanout',
          source: 'Bench',
          policy: {
            log: { retain: true, size: 1000, ttlMs: 3_600_000, dedupeMs: 300_000 },
            durability: 'process',
            replayLimit: 1000,
            presence: false,
            overflow: 'disconnect',
          },
          behaviour: {
            authorize: { subscribe: 'public' },
            publish: new Map(),
            signals: new Set(),
            requests: new Map(),
          },
        },
      ],
      settings: {
        ...ENGINE_DEFAULTS,
        limits: { ...ENGINE_DEFAULTS.limits, maxConnectionsPerAddress: 100_000 },
        // The subscribers of this bench only count bytes: they answer no ping.
        heartbeat: { intervalMs: 3_600_000, timeoutMs: 10_000 },
        anonymous: true,
        nodeId: 'bench',
        ticketSecret: 'bench',
      },
      clock: systemClock,
      entropy: systemEntropy,
      logger: silentLogger,
    });
    await engine.start();
    new WebSocketTransport(engine, {}).attach(http);
  },
  async publish(events) {
    const payload = payloadOf(settings.bytes);
    const work = [];
    for (let index = 0; index < events; index++) work.push(engine.publish('bench.fanout', 'tick', payload));
    await Promise.all(work);
    await new Promise(setImmediate);
    await new Promise(setImmediate);
  },
});
