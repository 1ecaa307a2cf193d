import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Connection, metadataV12 } from '@platformatic/kafka';
import { downloadKafka, findKafka, KAFKA_REMEDY } from '../../scripts/kafka.mjs';
import { freePort, newFolder, startOwnServer } from './own-server.mjs';

const HEAP = '-Xmx1g';
const CLUSTER_ID = 'MkU3OEVBNTcwNTJENDM2Qk';
const TIMEOUT_MS = 2_000;

/** Starts a Kafka broker that is its own controller, which stores as it does by default: when its disk writes is up to the system. */
export async function startKafka({ core } = {}) {
  if (!downloadKafka()) throw new Error(KAFKA_REMEDY);
  const classPath = ['-cp', join(findKafka(), '*')];
  const folder = newFolder('kafka');
  const [port, controller] = [await freePort(), await freePort()];
  const file = join(folder, 'server.properties');
  const properties = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${controller}`,
    listeners: `CLIENTS://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controller}`,
    'advertised.listeners': `CLIENTS://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'CLIENTS',
    'log.dirs': join(folder, 'data'),
    'offsets.topic.replication.factor': 1,
    'auto.create.topics.enable': false,
  };
  writeFileSync(
    file,
    Object.entries(properties)
      .map(([key, value]) => `${key}=${value}\n`)
      .join(''),
  );
  const format = ['kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', file];
  const { status, stderr, error } = spawnSync('java', [...classPath, ...format], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${KAFKA_REMEDY} ${error?.message ?? stderr}`);
  const server = await startOwnServer({
    command: ['java', HEAP, ...classPath, 'kafka.Kafka', file],
    folder,
    core,
    isServing: () => isServing(port),
  });
  return { ...server, address: `127.0.0.1:${port}` };
}

/** Listening is too early: the broker serves when its controller counts it among those that do. */
async function isServing(port) {
  const connection = new Connection('bench', { connectTimeout: TIMEOUT_MS, requestTimeout: TIMEOUT_MS });
  connection.on('error', () => undefined);
  try {
    await connection.connect('127.0.0.1', port);
    const { brokers } = await metadataV12.api.async(connection, [], false, false);
    return brokers.length > 0;
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}
