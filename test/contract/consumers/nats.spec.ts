import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createConnection } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { jetstream, jetstreamManager, type JetStreamManager } from '@nats-io/jetstream';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import {
  fromJetStream,
  type FromJetStreamOptions,
  type JetStreamRecord,
} from '../../../lib/brokers/nats/index.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { Ledger } from '../../support/consumers/ledger.js';
import { LiveNode } from '../../support/consumers/live-node.js';
import { NatsProcess } from '../../support/nats/process.js';
import { patience } from '../../support/patience.js';
import { until } from '../../support/until.js';

const WAIT_MS = patience(20_000);
const SLOW_MS = patience(40_000);

const toEvent = ({ data, subject }: JetStreamRecord) => ({
  channel: subject.split('.').at(-1) ?? '',
  event: 'changed',
  payload: Buffer.from(data).toString(),
});
const numbers = (from: number, last: number): readonly string[] =>
  Array.from({ length: last - from + 1 }, (_, index) => String(from + index));

describe('a consumer of JetStream', () => {
  let server: NatsProcess;
  let connection: NatsConnection;
  let manager: JetStreamManager;
  let stream: string;
  let ledger: Ledger;
  const nodes: LiveNode[] = [];

  beforeAll(async () => {
    server = await NatsProcess.start();
    connection = await connect({ servers: server.address, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    manager = await jetstreamManager(connection);
  }, SLOW_MS);
  beforeEach(async () => {
    stream = `S${randomBytes(4).toString('hex')}`;
    ledger = new Ledger();
    await manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
  });
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.close()));
  });
  afterAll(async () => {
    await connection.close();
    await server.dispose();
  });

  function node(options: Partial<FromJetStreamOptions> = {}): LiveNode {
    const consumer = fromJetStream({
      servers: server.address,
      stream,
      durable: 'realtime',
      to: toEvent,
      ...options,
    });
    const started = new LiveNode(consumer, ledger);
    nodes.push(started);
    return started;
  }

  async function add(from: number, last: number, key = 'a'): Promise<void> {
    const js = jetstream(connection);
    await Promise.all(numbers(from, last).map((value) => js.publish(`${stream}.${key}`, value)));
  }

  const has = (channel: string, count: number): Promise<void> =>
    until(`${count} events of ${channel}`, () => ledger.of(channel).length >= count, WAIT_MS);
  const isDone = (reader: LiveNode): Promise<void> =>
    until('the lag to end', () => reader.run.status().lag === 0, WAIT_MS);
  /** What the stream of positions has of this one. */
  async function position(): Promise<{ owner: string; seq: number }> {
    const message = await manager.streams.getMessage('realtime-consumers', {
      last_by_subj: `realtime-consumers.${stream}.realtime`,
    });
    return message?.json() ?? { owner: '', seq: 0 };
  }

  it('publishes what is there and what comes, and stores how far it is (G34)', async () => {
    await add(1, 100);
    const reader = node({ maxBatch: 7 });
    await has('a', 100);
    await add(101, 110);
    await has('a', 110);
    expect(ledger.of('a')).toEqual(numbers(1, 110));
    await isDone(reader);
    expect(await position()).toMatchObject({ seq: 110 });
    expect(reader.run.status()).toMatchObject({ state: 'working', counts: { published: 110, duplicate: 0 } });
    expect(reader.lines).toEqual([]);
    await reader.close();
    expect((await position()).owner).toBe('');
    const next = node();
    await isDone(next);
    expect(next.run.status().counts).toMatchObject({ published: 0, duplicate: 0 });
  });

  it('takes messages whatever their publisher wrote into their headers: a status, or what no header is (G34)', async () => {
    const raw = createConnection({
      host: '127.0.0.1',
      port: Number(new URL(`nats://${server.address}`).port),
    });
    const crlf = '\r\n';
    const publish = (headers: string, value: string): void => {
      const head = `${headers}${crlf}${crlf}`;
      const total = head.length + value.length;
      raw.write(`HPUB ${stream}.a ${head.length} ${total}${crlf}${head}${value}${crlf}`);
    };
    try {
      await once(raw, 'data');
      raw.write(`CONNECT {"verbose":false,"headers":true}${crlf}`);
      publish('NATS/1.0 100', '1');
      publish('NATS/1.0 503 gone', '2');
      publish(`NATS/1.0${crlf}a b: c`, '3');
      publish(`NATS/1.0${crlf}a: c`, '4');
      const headers: unknown[] = [];
      const reader = node({
        to: (record) => {
          headers.push([...record.headers]);
          return toEvent(record);
        },
      });
      await has('a', 4);
      await isDone(reader);
      expect(ledger.of('a')).toEqual(numbers(1, 4));
      expect(headers).toEqual([[], [], [], [['a', 'c']]]);
      expect(reader.run.status().state).toBe('working');
    } finally {
      raw.destroy();
    }
  });

  it('reads the subjects of its options alone (G34)', async () => {
    const reader = node({ subjects: `${stream}.a` });
    await add(1, 3, 'b');
    await add(1, 3, 'a');
    await has('a', 3);
    await isDone(reader);
    expect([...ledger.channels.keys()]).toEqual(['a']);
  });

  it(
    'is read by one node at a time; another continues in order when the first one ends (G34)',
    async () => {
      const first = node({ maxBatch: 3 });
      await add(1, 10);
      await has('a', 10);
      const second = await node({ maxBatch: 3 }).ready();
      await add(11, 20);
      await has('a', 20);
      expect([first.published, second.published, second.run.status().lag]).toEqual([20, 0, 0]);
      await first.close();
      await add(21, 30);
      await has('a', 30);
      expect([first.published, second.published]).toEqual([20, 10]);
      expect(ledger.of('a')).toEqual(numbers(1, 30));
    },
    SLOW_MS,
  );

  it(
    'a node whose position another one has replaced commits nothing more, and that one continues in order (G34)',
    async () => {
      let isHeld = true;
      ledger.fault = ({ payload }) =>
        isHeld && Number(payload) > 5
          ? { when: 'before', error: new RealtimeError('unavailable') }
          : undefined;
      const first = node({ maxBatch: 5 });
      await add(1, 20);
      await has('a', 5);
      await until('the first commit', async () => (await position()).seq === 5);
      // As another node does that has not heard of the first for long enough.
      const stored = { ...(await position()), owner: '' };
      await jetstream(connection).publish(`realtime-consumers.${stream}.realtime`, JSON.stringify(stored));
      const second = await node({ maxBatch: 5 }).ready();
      await until('the second to read', () => second.run.status().lag !== undefined, WAIT_MS);
      isHeld = false;
      await has('a', 20);
      expect(ledger.of('a')).toEqual(numbers(1, 20));
      await until('all to be stored', async () => (await position()).seq === 20, WAIT_MS);
      expect(first.published + second.published).toBe(20);
    },
    SLOW_MS,
  );

  it(
    'continues when the server comes back, and publishes nothing twice (G34)',
    async () => {
      const reader = node();
      await add(1, 5);
      await has('a', 5);
      await isDone(reader);
      await server.kill();
      await until('the outage to be seen', () => reader.run.status().state === 'retrying', WAIT_MS);
      await server.launch();
      await until(
        'the stream to answer',
        async () => (await manager.streams.info(stream).catch(() => undefined)) !== undefined,
        WAIT_MS,
      );
      await add(6, 8);
      await has('a', 8);
      expect(ledger.of('a')).toEqual(numbers(1, 8));
      expect(reader.lines.length).toBeGreaterThan(0);
    },
    SLOW_MS,
  );

  it('begins behind the last message where the options say so, and only where it is new (G34)', async () => {
    await add(1, 5);
    const first = node({ from: 'next' });
    await isDone(first);
    await first.close();
    await add(6, 7);
    const second = node({ from: 'next' });
    await has('a', 2);
    await isDone(second);
    expect(ledger.of('a')).toEqual(numbers(6, 7));
  });

  it(
    'reads a stream that was deleted and made again from its beginning, with other ids (G34)',
    async () => {
      const reader = node();
      await add(1, 3);
      await has('a', 3);
      await isDone(reader);
      await manager.streams.delete(stream);
      await manager.streams.add({ name: stream, subjects: [`${stream}.>`] });
      await add(4, 5);
      await has('a', 5);
      expect(ledger.of('a')).toEqual(numbers(1, 5));
    },
    SLOW_MS,
  );

  it('waits for a stream that is missing, and says what to do (G34)', async () => {
    const reader = node({ stream: `${stream}later` });
    await until('the reason', () => reader.run.status().reason?.includes('cannot be read') === true, WAIT_MS);
    expect(reader.lines[0]).toContain(`The stream ${stream}later cannot be read: stream not found. Make it`);
  });
});
