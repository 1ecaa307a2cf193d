import { randomBytes } from 'node:crypto';
import { afterEach, expect, it } from '@jest/globals';
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Admin, Producer } from '@platformatic/kafka';
import { Redis } from 'ioredis';
import type { ConsumerProcessOptions } from '../support/consumers/process.js';
import { consumeWithKills, type ShowResult, type WrittenRecord } from '../support/consumers/show.js';
import { KafkaProcess } from '../support/kafka/process.js';
import { NatsProcess } from '../support/nats/process.js';
import { patience, stretched } from '../support/patience.js';
import { RedisProcess } from '../support/redis/process.js';

/** `RECORDS=100000` is the whole of it. */
const RECORDS = Number(process.env['RECORDS'] ?? 3_000);
const KEYS = 50;
const PARTITIONS = 4;
/** A process is killed after so many parts of the records. */
const MOMENTS = [0.2, 0.45, 0.7].map((part) => Math.floor(RECORDS * part));
/** The default for the whole; few records for the sample, so that a kill meets one that is under way. */
const BATCH = RECORDS > 10_000 ? 500 : 50;
/** Short, so that a kill does not cost ten seconds. */
const TAKE_OVER_MS = stretched(1_000);
const LIMIT_MS = patience(RECORDS > 10_000 ? 400_000 : 120_000);

const disposals: (() => unknown)[] = [];
afterEach(async () => {
  for (const dispose of disposals.splice(0).reverse()) await dispose();
});

async function redisServer(): Promise<RedisProcess> {
  const server = await RedisProcess.start();
  disposals.push(() => server.dispose());
  return server;
}

/** What the process publishes to. */
function channelsOn(server: RedisProcess): ConsumerProcessOptions['redis'] {
  return { url: server.url, keyPrefix: `c${randomBytes(4).toString('hex')}` };
}

function expectEachOnce(source: string, result: ShowResult): void {
  const { doubled, gapsMs, missing, outOfOrder, seconds } = result;
  if (RECORDS > 10_000)
    process.stdout.write(
      `${source}: ${RECORDS} records in ${seconds.toFixed(1)} s (${Math.round(RECORDS / seconds)}/s), gaps ${gapsMs.join(', ')} ms, ` +
        `doubled ${doubled}, missing ${missing}, out of order ${outOfOrder}\n`,
    );
  expect({ doubled, missing, outOfOrder }).toEqual({ doubled: 0, missing: 0, outOfOrder: 0 });
  expect(gapsMs).toHaveLength(MOMENTS.length);
}

it(
  'entries of Redis Streams become events once each, in the order of their key, although the process is killed three times (G34)',
  async () => {
    const server = await redisServer();
    const admin = new Redis(server.url);
    disposals.push(() => admin.disconnect());
    const streams = Array.from({ length: PARTITIONS }, (_, index) => `orders-${index}`);
    const write = async (some: readonly WrittenRecord[]): Promise<void> => {
      const pipeline = admin.pipeline();
      for (const { key, value } of some)
        pipeline.xadd(streams[Number(key.slice(1)) % PARTITIONS] ?? '', '*', 'value', value);
      await pipeline.exec();
    };
    const result = await consumeWithKills(
      {
        source: 'redis',
        options: { url: server.url, streams, group: 'realtime', maxBatch: BATCH, takeOverMs: TAKE_OVER_MS },
        redis: channelsOn(server),
      },
      { records: RECORDS, keys: KEYS, moments: MOMENTS, write },
    );
    expectEachOnce('Redis Streams', result);
    for (const stream of streams)
      expect(await admin.xpending(stream, 'realtime')).toEqual([0, null, null, null]);
  },
  LIMIT_MS,
);

it(
  'records of Kafka become events once each, in the order of their key, although the process is killed three times (G34)',
  async () => {
    const [server, kafka] = await Promise.all([
      redisServer(),
      KafkaProcess.start({ properties: { 'group.min.session.timeout.ms': '1000' } }),
    ]);
    disposals.push(() => kafka.dispose());
    const admin = new Admin({ clientId: 'test', bootstrapBrokers: [kafka.address] });
    const producer = new Producer({ clientId: 'test', bootstrapBrokers: [kafka.address] });
    disposals.push(
      () => admin.close(),
      () => producer.close(),
    );
    await admin.createTopics({ topics: ['orders'], partitions: PARTITIONS, replicas: 1 });
    const write = async (some: readonly WrittenRecord[]): Promise<void> => {
      const messages = some.map(({ key, value }) => ({
        topic: 'orders',
        partition: Number(key.slice(1)) % PARTITIONS,
        key: Buffer.from(key),
        value: Buffer.from(value),
      }));
      // Each partition alone: what one without a leader refuses is sent again by the producer, and with it all that went along.
      for (let partition = 0; partition < PARTITIONS; partition++)
        await producer.send({ messages: messages.filter((message) => message.partition === partition) });
    };
    const result = await consumeWithKills(
      {
        source: 'kafka',
        options: {
          brokers: [kafka.address],
          topic: 'orders',
          groupId: 'realtime',
          maxBatch: BATCH,
          takeOverMs: TAKE_OVER_MS,
        },
        redis: channelsOn(server),
      },
      { records: RECORDS, keys: KEYS, moments: MOMENTS, write },
    );
    expectEachOnce('Kafka', result);
  },
  LIMIT_MS,
);

it(
  'messages of JetStream become events once each, in the order of their key, although the process is killed three times (G34)',
  async () => {
    const [server, nats] = await Promise.all([redisServer(), NatsProcess.start()]);
    disposals.push(() => nats.dispose());
    const connection = await connect({ servers: nats.address });
    disposals.push(() => connection.close());
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: 'ORDERS', subjects: ['orders.>'], num_replicas: 1 });
    const stream = jetstream(connection);
    const write = async (some: readonly WrittenRecord[]): Promise<void> => {
      await Promise.all(some.map(({ key, value }) => stream.publish(`orders.${key}`, value)));
    };
    const result = await consumeWithKills(
      {
        source: 'nats',
        options: {
          servers: nats.address,
          stream: 'ORDERS',
          durable: 'realtime',
          maxBatch: BATCH,
          takeOverMs: TAKE_OVER_MS,
        },
        redis: channelsOn(server),
      },
      { records: RECORDS, keys: KEYS, moments: MOMENTS, write },
    );
    expectEachOnce('JetStream', result);
  },
  LIMIT_MS,
);
