// Two databases of one server share its pub/sub.
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import { request } from '../support/engine/append-requests.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

const ROOM = 'rooms.1';

describe('applications in two databases of one server, with the same prefix', () => {
  let kit: RedisKit;
  beforeEach(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.dispose());

  async function node(db: number, nodeId: string, options: RedisBrokerOptions = {}) {
    const warnings: string[] = [];
    const broker = kit.make({ db, onWarning: (text) => warnings.push(text), ...options });
    const seen = new RecordingListener();
    await broker.start(seen, nodeId);
    await broker.log.subscribe(ROOM);
    return { broker, seen, warnings };
  }

  it('hear nothing of one another: no event, signal, change of members, control record or message (G2, G11)', async () => {
    // The same names of nodes, as two applications may have them.
    const nodes = [await node(0, 'n1'), await node(3, 'n1'), await node(12, 'n1')];
    const second = [await node(0, 'n2'), await node(3, 'n2'), await node(12, 'n2')];
    for (const [index, { broker }] of nodes.entries()) {
      await broker.log.appendMany([request(ROOM, `e${index}`)]);
      await broker.log.signal(ROOM, { event: `s${index}`, payload: 1 });
      await broker.bus.send?.('n2', `t${index}`, Buffer.from('x'));
      expect(await broker.bus.control({ kind: 'revoke', user: `u${index}` })).toEqual({
        confirmed: expect.arrayContaining(['n1', 'n2']) as unknown,
        missing: [],
      });
      const entry = { channel: ROOM, member: `m${index}`, device: 'd', generation: 1, data: {} };
      await broker.presence.enter(entry, 60_000);
    }
    for (const [index, { seen }] of second.entries()) {
      await until('the signal', () => seen.signalsOf(ROOM).length > 0);
      await until('the event', () => seen.eventsOf(ROOM).length > 0);
      await until('the message', () => seen.messages.length > 0);
      expect(seen.eventsOf(ROOM).map(({ id }) => id)).toEqual([`e${index}`]);
      expect(seen.signalsOf(ROOM).map(({ event }) => event)).toEqual([`s${index}`]);
      expect(seen.messages.map(({ topic }) => topic)).toEqual([`t${index}`]);
      await until('the member', () => seen.diffsOf(ROOM).length > 0);
      expect(seen.diffsOf(ROOM).map(({ join }) => join.map(({ id }) => id))).toEqual([[`m${index}`]]);
      expect(seen.controls).toMatchObject([{ user: `u${index}` }]);
    }
    for (const { warnings } of [...nodes, ...second]) expect(warnings).toEqual([]);
  });

  it('keep the names in a deployment of an older version, whose nodes hear them still, with a warning (G5)', async () => {
    const older = kit.admin.duplicate({ db: 3 });
    await older.set(kit.keys.layout, '1');
    await older.hset(kit.keys.meta, 'partitions', 4);
    const { broker, warnings } = await node(3, 'n1');
    expect(warnings).toEqual([expect.stringContaining('database 3')]);
    const heard: string[] = [];
    const subscriber = kit.admin.duplicate({ db: 3 });
    subscriber.on('smessage', (_topic: string, text: string) => heard.push(text));
    await subscriber.ssubscribe(kit.keys.topic(ROOM));
    await broker.log.appendMany([request(ROOM, 'a')]);
    await until('the event', () => heard.length === 1);
    // As all of them do once one has begun so, also after the data were lost.
    await older.flushdb();
    await until('the next heartbeat', async () => (await older.hexists(kit.keys.meta, 'partitions')) === 1);
    const next = await node(3, 'n2');
    await broker.log.appendMany([request(ROOM, 'b')]);
    await until('the event', () => next.seen.eventsOf(ROOM).length > 0);
    expect(heard).toHaveLength(2);
    older.disconnect();
    subscriber.disconnect();
  });

  it('keep the names of the nodes that run where the data were lost a moment ago', async () => {
    const admin = kit.admin.duplicate({ db: 3 });
    await admin.set(kit.keys.layout, '1');
    await admin.hset(kit.keys.meta, 'partitions', 4);
    const slow = { heartbeatMs: 500 };
    const running = await node(3, 'n1', slow);
    await admin.flushdb();
    const next = await node(3, 'n2', slow);
    await next.broker.log.signal(ROOM, { event: 'typing', payload: 1 });
    await until('the signal', () => running.seen.signalsOf(ROOM).length === 1);
    expect(await admin.hget(kit.keys.meta, 'topics')).toBeNull();
    admin.disconnect();
  });

  it('carry the number after the data were lost, too', async () => {
    const first = await node(3, 'n1');
    const admin = kit.admin.duplicate({ db: 3 });
    await admin.flushdb();
    await until('the next heartbeat', async () => (await admin.hexists(kit.keys.meta, 'partitions')) === 1);
    const second = await node(3, 'n2');
    await first.broker.log.signal(ROOM, { event: 'typing', payload: 1 });
    await until('the signal', () => second.seen.signalsOf(ROOM).length === 1);
    expect(await admin.hget(kit.keys.meta, 'topics')).toBe('@3');
    admin.disconnect();
  });

  it('a node whose deployment has other names now refuses to write, with the remedy (G21)', async () => {
    const { broker, seen, warnings } = await node(3, 'n1');
    const admin = kit.admin.duplicate({ db: 3 });
    await admin.hdel(kit.keys.meta, 'topics');
    await until('the node to notice', () => seen.states.at(-1) === 'down');
    expect(await broker.log.appendMany([request(ROOM, 'a')])).toEqual([{ ok: false, code: 'unavailable' }]);
    expect(warnings).toEqual([expect.stringContaining('Start this node again')]);
    await admin.hset(kit.keys.meta, 'topics', '@3');
    await until('the way back', () => seen.states.at(-1) === 'up');
    admin.disconnect();
  });
});
