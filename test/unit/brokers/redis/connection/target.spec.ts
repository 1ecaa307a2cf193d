import { once } from 'node:events';
import { connect } from 'node:tls';
import { describe, expect, it } from '@jest/globals';
import { Redis, type Cluster, type SentinelConnectionOptions } from 'ioredis';
import { endSlotsTimer, RedisTarget } from '../../../../../lib/brokers/redis/connection/target.js';
import type { RedisBrokerOptions } from '../../../../../lib/brokers/redis/options.js';
import { redisSettings } from '../../../../../lib/brokers/redis/settings.js';
import { freePort } from '../../../../support/redis/process.js';
import { TwiceFailingServer } from '../../../../support/redis/twice-failing-server.js';
import { until } from '../../../../support/until.js';

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

  it.each([
    ['a table', { '10.0.0.2:6379': { host: 'redis.example', port: 7_000 } }],
    [
      'a function',
      (key: string) => (key === '10.0.0.2:6379' ? { host: 'redis.example', port: 7_000 } : null),
    ],
  ])(
    'a server that Sentinels announce is reached where `natMap` of the client says: %s (G21)',
    async (_title, natMap) => {
      const sentinels = [{ host: '127.0.0.1', port: 1 }];
      const given: (Pick<SentinelConnectionOptions, 'natMap'> | undefined)[] = [{ natMap }, undefined];
      const reached = await Promise.all(
        given.map(async (more) => {
          const client = new Redis({ sentinels, name: 'main', lazyConnect: true, ...more });
          const target = new RedisTarget({ client }, redisSettings({ client }));
          await target.load();
          const found = target.sentinels();
          return ['10.0.0.2:6379', '10.0.0.3:6379'].map(found.reached);
        }),
      );
      expect(reached).toEqual([
        ['redis.example:7000', '10.0.0.3:6379'],
        ['10.0.0.2:6379', '10.0.0.3:6379'],
      ]);
    },
  );

  it('a connection has several errors where it ends in a handshake of TLS: none of them ends the process (G18)', async () => {
    const port = await freePort();
    const nodes = [{ host: '127.0.0.1', port }];
    const made = async (options: RedisBrokerOptions): Promise<Redis | Cluster> => {
      const target = new RedisTarget(options, redisSettings(options));
      await target.load();
      return target.create('commands');
    };
    const failed = async (node: Redis): Promise<void> => {
      const error = once(node, 'error');
      node.connect().catch(() => undefined);
      await error;
    };
    const single = (await made({ url: `redis://127.0.0.1:${port}` })) as Redis;
    const cluster = (await made({ cluster: { nodes } })) as Cluster;
    const known = once(cluster, '+node') as Promise<[Redis]>;
    cluster.connect().catch(() => undefined);
    const [node] = await known;
    // What ioredis keeps for subscriptions of its own has no connection.
    const { subscriber } = cluster as unknown as { readonly subscriber: { getInstance(): Redis | null } };
    expect(subscriber.getInstance()?.status).toBe('wait');
    for (const one of [single, node]) {
      await failed(one);
      // Of a connection that nobody listens to, this throws.
      expect(one.stream.emit('error', new Error('tlsv1 alert decode error'))).toBe(true);
      // However often the client is away.
      one.emit('error', new Error('again'));
      expect(one.stream.listenerCount('error')).toBe(1);
    }
    // Where no Sentinel answers there is no connection, and the client says so again and again.
    const sentinels = (await made({ sentinel: { name: 'main', sentinels: nodes } })) as Redis;
    await failed(sentinels);
    expect(sentinels.stream).toBeFalsy();
    cluster.disconnect();
    endSlotsTimer(cluster);
    for (const one of [single, node, sentinels]) one.disconnect();
  });

  it.each<[string, (node: { host: string; port: number }) => RedisBrokerOptions]>([
    ['a server', ({ host, port }) => ({ url: `rediss://${host}:${port}` })],
    ['Sentinels', (node) => ({ sentinel: { name: 'main', sentinels: [node], tls: true } })],
    ['a Cluster', (node) => ({ cluster: { nodes: [node] }, tls: {} })],
  ])(
    'what ioredis itself connects to %s fails twice in its handshake, and does not end the process (G18)',
    async (_what, optionsOf) => {
      const server = await TwiceFailingServer.start();
      const { host, port } = server;
      const errors: string[] = [];
      const bare = connect({ host, port });
      bare.on('error', ({ message }) => errors.push(message));
      await until('both errors of a connection', () => errors.length === 2);
      expect(errors[0]).toContain('self-signed certificate');
      const options = { ...optionsOf({ host, port }), maxReconnectMs: 20 };
      const target = new RedisTarget(options, redisSettings(options));
      await target.load();
      const client = target.create('commands');
      client.connect().catch(() => undefined);
      // An error that nobody listens to would fail this test.
      await until('some attempts', () => server.failed >= 4);
      client.disconnect();
      if (target.clustered) endSlotsTimer(client as Cluster);
      await server.close();
    },
  );
});
