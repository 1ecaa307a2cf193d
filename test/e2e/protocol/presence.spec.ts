import { afterEach, describe, expect, it } from '@jest/globals';
import type { PresenceDiff, PresenceMember, PresencePage } from '../../../lib/protocol/messages.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireCluster, type WireCluster } from '../../support/wire/cluster.js';
import type { WireServer } from '../../support/wire/server.js';

const ROOM = 'rooms.1';
const GRACE_MS = 5_000;
const LEASE_MS = 30_000;

let cluster: WireCluster;
let clock: ManualClock;
let left: WireServer;
let right: WireServer;
afterEach(() => cluster.close());

async function start(): Promise<void> {
  clock = new ManualClock();
  cluster = await startWireCluster(2, {
    clock,
    channels: [wireChannel('rooms.:room', { presence: { graceMs: GRACE_MS } }), wireChannel('plain.:room')],
    settings: {
      presenceLeaseMs: LEASE_MS,
      heartbeat: { intervalMs: 1e8, timeoutMs: 1e8 },
      limits: { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 0 },
    },
  });
  [left, right] = cluster.nodes as [WireServer, WireServer];
}

/** Keeps a list of members as a client does: a page, then diffs that must follow one another. */
class Watcher {
  readonly members = new Map<string, PresenceMember>();
  version: number;
  readonly leaves: string[] = [];
  readonly joins: string[] = [];

  private constructor(
    readonly client: WireClient,
    private readonly page: PresencePage,
  ) {
    this.version = page.version;
    for (const member of page.members) this.members.set(member.id, member);
  }

  static async open(node: WireServer, name: string, payload: object = {}): Promise<Watcher> {
    const client = await node.connect(name);
    const answer = await client.reply({ type: 'subscribe', channel: ROOM, payload });
    return new Watcher(client, answer['presence'] as PresencePage);
  }

  /** Takes the diffs that have come. */
  async update(): Promise<this> {
    await this.client.call({ type: 'ping' });
    while (this.client.pending.length > 0) {
      const diff = (await this.client.next('presence')).payload as unknown as PresenceDiff;
      expect(diff.epoch).toBe(this.page.epoch);
      expect(diff.previous).toBe(this.version);
      expect(diff.version).toBe(this.version + 1);
      this.version = diff.version;
      for (const member of [...diff.join, ...diff.update]) this.members.set(member.id, member);
      for (const id of diff.leave) this.members.delete(id);
      this.joins.push(...diff.join.map(({ id }) => id));
      this.leaves.push(...diff.leave);
    }
    return this;
  }

  /** The members as the server lists them, page by page. */
  async ask(): Promise<Map<string, PresenceMember>> {
    const members = new Map<string, PresenceMember>();
    let cursor: string | undefined;
    do {
      const payload = { limit: 3, ...(cursor === undefined ? {} : { cursor }) };
      const page = (await this.client.reply({
        type: 'presence',
        channel: ROOM,
        payload,
      })) as unknown as PresencePage;
      for (const member of page.members) {
        expect(members.has(member.id)).toBe(false);
        members.set(member.id, member);
      }
      cursor = page.more;
    } while (cursor !== undefined);
    return members;
  }
}

const join = async (node: WireServer, name: string, payload: object = {}): Promise<WireClient> => {
  const client = await node.connect(name);
  await client.reply({ type: 'subscribe', channel: ROOM, payload });
  return client;
};
const leave = async (node: WireServer, client: WireClient): Promise<void> => {
  const before = node.engine.status.sessions;
  client.terminate();
  await until('the session to end', () => node.engine.status.sessions < before);
};

describe('presence (G19)', () => {
  it('several devices of a user on any nodes are one member, which leaves with the last device after the grace period (G19)', async () => {
    await start();
    const watcher = await Watcher.open(left, 'eve');
    const phone = await join(left, 'ada');
    const laptop = await join(right, 'ada');
    await watcher.update();
    expect(watcher.joins).toEqual(['ada']);
    expect(watcher.members.get('ada')).toEqual({ id: 'ada', devices: 2 });
    await leave(left, phone);
    clock.advance(GRACE_MS + 500);
    await watcher.update();
    expect(watcher.leaves).toEqual([]);
    expect(watcher.members.get('ada')?.devices).toBe(1);
    await leave(right, laptop);
    await watcher.update();
    expect(watcher.leaves).toEqual([]);
    clock.advance(GRACE_MS + 500);
    await watcher.update();
    expect(watcher.leaves).toEqual(['ada']);
    expect([...(await watcher.ask()).keys()]).toEqual(['eve']);
  });

  it('a short disconnect causes neither leave nor join, also when the client returns to another node (G19)', async () => {
    await start();
    const watcher = await Watcher.open(left, 'eve');
    let node = left;
    let client = await join(node, 'ada');
    await watcher.update();
    for (let round = 0; round < 5; round++) {
      const ticket = client.welcome?.session;
      await leave(node, client);
      clock.advance(GRACE_MS - 1_000);
      node = node === left ? right : left;
      client = await node.open();
      await client.hello('ada', { session: ticket });
      await client.reply({ type: 'subscribe', channel: ROOM, payload: {} });
    }
    clock.advance(3 * GRACE_MS);
    await watcher.update();
    expect([watcher.joins, watcher.leaves]).toEqual([['ada'], []]);
    expect(watcher.members.get('ada')?.devices).toBe(1);
  });

  it.each([
    ['bye', (client: WireClient) => client.send({ type: 'bye', id: 'b1' })],
    ['a close with 1000', (client: WireClient) => void client.close(1000)],
    ['unsubscribe', (client: WireClient) => client.send({ type: 'unsubscribe', id: 'u1', channel: ROOM })],
  ])('%s ends the membership at once (G19, P19d)', async (_, end) => {
    await start();
    const watcher = await Watcher.open(left, 'eve');
    const client = await join(right, 'ada');
    await watcher.update();
    end(client);
    await until('the leave', async () => (await watcher.update()).leaves.length > 0);
    expect(watcher.leaves).toEqual(['ada']);
  });

  it('members of a dead node leave when their leases expire, once; members of other nodes stay (G19)', async () => {
    await start();
    const watcher = await Watcher.open(left, 'eve');
    for (const name of ['a', 'b', 'c']) await join(right, name);
    await join(left, 'd');
    await watcher.update();
    // The node is gone without a word: nothing renews its members any more.
    await right.broker.close();
    for (let passed = 0; passed <= LEASE_MS; passed += 1_000) await clock.advanceAsync(1_000);
    await until('the leaves', async () => (await watcher.update()).leaves.length >= 3);
    for (let passed = 0; passed <= 2 * LEASE_MS; passed += 1_000) await clock.advanceAsync(1_000);
    await watcher.update();
    expect(watcher.leaves.sort()).toEqual(['a', 'b', 'c']);
    expect([...watcher.members.keys()].sort()).toEqual(['d', 'eve']);
  });

  it('the answer contains the members, the subscriber included, or none where they are not wanted (G19, P11a)', async () => {
    await start();
    const ada = await left.connect('ada');
    const { presence } = await ada.subscribe(ROOM, { presence: { data: { mood: 'calm' } } });
    expect(presence).toEqual({
      epoch: expect.any(String),
      version: 1,
      members: [{ id: 'ada', devices: 1, data: { mood: 'calm' } }],
      count: 1,
    });
    const silent = await left.connect('bob');
    expect(await silent.subscribe(ROOM, { presence: { receive: false } })).not.toHaveProperty('presence');
    const absent = await right.connect('joe');
    expect(await absent.subscribe(ROOM, { presence: false })).not.toHaveProperty('presence');
    const none = await right.connect('kim');
    expect(await none.subscribe('plain.1', { presence: { data: 1 } })).not.toHaveProperty('presence');
    expect((await none.error({ type: 'presence', channel: 'plain.1' })).code).toBe('bad_request');
    expect((await absent.error({ type: 'presence_update', channel: ROOM, payload: { data: 1 } })).code).toBe(
      'bad_request',
    );
    // Told, or not told: bob joined, joe did not.
    expect((await ada.next('presence')).payload).toMatchObject({ join: [{ id: 'bob' }] });
    await silent.call({ type: 'presence_update', channel: ROOM, payload: { data: 2 } });
    expect((await ada.next('presence')).payload).toMatchObject({ update: [{ id: 'bob', data: 2 }] });
    await silent.call({ type: 'ping' });
    await absent.call({ type: 'ping' });
    expect([silent.pending, absent.pending]).toEqual([[], []]);
  });

  it('the first page has at most 100 members; the client requests the rest (G19, P11a)', async () => {
    await start();
    await Promise.all(
      Array.from({ length: 120 }, (_, index) => join(index % 2 === 0 ? left : right, `u${index}`)),
    );
    const watcher = await Watcher.open(left, 'eve');
    expect(watcher.members.size).toBe(100);
    expect((await watcher.ask()).size).toBe(121);
  });

  it('N clients that return at once cost each watcher O(N) messages (G19)', async () => {
    await start();
    const watcher = await Watcher.open(left, 'eve', { presence: { data: 1 } });
    const before = watcher.client.received.length;
    const COUNT = 60;
    await Promise.all(Array.from({ length: COUNT }, (_, index) => join(right, `u${index}`)));
    await watcher.update();
    expect(watcher.members.size).toBe(COUNT + 1);
    expect(watcher.client.received.length - before).toBeLessThanOrEqual(COUNT + 2);
  });

  it('pages and diffs always build the server’s list of members (seeded) (G19)', async () => {
    await start();
    const random = new SeededEntropy(11);
    const clients: { node: WireServer; client: WireClient }[] = [];
    const watchers = [await Watcher.open(left, 'w0'), await Watcher.open(right, 'w1')];
    for (let step = 0; step < 250; step++) {
      const what = random.int(10);
      const node = random.pick([left, right]);
      if (what < 4) {
        const data = random.int(2) === 0 ? {} : { presence: { data: random.int(3) } };
        // Joins and watchers that begin in the middle of it.
        clients.push({ node, client: await join(node, `u${random.int(8)}`, data) });
        if (random.int(8) === 0) watchers.push(await Watcher.open(node, `w${watchers.length}`));
      } else if (what < 7 && clients.length > 0) {
        const [one] = clients.splice(random.int(clients.length), 1);
        if (one === undefined) continue;
        if (random.int(2) === 0) await leave(one.node, one.client);
        else one.client.send({ type: 'bye', id: 'b1' });
      } else if (what < 9 && clients.length > 0) {
        const { client } = random.pick(clients);
        client.send({
          type: 'presence_update',
          id: `u${step}`,
          channel: ROOM,
          payload: { data: random.int(3) },
        });
      } else clock.advance(random.int(4_000));
    }
    clock.advance(2 * GRACE_MS);
    const devices = clients.length + watchers.length;
    await until('the sessions', () => left.engine.status.sessions + right.engine.status.sessions === devices);
    for (const { client } of clients) await client.call({ type: 'ping' });
    for (const watcher of watchers) {
      await watcher.update();
      const listed = await watcher.ask();
      expect(Object.fromEntries(watcher.members)).toEqual(Object.fromEntries(listed));
      expect([...listed.values()].reduce((sum, member) => sum + member.devices, 0)).toBe(devices);
    }
  });
});
