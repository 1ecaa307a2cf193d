import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import type { Cluster, Redis } from 'ioredis';
import type { AuditRedisClient } from '../../../../../lib/audit/index.js';

type Fits<T extends AuditRedisClient> = T;

describe('the client of a Redis sink', () => {
  it('may be each of ioredis, whose types the declarations do not need', () => {
    const fitting: readonly (Fits<Redis> | Fits<Cluster>)[] = [];
    expect(fitting).toEqual([]);
    expect(readFileSync('lib/audit/redis-sink.ts', 'utf8')).not.toMatch(/^import .*'ioredis'/m);
  });
});
