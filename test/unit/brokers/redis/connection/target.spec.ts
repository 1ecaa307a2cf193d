import { describe, expect, it } from '@jest/globals';
import { RedisTarget } from '../../../../../lib/brokers/redis/connection/target.js';
import type { RedisBrokerOptions } from '../../../../../lib/brokers/redis/options.js';
import { redisSettings } from '../../../../../lib/brokers/redis/settings.js';

describe('where Redis is', () => {
  it('an undefined url, as of an unset variable, names the server that is used; no url at all is the default', () => {
    const warnings: string[] = [];
    const target = (options: RedisBrokerOptions) =>
      new RedisTarget(options, redisSettings({ onWarning: (line) => void warnings.push(line) })).where;
    expect(target({})).toBe('127.0.0.1:6379');
    expect(target({ url: 'redis://cache:1' })).toBe('cache:1');
    expect(target({ url: undefined, cluster: { nodes: ['a'] } })).toContain('Cluster');
    expect(warnings).toEqual([]);
    expect(target({ url: undefined })).toBe('127.0.0.1:6379');
    expect(warnings).toEqual([
      'redisBroker: `url` is undefined, so 127.0.0.1:6379 is used. Is its environment variable set?',
    ]);
  });
});
