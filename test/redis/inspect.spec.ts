import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { redisBroker } from '../../lib/brokers/redis/index.js';
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
});
