// While a slot of a Cluster moves, a part of its keys is at each of two servers: Redis answers TRYAGAIN to a call that needs both.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { redisBroker, type RedisBroker } from '../../lib/brokers/redis/index.js';
import { RedisKeys } from '../../lib/brokers/redis/keys.js';
import { request, requests } from '../support/engine/append-requests.js';
import { stretched } from '../support/patience.js';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import { redisCluster, type RedisClusterDeployment } from '../support/redis/cluster.js';

const CHANNEL = 'rooms.1';
const PREFIX = 'moving';

describe('while a slot moves', () => {
  const keys = new RedisKeys(PREFIX, 8);
  const slot = keys.slotOf(keys.partitionOf(CHANNEL));
  let cluster: RedisClusterDeployment;
  const brokers: RedisBroker[] = [];
  beforeAll(async () => {
    cluster = await redisCluster(stretched(1_000));
  });
  afterEach(async () => {
    await Promise.all(brokers.splice(0).map((broker) => broker.close()));
  });
  afterAll(() => cluster.dispose());

  async function node() {
    const broker = redisBroker({
      cluster: { nodes: cluster.servers.slice(0, 2).map(({ port }) => ({ host: '127.0.0.1', port })) },
      keyPrefix: PREFIX,
      partitions: 8,
      maxIdsPerProducer: 4,
      commandTimeoutMs: stretched(3_000),
      controlMaxAgeMs: stretched(10_000),
    });
    brokers.push(broker);
    const seen = new RecordingListener();
    await broker.start(seen);
    return { broker, seen };
  }

  it('what cannot be done is `unavailable`, as nothing was done, and everything works again when the slot has moved (G5, G21)', async () => {
    const { broker, seen } = await node();
    await broker.log.subscribe(CHANNEL);
    await broker.log.appendMany(requests(CHANNEL, 'a', 3));
    const from = await cluster.masterOf(keys.head(CHANNEL));
    const owners = await Promise.all(
      Array.from({ length: 50 }, (_, index) => cluster.masterOf(keys.head(`rooms.${index}`))),
    );
    const to = owners.find(({ id }) => id !== from.id);
    if (to === undefined) throw new Error('One master serves all slots');
    const move = async (key: string) => {
      await from.admin.call('MIGRATE', '127.0.0.1', to.server.port, key, 0, stretched(5_000));
    };
    await to.admin.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
    await from.admin.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
    await move(keys.origin(CHANNEL));
    const refused = {
      code: 'unavailable',
      // What the servers say is for operators.
      cause: expect.objectContaining({ message: expect.stringContaining('Too many Cluster redirections') }),
    };
    const calls = [
      broker.log.read({ channel: CHANNEL, from: 1, limit: 10 }),
      broker.log.tips([CHANNEL]),
      broker.presence.members(CHANNEL, { limit: 10 }),
    ];
    for (const outcome of await Promise.allSettled(calls))
      expect(outcome).toEqual({ status: 'rejected', reason: expect.objectContaining(refused) });
    // What was not appended takes no share of the ids: three and one are four.
    for (const _time of [1, 2])
      expect(await broker.log.appendMany([request(CHANNEL, 'b')])).toEqual([
        { ok: false, code: 'unavailable' },
      ]);
    for (const key of await from.admin.keys(`{${PREFIX}:${keys.partitionOf(CHANNEL)}}*`)) await move(key);
    for (const { admin } of [to, from]) await admin.call('CLUSTER', 'SETSLOT', slot, 'NODE', to.id);
    expect(await broker.log.appendMany([request(CHANNEL, 'b')])).toMatchObject([
      { ok: true, duplicate: false, position: { seq: 4 } },
    ]);
    const { events } = await broker.log.read({ channel: CHANNEL, from: 1, limit: 10 });
    expect(events.map(({ id }) => id)).toEqual(['a1', 'a2', 'a3', 'b']);
    expect(seen.states).not.toContain('down');
  });
});
