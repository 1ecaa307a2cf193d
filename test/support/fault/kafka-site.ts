import * as driver from '@platformatic/kafka';
import { openKafkaLog } from '../../../lib/brokers/kafka/log.js';
import type { KafkaLogOptions } from '../../../lib/brokers/kafka/options.js';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';
import { KafkaProcess } from '../kafka/process.js';
import { elapse, stretched } from '../patience.js';
import { until } from '../until.js';
import { CutProxy } from './cut-proxy.js';
import { killNode, NODES, type OrderedSite } from './ordered-site.js';

/** Answers that the kit itself waits for. */
const KIT_MS = stretched(10_000);
/** Of the nodes: shorter than by default, so that an answer that is held back is given up within the test. */
const REQUEST_MS = stretched(1_500);
const PARTITIONS = 3;

/** One broker of Kafka; the last node reaches it through a proxy that can be cut. */
export async function kafkaSite(): Promise<OrderedSite> {
  const behind = { port: 0 };
  const proxy = await CutProxy.start(() => behind.port);
  const started = await KafkaProcess.start({ advertised: proxy.address });
  behind.port = started.port;
  let topic = '';
  let count = 0;
  const optionsOf = (brokers: string): KafkaLogOptions => ({
    brokers,
    topic,
    partitions: PARTITIONS,
    replicas: 1,
    requestTimeoutMs: REQUEST_MS,
  });
  const open = () =>
    openKafkaLog(optionsOf(started.directAddress), { clock: systemClock, entropy: systemEntropy });
  const holding = async (what: 'answers' | 'all', ms: number): Promise<void> => {
    proxy.cut(what);
    await elapse(ms);
    proxy.mend();
  };
  return {
    name: 'Kafka',
    faults: {
      'kill-node': killNode,
      async restart({ entropy }) {
        await started.kill();
        await elapse(entropy.int(800));
        await started.launch();
      },
      async pause({ entropy }) {
        await started.pause();
        await elapse(500 + entropy.int(6_000));
        started.resume();
      },
      cut: ({ entropy }) => holding('all', 500 + entropy.int(4_000)),
      // Longer than an append waits: it is in the log, and is sent again.
      'hold-answers': () => holding('answers', REQUEST_MS + 500),
      // What waits in the proxy lands when the node has long given it up, behind what it sent on another connection.
      late: () => holding('all', 2 * REQUEST_MS),
    },
    losing: {
      async recreate() {
        await deleteTopics(started, [topic, `${topic}.checkpoints`, `${topic}.signals`]);
        const log = await open();
        await log.close();
      },
      /** The log is put back to what it was a while ago, with readers that are ahead of its end. */
      async restore({ entropy }) {
        await started.stop();
        const restore = started.snapshot(topic);
        await started.launch();
        await elapse(1_000 + entropy.int(1_000));
        await started.kill();
        restore();
        await started.launch();
      },
    },
    renew: async () => void (topic = `faults-${++count}`),
    brokerOf: (node) => ({
      kafka: {
        ...optionsOf(node === NODES - 1 ? proxy.address : started.directAddress),
        checkpointEvery: 100,
      },
    }),
    open,
    dispose: async () => {
      started.resume();
      await started.dispose();
      await proxy.close();
    },
  };
}

async function deleteTopics(server: KafkaProcess, topics: readonly string[]): Promise<void> {
  const [host = '', port] = server.directAddress.split(':');
  const connection = new driver.Connection('kit', { connectTimeout: KIT_MS, requestTimeout: KIT_MS });
  connection.on('error', () => undefined);
  await connection.connect(host, Number(port));
  try {
    const names = topics.map((name) => ({ name }));
    await driver.deleteTopicsV6.api.async(connection, names, KIT_MS);
    await until('the topics to be gone', () =>
      driver.metadataV12.api.async(connection, [...topics], false, false).then(
        () => false,
        // All of them are unknown.
        (error: Error) => (error as AggregateError).errors.length === topics.length,
      ),
    );
  } finally {
    await connection.close();
  }
}
