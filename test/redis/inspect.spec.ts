import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import { redisBroker, type RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { patience } from '../support/patience.js';
import { RedisProcess } from '../support/redis/process.js';

const TIMEOUT_MS = patience(5_000);
let redis: RedisProcess;
let admin: Redis;

beforeAll(async () => {
  redis = await RedisProcess.start();
  admin = new Redis(redis.url);
});

afterAll(async () => {
  admin?.disconnect();
  await redis?.dispose();
});

describe('the look of the doctor at Redis', () => {
  it('names each setting that weakens a promise, and none once they are right', async () => {
    await admin.config('SET', 'appendonly', 'no');
    await admin.config('SET', 'maxmemory', '100mb');
    await admin.config('SET', 'maxmemory-policy', 'allkeys-lru');
    const broker = redisBroker({ url: redis.url, durability: { level: 'replicated', replicas: 1 } });
    const remedies = (await broker.inspect(TIMEOUT_MS)).map(({ remedy }) => remedy);
    expect(remedies).toEqual([
      'Set maxmemory-policy noeviction.',
      'Set appendonly yes.',
      'Start the replicas, or lower durability.replicas.',
    ]);
    await admin.config('SET', 'appendonly', 'yes');
    await admin.config('SET', 'maxmemory-policy', 'noeviction');
    expect(await redisBroker({ url: redis.url }).inspect(TIMEOUT_MS)).toEqual([]);
  });

  it('leaves no key behind', async () => {
    const broker = redisBroker({ url: redis.url, keyPrefix: 'looked' });
    await broker.inspect(TIMEOUT_MS);
    expect(await admin.keys('looked*')).toEqual([]);
  });

  it('fails within the given time where nothing answers', async () => {
    const broker = redisBroker({ url: 'redis://127.0.0.1:1' });
    await expect(broker.inspect(200)).rejects.toThrow(/cannot reach 127\.0\.0\.1:1/);
  });

  it('where Sentinels name the master, names what it may do while it is cut off, until that is set (G11)', async () => {
    const sentinels = [{ host: '127.0.0.1', port: 1 }];
    // A client that counts as one of Sentinels, and leads straight to the server.
    const client = new Redis(redis.url, { lazyConnect: true });
    client.options.sentinels = sentinels;
    client.duplicate = () => new Redis(redis.url, { lazyConnect: true });
    const remedies = async (options: RedisBrokerOptions = {}) =>
      (await redisBroker({ client, ...options }).inspect(TIMEOUT_MS)).map(({ remedy }) => remedy);
    const refuse =
      'Set min-replicas-to-write 1 on every server, with two replicas or more, or use durability replicated.';
    const prove = 'Leave out controlReplicas, or set min-replicas-to-write 1.';
    expect(await remedies()).toEqual([refuse]);
    expect(await remedies({ controlReplicas: 0 })).toEqual([refuse, prove]);
    const replicated = { level: 'replicated', replicas: 1 } as const;
    expect(await remedies({ durability: replicated })).toEqual([
      'Start the replicas, or lower durability.replicas.',
    ]);
    const warnings: string[] = [];
    const broker = redisBroker({
      client,
      keyPrefix: 'watched',
      controlReplicas: 0,
      onWarning: (text) => warnings.push(text),
    });
    await broker.start(new RecordingListener());
    await broker.close();
    expect(warnings.map((text) => text.slice(text.indexOf(text.includes('Set') ? 'Set' : 'Leave')))).toEqual([
      refuse,
      prove,
    ]);
    await admin.config('SET', 'min-replicas-to-write', '1');
    expect(await remedies({ controlReplicas: 0 })).toEqual([]);
    await admin.config('SET', 'min-replicas-to-write', '0');
  });
});
