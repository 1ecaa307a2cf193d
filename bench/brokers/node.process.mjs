// A node of the bench: a broker through its port, without sessions and sockets. It publishes, or only receives, or is started to see how long
// that takes.
import { randomBytes } from 'node:crypto';
import { inFlight } from '../cluster/in-flight.mjs';
import { serve, settings } from '../support/server-side.mjs';
import { silentListener } from '../support/silent-listener.mjs';
import { percentile } from '../support/statistics.mjs';
import { openBroker } from './open-broker.mjs';

const { kind, address, channels = 1, bytes, limit, subscribes = false } = settings;
/** After this long what has not arrived is lost. */
const PATIENCE_MS = 60_000;
/** Ids are remembered for this long: long enough to be looked up, short enough that they do not fill the memory. */
const DEDUPE_MS = 1_000;
/** So many users publish. */
const PRODUCERS = 500;
/** What one call appends where events are only to be there, and how many of these calls are under way. */
const BATCH = 250;
const CALLS = 8;
const HOUR_MS = 3_600_000;
const PUBLISHED = { retain: true, size: 100, maxBytes: 8_388_608, ttlMs: HOUR_MS, dedupeMs: DEDUPE_MS };
const KEPT = { ...PUBLISHED, size: 1_000_000, maxBytes: 2 ** 31, dedupeMs: 0, ttlMs: 24 * HOUR_MS };
/** Where the texts of events are taken from: no two are the same string, and a disk that compresses gains little. */
const TEXT = Buffer.from(randomBytes(49_152).toString('base64'), 'latin1');
const nameOf = (number) => `rooms.${number % channels}`;

let published = 0;
/** Events that arrived and were not asked for yet. */
let arrived = 0;
let onArrived = () => undefined;

function request(policy) {
  published += 1;
  const at = (published * 31) % (TEXT.length - bytes);
  const producer = `u:user-${published % PRODUCERS}`;
  return {
    channel: nameOf(published),
    producer,
    fingerprint: 'nOsjIzwLmXXLQZb9f3F9h98AzOI=',
    policy,
    event: {
      id: `${process.pid}-${published}`,
      event: 'said',
      payload: { text: TEXT.toString('latin1', at, at + bytes) },
    },
    bytes: bytes + 40,
  };
}

async function append(requests) {
  for (const outcome of await broker.log.appendMany(requests))
    if (!outcome.ok) throw new Error(`${kind}: a publish failed: ${outcome.code} ${outcome.message ?? ''}`);
}

const publish = () => append([request(PUBLISHED)]);

const broker = await openBroker({ kind, address });

await serve(
  async () => {
    await broker.start({
      ...silentListener,
      onEvents(_channel, events) {
        arrived += events.length;
        onArrived();
      },
    });
    if (subscribes)
      for (let number = 0; number < channels; number++) await broker.log.subscribe(nameOf(number));
    // Nobody connects to it.
    return 0;
  },
  {
    load: ({ count }) => inFlight(publish, count, limit),
    async oneByOne({ forMs }) {
      const took = [];
      const startedAt = performance.now();
      for (let now = startedAt; now - startedAt < forMs;) {
        await publish();
        const after = performance.now();
        took.push(after - now);
        now = after;
      }
      return { count: took.length, p50: percentile(took, 0.5), p99: percentile(took, 0.99) };
    },
    /** Answers when so many more events have arrived. */
    async arrived({ count }) {
      await new Promise((resolve, reject) => {
        const timer = setTimeout(
          () => reject(new Error(`${kind}: ${arrived} of ${count} events arrived`)),
          PATIENCE_MS,
        );
        onArrived = () => {
          if (arrived < count) return;
          arrived -= count;
          onArrived = () => undefined;
          clearTimeout(timer);
          resolve();
        };
        onArrived();
      });
    },
    /** Appends events that are all kept. */
    async fill({ count }) {
      const call = () => append(Array.from({ length: BATCH }, () => request(KEPT)));
      await inFlight(call, Math.ceil(count / BATCH), CALLS);
    },
    /** Reads the newest event of a channel, as a client that comes back has it read. */
    async read() {
      const { tip, events } = await broker.log.read({ channel: nameOf(0), from: 1, limit: 1, reverse: true });
      if (events.length !== 1) throw new Error(`${kind}: there are no events of ${nameOf(0)}`);
      return { seq: tip.seq };
    },
    async close() {
      await broker.close();
    },
  },
);
