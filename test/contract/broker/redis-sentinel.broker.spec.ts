import { afterAll, beforeAll } from '@jest/globals';
import { redisSentinels } from '../../support/redis/sentinels.js';
import type { RedisDeployment } from '../../support/redis/deployment.js';
import { brokerContract } from './suite.js';
import { redisHarness } from './redis.harness.js';

let deployment: RedisDeployment;

beforeAll(async () => {
  deployment = await redisSentinels();
});

afterAll(() => deployment.dispose());

brokerContract(
  'redis, a master with a replica behind Sentinels',
  redisHarness(() => deployment, ['loseEverything', 'loseEnd', 'restart', 'loseDeliveries', 'spoilEvent']),
);
