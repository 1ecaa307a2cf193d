import { describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { redisSettings } from '../../../../lib/brokers/redis/settings.js';

const sentinel = { name: 'main', sentinels: [{ host: 's' }] };

describe('options of the Redis broker about proofs (G11)', () => {
  it('replicas prove by default where Sentinels name the master, also in the settings of a client', () => {
    const through = new Redis({ name: 'main', sentinels: [{ host: 's', port: 1 }], lazyConnect: true });
    const plain = new Redis({ lazyConnect: true });
    for (const options of [{ sentinel }, { client: through }])
      expect(redisSettings(options)).toMatchObject({ isWatched: true, controlReplicas: undefined });
    for (const options of [{}, { client: plain }, { cluster: { nodes: [] } }])
      expect(redisSettings(options)).toMatchObject({ isWatched: false, controlReplicas: 0 });
    expect(redisSettings({ sentinel, controlReplicas: 0 }).controlReplicas).toBe(0);
    expect(redisSettings({ controlReplicas: 2 }).controlReplicas).toBe(2);
  });

  it.each([-1, 0.5, NaN, Infinity])('`controlReplicas` of %p is refused', (controlReplicas) => {
    expect(() => redisSettings({ controlReplicas })).toThrow(/`controlReplicas` must be a whole number/);
  });

  it('a proof by replicas needs a second and a heartbeat more, and the error says how much', () => {
    const least = { heartbeatMs: 100, commandTimeoutMs: 500, controlMaxAgeMs: 1_700 };
    expect(redisSettings({ ...least, sentinel }).proofMs).toBe(1_700);
    for (const options of [{ sentinel }, { controlReplicas: 1 }]) {
      const make = () => redisSettings({ ...least, ...options, controlMaxAgeMs: 1_699 });
      expect(make).toThrow(/`controlMaxAgeMs` must be at least 1700 with `controlReplicas`, not 1699/);
    }
    expect(redisSettings({ ...least, controlMaxAgeMs: 600 }).proofMs).toBe(600);
    expect(redisSettings({ ...least, sentinel, controlReplicas: 0, controlMaxAgeMs: 600 }).proofMs).toBe(600);
  });

  it.each(['', 'x'.repeat(65)])('an application named %p is refused', (application) => {
    expect(() => redisSettings({ application })).toThrow(/`application` must be 1–64 characters/);
  });
});
