import { afterAll, beforeAll } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { natsBroker } from '../../../lib/brokers/nats/index.js';
import { patience, stretched } from '../../support/patience.js';
import { NatsProcess } from '../../support/nats/process.js';
import { realLogHarness } from './real-log.harness.js';
import { brokerContract } from './suite.js';

let server: NatsProcess | undefined;

beforeAll(async () => {
  server = await NatsProcess.start();
}, patience(60_000));

afterAll(async () => server?.dispose());

/** The server reserves what streams may take: it has room for those of some tests. */
async function remove(name: string): Promise<void> {
  const nc = await connect({ servers: server?.address ?? '' });
  try {
    const { streams } = await jetstreamManager(nc);
    for (const stream of [`${name}-log-0`, `${name}-log-1`, `${name}-checkpoints`])
      await streams.delete(stream).catch(() => false);
  } finally {
    await nc.close();
  }
}

const harness = realLogHarness(
  (name, options) => {
    if (server === undefined) throw new Error('The server was not started');
    const bytes = 16_777_216;
    const bounds = { maxPartitionBytes: bytes, maxCheckpointBytes: bytes };
    return natsBroker({ servers: server.address, name, partitions: 2, replicas: 1, ...bounds, ...options });
  },
  stretched(100),
  remove,
);

brokerContract('NATS JetStream, one server', harness);
