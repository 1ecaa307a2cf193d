import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { RealtimeError } from '../../lib/protocol/realtime-error.js';
import { redisBroker, type RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { request } from '../support/engine/append-requests.js';
import { patience } from '../support/patience.js';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import { freePort, RedisProcess } from '../support/redis/process.js';
import { RedisKit } from './kit.js';
import { RedisKeys } from '../../lib/brokers/redis/keys.js';
import { until } from '../support/until.js';

const SECRET = 'hunter2-very-secret';

describe('boot of the Redis broker', () => {
  let kit: RedisKit;

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterAll(() => kit.dispose());

  const failure = (options: RedisBrokerOptions): Promise<Error> => {
    const broker = redisBroker({ connectTimeoutMs: patience(3_000), ...options });
    return broker.start(new RecordingListener()).then(
      async () => {
        await broker.close();
        throw new Error('It started');
      },
      (error: Error) => error,
    );
  };

  it.each<[string, RedisBrokerOptions, RegExp]>([
    ['two targets', { url: 'redis://h', sentinel: { name: 'm', sentinels: [{}] } }, /`url`, `sentinel`/],
    ['no nodes', { cluster: { nodes: [] } }, /`cluster\.nodes`/],
    ['a prefix that chooses slots', { keyPrefix: 'a{b}' }, /`keyPrefix`/],
    ['no partitions', { partitions: 0 }, /`partitions`/],
    ['half a partition', { partitions: 1.5 }, /`partitions`/],
    ['a negative bound', { maxQueued: -1 }, /`maxQueued`/],
    ['no interval', { tipCheck: { intervalMs: 0 } }, /`tipCheck\.intervalMs`/],
    ['no replicas', { durability: { level: 'replicated', replicas: 0 } }, /`durability\.replicas`/],
    ['another database of a Cluster', { cluster: { nodes: [{ host: 'h' }] }, db: 3 }, /`db`/],
  ])('refuses %s, and names the option', (_name, options, message) => {
    expect(() => redisBroker(options)).toThrow(message);
  });

  it('names the address and the remedy when no server answers', async () => {
    const port = await freePort();
    const { message } = await failure({ url: `redis://127.0.0.1:${port}`, connectTimeoutMs: 300 });
    expect(message).toContain(`127.0.0.1:${port}`);
    expect(message).toContain('connectTimeoutMs');
  });

  it('refuses a number of partitions that differs from that of the deployment', async () => {
    const { broker } = await kit.node();
    const { message } = await failure({ url: kit.server.url, keyPrefix: kit.prefix, partitions: 8 });
    expect(message).toMatch(/4 partitions.*`partitions` is 8/);
    await broker.close();
  });

  it('takes the number of partitions that the deployment has, and 1,024 where it is new', async () => {
    const starts = async (options: RedisBrokerOptions) => {
      const broker = redisBroker({ url: kit.server.url, ...options });
      const seen = new RecordingListener();
      await broker.start(seen);
      return { broker, seen };
    };
    const stored = async (prefix: string) =>
      await kit.admin.hget(new RedisKeys(prefix, 1).meta, 'partitions');
    for (const [keyPrefix, given, partitions] of [
      ['old', 64, 64],
      ['new', undefined, 1_024],
    ] as const) {
      const first = await starts({ keyPrefix, ...(given === undefined ? {} : { partitions: given }) });
      const second = await starts({ keyPrefix });
      expect(await stored(keyPrefix)).toBe(String(partitions));
      await second.broker.log.subscribe('rooms.1');
      expect(await first.broker.log.appendMany([request('rooms.1', 'a')])).toMatchObject([{ ok: true }]);
      await until('the event at the other node', () => second.seen.seqsOf('rooms.1').length === 1);
      expect(await kit.admin.exists(new RedisKeys(keyPrefix, partitions).head('rooms.1'))).toBe(1);
      const { message } = await failure({ url: kit.server.url, keyPrefix, partitions: 8 });
      expect(message).toMatch(new RegExp(`into ${partitions} partitions, and \`partitions\` is 8`));
      for (const { broker } of [first, second]) await broker.close();
    }
  });

  it('takes the number of the nodes that run where the data were lost a moment ago', async () => {
    const starts = async () => {
      const broker = redisBroker({ url: kit.server.url, keyPrefix: 'emptied' });
      await broker.start(new RecordingListener());
      return broker;
    };
    const { meta, layout } = new RedisKeys('emptied', 64);
    await kit.admin.set(layout, '1');
    await kit.admin.hset(meta, 'partitions', 64);
    const running = await starts();
    await kit.admin.del(meta, layout);
    const next = await starts();
    expect(await kit.admin.hget(meta, 'partitions')).toBe('64');
    for (const broker of [running, next])
      expect(await broker.log.appendMany([request('rooms.1', 'a')])).toMatchObject([{ ok: true }]);
    await running.close();
    await next.close();
  });

  it('says to a node that took the number of before that it has to start again, and works when the number is its own again', async () => {
    const warnings: string[] = [];
    const broker = redisBroker({
      url: kit.server.url,
      keyPrefix: 'began',
      heartbeatMs: 50,
      onWarning: (text) => warnings.push(text),
    });
    await broker.start(new RecordingListener());
    const { meta } = new RedisKeys('began', 1);
    await kit.admin.hset(meta, 'partitions', 64);
    await until('the warning', () => warnings.length > 0);
    expect(warnings.join()).toMatch(
      /into 64 partitions, and this node began with 1024\..*start this one again/,
    );
    expect(await broker.log.appendMany([request('rooms.1', 'a')])).toMatchObject([{ ok: false }]);
    await kit.admin.hset(meta, 'partitions', 1_024);
    await until(
      'the append',
      async () => (await broker.log.appendMany([request('rooms.1', 'a')]))[0]?.ok === true,
    );
    await broker.close();
  });

  it('refuses a server that is part of a Cluster, and names the option', async () => {
    const server = await RedisProcess.start({ args: ['--cluster-enabled', 'yes'] });
    try {
      expect((await failure({ url: server.url })).message).toMatch(/part of a Cluster.*cluster: \{ nodes \}/);
    } finally {
      await server.dispose();
    }
  });

  it('warns about a server that evicts keys', async () => {
    const warnings: string[] = [];
    await kit.admin.config('SET', 'maxmemory', '200mb', 'maxmemory-policy', 'allkeys-lru');
    const { broker } = await kit.node({ onWarning: (message) => warnings.push(message) });
    expect(warnings.join()).toContain('noeviction');
    await broker.close();
    await kit.admin.config('SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction');
  });

  it('starts only once', async () => {
    const { broker } = await kit.node();
    await expect(broker.start(new RecordingListener())).rejects.toThrow('started once');
    await broker.close();
    await expect(kit.make().close()).resolves.toBeUndefined();
  });

  it('copies the settings of a given client, and neither uses nor closes that client', async () => {
    const client = new Redis(kit.server.url, { keyPrefix: 'mine:', lazyConnect: true });
    const broker = redisBroker({ client, keyPrefix: kit.prefix, partitions: 4 });
    await broker.start(new RecordingListener());
    expect(await broker.log.appendMany([request('rooms.client', 'a')])).toMatchObject([{ ok: true }]);
    expect(await kit.admin.exists(kit.keys.head('rooms.client'))).toBe(1);
    await broker.close();
    expect(client.status).toBe('wait');
    await client.set('x', '1');
    client.disconnect();
  });

  describe('with a password', () => {
    let server: RedisProcess;

    beforeAll(async () => {
      server = await RedisProcess.start({ args: ['--requirepass', SECRET] });
    });
    afterAll(() => server.dispose());

    it('connects with `password` and with a password in the URL', async () => {
      for (const options of [
        { url: server.url, password: SECRET },
        { url: `redis://default:${SECRET}@127.0.0.1:${server.port}` },
      ]) {
        const broker = redisBroker(options);
        await broker.start(new RecordingListener());
        await broker.close();
      }
    });

    it.each<[string, (port: number) => RedisBrokerOptions]>([
      ['a wrong password', (port) => ({ url: `redis://127.0.0.1:${port}`, password: `${SECRET}-wrong` })],
      ['a wrong URL', (port) => ({ url: `redis://someone:${SECRET}-wrong@127.0.0.1:${port}` })],
      ['no password', (port) => ({ url: `redis://127.0.0.1:${port}` })],
    ])('names the option and no secret: %s (G23)', async (_name, options) => {
      const error = await failure(options(server.port));
      expect(error.message).toMatch(/`password`/);
      expect(inspect(error, { depth: 9 })).not.toContain(SECRET);
    });

    it('does not repeat a malformed URL in the error (G23)', () => {
      const make = () => redisBroker({ url: `redis:/${SECRET}:::` });
      expect(make).toThrow('`url`');
      expect(make).not.toThrow(SECRET);
    });
  });

  it('keeps payloads and passwords out of the error of a command (G23)', async () => {
    const { broker, seen } = await kit.node();
    const payload = { token: SECRET };
    const entry = { channel: 'rooms.secret', member: 'u1', device: 'd1', generation: 1, data: payload };
    kit.server.pause();
    const errors = await Promise.all([
      broker.presence.enter(entry, 1_000).catch((error: unknown) => error),
      broker.log.signal('rooms.secret', { event: 'typing', payload }).catch((error: unknown) => error),
    ]);
    await kit.server.kill();
    errors.push(await broker.presence.enter(entry, 1_000).catch((error: unknown) => error));
    await kit.server.launch();
    for (const error of errors) {
      expect(error).toMatchObject({ name: 'RealtimeError' });
      expect(inspect(error, { depth: 9 })).not.toContain(SECRET);
    }
    expect(JSON.stringify(seen.states)).not.toContain(SECRET);
    await broker.close();
  });

  it('keeps the address of the server out of what clients are sent, and says it to operators', async () => {
    const { broker } = await kit.node();
    await kit.server.kill();
    let error: RealtimeError | undefined;
    await until('the end of the connection', async () => {
      error = await broker.presence
        .members('rooms.1', { limit: 1 })
        .then(() => undefined)
        .catch((one: RealtimeError) => one);
      return error?.cause !== undefined;
    });
    await kit.server.launch();
    await broker.close();
    expect(error?.message).toBe('The broker cannot be used at this moment');
    expect(String(error?.cause)).toContain('Redis cannot be used: there is no connection to 127.0.0.1:');
  });
});
