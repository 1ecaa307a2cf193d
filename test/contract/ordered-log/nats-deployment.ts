import { jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { openNatsLog } from '../../../lib/brokers/nats/log.js';
import type { OrderedLog } from '../../../lib/brokers/replicated/ordered-log.js';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';
import { NatsProcess } from '../../support/nats/process.js';
import { stretched } from '../../support/patience.js';
import type { LogDeployment } from './deployment.js';

const ANSWER_MS = stretched(1_000);
const CONNECT_MS = stretched(5_000);
const PARTITIONS = 2;
const BYTES = 16_777_216;

/** A log of its own on servers that tests share; each record is kept by all of them. */
export function deployNatsLog(servers: readonly NatsProcess[], name: string): LogDeployment {
  const replicas = servers.length === 3 ? 3 : 1;
  const opened: OrderedLog[] = [];
  const open = async (addresses = servers.map(({ address }) => address)): Promise<OrderedLog> => {
    const log = await openNatsLog(
      {
        servers: addresses,
        name,
        partitions: PARTITIONS,
        replicas,
        maxPartitionBytes: BYTES,
        maxCheckpointBytes: BYTES,
        maxRecordBytes: 65_536,
        requestTimeoutMs: ANSWER_MS,
        connectTimeoutMs: CONNECT_MS,
      },
      { clock: systemClock, entropy: systemEntropy },
    );
    opened.push(log);
    return log;
  };
  const all = async (work: (server: NatsProcess) => Promise<void>): Promise<void> => {
    await Promise.all(servers.map(work));
  };
  const streams = [`${name}-log-0`, `${name}-log-1`, `${name}-checkpoints`];
  return {
    open: () => open(),
    restart: async () => {
      await all((server) => server.kill());
      await all((server) => server.launch());
    },
    pause: () => all((server) => server.pause()),
    resume: () => servers.forEach((server) => server.resume()),
    mark: async () => {
      await all((server) => server.stop());
      const restores = servers.map((server) => server.snapshot());
      await all((server) => server.launch());
      return async (meanwhile) => {
        await all((server) => server.kill());
        for (const restore of restores) restore();
        if (meanwhile !== undefined) {
          const ports = new Map<NatsProcess, number>();
          for (const server of servers) ports.set(server, await NatsProcess.anotherPort());
          await all((server) => server.launch(ports.get(server)));
          const log = await open([...ports.values()].map((port) => `127.0.0.1:${port}`));
          await meanwhile(log);
          await log.close();
          await all((server) => server.stop());
        }
        await all((server) => server.launch());
      };
    },
    trim: (partition, first) =>
      manage(servers, async (jsm) => {
        const stream = streams[partition] ?? '';
        const { state } = await jsm.streams.info(stream);
        // Streams of a log refuse to be purged.
        await jsm.streams.update(stream, { max_msgs: state.last_seq + 1 - first });
        await jsm.streams.update(stream, { max_msgs: -1 });
      }),
    recreate: async () => {
      await manage(servers, async (jsm) => {
        for (const stream of streams) await jsm.streams.delete(stream);
      });
      await open();
    },
    dispose: async () => {
      servers.forEach((server) => server.resume());
      for (const log of opened) await log.close();
      await manage(servers, async (jsm) => {
        for (const stream of streams) await jsm.streams.delete(stream).catch(() => false);
      });
    },
  };
}

/** Asks JetStream for what a test wants, once it answers. */
export async function manage(
  servers: readonly NatsProcess[],
  work: (jsm: JetStreamManager) => Promise<void>,
): Promise<void> {
  const nc = await connect({ servers: servers.map(({ address }) => address), timeout: CONNECT_MS });
  try {
    await work(await jetstreamManager(nc, { timeout: CONNECT_MS }));
  } finally {
    await nc.close();
  }
}
