import { afterAll, beforeAll } from '@jest/globals';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { natsBroker } from '../../../lib/brokers/nats/index.js';
import { patience, stretched } from '../../support/patience.js';
import { NatsCluster, NatsProcess } from '../../support/nats/process.js';
import { realLogHarness } from './real-log.harness.js';
import { brokerContract } from './suite.js';

/** Several take long: by hand, as the contract of the log has them always. */
const SERVERS = process.env.NATS_SERVERS === '3' ? 3 : 1;
let deployment: { readonly addresses: readonly string[]; dispose(): Promise<void> } | undefined;

beforeAll(async () => {
  if (SERVERS === 3) deployment = await NatsCluster.start();
  else {
    const server = await NatsProcess.start();
    deployment = { addresses: [server.address], dispose: () => server.dispose() };
  }
}, patience(60_000));

afterAll(async () => deployment?.dispose());

function servers(): readonly string[] {
  if (deployment === undefined) throw new Error('The servers were not started');
  return deployment.addresses;
}

/** A server reserves what streams may take: it has room for those of some tests. */
async function remove(name: string): Promise<void> {
  const nc = await connect({ servers: [...servers()] });
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
    const bytes = 16_777_216;
    const bounds = { maxPartitionBytes: bytes, maxCheckpointBytes: bytes };
    return natsBroker({ servers: servers(), name, partitions: 2, replicas: SERVERS, ...bounds, ...options });
  },
  stretched(100),
  remove,
);

brokerContract(`NATS JetStream, ${SERVERS === 1 ? 'one server' : 'three servers'}`, harness);
