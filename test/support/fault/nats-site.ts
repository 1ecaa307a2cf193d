import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { openNatsLog } from '../../../lib/brokers/nats/log.js';
import type { NatsLogOptions } from '../../../lib/brokers/nats/options.js';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';
import type { SeededEntropy } from '../engine/seeded-entropy.js';
import { NatsCluster, type NatsProcess } from '../nats/process.js';
import { elapse, stretched } from '../patience.js';
import { CutProxy } from './cut-proxy.js';
import { killNode, NODES, type OrderedSite } from './ordered-site.js';

const CONNECT_MS = stretched(5_000);
/** Of the nodes: shorter than by default, so that an answer that is held back is given up within the test. */
const REQUEST_MS = stretched(1_500);
const PARTITIONS = 3;
const BYTES = 16_777_216;

/** Three servers that keep each stream three times; the last node reaches them through proxies that can be cut. */
export async function natsSite(): Promise<OrderedSite> {
  // Processes end here, and no machine: what they have written is there again without `sync_interval: always`.
  const deployment = await NatsCluster.start({}, true);
  const { servers, addresses } = deployment;
  const proxies = await Promise.all(servers.map(({ port }) => CutProxy.start(port)));
  let name = '';
  let count = 0;
  const optionsOf = (to: readonly string[]): NatsLogOptions => ({
    servers: to,
    name,
    partitions: PARTITIONS,
    replicas: 3,
    maxPartitionBytes: BYTES,
    maxCheckpointBytes: BYTES,
    requestTimeoutMs: REQUEST_MS,
    connectTimeoutMs: CONNECT_MS,
  });
  const open = () => openNatsLog(optionsOf(addresses), { clock: systemClock, entropy: systemEntropy });
  const all = async (work: (server: NatsProcess) => Promise<void>): Promise<void> => {
    await Promise.all(servers.map(work));
  };
  const manage = async <T>(work: (jsm: JetStreamManager) => Promise<T>): Promise<T> => {
    const nc = await connect({ servers: [...addresses], timeout: CONNECT_MS });
    try {
      return await work(await jetstreamManager(nc, { timeout: CONNECT_MS }));
    } finally {
      await nc.close();
    }
  };
  const streams = (): readonly string[] => [
    ...Array.from({ length: PARTITIONS }, (_, index) => `${name}-log-${index}`),
    `${name}-checkpoints`,
  ];
  const leaderOf = async (entropy: SeededEntropy): Promise<NatsProcess> => {
    const stream = entropy.pick(streams());
    const leader = await manage(async (jsm) => (await jsm.streams.info(stream)).cluster?.leader);
    const found = servers.find((server) => server.name === leader);
    if (found === undefined) throw new Error(`The stream ${stream} has no leader`);
    return found;
  };
  const holding = async (what: 'answers' | 'all', ms: number): Promise<void> => {
    for (const proxy of proxies) proxy.cut(what);
    await elapse(ms);
    for (const proxy of proxies) proxy.mend();
  };
  const deleteStreams = (): Promise<void> =>
    manage(async (jsm) => {
      for (const stream of streams()) await jsm.streams.delete(stream).catch(() => false);
    });
  return {
    name: 'JetStream',
    faults: {
      'kill-node': killNode,
      async 'kill-leader'({ entropy }) {
        const leader = await leaderOf(entropy);
        await leader.kill();
        await elapse(500 + entropy.int(3_000));
        await leader.launch();
      },
      async 'pause-leader'({ entropy }) {
        const leader = await leaderOf(entropy);
        await leader.pause();
        await elapse(500 + entropy.int(6_000));
        leader.resume();
      },
      async restart({ entropy }) {
        await all((server) => server.kill());
        await elapse(entropy.int(800));
        await all((server) => server.launch());
      },
      async pause({ entropy }) {
        await all((server) => server.pause());
        await elapse(500 + entropy.int(6_000));
        for (const server of servers) server.resume();
      },
      cut: ({ entropy }) => holding('all', 500 + entropy.int(4_000)),
      // Longer than an append waits: it is in the log, and is sent again.
      'hold-answers': () => holding('answers', REQUEST_MS + 500),
      // What waits in the proxies lands when the node has long given it up, behind what it sent on another connection.
      late: () => holding('all', 2 * REQUEST_MS),
    },
    losing: {
      async recreate() {
        await deleteStreams();
        const log = await open();
        await log.close();
      },
      /** The log is put back to what it was a while ago, with readers that are ahead of its end. */
      async restore({ entropy }) {
        await all((server) => server.stop());
        const restores = servers.map((server) => server.snapshot());
        await all((server) => server.launch());
        await elapse(1_000 + entropy.int(1_000));
        await all((server) => server.kill());
        for (const restore of restores) restore();
        await all((server) => server.launch());
      },
    },
    async renew() {
      // The servers reserve what streams may take.
      if (name !== '') await deleteStreams();
      name = `faults-${++count}`;
    },
    brokerOf: (node) => ({
      nats: {
        ...optionsOf(node === NODES - 1 ? proxies.map(({ address }) => address) : addresses),
        checkpointEvery: 100,
      },
    }),
    open,
    dispose: async () => {
      for (const server of servers) server.resume();
      await deployment.dispose();
      await Promise.all(proxies.map((proxy) => proxy.close()));
    },
  };
}
