import { inspect } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { redisBroker, type RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { request } from '../support/engine/append-requests.js';
import { patience } from '../support/patience.js';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import { freePort, RedisProcess } from '../support/redis/process.js';
import { RedisKit } from './kit.js';

const SECRET = 'hunter2-very-secret';

describe('how a broker on Redis starts', () => {
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
    ['a bound that is none', { maxQueued: -1 }, /`maxQueued`/],
    ['no interval', { tipCheck: { intervalMs: 0 } }, /`tipCheck\.intervalMs`/],
    ['no replicas', { durability: { level: 'replicated', replicas: 0 } }, /`durability\.replicas`/],
    ['another database of a Cluster', { cluster: { nodes: [{ host: 'h' }] }, db: 3 }, /`db`/],
  ])('refuses %s, and names the option', (_name, options, message) => {
    expect(() => redisBroker(options)).toThrow(message);
  });

  it('names the address and the remedy when nothing answers', async () => {
    const port = await freePort();
    const { message } = await failure({ url: `redis://127.0.0.1:${port}`, connectTimeoutMs: 300 });
    expect(message).toContain(`127.0.0.1:${port}`);
    expect(message).toContain('connectTimeoutMs');
  });

  it('refuses another number of partitions than the deployment was divided into', async () => {
    const { broker } = await kit.node();
    const { message } = await failure({ url: kit.server.url, keyPrefix: kit.prefix, partitions: 8 });
    expect(message).toMatch(/4 partitions.*`partitions` is 8/);
    await broker.close();
  });

  it('says so when the server is part of a Cluster', async () => {
    const server = await RedisProcess.start({ args: ['--cluster-enabled', 'yes'] });
    try {
      expect((await failure({ url: server.url })).message).toMatch(/part of a Cluster.*cluster: \{ nodes \}/);
    } finally {
      await server.dispose();
    }
  });

  it('warns of a server that drops keys', async () => {
    const warnings: string[] = [];
    await kit.admin.config('SET', 'maxmemory', '200mb', 'maxmemory-policy', 'allkeys-lru');
    const { broker } = await kit.node({ onWarning: (message) => warnings.push(message) });
    expect(warnings.join()).toContain('noeviction');
    await broker.close();
    await kit.admin.config('SET', 'maxmemory', '0', 'maxmemory-policy', 'noeviction');
  });

  it('is started once', async () => {
    const { broker } = await kit.node();
    await expect(broker.start(new RecordingListener())).rejects.toThrow('started once');
    await broker.close();
    await expect(kit.make().close()).resolves.toBeUndefined();
  });

  it('copies the settings of a given client, and neither uses nor closes it', async () => {
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

    it('is let in by `password`, and by the URL', async () => {
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
    ])('G23 names the option and no secret: %s', async (_name, options) => {
      const error = await failure(options(server.port));
      expect(error.message).toMatch(/`password`/);
      expect(inspect(error, { depth: 9 })).not.toContain(SECRET);
    });

    it('G23 a malformed URL is not repeated', () => {
      const make = () => redisBroker({ url: `redis:/${SECRET}:::` });
      expect(make).toThrow('`url`');
      expect(make).not.toThrow(SECRET);
    });
  });

  it('G23 an error of a command holds neither what was sent nor a password', async () => {
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
});
