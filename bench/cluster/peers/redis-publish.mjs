import { Redis } from 'ioredis';
import { eventText } from '../../fanout/event.mjs';
import { inFlight } from '../in-flight.mjs';

const TOPIC = 'bench.cluster';
/** Commands of a pipeline that is made by hand. */
const PIPELINE = 256;

// Control rows: bare PUBLISH. No log, no number, no dedupe; what a node misses is gone. Its subscribers do not even parse.
export async function open({ role, url, payload, byHand, onReceived }) {
  const client = new Redis(url);
  let seq = 0;
  if (role === 'node') {
    client.on('message', () => onReceived(1));
    await client.subscribe(TOPIC);
  }
  const publish = () => client.publish(TOPIC, eventText(++seq, payload));
  return { publish, load: byHand ? pipelined : (count, limit) => inFlight(publish, count, limit) };

  /** As many pipelines under way as `limit` has room for. */
  async function pipelined(count, limit) {
    let left = count;
    const lane = async () => {
      while (left > 0) {
        const size = Math.min(PIPELINE, left);
        left -= size;
        const pipeline = client.pipeline();
        for (let index = 0; index < size; index++) pipeline.publish(TOPIC, eventText(++seq, payload));
        for (const [error] of await pipeline.exec()) if (error) throw error;
      }
    };
    await Promise.all(Array.from({ length: Math.ceil(limit / PIPELINE) }, lane));
  }
}
