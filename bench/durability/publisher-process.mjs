import { randomUUID } from 'node:crypto';
import { redisBroker } from '../../dist/brokers/redis/index.js';
import { inFlight } from '../cluster/in-flight.mjs';
import { serve, settings } from '../support/server-side.mjs';
import { silentListener } from '../support/silent-listener.mjs';
import { CHANNEL, nowMs } from './common.mjs';

// Publishes through the Redis broker and remembers what was acknowledged, and when.
const { level, url, bytes } = settings;
const payload = 'x'.repeat(bytes);
const policy = { retain: true, size: 1_000_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 300_000 };
const broker = redisBroker({ url, ...(level === 'replicated' ? { durability: { level } } : {}) });
const acknowledged = [];
let last;
let running = false;

async function publish() {
  const id = randomUUID();
  const request = {
    channel: CHANNEL,
    producer: 'a:bench',
    fingerprint: id,
    policy,
    event: { id, event: 'tick', payload },
    bytes: payload.length + 80,
  };
  const [outcome] = await broker.log.appendMany([request]);
  if (!outcome.ok) return false;
  acknowledged.push({ id, at: nowMs() });
  if (last === undefined || outcome.position.seq > last.seq) last = outcome.position;
  return true;
}

await serve(
  async () => {
    await broker.start(silentListener);
    return 0;
  },
  {
    /** Publishes with so many under way until one is refused. */
    start({ limit }) {
      running = true;
      const lane = async () => {
        while (running) running = (await publish()) && running;
      };
      for (let count = 0; count < limit; count++) void lane();
    },
    acknowledged: () => ({ acknowledged, last }),
    async rate({ count, limit }) {
      const startedAt = nowMs();
      await inFlight(publish, count, limit);
      return { perSecond: (1_000 * count) / (nowMs() - startedAt) };
    },
  },
);
