import { afterEach, describe, expect, it } from '@jest/globals';
import { redisBroker, type RedisBroker, type RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { RedisKeys } from '../../lib/brokers/redis/keys.js';
import { request, requests } from '../support/engine/append-requests.js';
import { elapse, stretched } from '../support/patience.js';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import { redisCluster } from '../support/redis/cluster.js';
import { redisSentinels, synced } from '../support/redis/sentinels.js';
import { RedisProcess } from '../support/redis/process.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

const FAST: RedisBrokerOptions = {
  partitions: 8,
  commandTimeoutMs: stretched(1_000),
  controlMaxAgeMs: stretched(10_000),
  heartbeatMs: 100,
  maxReconnectMs: 100,
  unsubscribeLingerMs: 10,
  tipCheck: { intervalMs: 300 },
};

describe('changes of the topology under a running broker', () => {
  const toDispose: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const dispose of toDispose.splice(0).reverse()) await dispose();
  });

  async function node(options: RedisBrokerOptions) {
    const broker = redisBroker({ ...FAST, ...options });
    const seen = new RecordingListener();
    toDispose.push(() => broker.close());
    await broker.start(seen);
    return { broker, seen };
  }

  /** Publishes as a client does: the same id until it is acknowledged. */
  async function publish(broker: RedisBroker, channel: string, id: string): Promise<number> {
    let seq: number | undefined;
    await until(`${id} to be acknowledged`, async () => {
      const [outcome] = await broker.log.appendMany([request(channel, id)]);
      if (outcome?.ok === true) seq = outcome.position.seq;
      // Two dozen ask at once, and a failover takes its time.
      else await elapse(20);
      return seq !== undefined;
    });
    return seq as number;
  }

  it('G5 G6 a Cluster: slots move and a master dies; what is acknowledged is in the log, and arrives', async () => {
    const cluster = await redisCluster(stretched(1_000));
    toDispose.push(() => cluster.dispose());
    const nodes = cluster.servers.slice(0, 2).map(({ port }) => ({ host: '127.0.0.1', port }));
    const options = { cluster: { nodes }, keyPrefix: 'topo' };
    const [writer, reader] = [await node(options), await node(options)];
    const keys = new RedisKeys('topo', 8);
    const channels = Array.from({ length: 24 }, (_, index) => `rooms.${index}`);
    await Promise.all(channels.map((channel) => reader.broker.log.subscribe(channel)));
    const acked = new Map(channels.map((channel) => [channel, [] as string[]]));
    let round = 0;
    const publishRound = async () => {
      round += 1;
      await Promise.all(
        channels.map(async (channel) => {
          await publish(writer.broker, channel, `m${round}`);
          acked.get(channel)?.push(`m${round}`);
        }),
      );
      await elapse(5);
    };
    const arrived = (channel: string) => reader.seen.eventsOf(channel).some(({ id }) => id === `m${round}`);

    await publishRound();
    await until('the first round', () => channels.every(arrived));

    const from = await cluster.masterOf(keys.head(channels[0] ?? ''));
    const to = await cluster.masterOf(
      keys.head(
        channels.find(
          (channel) =>
            Math.abs(
              keys.slotOf(keys.partitionOf(channel)) - keys.slotOf(keys.partitionOf(channels[0] ?? '')),
            ) > 6_000,
        ) ?? '',
      ),
    );
    const moving = cluster.cli(
      ...[
        '--cluster',
        'reshard',
        `127.0.0.1:${from.server.port}`,
        '--cluster-from',
        from.id,
        '--cluster-to',
        to.id,
      ],
      ...['--cluster-slots', '5000', '--cluster-yes'],
    );
    let moved = false;
    void moving.finally(() => (moved = true));
    while (!moved) await publishRound();
    await moving;
    await publishRound();
    await until('everything after the move', () => channels.every(arrived));

    await to.server.kill();
    for (let more = 0; more < 3; more += 1) await publishRound();
    await until('everything after the failover', () => channels.every(arrived));
    await until('the state to be up', () => reader.seen.states.at(-1) === 'up');
    for (const channel of channels) {
      const { events, tip } = await reader.broker.log.read({ channel, from: 1, limit: 1_000, reverse: true });
      const newest = events.map(({ id }) => id).reverse();
      // Once each, none missing, in the order in which they were acknowledged.
      expect(newest).toEqual(acked.get(channel)?.slice(-newest.length));
      expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => tip.seq - index));
      expect(tip.seq).toBe(round);
    }
  });

  it('G6 G21 Sentinel: the master dies, the broker finds the new one, and tells its subscribers', async () => {
    const sentinels = await redisSentinels(stretched(500));
    toDispose.push(() => sentinels.dispose());
    const options = { client: sentinels.client() as never, keyPrefix: 'topo' };
    const [writer, reader] = [await node(options), await node(options)];
    await reader.broker.log.subscribe('rooms.1');
    await publish(writer.broker, 'rooms.1', 'before');
    await until('what was before', () => reader.seen.seqsOf('rooms.1').length === 1);
    const { epoch } = (await reader.broker.log.tips(['rooms.1']))[0] ?? { epoch: '' };
    await sentinels.master.kill();
    await publish(writer.broker, 'rooms.1', 'after');
    await until('what came after', () => reader.seen.eventsOf('rooms.1').some(({ id }) => id === 'after'));
    // Events come by another connection than reads go by, which may be the later one to find the new master.
    await until('both to be up', () => [writer, reader].every(({ seen }) => seen.states.at(-1) === 'up'));
    const { continuous, tip } = await reader.broker.log.read({
      channel: 'rooms.1',
      epoch,
      from: 2,
      limit: 9,
    });
    expect(continuous).toBe(true);
    expect(tip).toMatchObject({ seq: 2 });
    expect(tip.epoch).not.toBe(epoch);
  });

  it('G1 `replicated` acknowledges what a replica has, and nothing else: retries neither', async () => {
    const kit = await RedisKit.open();
    toDispose.push(() => kit.dispose());
    const { broker } = await kit.node({ durability: { level: 'replicated', timeoutMs: stretched(1_000) } });
    expect(broker.capabilities.durability).toBe('replicated');
    const alone = await broker.log.appendMany([
      request('rooms.1', 'a'),
      request('rooms.1', 'b', { after: 'x' }),
    ]);
    expect(alone).toEqual([
      { ok: false, code: 'timeout' },
      { ok: false, code: 'out_of_order' },
    ]);
    // It is in the master's log: a retry is a duplicate, and must still not be promised.
    expect(await broker.log.appendMany([request('rooms.1', 'a')])).toEqual([{ ok: false, code: 'timeout' }]);
    const replica = await RedisProcess.start({
      args: ['--replicaof', `127.0.0.1 ${kit.server.port}`, '--repl-diskless-sync-delay', '0'],
    });
    toDispose.push(() => replica.dispose());
    await synced(replica);
    // A replica that has just come may not answer its master in time yet.
    const retry = () => broker.log.appendMany([request('rooms.1', 'a')]);
    await until('the replica to answer', async () => (await retry())[0]?.ok === true);
    expect(await retry()).toMatchObject([{ ok: true, duplicate: true }]);
    expect(await broker.log.appendMany([request('rooms.1', 'c')])).toMatchObject([
      { ok: true, duplicate: false },
    ]);
    replica.pause();
    expect(await broker.log.appendMany([request('rooms.1', 'c')])).toEqual([{ ok: false, code: 'timeout' }]);
    expect(await broker.log.appendMany([request('rooms.1', 'd')])).toEqual([{ ok: false, code: 'timeout' }]);
    replica.resume();
  });

  it('G1 `replicated` asks the replicas once for all who wait, and an answer that is slow stalls nobody', async () => {
    const kit = await RedisKit.open();
    toDispose.push(() => kit.dispose());
    // Longer than a command may take: what waits behind the question is not late.
    const durability = { level: 'replicated', timeoutMs: stretched(2_500) } as const;
    const { broker, seen } = await kit.node({ durability, commandTimeoutMs: stretched(1_200), maxBatch: 1 });
    const replica = await RedisProcess.start({
      args: ['--replicaof', `127.0.0.1 ${kit.server.port}`, '--repl-diskless-sync-delay', '0'],
    });
    toDispose.push(() => replica.dispose());
    await synced(replica);
    await until(
      'the replica to answer',
      async () => (await broker.log.appendMany([request('rooms.1', 'first')]))[0]?.ok === true,
    );
    await kit.admin.config('RESETSTAT');
    const calls = requests('rooms.1', 'a', 40).map((one) => broker.log.appendMany([one]));
    expect((await Promise.all(calls)).flat().every(({ ok }) => ok)).toBe(true);
    const stats = await kit.admin.info('commandstats');
    const count = (command: string) => Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(stats)?.[1]);
    expect(count('evalsha')).toBeGreaterThanOrEqual(40);
    // Four script calls are under way at once: every question is for four, but perhaps the first and the last.
    expect(count('wait')).toBeLessThanOrEqual(20);
    replica.pause();
    const slow = await Promise.all(requests('rooms.1', 'b', 6).map((one) => broker.log.appendMany([one])));
    expect(slow.flat()).toEqual(slow.map(() => ({ ok: false, code: 'timeout' })));
    replica.resume();
    expect(seen.states).toEqual(['up']);
    // What was not promised is in the log all the same, once: a retry proves it.
    expect(await broker.log.appendMany(requests('rooms.1', 'b', 6))).toMatchObject(
      slow.map(() => ({ ok: true, duplicate: true })),
    );
  });
});
