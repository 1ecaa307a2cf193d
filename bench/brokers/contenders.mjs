import { startKafka } from '../support/kafka-server.mjs';
import { startNats } from '../support/nats-server.mjs';
import { bytesIn } from '../support/own-server.mjs';
import { startRedis } from '../support/redis-server.mjs';

const SERVER_CORE = 1;

/** What each contender runs on. All keep one copy, and each server writes to its disk as it does by default in production. */
export const contenders = [
  { name: 'memory', kind: 'memory', server: async () => undefined },
  { name: 'Redis', kind: 'redis', server: redis },
  { name: 'Kafka', kind: 'kafka', server: () => startKafka({ core: SERVER_CORE }) },
  { name: 'NATS JetStream', kind: 'nats', server: () => startNats({ core: SERVER_CORE }) },
];

/** With the append-only file that the documents ask for, which is synced once a second. */
async function redis() {
  const server = await startRedis({ core: SERVER_CORE, args: ['--appendonly', 'yes'] });
  return {
    address: server.url,
    cpuMicros: server.cpuMicros,
    async memoryBytes() {
      return Number(/used_memory:(\d+)/.exec(await server.admin.info('memory'))[1]);
    },
    diskBytes: () => bytesIn(server.folder),
    stop: server.stop,
  };
}
