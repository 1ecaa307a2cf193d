import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { inTurns } from '../../../../lib/core/engine/cluster/in-turns.js';
import { LocalSessions, type SessionInfo } from '../../../../lib/core/engine/cluster/local-sessions.js';
import { networkIn, readFilter } from '../../../../lib/core/engine/cluster/session-filter.js';
import { readSession } from '../../../../lib/core/engine/cluster/session-wire.js';
import { systemClock } from '../../../../lib/core/ports/clock.js';
import type { Session } from '../../../../lib/core/session/session.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { startCluster } from '../../../support/engine/cluster.js';
import { channel, type EngineHarness, quiet } from '../../../support/engine/harness.js';
import { type ManualClock } from '../../../support/engine/manual-clock.js';

describe('the sessions of all nodes', () => {
  let clock: ManualClock;
  let nodes: EngineHarness[];
  let deaf: Set<string>;

  beforeEach(async () => {
    ({ clock, nodes, deaf } = await startCluster([channel('rooms.:room')], {
      limits: { maxConnectionsPerUser: 0 },
    }));
  });
  afterEach(() => Promise.all(nodes.map((node) => node.stop())));

  const at = (index: number): EngineHarness => nodes[index] as EngineHarness;
  async function come(index: number, user: string | undefined, ip = '203.0.113.7', room?: string) {
    const network = networkIn(ip, 64) ?? ip;
    const connection = at(index).connect({ ip, network });
    const token = user === undefined ? undefined : `user:${user}`;
    connection.send({ type: 'hello', id: 'h', payload: { versions: [1], token } });
    await quiet();
    if (room !== undefined) {
      connection.send({ type: 'subscribe', id: 's', channel: room });
      await quiet();
    }
    return connection;
  }
  /** All pages, asked of one node. */
  async function all(filter: object, limit: number, from = 0): Promise<SessionInfo[]> {
    const found: SessionInfo[] = [];
    for (let cursor: string | undefined; ;) {
      const page = await at(from).engine.sessions.list(filter, { cursor, limit });
      expect(page.sessions.length).toBeLessThanOrEqual(limit);
      expect(page.missing).toEqual([]);
      found.push(...page.sessions);
      if ((cursor = page.more) === undefined) return found;
    }
  }
  const users = (found: readonly SessionInfo[]) => found.map(({ node, user }) => `${node} ${user}`);

  it('are listed in pages of any size, each once, node by node and in the order in which they came', async () => {
    for (let number = 0; number < 7; number++) await come(number % 3, `u${number}`);
    const expected = ['0 u0', '0 u3', '0 u6', '1 u1', '1 u4', '2 u2', '2 u5'].map((line) => `node-${line}`);
    for (const limit of [1, 2, 3, 4, 6, 7, 8, 1_000])
      for (const from of [0, 2]) expect(users(await all({}, limit, from))).toEqual(expected);
    const [first] = await all({}, 10);
    expect(first).toEqual({
      id: expect.any(String),
      lineage: expect.any(String),
      node: 'node-0',
      user: 'u0',
      ip: '203.0.113.7',
      transport: 'websocket',
      connectedAt: expect.any(Number),
      channels: 0,
    });
  });

  it('are found by user, channel and address, and by all of these together', async () => {
    await come(0, 'ada', '203.0.113.7', 'rooms.1');
    await come(1, 'ada', '2001:db8:1:2::5', 'rooms.1');
    await come(2, 'bob', '2001:db8:1:2::6', 'rooms.1');
    await come(2, undefined, '203.0.113.7', 'rooms.2');
    at(1).connect({ ip: '203.0.113.7', network: '203.0.113.7' });
    const count = async (filter: object) => (await at(2).engine.sessions.count(filter)).count;
    expect(users(await all({ user: 'ada' }, 1))).toEqual(['node-0 ada', 'node-1 ada']);
    expect(users(await all({ channel: 'rooms.1' }, 2))).toEqual(['node-0 ada', 'node-1 ada', 'node-2 bob']);
    expect(users(await all({ address: '2001:db8:1:2::/64' }, 5))).toEqual(['node-1 ada', 'node-2 bob']);
    expect(users(await all({ user: 'ada', channel: 'rooms.1', address: '203.0.113.7' }, 5))).toEqual([
      'node-0 ada',
    ]);
    expect(await all({ user: 'ada', channel: 'rooms.2' }, 5)).toEqual([]);
    expect(
      await Promise.all([{}, { user: 'ada' }, { channel: 'rooms.2' }, { user: 'eve' }].map(count)),
    ).toEqual([4, 2, 1, 0]);
  });

  it('a page does not repeat or skip those that stayed while others came and went', async () => {
    const clients: FakeConnection[] = [];
    for (let number = 0; number < 6; number++) clients.push(await come(1, `u${number}`));
    const first = await at(0).engine.sessions.list({}, { limit: 3 });
    clients[2]?.send({ type: 'bye', id: 'b' });
    clients[4]?.send({ type: 'bye', id: 'b' });
    await quiet();
    await come(1, 'late');
    const second = await at(0).engine.sessions.list({}, { limit: 3, cursor: first.more });
    expect(users(second.sessions)).toEqual(['node-1 u3', 'node-1 u5', 'node-1 late']);
    expect(second.more).toBeUndefined();
  });

  it('names a node that does not answer within two seconds, and refuses what is no cursor', async () => {
    await come(0, 'ada');
    await come(2, 'bob');
    deaf.add('node-1');
    const asked = [at(0).engine.sessions.list({}, { limit: 10 }), at(0).engine.sessions.count({})] as const;
    await clock.advanceAsync(1_999);
    await quiet();
    await clock.advanceAsync(1);
    const [page, count] = await Promise.all(asked);
    expect(users(page.sessions)).toEqual(['node-0 ada', 'node-2 bob']);
    expect([page.missing, count]).toEqual([['node-1'], { count: 2, missing: ['node-1'] }]);
    for (const cursor of ['', 'x', Buffer.from('["a","b",-1]').toString('base64url'), 'x'.repeat(600)])
      await expect(at(0).engine.sessions.list({}, { cursor, limit: 1 })).rejects.toMatchObject({
        code: 'bad_request',
      });
  });

  it('begins a node from its start again whose process is another one', async () => {
    for (const user of ['a', 'b', 'c']) await come(1, user);
    const { more } = await at(0).engine.sessions.list({}, { limit: 2 });
    const [node, , after] = JSON.parse(Buffer.from(more ?? '', 'base64url').toString()) as unknown[];
    const cursor = Buffer.from(JSON.stringify([node, 'earlier', after])).toString('base64url');
    expect(users((await at(0).engine.sessions.list({}, { cursor, limit: 9 })).sessions)).toHaveLength(3);
  });

  it('end by id, channel and address on every node, and nobody else (G11)', async () => {
    const close = async (of: 'session' | 'channel' | 'address', id: string) => {
      const receipt = at(2).engine.disconnectSessions(of, id, { reason: 'closed' });
      await quiet();
      expect(await receipt).toEqual({ confirmed: ['node-0', 'node-1', 'node-2'], missing: [] });
    };
    const clients = [
      await come(0, 'ada', '203.0.113.7', 'rooms.1'),
      await come(1, 'bob', '203.0.113.8', 'rooms.1'),
      await come(1, 'cyd', '203.0.113.8', 'rooms.2'),
      await come(2, 'dan', '203.0.113.9', 'rooms.2'),
    ];
    const codes = () => clients.map(({ closed }) => closed?.code);
    await close('session', (await all({ user: 'dan' }, 1))[0]?.id ?? '');
    expect(codes()).toEqual([undefined, undefined, undefined, 4811]);
    await close('channel', 'rooms.1');
    expect(codes()).toEqual([4811, 4811, undefined, 4811]);
    await close('address', '203.0.113.8');
    expect(codes()).toEqual([4811, 4811, 4811, 4811]);
  });

  it('what another node sends is read strictly', () => {
    expect(readFilter({ user: 'a', later: 1 })).toBeUndefined();
    expect([readFilter(null), readFilter({ user: 7 }), readFilter({ channel: '' })]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(readFilter({})).toEqual({ user: undefined, channel: undefined, address: undefined });
    const session = { id: 'i', node: 'n', ip: '::1', transport: 'sse', connectedAt: 1, channels: 0 };
    expect(readSession({ ...session, token: 'secret' })).toEqual(session);
    expect(readSession({ ...session, ip: 'x'.repeat(200) })).toBeUndefined();
    expect(readSession({ ...session, user: 7 })).toBeUndefined();
    expect(networkIn('2001:db8:1:2:3::4', 64)).toBe('2001:db8:1:2::/64');
    expect(networkIn('::ffff:203.0.113.7', 64)).toBe('203.0.113.7');
    expect([networkIn('2001:db8::/48', 64), networkIn('here', 64)]).toEqual([undefined, undefined]);
  });
});

describe('a walk over a hundred thousand sessions', () => {
  it('counts and pages them in turns of the event loop of a few milliseconds each', async () => {
    const sessions = new Map<string, Session>();
    for (let serial = 1; serial <= 100_000; serial++)
      sessions.set(`s${serial}`, { serial, isLive: true, userId: 'u', network: 'n' } as Session);
    const local = new LocalSessions({
      nodeId: 'node',
      sessions: {
        all: () => sessions.values(),
        find: (id) => sessions.get(id),
        ofUser: () => [...sessions.values()].reverse(),
        ofNetwork: () => [...sessions.values()],
      },
      hub: { find: () => undefined },
      clock: systemClock,
    });
    expect(await local.count({})).toBe(100_000);
    expect((await local.page({}, 99_000, 1_001)).map(({ serial }) => serial)).toEqual(
      Array.from({ length: 1_000 }, (_, index) => 99_001 + index),
    );
    // The worst order: each is before all that were kept.
    expect((await local.page({ user: 'u' }, 500, 1_001)).map(({ serial }) => serial)).toEqual(
      Array.from({ length: 1_001 }, (_, index) => 501 + index),
    );
  });

  it('gives way after four milliseconds, to the end of what is visited', async () => {
    let time = 0;
    let turns = 0;
    let isOver = false;
    const count = (): void => {
      if (isOver) return;
      turns++;
      setImmediate(count);
    };
    setImmediate(count);
    let visited = 0;
    const members = Array.from({ length: 10_000 }, (_, index) => index);
    await inTurns(members, { monotonic: () => time }, () => {
      time += 0.02;
      visited++;
    });
    isOver = true;
    expect(visited).toBe(10_000);
    // 5.12 ms in a stride: one turn after each of the 39 whole ones.
    expect(turns).toBeGreaterThanOrEqual(38);
    expect(turns).toBeLessThanOrEqual(40);
  });
});
