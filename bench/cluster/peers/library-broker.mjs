import { randomUUID } from 'node:crypto';
import { redisBroker } from '../../../dist/brokers/redis/index.js';
import { silentListener } from '../../support/silent-listener.mjs';
import { inFlight } from '../in-flight.mjs';

export const CHANNEL = 'bench.cluster';
/** Defaults of a channel. */
const POLICY = { retain: true, size: 1_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 300_000 };

// The Redis broker alone, through its port: sequence, log, dedupe and acknowledgement. Its nodes decode every event.
export async function open({ role, url, payload, onReceived }) {
  const broker = redisBroker({ url });
  await broker.start({
    ...silentListener,
    onEvents: (_channel, events) => onReceived(events.length),
  });
  if (role === 'node') await broker.log.subscribe(CHANNEL);
  const publish = async () => {
    const [outcome] = await broker.log.appendMany([
      {
        channel: CHANNEL,
        producer: 'a:bench',
        fingerprint: 'nOsjIzwLmXXLQZb9f3F9h98AzOI=',
        policy: POLICY,
        event: { id: randomUUID(), event: 'tick', payload },
        bytes: payload.length + 80,
      },
    ]);
    if (!outcome.ok) throw new Error(`A publish failed: ${outcome.code}`);
  };
  return { publish, load: (count, limit) => inFlight(publish, count, limit) };
}
