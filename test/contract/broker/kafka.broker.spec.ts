import { afterAll, beforeAll } from '@jest/globals';
import { kafkaBroker } from '../../../lib/brokers/kafka/index.js';
import { KafkaProcess } from '../../support/kafka/process.js';
import { patience, stretched } from '../../support/patience.js';
import { realLogHarness } from './real-log.harness.js';
import { brokerContract } from './suite.js';

let server: KafkaProcess | undefined;

beforeAll(async () => {
  server = await KafkaProcess.start();
}, patience(120_000));

afterAll(async () => server?.dispose());

const harness = realLogHarness(
  (topic, options) => {
    if (server === undefined) throw new Error('The server was not started');
    return kafkaBroker({ brokers: server.address, topic, partitions: 2, replicas: 1, ...options });
  },
  stretched(300),
  async () => undefined,
);

brokerContract('Kafka, one broker', harness);
