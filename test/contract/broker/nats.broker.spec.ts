import { afterAll, beforeAll } from '@jest/globals';
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

const harness = realLogHarness((name, options) => {
  if (server === undefined) throw new Error('The server was not started');
  const bytes = 16_777_216;
  const bounds = { maxPartitionBytes: bytes, maxCheckpointBytes: bytes };
  return natsBroker({ servers: server.address, name, partitions: 2, replicas: 1, ...bounds, ...options });
}, stretched(100));

brokerContract('NATS JetStream, one server', harness);
