// The limit of connections per user, and lists of sessions, over nodes that share a Redis.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { elapse } from '../support/patience.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import { startWireServer, type WireServer, type WireSettings } from '../support/wire/server.js';
import { alteredClient, type Alteration } from './altered-client.js';
import { RedisKit } from './kit.js';

describe('sessions of several nodes over one Redis', () => {
  let kit: RedisKit;
  let nodes: WireServer[];
  /** What is altered of the way to the second node. */
  let link: Alteration;
  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(async () => {
    await Promise.all(nodes.map((node) => node.close()));
    await kit.reset();
  });
  afterAll(() => kit.dispose());

  const start = async (limits: WireSettings['limits'] = {}): Promise<void> => {
    link = {};
    const options = { channels: [wireChannel('rooms.:room')], settings: { limits } };
    const brokers = [{}, { url: undefined, client: alteredClient(kit.server.url, link) }, {}];
    nodes = [];
    for (const [index, given] of brokers.entries())
      nodes.push(
        await startWireServer({
          ...options,
          broker: kit.make(given),
          entropy: new SeededEntropy(index + 1),
          settings: { limits, nodeId: `node-${index + 1}` },
        }),
      );
  };
  const at = (index: number): WireServer => nodes[index] as WireServer;

  it('refuses one more on any transport, and admits when one has left (P18g)', async () => {
    await start({ maxConnectionsPerUser: 2 });
    const first = await at(0).connect('ada');
    await at(1).connect('ada');
    const socket = await at(2).open();
    socket.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'ada' } });
    expect((await socket.expectClose(4009)).code).toBe(4009);
    const stream = await fetch(`${at(2).httpUrl}/sse?channels=rooms.1`, {
      headers: { authorization: 'Bearer ada' },
    });
    // Another status would end an EventSource for good.
    expect(await stream.text()).toContain('rate_limited');
    const poll = await fetch(`${at(1).httpUrl}/poll`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify([{ type: 'hello', id: 'h', payload: { versions: [1], token: 'ada' } }]),
    });
    expect(poll.headers.get('realtime-end')).toBe('4009');
    first.terminate();
    await until('the session to end', () => at(0).engine.status.sessions === 0);
    await at(2).connect('ada');
  });

  it('ends the oldest on another node with 4812 (P18g)', async () => {
    await start({ maxConnectionsPerUser: 1, whenUserIsFull: 'end_oldest' });
    const first = await at(0).connect('ada');
    await at(1).connect('ada');
    expect((await first.expectClose(4812)).reason).toBe('replaced|0');
  });

  it('lists and counts sessions, and names a node that nothing reaches, for as long as nothing does (G17)', async () => {
    await start();
    await at(0).connect('ada');
    await at(1).connect('bob');
    const { sessions, missing } = await at(2).engine.sessions.list({}, { limit: 10 });
    expect(sessions.map(({ node, user }) => [node, user])).toEqual([
      ['node-1', 'ada'],
      ['node-2', 'bob'],
    ]);
    expect(missing).toEqual([]);
    const close = await at(2).engine.disconnectSessions('session', sessions[0]?.id ?? '');
    expect(close.missing).toEqual([]);
    await until('the session to end', () => at(0).engine.status.sessions === 0);
    link.deaf = true;
    const left = await at(2).engine.sessions.count({});
    expect(left).toEqual({ count: 0, missing: ['node-2'] });
    link.deaf = false;
    expect(await at(2).engine.sessions.count({})).toEqual({ count: 1, missing: [] });
    await at(1).close();
    await elapse(1_100);
    expect(await at(2).engine.sessions.count({})).toEqual({ count: 0, missing: [] });
  });

  it('finds out which users are online, and names a node that nothing reaches, for as long as nothing does', async () => {
    await start();
    await at(0).connect('ada');
    await at(1).connect('bob');
    const users = ['ada', 'bob', 'cy'];
    const find = async () => {
      const { online, missing } = await at(2).engine.usersOnline.find(users);
      return { online: [...online].sort(), missing };
    };
    expect(await find()).toEqual({ online: ['ada', 'bob'], missing: [] });
    link.deaf = true;
    expect(await find()).toEqual({ online: ['ada'], missing: ['node-2'] });
    link.deaf = false;
    expect(await find()).toEqual({ online: ['ada', 'bob'], missing: [] });
  });
});
