// A node whose way to the control records is dead while events still reach it: what it does not know may be a revoke.
import { afterEach, describe, expect, it } from '@jest/globals';
import { redisBroker, type RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { RedisKeys } from '../../lib/brokers/redis/keys.js';
import { HalfDeadProxy } from '../support/fault/half-dead-proxy.js';
import { patience, stretched } from '../support/patience.js';
import { redisCluster } from '../support/redis/cluster.js';
import { RedisProcess } from '../support/redis/process.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import type { WireClient } from '../support/wire/client.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';

const BOUND = stretched(1_500);
const TIMINGS = {
  heartbeatMs: 50,
  commandTimeoutMs: stretched(300),
  controlMaxAgeMs: BOUND,
  controlTimeoutMs: stretched(300),
  maxReconnectMs: 50,
  partitions: 8,
} satisfies RedisBrokerOptions;

const toClose: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of toClose.splice(0).reverse()) await close();
});

async function node(nodeId: string, seed: number, options: RedisBrokerOptions): Promise<WireServer> {
  const server = await startWireServer({
    broker: redisBroker({ ...TIMINGS, ...options }),
    entropy: new SeededEntropy(seed),
    settings: { nodeId },
    channels: [
      wireChannel('rooms.:room', { behaviour: { authorize: { subscribe: () => true } } }),
      wireChannel('news.:topic'),
    ],
  });
  toClose.push(() => server.close());
  return server;
}

async function follow(server: WireServer, user: string, ...channels: readonly string[]): Promise<WireClient> {
  const client = await server.connect(user);
  for (const channel of channels) await client.subscribe(channel);
  return client;
}

/** Publishes as long as it takes: what was not acknowledged is sent again under its id. */
async function publish(server: WireServer, channel: string, id: string): Promise<void> {
  await until(`${id} to be in the log`, async () => {
    try {
      await server.engine.application.publish(channel, 'said', id, { id });
      return true;
    } catch {
      return false;
    }
  });
}

const eventsOf = (client: WireClient, channel: string) =>
  client.received.filter((envelope) => envelope.type === 'event' && envelope.channel === channel);
const idsOf = (client: WireClient, channel: string) => eventsOf(client, channel).map(({ id }) => id);

describe('a node that receives events but no revokes', () => {
  it('on one server, the node withholds events of authorized channels, and applies the revoke before it delivers them (G11)', async () => {
    const redis = await RedisProcess.start();
    toClose.push(() => redis.dispose());
    const proxy = await HalfDeadProxy.start(redis.port);
    toClose.push(() => proxy.close());
    const half = await node('half', 1, { url: proxy.url });
    const whole = await node('whole', 2, { url: redis.url });
    const [room, news] = ['rooms.1', 'news.1'];
    const ada = await follow(half, 'ada', room, news);
    const eve = await follow(half, 'eve', room, news);
    await publish(whole, room, 'before');
    await until('what came before', () => idsOf(ada, room).length + idsOf(eve, room).length === 2);

    proxy.cut();
    const receipt = await whole.engine.revoke('ada', room);
    expect(receipt).toEqual({ confirmed: ['whole'], missing: ['half'] });
    expect(proxy.lost).toBe(1);
    await until('the node to withhold', () => half.engine.status.withholding);
    expect(whole.engine.status.withholding).toBe(false);
    for (let index = 0; index < 20; index++) await publish(whole, room, `secret-${index}`);
    await publish(whole, news, 'public');
    await until('the public event', () => idsOf(ada, news).length + idsOf(eve, news).length === 2);
    for (const client of [ada, eve]) {
      expect(idsOf(client, room)).toEqual(['before']);
      expect(client.ended).toBeUndefined();
      expect(await client.error({ type: 'subscribe', channel: 'rooms.2', payload: {} })).toMatchObject({
        code: 'unavailable',
        retryable: true,
      });
    }

    proxy.mend();
    await ada.take({ type: 'unsubscribed', channel: room });
    await publish(whole, room, 'after');
    await until('everything', () => idsOf(eve, room).includes('after'));
    const secrets = Array.from({ length: 20 }, (_, index) => `secret-${index}`);
    expect(idsOf(eve, room)).toEqual(['before', ...secrets, 'after']);
    expect(eventsOf(eve, room).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 22 }, (_, index) => index + 1),
    );
    expect(idsOf(ada, room)).toEqual(['before']);
    expect(half.engine.status.withholding).toBe(false);
  });

  it('in a Cluster, the node withholds events while only the server of the control records is paused (G11)', async () => {
    // No replica takes over meanwhile.
    const cluster = await redisCluster(3_600_000);
    toClose.push(() => cluster.dispose());
    const keyPrefix = 'revokes';
    const keys = new RedisKeys(keyPrefix, TIMINGS.partitions);
    const nodes = cluster.servers.map(({ port }) => ({ host: '127.0.0.1', port }));
    const control = (await cluster.masterOf(keys.nodes)).server;
    /** A channel whose log is on another server. */
    const elsewhere = async (kind: string): Promise<string> => {
      for (let index = 0; ; index++) {
        const name = `${kind}.${index}`;
        if ((await cluster.masterOf(keys.head(name))).server !== control) return name;
      }
    };
    const [room, news] = [await elsewhere('rooms'), await elsewhere('news')];
    // Nobody is missing here: the receipt comes when both have confirmed.
    const options = { cluster: { nodes }, keyPrefix, controlTimeoutMs: patience(3_000) };
    const [left, right] = [await node('left', 1, options), await node('right', 2, options)];
    const eve = await follow(left, 'eve', room, news);
    await publish(right, room, 'm0');
    await until('the first', () => idsOf(eve, room).length === 1);

    control.pause();
    await until('both to withhold', () => [left, right].every(({ engine }) => engine.status.withholding));
    for (let index = 1; index <= 20; index++) await publish(right, room, `m${index}`);
    await publish(right, news, 'public');
    await until('the public event', () => idsOf(eve, news).length === 1);
    expect(idsOf(eve, room)).toEqual(['m0']);

    control.resume();
    await until('the way back', () => !left.engine.status.withholding);
    await publish(right, room, 'm21');
    await until('everything', () => idsOf(eve, room).includes('m21'));
    expect(idsOf(eve, room)).toEqual(Array.from({ length: 22 }, (_, index) => `m${index}`));
    expect(eve.ended).toBeUndefined();
    expect(eve.received.filter(({ type }) => type === 'gap' || type === 'reset')).toEqual([]);
    expect((await right.engine.revoke('eve', room)).missing).toEqual([]);
    await eve.take({ type: 'unsubscribed', channel: room });
  });
});
