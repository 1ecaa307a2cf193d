// A server process of the fault tests: the built library without Nest, on a port of its own. Started by
// test/support/fault/node.ts, which gives it one argument, JSON: the nodeId, and the options of its broker by the kind: redis, kafka, nats.
import { createServer } from 'node:http';
import { kafkaBroker } from '../../dist/brokers/kafka/index.js';
import { natsBroker } from '../../dist/brokers/nats/index.js';
import { redisBroker } from '../../dist/brokers/redis/index.js';
import { systemClock } from '../../dist/core/ports/clock.js';
import { systemEntropy } from '../../dist/core/ports/entropy.js';
import { ENGINE_DEFAULTS } from '../../dist/core/ports/settings-defaults.js';
import { RealtimeEngine } from '../../dist/core/engine/realtime-engine.js';
import { refusalBody, refusalHeaders, WebSocketTransport } from '../../dist/transports/websocket/index.js';

const { nodeId, redis, kafka, nats } = JSON.parse(process.argv[2]);

const logger = {
  debug: () => undefined,
  log: () => undefined,
  warn: (message) => process.send({ type: 'log', level: 'warn', message }),
  error: (message, error) =>
    process.send({ type: 'log', level: 'error', message: `${message}: ${error?.stack ?? error}` }),
};

const broker = makeBroker({ onWarning: () => undefined });

function makeBroker(more) {
  if (kafka !== undefined) return kafkaBroker({ ...kafka, ...more });
  return nats === undefined ? redisBroker({ ...redis, ...more }) : natsBroker({ ...nats, ...more });
}

const engine = new RealtimeEngine({
  broker,
  authenticator: { authenticate: ({ token }) => (token === undefined ? {} : { user: { id: token } }) },
  channels: [
    {
      pattern: 'rooms.:room',
      source: 'node.process.mjs',
      policy: {
        log: { retain: true, size: 100_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 300_000 },
        durability: broker.capabilities.durability,
        replayLimit: 100_000,
        overflow: 'disconnect',
        presence: false,
      },
      behaviour: {
        publish: new Map([['said', undefined]]),
        signals: new Set(),
        requests: new Map(),
        authorize: { subscribe: 'public', publish: 'public' },
      },
    },
  ],
  settings: {
    ...ENGINE_DEFAULTS,
    nodeId,
    ticketSecret: 'a secret of the fault tests',
    // What a fault costs is measured, so the pauses that spread a fleet over a recovery are short.
    retry: { baseMs: 50, maxMs: 300, firstSpreadMs: 200, stableMs: 2_000 },
    limits: {
      ...ENGINE_DEFAULTS.limits,
      ratePerSecond: 2_000,
      burst: 4_000,
      userRatePerSecond: 4_000,
      bytesPerSecond: 8 * 1024 * 1024,
      maxInFlight: 1_024,
      maxConnectionsPerAddress: 10_000,
    },
  },
  clock: systemClock,
  entropy: systemEntropy,
  logger,
});

const transport = new WebSocketTransport(engine.host, {
  clock: systemClock,
  onError: (error) => logger.error('transport', error),
});
const http = createServer((req, res) => {
  void transport.probe(req).then((refusal) => {
    res.writeHead(refusal.status, refusalHeaders(refusal)).end(refusalBody(refusal));
  });
});

process.on('message', (message) => {
  if (message.type === 'status') process.send({ type: 'status', status: engine.status });
});
// The test is gone: so is its node.
process.on('disconnect', () => process.exit(0));

await engine.start();
transport.attach(http);
http.listen(0, '127.0.0.1', () => process.send({ type: 'ready', port: http.address().port }));
