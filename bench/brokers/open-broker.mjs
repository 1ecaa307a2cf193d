/** Enough for what the bench has a broker keep, in every one of its partitions. */
const MAX_BYTES = 3 * 1024 ** 3;
const MAX_STREAM_BYTES = 1024 ** 3;

/**
 * A broker as the library has it by default, but for one copy of each record and more memory.
 *
 * @param {{ kind: string, address?: string }} settings
 */
export async function openBroker({ kind, address }) {
  const load = (path) => import(`../../dist/brokers/${path}/index.js`);
  const node = { maxBytes: MAX_BYTES };
  switch (kind) {
    case 'memory':
      return (await load('memory')).memoryBroker(node);
    case 'redis':
      return (await load('redis')).redisBroker({ url: address });
    case 'kafka':
      return (await load('kafka')).kafkaBroker({ brokers: address, replicas: 1, ...node });
    case 'nats': {
      const streams = { maxPartitionBytes: MAX_STREAM_BYTES, maxCheckpointBytes: MAX_STREAM_BYTES };
      return (await load('nats')).natsBroker({ servers: address, replicas: 1, ...streams, ...node });
    }
    default:
      throw new Error(`There is no broker "${kind}"`);
  }
}
