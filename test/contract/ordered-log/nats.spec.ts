import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';
import { openNatsLog } from '../../../lib/brokers/nats/log.js';
import type { OrderedLog } from '../../../lib/brokers/replicated/ordered-log.js';
import { NatsProcess } from '../../support/nats/process.js';
import { stretched } from '../../support/patience.js';
import type { LogDeployment } from './deployment.js';
import { describeOrderedLog } from './suite.js';

const ANSWER_MS = stretched(1_000);
const PARTITIONS = 2;
const BYTES = 16_777_216;

describeOrderedLog(
  'NATS JetStream, one server',
  async () => {
    const server = await NatsProcess.start();
    let names = 0;
    return { deploy: async () => deploy(server, `t${++names}`), dispose: () => server.dispose() };
  },
  { seesRegrownCuts: true, requestTimeoutMs: ANSWER_MS },
);

function deploy(server: NatsProcess, name: string): LogDeployment {
  const opened: OrderedLog[] = [];
  const open = async (address = server.address): Promise<OrderedLog> => {
    const log = await openNatsLog(
      {
        servers: address,
        name,
        partitions: PARTITIONS,
        replicas: 1,
        maxPartitionBytes: BYTES,
        maxCheckpointBytes: BYTES,
        maxRecordBytes: 65_536,
        requestTimeoutMs: ANSWER_MS,
        connectTimeoutMs: ANSWER_MS,
      },
      { clock: systemClock, entropy: systemEntropy },
    );
    opened.push(log);
    return log;
  };
  const streams = [`${name}-log-0`, `${name}-log-1`, `${name}-checkpoints`];
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
      const restore = server.snapshot();
      await server.launch();
      return async (meanwhile) => {
        await server.kill();
        restore();
        if (meanwhile !== undefined) {
          const port = await NatsProcess.anotherPort();
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
      manage(server, async (jsm) => {
        const stream = streams[partition] ?? '';
        const { state } = await jsm.streams.info(stream);
        // Streams of a log refuse to be purged.
        await jsm.streams.update(stream, { max_msgs: state.last_seq + 1 - first });
        await jsm.streams.update(stream, { max_msgs: -1 });
      }),
    recreate: async () => {
      await manage(server, async (jsm) => {
        for (const stream of streams) await jsm.streams.delete(stream);
      });
      await open();
    },
    dispose: async () => {
      server.resume();
      for (const log of opened) await log.close();
      await manage(server, async (jsm) => {
        for (const stream of streams) await jsm.streams.delete(stream).catch(() => false);
      });
    },
  };
}

async function manage(server: NatsProcess, work: (jsm: JetStreamManager) => Promise<void>): Promise<void> {
  const nc = await connect({ servers: server.address });
  try {
    await work(await jetstreamManager(nc));
  } finally {
    await nc.close();
  }
}
