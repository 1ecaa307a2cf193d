import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { redisSink } from '../../lib/audit/index.js';
import type { Broker } from '../../lib/core/ports/broker.js';
import { PLATFORMS } from '../e2e/nest/support/nest-app.js';
import { startAdmin, type AdminApp } from '../e2e/nest/admin/support.js';
import { alteredBroker, alteredListener } from '../support/engine/altered-broker.js';
import { stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import type { WireClient } from '../support/wire/client.js';
import { RedisKit } from './kit.js';

const ROOM = 'rooms.1';
const BOTH = { confirmed: ['node-a', 'node-b'], missing: [] };

describe('the admin API of two nodes with Redis, asked at one of them about what is at the other', () => {
  let kit: RedisKit;
  let here: AdminApp;
  let there: AdminApp;
  /** While it is set, the second node takes no message and no record of another. */
  let isHung = false;

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  beforeEach(async () => {
    isHung = false;
    const [[, express], [, fastify]] = PLATFORMS;
    [here, there] = await Promise.all([
      startAdmin(express, { realtime: optionsOf('node-a', kit.make({ controlTimeoutMs: stretched(300) })) }),
      startAdmin(fastify, { realtime: optionsOf('node-b', hanging(kit.make())) }),
    ]);
  });
  afterEach(async () => {
    isHung = false;
    await Promise.all([here.close(), there.close()]);
    await kit.reset();
  });
  afterAll(() => kit.dispose());

  const optionsOf = (nodeId: string, broker: Broker) => ({
    nodeId,
    broker: () => broker,
    audit: { sinks: [redisSink({ url: kit.server.url })] },
  });

  /** A node whose process stands still, as others see it. */
  function hanging(inner: Broker): Broker {
    return alteredBroker(inner, {
      start: (listener, nodeId) =>
        inner.start(
          alteredListener(listener, {
            onMessage: (...message) => {
              if (!isHung) listener.onMessage?.(...message);
            },
            onControl: (record) => (isHung ? new Promise<void>(() => undefined) : listener.onControl(record)),
          }),
          nodeId,
        ),
    });
  }

  async function join(app: AdminApp, user: string, room = ROOM): Promise<WireClient> {
    const client = await app.connect(user);
    await client.reply({ type: 'subscribe', channel: room, payload: { presence: {} } });
    return client;
  }

  const say = (text: string, id = text) => ({
    type: 'publish',
    channel: ROOM,
    event: 'said',
    id,
    payload: text,
  });
  const sorted = ({ confirmed, missing }: { confirmed: string[]; missing: string[] }) => ({
    confirmed: [...confirmed].sort(),
    missing,
  });

  /** Does an act at the first node, which both have to confirm. */
  async function act(path: string, body: object): Promise<void> {
    const answer = await here.post(path, body);
    expect([path, answer.status, sorted(answer.body)]).toEqual([path, 200, BOTH]);
  }

  /** What is known of a list, all pages of it. */
  async function pagesOf(path: string, of: string): Promise<unknown[][]> {
    const pages: unknown[][] = [];
    for (let cursor = ''; ;) {
      const { body } = await here.get(`${path}${cursor}`);
      expect(body.missing ?? []).toEqual([]);
      pages.push(body[of] as unknown[]);
      if (body.more === undefined) return pages;
      cursor = `&cursor=${encodeURIComponent(body.more as string)}`;
    }
  }

  it('lists connections, channels, members, restrictions and nodes of both, page by page', async () => {
    await join(here, 'ada');
    for (const user of ['bob', 'cyd']) await join(there, user);
    await join(there, 'bob', 'rooms.2');
    const connections = (await pagesOf('connections?limit=1', 'sessions')) as {
      user: string;
      node: string;
    }[][];
    expect(connections.every((page) => page.length <= 1)).toBe(true);
    expect(
      connections
        .flat()
        .map(({ user, node }) => [user, node])
        .sort(),
    ).toEqual([
      ['ada', 'node-a'],
      ['bob', 'node-b'],
      ['bob', 'node-b'],
      ['cyd', 'node-b'],
    ]);
    expect((await here.get('connections/count?user=bob')).body).toEqual({ count: 2, missing: [] });
    const channels = (await pagesOf('channels?limit=1', 'channels')) as { channel: string }[][];
    expect(channels.filter((page) => page.length > 0)).toMatchObject([
      [{ channel: 'rooms.1', subscribers: 3, nodes: 2, members: 3 }],
      [{ channel: 'rooms.2', subscribers: 1, nodes: 1, members: 1 }],
    ]);
    expect((await here.get('channels/one?channel=rooms.2')).body).toMatchObject({ subscribers: 1, nodes: 1 });
    const members = (await pagesOf(`channels/members?channel=${ROOM}&limit=2`, 'members')) as {
      id: string;
    }[][];
    expect(
      members
        .flat()
        .map(({ id }) => id)
        .sort(),
    ).toEqual(['ada', 'bob', 'cyd']);
    const nodes = (await pagesOf('nodes?limit=1', 'nodes')) as { node: string; sessions: number }[][];
    expect(
      nodes
        .flat()
        .map(({ node, sessions }) => [node, sessions])
        .sort(),
    ).toEqual([
      ['node-a', 1],
      ['node-b', 3],
    ]);
    // Limits are those of the node that is asked.
    expect((await here.get('limits')).body).toMatchObject({ node: 'node-a', sessions: 1 });
    expect((await there.get('limits')).body).toMatchObject({ node: 'node-b', sessions: 3 });
    for (const user of ['u1', 'u2', 'u3']) await act('mute', { user, for: '1h' });
    const restrictions = (await pagesOf('restrictions?limit=2', 'restrictions')) as {
      whom: { id: string };
    }[][];
    expect(restrictions.map((page) => page.map(({ whom }) => whom.id))).toEqual([['u1', 'u2'], ['u3']]);
    expect((await there.get('restrictions?user=u2')).body.restrictions).toMatchObject([{ act: 'mute' }]);
  });

  it('mutes, takes out, bans, revokes and disconnects who is at the other node, and has it in the audit of both', async () => {
    const bob = await join(there, 'bob');
    await act('mute', { user: 'bob', channel: ROOM, for: '1h' });
    expect(await bob.error(say('one'))).toMatchObject({ code: 'muted' });
    await act('unmute', { user: 'bob', channel: ROOM });
    await bob.reply(say('two'));
    await act('slow', { channel: ROOM, every: '1h' });
    await bob.reply(say('three'));
    expect(await bob.error(say('four'))).toMatchObject({ code: 'muted', reason: 'slow_mode' });
    await act('slow/end', { channel: ROOM });
    await act('reauthorize', { user: 'bob' });
    await act('revoke', { user: 'bob', channel: ROOM });
    expect((await bob.take({ type: 'unsubscribed' })).payload).toMatchObject({ code: 'forbidden' });
    await bob.subscribe(ROOM);
    await act('kick', { user: 'bob', channel: ROOM, for: '5m', reason: 'enough' });
    expect((await bob.take({ type: 'unsubscribed' })).payload).toMatchObject({ code: 'banned' });
    await act('unban', { user: 'bob', channel: ROOM });
    await act('connections/disconnect', { user: 'bob' });
    expect((await bob.expectClose()).code).toBe(4811);
    const again = await join(there, 'bob');
    await act('ban', { user: 'bob', for: '1h' });
    expect((await again.expectClose()).code).toBe(4803);
    const acts = [
      'ban',
      'disconnect',
      'unban',
      'kick',
      'revoke',
      'reauthorize',
      'end_slow',
      'slow',
      'unmute',
      'mute',
    ];
    for (const app of [here, there]) {
      const { entries } = (await app.get('audit?by=staff:administer')).body;
      const done = (entries as { act: string; node: string; result: string }[]).filter(
        ({ act: name }) => name !== 'read_audit',
      );
      expect(done.map(({ act: name, node, result }) => [name, node, result])).toEqual(
        acts.map((name) => [name, 'node-a', 'applied']),
      );
    }
  });

  it('publishes a batch once, also when it is sent again to the other node, and erases it on both', async () => {
    const bob = await join(there, 'bob');
    const events = ['a', 'b', 'c'].map((id) => ({ channel: ROOM, event: 'said', id, payload: `word ${id}` }));
    const first = (await here.post('publish/batch', { events })).body;
    expect(first).toMatchObject({ failed: 0, results: [{ seq: 1 }, { seq: 2 }, { seq: 3 }] });
    const second = (await there.post('publish/batch', { events })).body;
    expect(second).toEqual({
      failed: 0,
      results: first.results.map((result: object) => ({ ...result, duplicate: true })),
    });
    await until(
      'the events at the other node',
      () => bob.received.filter(({ type }) => type === 'event').length >= 3,
    );
    const { erased, ...receipt } = (await here.post('erase', { channel: ROOM, seqs: [2] })).body;
    expect([erased, sorted(receipt)]).toEqual([[2], BOTH]);
    await bob.take({ type: 'event', event: '$erased' });
    const texts = bob.received.filter(({ type }) => type === 'event').map(({ payload }) => payload);
    expect(texts).toEqual(['word a', 'word b', 'word c', { seqs: [2] }]);
    for (const app of [here, there]) {
      const { body } = await app.get(`channels/history?channel=${ROOM}`);
      expect(body.events.map(({ payload }: { payload: unknown }) => payload)).toEqual([
        'word a',
        { seqs: [2] },
        'word c',
        { seqs: [2] },
      ]);
    }
    const { entries } = (await there.get('audit?act=publish')).body;
    expect(entries).toMatchObject([
      { node: 'node-b', data: { events: 3, duplicates: 3, ids: ['a', 'b', 'c'] } },
      { node: 'node-a', data: { events: 3, duplicates: 0, ids: ['a', 'b', 'c'] } },
    ]);
  });

  it('names a node that hangs, in lists and in receipts, and in the audit', async () => {
    await join(here, 'ada');
    await join(there, 'bob');
    isHung = true;
    const [connections, count, channels, one, nodes, muted] = await Promise.all([
      here.get('connections'),
      here.get('connections/count'),
      here.get('channels'),
      here.get(`channels/one?channel=${ROOM}`),
      here.get('nodes'),
      here.post('mute', { user: 'bob', for: '1h' }),
    ]);
    const missing = ['node-b'];
    expect(connections).toMatchObject({ status: 200, body: { sessions: [{ user: 'ada' }], missing } });
    expect(count.body).toEqual({ count: 1, missing });
    expect(channels.body).toMatchObject({ channels: [{ channel: ROOM, subscribers: 1, nodes: 1 }], missing });
    expect(one.body).toMatchObject({ subscribers: 1, nodes: 1, missing });
    expect(nodes.body).toMatchObject({ nodes: [{ node: 'node-a' }], missing });
    expect(muted).toMatchObject({ status: 200, body: { confirmed: ['node-a'], missing } });
    expect((await here.get('audit?act=mute')).body.entries).toMatchObject([
      { result: 'partial', receipt: { confirmed: ['node-a'], missing } },
    ]);
    // What the broker has, it has whole.
    expect((await here.get(`channels/members?channel=${ROOM}`)).body.members).toHaveLength(2);
  });
});
