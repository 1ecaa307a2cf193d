import { describe, expect, it } from '@jest/globals';
import { RedisTarget } from '../../../../lib/brokers/redis/connection/redis.target.js';
import { redisSettings } from '../../../../lib/brokers/redis/redis.settings.js';

describe('clients of a Cluster', () => {
  it('G18 have no timer of their own: ioredis begins it anew when it is closed while it asks, and the process never ends', () => {
    const options = { cluster: { nodes: [{ host: '127.0.0.1', port: 1 }] } };
    const cluster = new RedisTarget(options, redisSettings(options)).create('test');
    const inside = cluster as unknown as { resetNodesRefreshInterval(): void; slotsTimer?: unknown };
    inside.resetNodesRefreshInterval();
    expect(inside.slotsTimer).toBeFalsy();
    cluster.disconnect();
  });
});
