import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type { PresenceDiff } from '../../../../lib/protocol/messages.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

// Three nodes of one cluster, on one store. Whichever of them ends first, the others have everything that they had.
const ROOM = 'rooms.1';
const LEASE_MS = 30_000;
const DEDUPE_MS = 20_000;
const TTL_MS = 40_000;

let clock: ManualClock;
let store: MemoryStore;
let nodes: EngineHarness[];

async function node(index: number): Promise<EngineHarness> {
  return await EngineHarness.start(
    [
      channel('rooms.:room', {
        policy: {
          presence: { graceMs: 5_000 },
          log: { retain: true, size: 100, maxBytes: 8_388_608, ttlMs: TTL_MS, dedupeMs: DEDUPE_MS },
        },
        behaviour: { authorize: { subscribe: () => true, publish: 'public' } },
      }),
    ],
    {
      clock,
      broker: memoryBroker({ store, controlTimeoutMs: 1_000 }),
      settings: { nodeId: `node-${index}`, heartbeat: { intervalMs: 1e9 }, presenceLeaseMs: LEASE_MS },
    },
  );
}

beforeEach(async () => {
  clock = new ManualClock();
  store = new MemoryStore({ clock });
  nodes = [];
  for (const index of [0, 1, 2]) nodes.push(await node(index));
});
afterEach(() => Promise.all(nodes.map((each) => each.stop())));

async function rest(ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    clock.advance(Math.min(left, 1_000));
    await quiet();
  }
}

/** The nodes that are left when one has stopped. */
async function without(stopped: number): Promise<[EngineHarness, EngineHarness]> {
  await nodes[stopped]?.stop();
  return nodes.filter((_, index) => index !== stopped) as [EngineHarness, EngineHarness];
}

const seqs = (client: FakeConnection): (number | undefined)[] => client.take('event').map(({ seq }) => seq);
const memberIds = async (on: EngineHarness): Promise<string[]> =>
  (await on.engine.application.members(ROOM)).members.map(({ id }) => id).sort();

// The first that was started may own what is shared, and so may the last.
describe.each([0, 1, 2])('when node %i of three has stopped', (stopped) => {
  it('events and signals reach the subscribers of the other nodes, from either of them (G2)', async () => {
    const clients = await Promise.all(nodes.map((each, index) => each.subscriber(ROOM, `user:u${index}`)));
    await nodes[stopped]?.publish(ROOM, 1);
    const [left, right] = await without(stopped);
    const there = clients.filter((_, index) => index !== stopped);
    await left.publish(ROOM, 1);
    await right.publish(ROOM, 1);
    await left.engine.application.signal(ROOM, 'typing', 1);
    await quiet();
    for (const client of there) {
      expect(client.take().filter(({ type }) => type === 'event' || type === 'signal')).toMatchObject([
        { seq: 1 },
        { seq: 2 },
        { seq: 3 },
        { type: 'signal' },
      ]);
      expect(client.closed).toBeUndefined();
    }
    expect(clients[stopped]?.closed?.code).toBe(4001);
  });

  it('a channel that only that node served is served by the others, from where it ended (P13)', async () => {
    const client = await nodes[stopped]?.subscriber(ROOM, 'user:ada');
    await nodes[stopped]?.publish(ROOM, 2);
    expect(client && seqs(client)).toEqual([1, 2]);
    const [left, right] = await without(stopped);
    await right.publish(ROOM, 2);
    const { position } = await left.engine.application.history(ROOM);
    const back = await left.greet('user:ada');
    back.take();
    back.send({ type: 'subscribe', id: 's', channel: ROOM, payload: { position: { ...position, seq: 2 } } });
    await quiet();
    expect(seqs(back)).toEqual([3, 4]);
  });

  it('an id that it appended is a duplicate on the others until its window ends, and new afterwards (G4, P15)', async () => {
    const publish = { type: 'publish', id: 'same', channel: ROOM, event: 'said', payload: 1 };
    const first = await nodes[stopped]?.greet('user:ada');
    first?.send(publish);
    await quiet();
    const [left] = await without(stopped);
    const client = await left.greet('user:ada');
    client.take();
    await rest(DEDUPE_MS - 1_000);
    client.send(publish);
    await quiet();
    expect(client.take('reply')[0]?.payload).toMatchObject({ seq: 1, duplicate: true });
    // The first look is on the node itself, and as long as the window from then on; so another user asks.
    await rest(1_000);
    const { length } = (await left.engine.application.history(ROOM)).events;
    expect(length).toBe(1);
    const [, right] = nodes.filter((_, index) => index !== stopped);
    const other = await right?.greet('user:ada');
    other?.take();
    other?.send(publish);
    await quiet();
    expect(other?.take('reply')[0]?.payload).toMatchObject({ seq: 2, duplicate: false });
  });

  it('its members leave after the grace period, once, and members of the others stay (G19)', async () => {
    const clients = await Promise.all(nodes.map((each, index) => each.subscriber(ROOM, `user:u${index}`)));
    await quiet();
    const [left, right] = await without(stopped);
    const there = clients.filter((_, index) => index !== stopped);
    for (const client of there) client.take();
    await rest(4_000);
    expect(await memberIds(left)).toEqual(['u0', 'u1', 'u2']);
    await rest(2_000);
    const remaining = [0, 1, 2].filter((index) => index !== stopped).map((index) => `u${index}`);
    expect(await memberIds(left)).toEqual(remaining);
    // Through several leases: whoever renews them is still there.
    await rest(3 * LEASE_MS);
    expect(await memberIds(right)).toEqual(remaining);
    for (const client of there) {
      const told = client.take('presence').map(({ payload }) => payload as PresenceDiff);
      expect(told.flatMap(({ leave }) => leave)).toEqual([`u${stopped}`]);
      expect(told.flatMap(({ join }) => join)).toEqual([]);
    }
  });

  it('members that enter later leave after their grace period, as another node watches the time (G19)', async () => {
    const [left, right] = await without(stopped);
    const watcher = await left.subscriber(ROOM, 'user:eve');
    const client = await right.subscriber(ROOM, 'user:ada');
    watcher.take();
    client.drop();
    await rest(4_000);
    expect(watcher.take('presence')).toEqual([]);
    await rest(2_000);
    expect(watcher.take('presence').map(({ payload }) => (payload as PresenceDiff).leave)).toEqual([['ada']]);
  });

  it('expired history is freed without a read (G13)', async () => {
    await nodes[stopped]?.publish(ROOM, 3);
    const [left] = await without(stopped);
    await left.publish(ROOM, 1);
    const { log } = store.machine['channels'].find(ROOM) as { log: { length: number } };
    expect(log.length).toBe(4);
    await rest(TTL_MS + 10_000);
    expect(log.length).toBe(0);
  });

  it('a revoke, a ban and a disconnect reach the remaining nodes, without waiting for the stopped one (G11)', async () => {
    const clients = await Promise.all(nodes.map((each) => each.subscriber(ROOM, 'user:ada')));
    const [left, right] = await without(stopped);
    const there = clients.filter((_, index) => index !== stopped);
    const names = [0, 1, 2].filter((index) => index !== stopped).map((index) => `node-${index}`);
    const receipt = await left.engine.revoke('ada', ROOM);
    expect({ confirmed: [...receipt.confirmed].sort(), missing: receipt.missing }).toEqual({
      confirmed: names,
      missing: [],
    });
    await quiet();
    expect(there.map((client) => client.take('unsubscribed').length)).toEqual([1, 1]);
    await right.engine.ban('ada');
    expect(there.map((client) => client.closed?.code)).toEqual([4803, 4803]);
    expect((await left.greet('user:ada')).closed?.code).toBe(4803);
    expect((await right.greet('user:ada')).closed?.code).toBe(4803);
    // And who comes later knows of it.
    const late = await node(3);
    nodes.push(late);
    expect((await late.greet('user:ada')).closed?.code).toBe(4803);
    await late.engine.unban('ada');
    expect((await left.greet('user:ada')).closed).toBeUndefined();
  });

  it('a session of it is taken over at another node without waiting for it (P28)', async () => {
    const client = await nodes[stopped]?.greet('user:ada');
    const welcome = client?.received.find(({ type }) => type === 'welcome')?.payload as { session: string };
    const [left] = await without(stopped);
    const back = await left.greet('user:ada', welcome.session);
    expect(back.take('welcome')).toHaveLength(1);
  });

  it('the next node stops as cleanly as the first, and the last leaves no timer (G18)', async () => {
    const clients = await Promise.all(nodes.map((each, index) => each.subscriber(ROOM, `user:u${index}`)));
    const [left, right] = await without(stopped);
    await left.stop();
    const last = clients[nodes.indexOf(right)];
    last?.take();
    await right.publish(ROOM, 1);
    expect(last && seqs(last)).toEqual([1]);
    await rest(2 * LEASE_MS);
    expect(await memberIds(right)).toEqual([`u${nodes.indexOf(right)}`]);
    await right.stop();
    expect(clock.pending).toBe(0);
  });
});

describe('two nodes', () => {
  it('ending a channel on one node keeps it on the other (G2)', async () => {
    const [first, second] = nodes as [EngineHarness, EngineHarness];
    const here = await first.subscriber(ROOM, 'user:ada');
    const there = await second.subscriber(ROOM, 'user:bob');
    here.send({ type: 'unsubscribe', id: 'u', channel: ROOM });
    await rest(6_000);
    expect(first.engine.status.channels).toBe(0);
    await first.publish(ROOM, 1);
    expect(seqs(there)).toEqual([1]);
    expect(seqs(here)).toEqual([]);
    // And back.
    const again = await first.subscriber(ROOM, 'user:ada');
    there.drop();
    await rest(6_000);
    await second.publish(ROOM, 1);
    expect(seqs(again)).toEqual([2]);
  });

  it('connections of a user on both nodes end with one call (G11)', async () => {
    const clients = await Promise.all(nodes.map((each) => each.greet('user:ada')));
    await nodes[1]?.engine.disconnect('ada');
    expect(clients.map(({ closed }) => closed?.code)).toEqual([4811, 4811, 4811]);
    expect((await nodes[0]?.greet('user:ada'))?.closed).toBeUndefined();
  });

  it('the same id published on both nodes is appended once, whichever comes first (G4)', async () => {
    const clients = await Promise.all(nodes.map((each) => each.greet('user:ada')));
    for (const client of clients)
      client.send({ type: 'publish', id: 'same', channel: ROOM, event: 'said', payload: 1 });
    await quiet();
    const answers = clients.map(
      (client) => client.take('reply')[0]?.payload as { seq: number; duplicate: boolean },
    );
    expect(answers.map(({ seq }) => seq)).toEqual([1, 1, 1]);
    expect(answers.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
  });
});
