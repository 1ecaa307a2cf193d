import * as driver from '@platformatic/kafka';
import { openKafkaLog } from '../../../lib/brokers/kafka/log.js';
import type { OrderedLog } from '../../../lib/brokers/replicated/ordered-log.js';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';
import { KafkaProcess } from '../../support/kafka/process.js';
import { stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import type { LogDeployment } from './deployment.js';
import { describeOrderedLog } from './suite.js';

const ANSWER_MS = stretched(1_000);
/** Answers that the kit itself waits for. */
const KIT_MS = stretched(10_000);
const PARTITIONS = 2;

describeOrderedLog(
  'Kafka, one broker',
  async () => {
    const server = await KafkaProcess.start();
    let names = 0;
    return { deploy: async () => deploy(server, `t${++names}`), dispose: () => server.dispose() };
  },
  { seesRegrownCuts: true },
);

function deploy(server: KafkaProcess, topic: string): LogDeployment {
  const opened: OrderedLog[] = [];
  const open = async (address = server.address): Promise<OrderedLog> => {
    const log = await openKafkaLog(
      {
        brokers: address,
        topic,
        partitions: PARTITIONS,
        replicas: 1,
        maxRecordBytes: 65_536,
        requestTimeoutMs: ANSWER_MS,
        connectTimeoutMs: KIT_MS,
      },
      { clock: systemClock, entropy: systemEntropy },
    );
    opened.push(log);
    return log;
  };
  const topics = [topic, `${topic}.checkpoints`, `${topic}.signals`];
  const deleteTopics = (): Promise<void> =>
    manage(server, async (connection) => {
      await driver.deleteTopicsV6.api.async(
        connection,
        topics.map((name) => ({ name })),
        KIT_MS,
      );
      await until('the topics to be gone', () =>
        driver.metadataV12.api.async(connection, topics, false, false).then(
          () => false,
          // All of them are unknown.
          (error: Error) => (error as AggregateError).errors.length === topics.length,
        ),
      );
    });
  return {
    open: () => open(),
    restart: async () => {
      await server.kill();
      await server.launch();
    },
    pause: () => server.pause(),
    resume: () => server.resume(),
    mark: async () => {
      await server.stop();
      const restore = server.snapshot(topic);
      await server.launch();
      return async (meanwhile) => {
        await server.stop();
        restore();
        if (meanwhile !== undefined) {
          const port = await KafkaProcess.anotherPort();
          await server.launch(port);
          const log = await open(`127.0.0.1:${port}`);
          await meanwhile(log);
          await log.close();
          await server.stop();
        }
        await server.launch();
      };
    },
    trim: (partition, first) =>
      manage(server, async (connection) => {
        const partitions = [{ partitionIndex: partition, offset: BigInt(first) }];
        await driver.deleteRecordsV2.api.async(connection, [{ name: topic, partitions }], KIT_MS);
      }),
    recreate: async () => {
      await deleteTopics();
      await open();
    },
    dispose: async () => {
      server.resume();
      for (const log of opened) await log.close();
      await deleteTopics();
    },
  };
}

async function manage(
  server: KafkaProcess,
  work: (connection: driver.Connection) => Promise<void>,
): Promise<void> {
  const connection = new driver.Connection('kit', { connectTimeout: KIT_MS, requestTimeout: KIT_MS });
  connection.on('error', () => undefined);
  await connection.connect('127.0.0.1', server.port);
  try {
    await work(connection);
  } finally {
    await connection.close();
  }
}
