import { afterAll, beforeAll } from '@jest/globals';
import { singleRedis, type RedisDeployment } from '../../support/redis/deployment.js';
import { brokerContract } from './suite.js';
import { redisHarness } from './redis.harness.js';

let deployment: RedisDeployment;

beforeAll(async () => {
  deployment = await singleRedis();
});

afterAll(() => deployment.dispose());

brokerContract(
  'redis, a single server',
  redisHarness(() => deployment, ['loseEverything', 'loseEnd', 'restart', 'loseDeliveries', 'spoilEvent']),
);
