import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import {
  fromRedisStreams,
  type FromRedisStreamsOptions,
  type RedisStreamRecord,
} from '../../lib/brokers/redis/index.js';
import { RealtimeError } from '../../lib/protocol/realtime-error.js';
import { Ledger } from '../support/consumers/ledger.js';
import { LiveNode } from '../support/consumers/live-node.js';
import { patience } from '../support/patience.js';
import { RedisProcess } from '../support/redis/process.js';
import { until } from '../support/until.js';

const TAKE_OVER_MS = patience(15_000);
const toEvent = ({ fields, stream }: RedisStreamRecord) => ({
  channel: fields['key'] ?? stream,
  event: 'changed',
  payload: fields['value'],
});

describe('a consumer of Redis Streams', () => {
  let server: RedisProcess;
  let admin: Redis;
  let ledger: Ledger;
  const nodes: LiveNode[] = [];

  beforeAll(async () => {
    server = await RedisProcess.start();
    admin = new Redis(server.url, { retryStrategy: () => 20, maxRetriesPerRequest: 200 });
    admin.on('error', () => undefined);
  });
  afterEach(async () => {
    server.resume();
    await Promise.all(nodes.splice(0).map((node) => node.close()));
    await admin.flushall();
  });
  afterAll(async () => {
    admin.disconnect();
    await server.dispose();
  });

  function node(options: Partial<FromRedisStreamsOptions> = {}): LiveNode {
    const started = new LiveNode(
      fromRedisStreams({ url: server.url, streams: 'orders', group: 'realtime', to: toEvent, ...options }),
      ledger,
    );
    nodes.push(started);
    return started;
  }

  async function add(from: number, until_: number, key = 'a', stream = 'orders'): Promise<void> {
    const pipeline = admin.pipeline();
    for (let number = from; number <= until_; number++)
      pipeline.xadd(stream, '*', 'key', key, 'value', String(number));
    await pipeline.exec();
  }

  const numbers = (from: number, last: number): readonly string[] =>
    Array.from({ length: last - from + 1 }, (_, index) => String(from + index));
  const has = (channel: string, count: number): Promise<void> =>
    until(`${count} events of ${channel}`, () => ledger.of(channel).length >= count, TAKE_OVER_MS);

  it('publishes what is there and what comes, acknowledges it, and knows its lag (G34)', async () => {
    ledger = new Ledger();
    await add(1, 100);
    const reader = node({ maxBatch: 7 });
    await has('a', 100);
    await add(101, 110);
    await has('a', 110);
    expect(ledger.of('a')).toEqual(numbers(1, 110));
    await until('all acknowledged', async () => (await admin.xpending('orders', 'realtime'))[0] === 0);
    await until('the lag', () => reader.run.status().lag === 0);
    expect(reader.run.status()).toMatchObject({ state: 'working', counts: { published: 110, duplicate: 0 } });
    expect(reader.lines).toEqual([]);
  });

  it('reads no more at once than its bytes, and a larger entry alone (G34)', async () => {
    ledger = new Ledger();
    const sizes: number[] = [];
    const large = 'x'.repeat(3_000);
    for (let number = 1; number <= 40; number++)
      await admin.xadd(
        'orders',
        '*',
        'key',
        'a',
        'value',
        String(number),
        'text',
        number % 10 === 0 ? large : 'y'.repeat(100),
      );
    const { length } = ledger.attempts;
    node({
      maxBatch: 500,
      maxBatchBytes: 1_024,
      to: (record) => {
        sizes.push(record.fields['text']?.length ?? 0);
        return toEvent(record);
      },
    });
    await has('a', 40);
    expect(length).toBe(0);
    expect(ledger.of('a')).toEqual(numbers(1, 40));
    expect(sizes.filter((size) => size === large.length)).toHaveLength(4);
  });

  it('is read by one node at a time; another continues in order when the first one ends (G34)', async () => {
    ledger = new Ledger();
    const first = await node({ maxBatch: 3 }).ready();
    await add(1, 10);
    await has('a', 10);
    const second = await node({ maxBatch: 3 }).ready();
    await add(11, 20);
    await has('a', 20);
    expect([first.published, second.published]).toEqual([20, 0]);
    await first.close();
    await add(21, 30);
    await has('a', 30);
    expect([first.published, second.published]).toEqual([20, 10]);
    expect(ledger.of('a')).toEqual(numbers(1, 30));
  });

  it(
    'publishes first what a node took that is gone without a word, and only then what is new (G34)',
    async () => {
      ledger = new Ledger();
      let isHeld = true;
      ledger.fault = ({ payload }) =>
        isHeld && Number(payload) > 5
          ? { when: 'before', error: new RealtimeError('unavailable') }
          : undefined;
      const first = node({ maxBatch: 10 });
      await add(1, 20);
      await has('a', 5);
      // Its connections end, and none comes back.
      await first.close(0);
      isHeld = false;
      await admin.set('{orders}:nestjs-realtime:lease:orders:realtime', 'who is gone', 'PX', 1_500);
      const second = node({ maxBatch: 10 });
      await has('a', 20);
      expect(ledger.of('a')).toEqual(numbers(1, 20));
      expect(second.run.status().counts).toMatchObject({ published: 15, duplicate: 5 });
      expect((await admin.xpending('orders', 'realtime'))[0]).toBe(0);
    },
    TAKE_OVER_MS,
  );

  it('a node that stands still for longer than its lease acknowledges what it published, and takes no more (G34)', async () => {
    ledger = new Ledger();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const first = node({
      maxBatch: 2,
      to: async (record) => {
        if (record.fields['value'] === '1') await held;
        return toEvent(record);
      },
    });
    await first.ready();
    await add(1, 6);
    await until('the first to read', async () => (await admin.xpending('orders', 'realtime'))[0] === 2);
    await admin.del('{orders}:nestjs-realtime:lease:orders:realtime');
    const second = node({ maxBatch: 2 });
    await has('a', 6);
    release();
    await until('the first to find out', () => first.run.status().counts.duplicate === 2);
    await add(7, 8);
    await has('a', 8);
    expect(ledger.of('a')).toEqual(numbers(1, 8));
    expect([first.published, second.published]).toEqual([0, 8]);
  });

  it(
    'publishes what comes after an outage of the server, and what was there before it, once (G34)',
    async () => {
      ledger = new Ledger();
      const reader = node({ maxReconnectMs: 50 });
      await add(1, 5);
      await has('a', 5);
      await server.kill();
      await until('the outage to be seen', () => reader.run.status().state === 'retrying');
      await server.launch();
      await add(6, 9);
      await until('the last', () => ledger.of('a').includes('9'), TAKE_OVER_MS);
      expect(new Set(ledger.of('a')).size).toBe(ledger.of('a').length);
      expect(reader.lines.length).toBeGreaterThan(0);
    },
    TAKE_OVER_MS,
  );

  it('continues when the stream is deleted and made again, from its beginning (G34)', async () => {
    ledger = new Ledger();
    const reader = node({ from: 'next' });
    await reader.ready();
    await add(1, 3);
    await has('a', 3);
    await admin.del('orders');
    await add(4, 6);
    await has('a', 6);
    expect(ledger.of('a')).toEqual(numbers(1, 6));
  });

  it('keeps entries of the same id apart that are of a stream that was deleted and made again, or of another database (G34)', async () => {
    ledger = new Ledger();
    const put = (value: string, client = admin): Promise<unknown> =>
      client.xadd('orders', '1-1', 'key', 'a', 'value', value);
    const first = await node().ready();
    await put('before');
    await has('a', 1);
    await admin.del('orders');
    // The first may not notice: another node makes the group.
    await node().ready();
    await put('after');
    await has('a', 2);
    await first.close();
    expect(ledger.of('a')).toEqual(['before', 'after']);
    await until('all acknowledged', async () => (await admin.xpending('orders', 'realtime'))[0] === 0);

    const other = admin.duplicate({ db: 1 });
    await put('elsewhere', other);
    await node({ db: 1 }).ready();
    await has('a', 3);
    expect(ledger.of('a')).toEqual(['before', 'after', 'elsewhere']);
    expect(new Set(ledger.attempts).size).toBe(3);
    other.disconnect();
  });

  it('gives an entry the same id again as long as its group is there, also on another node (G34)', async () => {
    ledger = new Ledger();
    await add(1, 3);
    const first = node();
    await has('a', 3);
    await first.close();
    // As if it had been killed before the entries were acknowledged.
    await admin.xgroup('SETID', 'orders', 'realtime', '0');
    const second = node();
    await until('all to be found', () => second.run.status().counts.duplicate === 3);
    expect(ledger.of('a')).toEqual(numbers(1, 3));
    await second.close();

    // A group that was made once more begins from the first entry, as other entries.
    await admin.xgroup('DESTROY', 'orders', 'realtime');
    node();
    await has('a', 6);
  });

  it('acknowledges nothing of a stream that was made again while an entry of the same id was under way (G34)', async () => {
    ledger = new Ledger();
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const first = node({
      to: async (record) => {
        if (record.fields['value'] === 'old') await held;
        return toEvent(record);
      },
    });
    await first.ready();
    await admin.xadd('orders', '1-1', 'key', 'a', 'value', 'old');
    await until('the first to read', async () => (await admin.xpending('orders', 'realtime'))[0] === 1);
    await admin.del('orders', '{orders}:nestjs-realtime:lease:orders:realtime');
    ledger.fault = ({ payload }) =>
      payload === 'new' ? { when: 'before', error: new RealtimeError('unavailable') } : undefined;
    const second = await node().ready();
    await admin.xadd('orders', '1-1', 'key', 'b', 'value', 'new');
    await until('the second to try', () => second.run.status().state === 'retrying', TAKE_OVER_MS);
    release();
    await has('a', 1);
    await first.close();
    expect((await admin.xpending('orders', 'realtime'))[0]).toBe(1);
    ledger.fault = () => undefined;
    await has('b', 1);
  });

  it('begins behind the last entry where the options say so, and only when the group is new (G34)', async () => {
    ledger = new Ledger();
    await add(1, 5);
    const first = await node({ from: 'next' }).ready();
    await add(6, 7);
    await has('a', 2);
    await first.close();
    await add(8, 9);
    await node({ from: 'next' }).ready();
    await has('a', 4);
    expect(ledger.of('a')).toEqual(numbers(6, 9));
  });

  it('says which entries were trimmed before they were published, and acknowledges them (G34)', async () => {
    ledger = new Ledger();
    let isHeld = true;
    ledger.fault = () => (isHeld ? { when: 'before', error: new RealtimeError('unavailable') } : undefined);
    const first = await node({ maxBatch: 5 }).ready();
    await add(1, 8);
    await until('the first to read', async () => (await admin.xpending('orders', 'realtime'))[0] === 5);
    await first.close();
    await admin.xtrim('orders', 'MAXLEN', 2);
    isHeld = false;
    const second = node({ maxBatch: 5 });
    await has('a', 2);
    expect(ledger.of('a')).toEqual(['7', '8']);
    await until('all acknowledged', async () => (await admin.xpending('orders', 'realtime'))[0] === 0);
    expect(second.lines).toEqual([expect.stringContaining('5 entries of stream orders were trimmed')]);
  });

  it('a node whose lease another one had in between reads first what that one left, and then what is new (G34)', async () => {
    ledger = new Ledger();
    const reader = await node({ takeOverMs: 60_000 }).ready();
    await add(1, 1);
    await has('a', 1);
    await until('all acknowledged', async () => (await admin.xpending('orders', 'realtime'))[0] === 0);
    // As another node does that takes the lease, reads, and ends without a word: its lease is over too.
    const other = admin.multi().del('{orders}:nestjs-realtime:lease:orders:realtime');
    for (const value of ['2', '3']) other.xadd('orders', '*', 'key', 'a', 'value', value);
    await other
      .xreadgroup('GROUP', 'realtime', 'nestjs-realtime', 'COUNT', 2, 'STREAMS', 'orders', '>')
      .exec();
    await add(4, 5);
    await has('a', 5);
    expect(ledger.of('a')).toEqual(numbers(1, 5));
    await until('all acknowledged', async () => (await admin.xpending('orders', 'realtime'))[0] === 0);
    expect(reader.lines).toEqual([]);
  });

  it('reads once more what is not acknowledged when its connection was lost, as the server may lack acknowledgements (G34)', async () => {
    ledger = new Ledger();
    const reader = await node({ maxReconnectMs: 50 }).ready();
    await add(1, 1);
    await has('a', 1);
    await until('all acknowledged', async () => (await admin.xpending('orders', 'realtime'))[0] === 0);
    // While it only waits for entries, it asks nothing that could fail.
    const [[id = ''] = []] = await admin.xrange('orders', '-', '+');
    await admin.xclaim('orders', 'realtime', 'nestjs-realtime', 0, id, 'FORCE', 'JUSTID');
    const clients = (await admin.client('LIST')) as string;
    const [, own = ''] = /id=(\d+) [^\n]*name=nestjs-realtime-consumer /.exec(clients) ?? [];
    await admin.client('KILL', 'ID', own);
    await until('it to be acknowledged', async () => (await admin.xpending('orders', 'realtime'))[0] === 0);
    expect(ledger.of('a')).toEqual(['1']);
    expect(reader.run.status().counts).toMatchObject({ published: 1, duplicate: 1 });
    expect(reader.lines).toEqual([
      expect.stringMatching(/: the connection to \S+ was lost\. It is tried again\.$/),
    ]);
  });

  it('gives entries whose ids are very large ids of events that are not too long, each another (G34)', async () => {
    ledger = new Ledger();
    const large = ['1893456000000000000-1893456000000000000', '1893456000000000000-1893456000000000001'];
    for (const [index, id] of ['5-1', ...large].entries())
      await admin.xadd('orders', id, 'key', 'a', 'value', String(index));
    node();
    await has('a', 3);
    const ids = ledger.channels.get('a')?.map(({ id }) => id) ?? [];
    expect(ids[0]).toMatch(/^redis:.{22}:5-1$/);
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) expect(id.length).toBeLessThanOrEqual(64);
  });

  it('keeps streams apart: one that has stopped holds up no other (G34)', async () => {
    ledger = new Ledger();
    await add(1, 3, 'unknown', 'bad');
    await add(1, 5);
    const reader = node({ streams: ['bad', 'orders'] });
    await has('a', 5);
    await until('the stop', () => reader.run.status().state === 'stopped');
    await add(6, 6);
    await has('a', 6);
    expect((await admin.xpending('bad', 'realtime'))[0]).toBe(3);
  });

  it('says which server cannot be reached, why, and what to do, without the password (G34)', async () => {
    ledger = new Ledger();
    await server.kill();
    const address = `127.0.0.1:${server.port}`;
    const remedy = 'Check that it runs, and the address, user and password. It is tried again.';
    const early = node({ url: `redis://user:secret@${address}` });
    await until('the first line', () => early.lines.length > 0).finally(() => server.launch());
    expect(early.lines[0]).toBe(
      `Consumer redis orders realtime: cannot reach ${address} (connect ECONNREFUSED ${address}). ${remedy}`,
    );
    const stranger = node({ url: `redis://user:secret@${address}` });
    await until('its line', () => stranger.lines.length > 0);
    expect(stranger.lines[0]).toContain(`cannot reach ${address} (WRONGPASS invalid username-password pair`);
    expect(stranger.lines[0]).toContain(remedy);
    expect(stranger.run.status().reason).toContain('WRONGPASS');
    expect([...early.lines, ...stranger.lines].join(' ')).not.toContain('secret');
  });

  it('says at which server a key is no stream, and on which keys a command is not allowed (G34)', async () => {
    ledger = new Ledger();
    const address = `127.0.0.1:${server.port}`;
    await admin.set('orders', 'text');
    const wrong = node();
    await until('the first line', () => wrong.lines.length > 0);
    expect(wrong.lines[0]).toContain(`"orders" at ${address} has another type (WRONGTYPE`);
    await wrong.close();
    await admin.del('orders');
    await admin.acl('SETUSER', 'reader', 'on', '>pw', '~orders', '+@all');
    const barred = node({ url: `redis://reader:pw@${address}` });
    await until('its line', () => barred.lines.length > 0);
    expect(barred.lines[0]).toMatch(
      /does not allow a command on "orders" or "\{orders\}:nestjs-realtime:lease:orders:realtime" \(.*\)\. Allow what docs\/consumers\.md lists\. It is tried again\.$/,
    );
    expect(barred.lines.join(' ')).not.toContain('pw');
    await barred.close();
    await admin.acl('DELUSER', 'reader');
  });
});
