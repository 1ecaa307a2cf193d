import { afterAll, beforeAll } from '@jest/globals';
import { redisCluster } from '../../support/redis/cluster.js';
import type { RedisDeployment } from '../../support/redis/deployment.js';
import { brokerContract } from './suite.js';
import { redisHarness } from './redis.harness.js';

let deployment: RedisDeployment;

beforeAll(async () => {
  deployment = await redisCluster();
});

afterAll(() => deployment.dispose());

brokerContract(
  'redis, a Cluster of three masters with a replica each',
  redisHarness(() => deployment, ['loseEverything', 'loseEnd', 'restart', 'loseDeliveries', 'spoilEvent']),
);
