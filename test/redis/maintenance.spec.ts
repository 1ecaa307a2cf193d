import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RedisBroker } from '../../lib/brokers/redis/index.js';
import type { Position } from '../../lib/protocol/position.js';
import { requests } from '../support/engine/append-requests.js';
import { patience, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

const CHANNEL = 'rooms.1';
const UNWRITTEN = 'rooms.2';

describe('a replication id that changes', () => {
  let kit: RedisKit;
  beforeEach(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.dispose());

  const id = async () =>
    /master_replid:(\w+)/.exec(await kit.admin.info('replication'))?.[1] ?? 'no id of replication';

  async function append(broker: RedisBroker, prefix: string): Promise<Position> {
    const [outcome] = await broker.log.appendMany(requests(CHANNEL, prefix, 1));
    if (outcome?.ok !== true) throw new Error(`An append failed: ${outcome?.code ?? 'no outcome'}`);
    return outcome.position;
  }

  /** As `redis-cli --rdb` makes one. */
  async function backup(): Promise<void> {
    const before = await id();
    await kit.admin.config('SET', 'repl-backlog-ttl', '3600');
    const file = join(kit.server.folder, 'backup.rdb');
    await promisify(execFile)('redis-cli', ['-p', String(kit.server.port), '--rdb', file]);
    expect(await id()).not.toBe(before);
  }

  /** The server gives the backlog of the backup back. */
  async function release(): Promise<void> {
    const before = await id();
    await kit.admin.config('SET', 'repl-backlog-ttl', '1');
    await until('the backlog to be given back', async () => (await id()) !== before, patience(20_000));
  }

  const good = async (broker: RedisBroker, { epoch, seq }: Position) =>
    (await broker.log.read({ channel: CHANNEL, epoch, from: seq + 1, limit: 100 })).continuous;
  const entry = (member: string) => ({ channel: CHANNEL, member, device: 'd', generation: 1 });
  const roomOf = (broker: RedisBroker) => broker.presence.members(CHANNEL, { limit: 10 });
  const seen = async () => Number((await kit.admin.hget(kit.keys.meta, 'server'))?.split(' ')[1]);
  /** Every node has looked at the server. */
  const looked = async () => {
    const before = await seen();
    await until('the nodes to look', async () => (await seen()) > before + 200);
  };

  it('with a backup resets nothing, however often, on any node (G6)', async () => {
    const { broker, seen: told } = await kit.node({ tipCheck: { intervalMs: 50 } });
    const first = await append(broker, 'a');
    const unwritten = await broker.log.subscribe(UNWRITTEN);
    await broker.log.subscribe(CHANNEL);
    await broker.presence.enter(entry('ada'), 60_000);
    const room = await roomOf(broker);
    let last = first;
    for (let round = 0; round < 3; round += 1) {
      await looked();
      await backup();
      // At once, by a script that finds the change before the node has looked again.
      last = await append(broker, `b${round}-`);
      await looked();
      await release();
      expect(await broker.log.tips([CHANNEL, UNWRITTEN])).toEqual([last, unwritten]);
    }
    expect(last).toEqual({ epoch: first.epoch, seq: 4 });
    expect(await kit.admin.hget(kit.keys.head(CHANNEL), 'f')).toBe('');
    await broker.presence.enter(entry('eve'), 60_000);
    expect(await roomOf(broker)).toMatchObject({ epoch: room.epoch, version: 2, count: 2 });
    expect(told.eventsOf(CHANNEL).map(({ epoch, seq }) => [epoch, seq])).toEqual(
      [2, 3, 4].map((seq) => [first.epoch, seq]),
    );
    // A node that starts later knows it from the others.
    const other = await kit.node();
    expect(await append(other.broker, 'c')).toEqual({ epoch: first.epoch, seq: 5 });
  });

  it('by a promotion on the same connection begins an epoch, also after a backup (G6)', async () => {
    const { broker } = await kit.node();
    const before = await append(broker, 'a');
    await looked();
    await backup();
    await looked();
    // Within less than a heartbeat.
    await kit.admin.multi().call('REPLICAOF', '127.0.0.1', '1').call('REPLICAOF', 'NO', 'ONE').exec();
    const after = await append(broker, 'b');
    expect(after.epoch).not.toBe(before.epoch);
    expect(await good(broker, before)).toBe(true);
    expect(await good(broker, { ...before, seq: 2 })).toBe(false);
    await looked();
    await release();
    expect((await append(broker, 'c')).epoch).toBe(after.epoch);
  });

  it('by a promotion and by its backlog, while nobody looked, begins an epoch (G6)', async () => {
    const { broker } = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
    const before = await append(broker, 'a');
    await backup();
    const [process = '', , , ids = ''] =
      /^(\S+) (\S+) (\S+) (.*)$/.exec((await kit.admin.hget(kit.keys.meta, 'server')) ?? '')?.slice(1) ?? [];
    expect(ids).not.toBe('');
    // What was seen longer ago than a server waits before it gives its backlog back.
    await kit.closeAll();
    await kit.admin.hset(kit.keys.meta, 'server', `${process} ${Date.now() - stretched(60_000)} 0 ${ids}`);
    const { broker: late } = await kit.node({ heartbeatMs: 600_000, controlMaxAgeMs: 900_000 });
    expect((await append(late, 'b')).epoch).not.toBe(before.epoch);
  });

  it('by a restart begins an epoch, whatever was seen a moment ago (G6)', async () => {
    const { broker } = await kit.node();
    const before = await append(broker, 'a');
    await looked();
    await kit.server.kill();
    await kit.server.launch();
    await until('the broker to be back', () =>
      broker.log.tips([CHANNEL]).then(
        () => true,
        () => false,
      ),
    );
    await backup();
    expect((await append(broker, 'b')).epoch).not.toBe(before.epoch);
    expect(await good(broker, before)).toBe(true);
  });
});
