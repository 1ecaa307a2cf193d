import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RedisBroker } from '../../lib/brokers/redis/index.js';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import type { AppendRequest } from '../../lib/core/ports/broker.js';
import { type Clock, systemClock } from '../../lib/core/ports/clock.js';
import { elapse, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { POLICY, request, requests } from '../support/engine/append-requests.js';
import { alteredClient, type Alteration } from './altered-client.js';
import { RedisKit } from './kit.js';

// What the Redis broker does in pages, batches and turns, met exactly at their edges and one beyond.
const CHANNEL = 'rooms.1';

let kit: RedisKit;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterEach(() => kit.reset());
afterAll(() => kit.dispose());

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

/** A node that is told nothing over pub/sub while `deaf` is set. */
async function deafNode(tipCheckMs: number) {
  const ear = { deaf: false };
  const client = alteredClient(kit.server.url, ear);
  const node = await kit.node({
    url: undefined,
    client,
    tipCheck: { intervalMs: tipCheckMs },
  });
  return { ...node, ear };
}

describe('the check of the tips', () => {
  // 100 missing events are handed over; of more, the node is told to look at the log.
  it.each([1, 2, 99, 100, 101, 250])(
    'delivers all of %i missing events, or reports the gap (G5)',
    async (count) => {
      const publisher = await kit.node();
      const { broker, seen, ear } = await deafNode(50);
      await broker.log.subscribe(CHANNEL);
      ear.deaf = true;
      await publisher.broker.log.appendMany(requests(CHANNEL, 'a', count));
      await until('the check to say something', () => seen.eventsOf(CHANNEL).length > 0);
      const told = seen.eventsOf(CHANNEL);
      if (count <= 100) {
        expect(told.map(({ seq }) => seq)).toEqual(range(1, count));
      } else {
        // Never a part as if it were the whole: nothing would show what is missing.
        expect(told).toMatchObject([{ epoch: '', event: '$tip', seq: count }]);
      }
      // And not again: what was told is known.
      ear.deaf = false;
      await publisher.broker.log.appendMany(requests(CHANNEL, 'b', 1));
      await until('the next event', () => seen.eventsOf(CHANNEL).some(({ id }) => id === 'b1'));
      expect(seen.eventsOf(CHANNEL)).toHaveLength(told.length + 1);
    },
  );

  it('finds missing events again in later checks (G5)', async () => {
    const publisher = await kit.node();
    const { broker, seen, ear } = await deafNode(50);
    await broker.log.subscribe(CHANNEL);
    for (const time of [1, 2, 3]) {
      ear.deaf = true;
      await publisher.broker.log.appendMany(requests(CHANNEL, `t${time}-`, 1));
      await until('the check to say it', () => seen.eventsOf(CHANNEL).length === time);
      ear.deaf = false;
    }
    expect(seen.eventsOf(CHANNEL).map(({ seq }) => seq)).toEqual([1, 2, 3]);
  });

  it.each([100, 101, 201])('checks each of %i channels (G5)', async (count) => {
    const publisher = await kit.node();
    const { broker, seen, ear } = await deafNode(50);
    const channels = range(1, count).map((index) => `rooms.${index}`);
    await Promise.all(channels.map((name) => broker.log.subscribe(name)));
    ear.deaf = true;
    await publisher.broker.log.appendMany(channels.map((name) => request(name, 'a')));
    await until('each to be told', () => channels.every((name) => seen.eventsOf(name).length > 0));
    expect(channels.map((name) => seen.eventsOf(name).length)).toEqual(channels.map(() => 1));
  });
});

describe('tips', () => {
  it.each([1, 99, 100, 101, 200, 201])(
    'returns the tips of %i logs in the requested order (P11)',
    async (count) => {
      const { broker } = await kit.node();
      const channels = range(1, count).map((index) => `rooms.${index}`);
      await broker.log.appendMany(channels.flatMap((name, index) => requests(name, 'a', (index % 3) + 1)));
      const tips = await broker.log.tips(channels);
      expect(tips.map(({ seq }) => seq)).toEqual(channels.map((_, index) => (index % 3) + 1));
    },
  );
});

describe('a batch of appends', () => {
  it.each([1, 255, 256, 257, 513])('keeps the order of %i appends, and answers each (P16)', async (count) => {
    const { broker } = await kit.node();
    const outcomes = await broker.log.appendMany(requests(CHANNEL, 'a', count));
    expect(outcomes.map((outcome) => outcome.ok && outcome.position.seq)).toEqual(range(1, count));
    const again = await broker.log.appendMany(requests(CHANNEL, 'a', count));
    expect(again.every((outcome) => outcome.ok && outcome.duplicate)).toBe(true);
    expect(again.map((outcome) => outcome.ok && outcome.position.seq)).toEqual(range(1, count));
  });

  it.each([999, 1_000, 1_001])(
    'reads %i events back completely, at most 1000 per page (G8)',
    async (count) => {
      const { broker } = await kit.node();
      await broker.log.appendMany(
        range(1, count).map((index) => request(CHANNEL, `a${index}`, { policy: { ...POLICY, size: 5_000 } })),
      );
      const page = await broker.log.read({ channel: CHANNEL, from: 1, limit: 5_000 });
      expect(page.events.map(({ seq }) => seq)).toEqual(range(1, Math.min(count, 1_000)));
      expect(page.tip.seq).toBe(count);
      const { events } = await broker.log.read({ channel: CHANNEL, from: 1, limit: 5_000, reverse: true });
      expect(events[0]?.seq).toBe(count);
      expect(events).toHaveLength(Math.min(count, 1_000));
    },
  );
});

describe('presence of many members', () => {
  it.each([199, 200, 201])(
    'makes %i concurrent steps in one room one membership each (G19)',
    async (count) => {
      const { broker } = await kit.node();
      const entry = (index: number) => ({
        channel: CHANNEL,
        member: `u${index}`,
        device: 'd',
        generation: 1,
      });
      await Promise.all(range(1, count).map((index) => broker.presence.enter(entry(index), 60_000)));
      const page = await broker.presence.members(CHANNEL, { limit: 1_000 });
      expect(page.count).toBe(count);
      expect(page.members).toHaveLength(count);
      await Promise.all(range(1, count).map((index) => broker.presence.leave(entry(index), 0)));
      expect((await broker.presence.members(CHANNEL, { limit: 1_000 })).count).toBe(0);
    },
  );

  it.each([49, 50, 51, 101])(
    'ends the memberships of %i rooms when their leases expire (G19)',
    async (count) => {
      const { broker } = await kit.node();
      const rooms = range(1, count).map((index) => `rooms.${index}`);
      const entry = (channel: string) => ({ channel, member: 'ada', device: 'd', generation: 1 });
      await Promise.all(rooms.map((room) => broker.presence.enter(entry(room), 100)));
      await until('all of them to be gone', async () => {
        // Read where the leases lie: to ask for the members would end what is past its time.
        const leases = await Promise.all(rooms.map((room) => kit.admin.zcard(kit.keys.room(room)[4] ?? '')));
        return leases.every((size) => size === 0);
      });
    },
  );
});

/** Notes how many records were handed over by the time of each proof. */
class ProofListener extends RecordingListener {
  readonly appliedAtProof: number[] = [];

  override onControlCurrent(forMs: number): void {
    this.appliedAtProof.push(this.controls.length);
    super.onControlCurrent(forMs);
  }
}

/** The system's clock, but heartbeats wait until the test lets them come. */
function heldHeartbeats(heartbeatMs: number): Clock & { beat(): void } {
  const held = new Set<() => void>();
  return {
    ...systemClock,
    schedule(delayMs, task) {
      if (delayMs !== heartbeatMs) return systemClock.schedule(delayMs, task);
      held.add(task);
      return { cancel: () => void held.delete(task) };
    },
    beat() {
      const due = [...held];
      held.clear();
      for (const task of due) task();
    },
  };
}

describe('control records', () => {
  /** A node that `count` records did not reach. */
  async function nodeThatMissed(count: number) {
    const sender = await kit.node({ controlTimeoutMs: 20 });
    const ear: Alteration = {};
    const seen = new ProofListener();
    const clock = heldHeartbeats(600_000);
    const behind = kit.make({
      url: undefined,
      client: alteredClient(kit.server.url, ear),
      clock,
      heartbeatMs: 600_000,
      controlMaxAgeMs: 1_200_000,
    });
    await behind.start(seen, 'behind');
    ear.deaf = true;
    const users = range(1, count).map((index) => `u${index}`);
    const send = (user: string) => sender.broker.bus.control({ kind: 'disconnect', user });
    await Promise.all(users.map(send));
    // A record that came after all would leave nothing to be found.
    await until('all to be missed', () => ear.missed === count);
    expect(seen.controls).toEqual([]);
    ear.deaf = false;
    return { seen, clock, users, send };
  }

  const usersOf = ({ controls }: RecordingListener) =>
    controls.map((message) => 'user' in message && message.user);

  // 200 are read at a time.
  it.each([1, 199, 200, 201, 401])(
    'applies %i lost control records once and in order before a heartbeat proves that the node knows them (G11)',
    async (count) => {
      const { seen, clock, users } = await nodeThatMissed(count);
      const { length: proofs } = seen.appliedAtProof;
      clock.beat();
      await until('the next proof', () => seen.appliedAtProof.length > proofs);
      expect(usersOf(seen)).toEqual(users);
      expect(seen.appliedAtProof[proofs]).toBe(count);
    },
  );

  it.each([1, 199, 200, 201, 401])(
    'applies %i lost control records once and in order when a later one comes, which proves nothing by itself (G11)',
    async (count) => {
      const { seen, clock, users, send } = await nodeThatMissed(count);
      const { length: proofs } = seen.appliedAtProof;
      await send('last');
      await until('all to be applied', () => seen.controls.length > count);
      expect(usersOf(seen)).toEqual([...users, 'last']);
      expect(seen.appliedAtProof).toHaveLength(proofs);
      clock.beat();
      await until('the next proof', () => seen.appliedAtProof.length > proofs);
      expect(seen.controls).toHaveLength(count + 1);
    },
  );

  it.each([499, 500, 501])('delivers %i bans to a node that starts later (G16)', async (count) => {
    const sender = await kit.node({ controlTimeoutMs: 20 });
    const users = range(1, count).map((index) => `u${index}`);
    await Promise.all(users.map((user) => sender.broker.bus.control({ kind: 'ban', user })));
    const late = await kit.node();
    expect(
      late.seen.controls.flatMap((message) => (message.kind === 'ban' ? [message.user] : [])).sort(),
    ).toEqual([...users].sort());
  });
});

describe('the two rotating hashes that remember ids', () => {
  const DEDUPE_MS = stretched(3_000);
  const policy = { ...POLICY, dedupeMs: DEDUPE_MS };
  const publish = (channel: string, id: string, change: Partial<AppendRequest> = {}): AppendRequest =>
    request(channel, id, { policy, ...change });
  const answer = (seq: number, duplicate: boolean): unknown =>
    expect.objectContaining({ ok: true, duplicate, position: expect.objectContaining({ seq }) });
  const known = (seq: number): unknown => answer(seq, true);
  const fresh = (seq: number): unknown => answer(seq, false);
  const conflict = { ok: false, code: 'conflict' };

  /** The first turn comes with the end of the first window: what came late in it lies in the older hash, and counts. */
  async function turn(broker: RedisBroker, channels: readonly string[]): Promise<void> {
    const each = (id: string) => broker.log.appendMany(channels.map((channel) => publish(channel, id)));
    await each('early');
    // From when it is known to have begun on the server.
    const begun = performance.now();
    await elapse((5 / 6) * DEDUPE_MS - (performance.now() - begun));
    await each('late');
    // An id that came alone may be remembered for a little longer.
    await elapse((33 / 32) * DEDUPE_MS + 20 - (performance.now() - begun));
    await each('turn');
  }

  type Way = readonly [requests: (channel: string) => readonly AppendRequest[], outcomes: readonly unknown[]];
  const ways: Readonly<Record<string, Way>> = {
    alone: [(on) => [publish(on, 'late')], [known(2)]],
    twice: [(on) => [publish(on, 'late'), publish(on, 'late')], [known(2), known(2)]],
    'beside.new.ones': [
      (on) => [publish(on, 'n1'), publish(on, 'late'), publish(on, 'n2')],
      [fresh(4), known(2), fresh(5)],
    ],
    'before.one.with.after': [
      (on) => [publish(on, 'late'), publish(on, 'n1', { after: 'late' })],
      [known(2), fresh(4)],
    ],
    'as.after.alone': [(on) => [publish(on, 'n1', { after: 'late' })], [fresh(4)]],
    'as.after.of.what.was.forgotten': [
      (on) => [publish(on, 'n1', { after: 'early' })],
      [{ ok: false, code: 'out_of_order' }],
    ],
    'beside.one.that.is.not.remembered': [
      (on) => [publish(on, 'late'), publish(on, 'n1', { policy: { ...policy, dedupeMs: 0 } })],
      [known(2), fresh(4)],
    ],
    'with.another.payload': [(on) => [publish(on, 'late', { fingerprint: 'other' })], [conflict]],
    'with.another.payload.beside.a.new.one': [
      (on) => [publish(on, 'n1'), publish(on, 'late', { fingerprint: 'other' })],
      [fresh(4), conflict],
    ],
    'beside.one.of.the.newer.hash': [
      (on) => [publish(on, 'turn'), publish(on, 'late')],
      [known(3), known(2)],
    ],
    'beside.one.that.was.forgotten': [
      (on) => [publish(on, 'early'), publish(on, 'late')],
      [fresh(4), known(2)],
    ],
  };

  it('recognize an id from before a rotation, whatever else is in the same batch (G4, P15)', async () => {
    const { broker } = await kit.node();
    await turn(broker, Object.keys(ways));
    const outcomes = Object.entries(ways).map(async ([channel, [requested]]) => [
      channel,
      await broker.log.appendMany(requested(channel)),
    ]);
    expect(Object.fromEntries(await Promise.all(outcomes))).toEqual(
      Object.fromEntries(Object.entries(ways).map(([channel, [, expected]]) => [channel, expected])),
    );
  });

  it('recognize an id on another node, and after several rotations (G4, P15)', async () => {
    const { broker } = await kit.node();
    const other = (await kit.node()).broker;
    await turn(broker, [CHANNEL]);
    const at = (...ids: readonly string[]) => ids.map((id) => publish(CHANNEL, id));
    expect(await other.log.appendMany(at('late'))).toEqual([known(2)]);
    await elapse(0.73 * DEDUPE_MS);
    // Still within the window of the first turn's id, and past that of everything before it.
    expect(await other.log.appendMany(at('turn', 'last'))).toEqual([known(3), fresh(4)]);
    await elapse(0.36 * DEDUPE_MS);
    // Another turn: the hash that is dropped holds nothing that counts.
    expect(await broker.log.appendMany(at('third'))).toEqual([fresh(5)]);
    expect(await other.log.appendMany(at('last'))).toEqual([known(4)]);
    expect(await broker.log.appendMany(at('early', 'late'))).toEqual([fresh(6), fresh(7)]);
  });
});
