import { describe, expect, it } from '@jest/globals';
import type { Cluster } from 'ioredis';
import { endSlotsTimer, RedisTarget } from '../../../../../lib/brokers/redis/connection/target.js';
import { redisSettings } from '../../../../../lib/brokers/redis/settings.js';

describe('clients of a Cluster', () => {
  it('a client that is closed while ioredis refreshes its slots leaves no timer (G18)', () => {
    const options = { cluster: { nodes: [{ host: '127.0.0.1', port: 1 }] } };
    const cluster = new RedisTarget(options, redisSettings(options)).create('test');
    const inside = cluster as unknown as { resetNodesRefreshInterval(): void; slotsTimer?: unknown };
    cluster.disconnect();
    endSlotsTimer(cluster as Cluster);
    inside.resetNodesRefreshInterval();
    expect(inside.slotsTimer).toBeNull();
  });
});
