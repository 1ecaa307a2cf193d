// A server process that sheds load, of the built library without Nest. Started by test/fault/overload.spec.ts, which gives it one
// argument, JSON: { policy, memoryLimit }. It sends each step, and answers { type: 'figures' }.
import { createServer } from 'node:http';
import { memoryBroker } from '../../dist/brokers/memory/index.js';
import { OwnProcess } from '../../dist/core/engine/overload/process-sampler.js';
import { RealtimeEngine } from '../../dist/core/engine/realtime-engine.js';
import { systemClock } from '../../dist/core/ports/clock.js';
import { systemEntropy } from '../../dist/core/ports/entropy.js';
import { ENGINE_DEFAULTS } from '../../dist/core/ports/settings-defaults.js';
import { WebSocketTransport } from '../../dist/transports/websocket/index.js';

const { policy, memoryLimit } = JSON.parse(process.argv[2]);
const nothing = () => undefined;
const channel = (pattern, priority) => ({
  pattern,
  source: 'overload.process.mjs',
  policy: {
    log: { retain: true, size: 1_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 2_000 },
    durability: 'process',
    replayLimit: 1_000,
    overflow: 'disconnect',
    presence: false,
    priority,
  },
  behaviour: {
    publish: new Map([['said', undefined]]),
    signals: new Set(),
    requests: new Map(),
    authorize: { subscribe: 'public', publish: 'public' },
  },
});
const engine = new RealtimeEngine({
  broker: memoryBroker(),
  authenticator: { authenticate: ({ token }) => (token === undefined ? {} : { user: { id: token } }) },
  channels: [channel('rooms.:room', 'normal'), channel('prices.:pair', 'low')],
  shedding: { policy, sampler: new OwnProcess(memoryLimit) },
  observers: [
    { onOverload: (step, on, reason) => process.send({ type: 'step', step, on, reason, at: Date.now() }) },
  ],
  settings: {
    ...ENGINE_DEFAULTS,
    nodeId: 'overloaded',
    ticketSecret: 'a secret of the tests of an overload',
    limits: {
      ...ENGINE_DEFAULTS.limits,
      ratePerSecond: 1_000_000,
      burst: 1_000_000,
      userRatePerSecond: 0,
      bytesPerSecond: 64 * 1024 * 1024,
      maxConnectionsPerAddress: 10_000,
      connectsPerSecond: 10_000,
      nodeConnectsPerSecond: 0,
    },
    abuse: { ...ENGINE_DEFAULTS.abuse, throttleAfter: 1_000_000_000, closeAfter: 1_000_000_000 },
  },
  clock: systemClock,
  entropy: systemEntropy,
  logger: { debug: nothing, log: nothing, warn: nothing, error: (...all) => console.error(...all) },
});
const transport = new WebSocketTransport(engine.host, { clock: systemClock, onError: nothing });
const http = createServer((_req, res) => res.writeHead(503).end());
let most = 0;
setInterval(() => (most = Math.max(most, process.memoryUsage.rss())), 100).unref();
process.on('message', () => process.send({ type: 'figures', most, status: engine.status }));
process.on('disconnect', () => process.exit(0));
await engine.start();
transport.attach(http);
http.listen(0, '127.0.0.1', () => process.send({ type: 'ready', port: http.address().port }));
