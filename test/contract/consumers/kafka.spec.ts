import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Admin, compressionsAlgorithms, Producer } from '@platformatic/kafka';
import { fromKafka, type FromKafkaOptions, type KafkaTopicRecord } from '../../../lib/brokers/kafka/index.js';
import { KafkaCluster } from '../../../lib/brokers/kafka/cluster.js';
import { KafkaGroup, OutdatedMembershipError } from '../../../lib/brokers/kafka/consume/group.js';
import { loadKafka } from '../../../lib/brokers/kafka/driver.js';
import { kafkaSettings } from '../../../lib/brokers/kafka/options.js';
import { systemClock } from '../../../lib/core/ports/clock.js';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { Ledger } from '../../support/consumers/ledger.js';
import { LiveNode } from '../../support/consumers/live-node.js';
import { KafkaProcess } from '../../support/kafka/process.js';
import { patience } from '../../support/patience.js';
import { until } from '../../support/until.js';

const PARTITIONS = 4;
const WAIT_MS = patience(30_000);
const SLOW_MS = patience(60_000);

/** By their offsets: a producer that is not answered may write a record twice. */
const toEvent = ({ key, offset }: KafkaTopicRecord) => ({
  channel: String(key),
  event: 'changed',
  payload: offset,
});
const numbers = (from: number, last: number): readonly string[] =>
  Array.from({ length: last - from + 1 }, (_, index) => String(from + index));

describe('a consumer of Kafka', () => {
  let server: KafkaProcess;
  let admin: Admin;
  let producer: Producer;
  let topic: string;
  let ledger: Ledger;
  const nodes: LiveNode[] = [];

  beforeAll(async () => {
    server = await KafkaProcess.start();
    admin = new Admin({ clientId: 'test', bootstrapBrokers: [server.address] });
    producer = new Producer({ clientId: 'test', bootstrapBrokers: [server.address] });
  }, SLOW_MS);
  beforeEach(async () => {
    topic = `orders-${randomBytes(4).toString('hex')}`;
    ledger = new Ledger();
    await admin.createTopics({ topics: [topic], partitions: PARTITIONS, replicas: 1 });
  });
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.close()));
  });
  afterAll(async () => {
    await producer.close();
    await admin.close();
    await server.dispose();
  });

  function node(options: Partial<FromKafkaOptions> = {}): LiveNode {
    const consumer = fromKafka({
      ...{
        brokers: server.address,
        topic,
        groupId: 'realtime',
        to: toEvent,
        requestTimeoutMs: patience(2_000),
      },
      ...options,
    });
    const started = new LiveNode(consumer, ledger);
    nodes.push(started);
    return started;
  }

  /**
   * Each of the keys has a partition of its own, and is sent by itself: a call is sent again as a whole where one partition refuses
   * it, and would write those of the others twice.
   */
  async function add(from: number, last: number, keys = ['k0', 'k1', 'k2', 'k3']): Promise<void> {
    for (const key of keys) {
      const messages = numbers(from, last).map((value) => ({
        topic,
        partition: Number(key.at(-1)) % PARTITIONS,
        key: Buffer.from(key),
        value: Buffer.from(value),
      }));
      await producer.send({ messages });
    }
  }

  const has = (channel: string, count: number): Promise<void> =>
    until(`${count} events of ${channel}`, () => ledger.of(channel).length >= count, WAIT_MS);
  const hasAll = async (count: number): Promise<void> => {
    for (const key of ['k0', 'k1', 'k2', 'k3']) await has(key, count);
  };
  const isDone = (reader: LiveNode): Promise<void> =>
    until('the lag to end', () => reader.run.status().lag === 0, WAIT_MS);

  /** Each record that a partition has, in their order, from an offset on. */
  function expectEachOnce(least: number, from = 0, keys = ['k0', 'k1', 'k2', 'k3']): void {
    for (const key of keys) {
      const found = ledger.of(key);
      expect(found.length).toBeGreaterThanOrEqual(least);
      expect(found).toEqual(found.map((_, index) => from + index));
    }
  }

  it(
    'publishes what is there and what comes, in the order of each partition, and commits it (G34)',
    async () => {
      await add(1, 300);
      const reader = node({ maxBatch: 7, maxBatchBytes: 4_096 });
      await hasAll(300);
      await add(301, 310);
      await hasAll(310);
      expectEachOnce(310);
      await isDone(reader);
      expect(reader.run.status()).toMatchObject({
        state: 'working',
        counts: { duplicate: 0, dead: 0 },
      });
      // The group is the first of this broker.
      expect(reader.lines.filter((line) => !line.includes('coordinator'))).toEqual([]);
      await reader.close();

      // The next one finds nothing to do.
      const next = node();
      await isDone(next);
      expect(next.run.status().counts).toMatchObject({ published: 0, duplicate: 0 });
    },
    SLOW_MS,
  );

  it(
    'shares the partitions among nodes, each read by one; those of a node that ends are the others’ (G34)',
    async () => {
      const first = await node().ready();
      await add(1, 5);
      await hasAll(5);
      const second = await node().ready();
      await until('both to have partitions', () => second.run.status().lag !== undefined, WAIT_MS);
      const before = first.published;
      await add(6, 10);
      await hasAll(10);
      expect(first.published - before).toBeGreaterThanOrEqual(10);
      expect(second.published).toBeGreaterThanOrEqual(10);
      await first.close();
      await add(11, 15);
      await hasAll(15);
      expectEachOnce(15);
      expect([first, second].map(({ run }) => run.status().counts.duplicate)).toEqual([0, 0]);
    },
    SLOW_MS,
  );

  it(
    'keeps partitions apart: one that waits holds up no other, also when they are divided once more (G34)',
    async () => {
      let isHeld = true;
      ledger.fault = ({ channel }) =>
        isHeld && channel === 'k0' ? { when: 'before', error: new RealtimeError('unavailable') } : undefined;
      const first = node({ maxBatch: 3 });
      await add(1, 10);
      for (const key of ['k1', 'k2', 'k3']) await has(key, 10);
      await until('the others to be committed', () => first.run.status().lag === 10, WAIT_MS);
      expect(first.run.status()).toMatchObject({ state: 'retrying' });
      const second = node({ maxBatch: 3 });
      await until('the second to have a place', () => second.run.status().lag !== undefined, WAIT_MS);
      isHeld = false;
      await hasAll(10);
      expectEachOnce(10);
    },
    SLOW_MS,
  );

  it(
    'begins behind the last record where the options say so, and only where nothing was committed (G34)',
    async () => {
      await add(1, 5);
      const first = await node({ from: 'next' }).ready();
      await until('a place', () => first.run.status().lag !== undefined, WAIT_MS);
      await first.close();
      // While nobody reads.
      await add(6, 7);
      const second = node({ from: 'next' });
      await hasAll(2);
      await isDone(second);
      const [from] = ledger.of('k2') as number[];
      expect(from).toBeGreaterThanOrEqual(5);
      expectEachOnce(2, from, ['k2']);
    },
    SLOW_MS,
  );

  it(
    'continues when the broker comes back, and publishes nothing twice (G34)',
    async () => {
      const reader = node();
      await add(1, 5);
      await hasAll(5);
      await isDone(reader);
      await server.kill();
      await until('the outage to be seen', () => reader.run.status().state === 'retrying', WAIT_MS);
      await server.launch();
      await add(6, 8);
      await hasAll(8);
      expectEachOnce(8);
      expect(reader.lines.length).toBeGreaterThan(0);
    },
    SLOW_MS,
  );

  it(
    'a commit under a place that is no more is refused, and sets nothing back (G34)',
    async () => {
      const settings = kafkaSettings({ brokers: server.address, topic });
      const deps = { clock: systemClock, entropy: systemEntropy };
      const cluster = await KafkaCluster.open(await loadKafka(), settings, deps, [topic]);
      const member = (name: string): KafkaGroup => new KafkaGroup(cluster, topic, topic, name, 10_000);
      const [one, two] = [member(''), member('')];
      try {
        // The first group of a broker waits until its coordinator is there.
        await until(
          'a coordinator',
          () =>
            one.committed([0]).then(
              () => true,
              () => false,
            ),
          WAIT_MS,
        );
        const before = await one.join();
        expect(before.partitions).toEqual([0, 1, 2, 3]);
        await one.commit(before, 0, 7);
        const joined = two.join();
        await until('the partitions to be divided', async () => !(await one.heartbeat(before)), WAIT_MS);
        const [mine, theirs] = await Promise.all([one.join(), joined]);
        expect([...mine.partitions, ...theirs.partitions].sort()).toEqual([0, 1, 2, 3]);
        expect(mine.partitions).toHaveLength(2);
        await expect(one.commit(before, 0, 3)).rejects.toBeInstanceOf(OutdatedMembershipError);
        expect(await two.committed([0, 1])).toEqual(new Map([[0, 7]]));
        await two.commit(theirs, 0, 8);
        expect(await one.committed([0])).toEqual(new Map([[0, 8]]));

        // A place that was given back is no place; the next session may have that of the one before.
        await one.leave();
        expect([one.name, await one.heartbeat(mine)]).toEqual(['', false]);
        const again = member(two.name);
        two.close();
        expect((await again.join()).memberId).toBe(two.name);
        await again.leave();
        again.close();
      } finally {
        one.close();
        two.close();
        cluster.close();
      }
    },
    SLOW_MS,
  );

  it(
    'waits for a topic that is missing, and says what to do (G34)',
    async () => {
      const missing = `${topic}-later`;
      const reader = node({ topic: missing });
      await until('the reason', () => reader.run.status().reason?.includes('is missing') === true, WAIT_MS);
      expect(reader.lines[0]).toContain(
        `The topic ${missing} is missing, or this client may not describe it`,
      );
      await admin.createTopics({ topics: [missing], partitions: 1, replicas: 1 });
      await producer.send({
        messages: [{ topic: missing, key: Buffer.from('late'), value: Buffer.from('1') }],
      });
      await has('late', 1);
    },
    SLOW_MS,
  );

  /** Snappy as Java writes it: raw blocks in a frame. */
  function javaSnappy(raw: Buffer): Buffer {
    const head = Buffer.from('82534e41505059000000000100000001', 'hex');
    const length = Buffer.alloc(4);
    length.writeInt32BE(raw.length);
    return Buffer.concat([head, length, raw]);
  }

  it(
    'reads gzip, LZ4 and raw Snappy; a partition with Snappy of Java says so, until the topic stores nothing compressed (G34)',
    async () => {
      const send = (key: string, compression: 'gzip' | 'lz4' | 'snappy', to = topic): Promise<unknown> =>
        producer.send({
          compression,
          messages: [
            { topic: to, partition: Number(key.at(-1)), key: Buffer.from(key), value: Buffer.alloc(1_000) },
          ],
        });
      const snappy = compressionsAlgorithms.snappy as { compressSync(data: Buffer): Buffer };
      const { compressSync } = snappy;
      const asJava = async (work: () => Promise<unknown>): Promise<void> => {
        snappy.compressSync = (data) => javaSnappy(compressSync(data));
        await work().finally(() => (snappy.compressSync = compressSync));
      };
      await send('k0', 'gzip');
      await send('k1', 'lz4');
      await send('k2', 'snappy');
      await asJava(() => send('k3', 'snappy'));
      const reader = node();
      for (const key of ['k0', 'k1', 'k2']) await has(key, 1);
      await until('the reason', () => reader.run.status().reason?.includes('in a form') === true, WAIT_MS);
      expect(reader.run.status()).toMatchObject({
        state: 'retrying',
        reason: expect.stringContaining(
          `partition 3 of ${topic} cannot be read: records from 0 on are damaged, or compressed`,
        ),
      });
      expect(ledger.of('k3')).toEqual([]);

      const plain = `${topic}-plain`;
      await admin.createTopics({
        ...{ topics: [plain], partitions: PARTITIONS, replicas: 1 },
        configs: [{ name: 'compression.type', value: 'uncompressed' }],
      });
      const other = node({ topic: plain, groupId: 'plain' });
      await asJava(() => send('k3', 'snappy', plain));
      await has('k3', 1);
      // What is larger than a batch may be when it is not compressed is refused by Kafka.
      const bomb = Buffer.alloc(16 * 1024 * 1024);
      const refusal: unknown = await producer
        .send({ compression: 'gzip', messages: [{ topic: plain, partition: 0, value: bomb }] })
        .catch((error: unknown) => error);
      expect(inspect(refusal, { depth: 9 })).toMatch(/MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE/);
      await isDone(other);
    },
    SLOW_MS,
  );
});
