// The built library without Nest and without sockets, for the processes that count what it does.
import { memoryBroker } from '../../../dist/brokers/memory/index.js';
import { ENGINE_DEFAULTS } from '../../../dist/core/ports/settings-defaults.js';
import { RealtimeEngine } from '../../../dist/core/engine/realtime-engine.js';
import { systemClock } from '../../../dist/core/ports/clock.js';
import { systemEntropy } from '../../../dist/core/ports/entropy.js';
import { jsonCodec } from '../../../dist/protocol/codecs/json.js';

export const CHANNEL = 'rooms.1';
/** Turns of the event loop after which what was waited for will not come. */
export const MAX_TURNS = 10_000;
const UNLIMITED = {
  connectsPerSecond: 1e9,
  ratePerSecond: 1e9,
  burst: 1e9,
  bytesPerSecond: 1e12,
  userRatePerSecond: 1e9,
};

/** A connection that keeps nothing of what it is given. */
export class QuietConnection {
  handshake = { transport: 'websocket', headers: {}, url: '/realtime', ip: '127.0.0.1', secure: false };
  bufferedBytes = 0;
  writes = 0;
  /** As of the library, so that it costs the same here with and without a session. */
  handler = undefined;

  constructor(variant) {
    this.variant = variant;
  }

  write() {
    this.writes += 1;
    return true;
  }

  pause() {}
  resume() {}
  close() {}
  terminate() {}
}

/**
 * @param {object} broker what stands between the engine and its broker. Default nothing.
 * @param {boolean} paced whether what takes long is spread over turns of the event loop. Without it, counts do not depend on how
 * fast the machine is.
 */
export async function startEngine({ broker = (own) => own, paced = true } = {}) {
  const clock = paced ? systemClock : { ...systemClock, monotonic: () => 1_000 };
  const engine = new RealtimeEngine({
    broker: broker(memoryBroker({ clock: systemClock, entropy: systemEntropy })),
    authenticator: { authenticate: () => ({}) },
    channels: [
      {
        pattern: 'rooms.:room',
        source: 'engine.mjs',
        policy: {
          log: { retain: true, size: 100, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 300_000 },
          durability: 'process',
          replayLimit: 100,
          overflow: 'disconnect',
          presence: false,
        },
        behaviour: {
          authorize: { subscribe: 'public', publish: 'public' },
          publish: new Map([['said', undefined]]),
          signals: new Set(),
          requests: new Map([
            ['add', ({ payload }) => payload + 1],
            ['addLater', async ({ payload }) => payload + 1],
          ]),
        },
      },
    ],
    settings: {
      ...ENGINE_DEFAULTS,
      nodeId: 'node-1',
      ticketSecret: 'a secret of the performance tests',
      anonymous: true,
      // A pause would depend on how fast the machine is.
      maxFlushDelayMs: 0,
      limits: { ...ENGINE_DEFAULTS.limits, ...UNLIMITED, maxConnectionsPerAddress: 1e6 },
    },
    clock,
    entropy: systemEntropy,
    logger: { debug() {}, log() {}, warn() {}, error: (message, error) => console.error(message, error) },
  });
  await engine.start();
  return { engine, variant: { codec: jsonCodec, frame: (envelopes) => Buffer.concat(envelopes) } };
}

/** Connections that said hello and subscribed. */
export async function subscribe(engine, connections) {
  for (const connection of connections) {
    connection.handler = engine.host.open(connection, {});
    connection.handler.onFrame(
      '{"type":"hello","id":"h","payload":{"versions":[1]}}\n' +
        `{"type":"subscribe","id":"s","channel":"${CHANNEL}"}`,
    );
  }
  // Its `welcome`, and the answer to its subscribe.
  await rest(() => connections.every(({ writes }) => writes > 1));
}

/**
 * Lets everything that is under way come to rest: nothing here waits for anything outside.
 * @param {() => boolean} done What must have happened, since the engine takes many commands in turns.
 */
export async function rest(done = () => true) {
  for (let turn = 0; turn < MAX_TURNS && !done(); turn++) await new Promise(setImmediate);
  for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
}
