import { afterEach, describe, expect, it } from '@jest/globals';
import type { MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type { AppendRequest, LogPolicy } from '../../../../lib/core/ports/broker.js';
import { append, kit, type Kit } from './kit.js';
import { channelsOf, recount } from './recount.js';

const MAX = 65_536;

/** An append of `bytes` whose id is not remembered. */
function big(channel: string, id: string, bytes: number, policy: Partial<LogPolicy> = {}): AppendRequest {
  const request = append(channel, id, { dedupeMs: 0, maxBytes: 1e9, ...policy });
  return { ...request, bytes };
}

describe('history.maxBytes in the memory broker', () => {
  let made: Kit | undefined;
  const open = async () => (made = await kit());
  afterEach(() => made?.broker.close());

  const kept = async ({ broker }: Kit) => {
    const { events, oldest, tip } = await broker.log.read({ channel: 'a', from: 1, limit: 99 });
    return { seqs: events.map(({ seq }) => seq), oldest, tip: tip.seq };
  };

  it.each([
    [299, [3], 3],
    [300, [2, 3], 2],
    [449, [2, 3], 2],
    [450, [1, 2, 3], 1],
    [150, [3], 3],
  ])('a bound of %i bytes keeps %p of three events of 150 bytes (P11)', async (maxBytes, seqs, oldest) => {
    const of = await open();
    for (const id of ['x', 'y', 'z']) await of.broker.log.appendMany([big('a', id, 150, { maxBytes })]);
    expect(await kept(of)).toEqual({ seqs, oldest, tip: 3 });
  });

  it('values that take more than four times their bytes of the heap are kept only as far as that reaches', async () => {
    const of = await open();
    // 11 bytes of JSON each, and a map of its own with a name that no other has.
    const maps = (first: number) => Array.from({ length: 100 }, (_, n) => ({ [`${first + n}`]: 0 }));
    const heavy = (id: string, first: number): AppendRequest => {
      const request = big('a', id, 1_100, { maxBytes: 11_000 });
      return { ...request, event: { ...request.event, payload: maps(first) } };
    };
    for (const [round, id] of ['u', 'v', 'w', 'x', 'y', 'z'].entries())
      await of.broker.log.appendMany([heavy(id, 10_000 + 100 * round)]);
    const { seqs, tip } = await kept(of);
    expect({ newest: seqs.at(-1), tip }).toEqual({ newest: 6, tip: 6 });
    const { bytes } = of.store.stats;
    expect(bytes).toBe(recount(of.store).bytes);
    // Four times 11 000, and the records of the channel and of the events that are left.
    expect(bytes).toBeLessThan(44_000 + 6 * 400 + 2_000);
    expect(seqs.length).toBeLessThan(6);
    // The same bytes as texts are all kept.
    const texts = ['1', '2', '3', '4', '5', '6'].map((id) => big('b', id, 1_100, { maxBytes: 11_000 }));
    await of.broker.log.appendMany(texts);
    const { events } = await of.broker.log.read({ channel: 'b', from: 1, limit: 99 });
    expect(events.map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('an event larger than the bound is numbered and delivered, and neither it nor what came before it is kept (P27)', async () => {
    const of = await open();
    await of.broker.log.subscribe('a');
    await of.broker.log.appendMany([
      big('a', 'x', 100, { maxBytes: 500 }),
      big('a', 'y', 501, { maxBytes: 500 }),
    ]);
    expect(of.seen.seqsOf('a')).toEqual([1, 2]);
    expect(await kept(of)).toEqual({ seqs: [], oldest: 3, tip: 2 });
    await of.broker.log.appendMany([big('a', 'z', 500, { maxBytes: 500 })]);
    expect(await kept(of)).toEqual({ seqs: [3], oldest: 3, tip: 3 });
  });

  it('a smaller bound holds from the next append', async () => {
    const of = await open();
    await of.broker.log.appendMany(['v', 'w', 'x'].map((id) => big('a', id, 100)));
    await of.broker.log.appendMany([big('a', 'y', 100, { maxBytes: 250 })]);
    expect(await kept(of)).toEqual({ seqs: [3, 4], oldest: 3, tip: 4 });
  });

  it('counts again after the log was cut, forked and cleared', async () => {
    const of = await open();
    const fill = (...ids: string[]) =>
      of.broker.log.appendMany(ids.map((id) => big('a', id, 100, { maxBytes: 300 })));
    await fill('a', 'b', 'c', 'd');
    of.store.failOver('a', 3);
    await fill('e', 'f');
    expect((await kept(of)).seqs).toEqual([3, 4, 5]);
    of.store.clear('a');
    await fill('g', 'h', 'i', 'j');
    expect((await kept(of)).seqs).toEqual([2, 3, 4]);
    expect(of.store.stats.bytes).toBe(recount(of.store).bytes);
  });
});

describe('maxBytes of a memory store', () => {
  let made: Kit | undefined;
  const open = async (options: Parameters<typeof kit>[0] = {}) =>
    (made = await kit({ maxBytes: MAX, ...options }));
  afterEach(() => made?.broker.close());

  const names = ({ store }: Kit) => [...channelsOf(store).keys()].sort();

  it('forgets the idle channel whose last append is the oldest, as a whole, and says so (G6)', async () => {
    const of = await open();
    const { broker, store, seen } = of;
    const { warnings } = seen;
    const tips = new Map<string, unknown>();
    for (const name of ['a', 'b', 'c'])
      tips.set(name, (await broker.log.appendMany([big(name, 'x', 20_000)]))[0]);
    // Reading does not make it younger, appending does.
    await broker.log.read({ channel: 'b', from: 1, limit: 9 });
    await broker.log.appendMany([big('a', 'y', 10)]);
    expect(names(of)).toEqual(['a', 'b', 'c']);
    expect(warnings).toEqual([]);
    await broker.log.appendMany([big('d', 'x', 20_000)]);
    expect(names(of)).toEqual(['a', 'c', 'd']);
    expect(store.stats).toMatchObject({ forgottenChannels: 1, droppedEvents: 0 });
    expect(warnings).toEqual([
      expect.stringMatching(/maxBytes 65536.*1 channel\(s\) forgotten.*Raise the bounds/),
    ]);

    const before = tips.get('b') as { position: { epoch: string; seq: number } };
    const page = await broker.log.read({ channel: 'b', epoch: before.position.epoch, from: 2, limit: 9 });
    expect(page).toMatchObject({ continuous: false, events: [], tip: { seq: 0 } });
    const [again] = await broker.log.appendMany([big('b', 'z', 10)]);
    expect(again).toMatchObject({ ok: true, position: { seq: 1 } });
    expect(again).not.toMatchObject({ position: { epoch: before.position.epoch } });
    // What was true of the old log is never true of the new one, whatever its number.
    for (const from of [1, 2])
      expect(
        await broker.log.read({ channel: 'b', epoch: before.position.epoch, from, limit: 9 }),
      ).toMatchObject({ continuous: false });
  });

  it('takes the oldest events of a channel with subscribers, and leaves its position true (P11)', async () => {
    const { broker, store, seen } = await open();
    const start = await broker.log.subscribe('a');
    for (const id of ['v', 'w', 'x', 'y', 'z']) await broker.log.appendMany([big('a', id, 20_000)]);
    const page = await broker.log.read({ channel: 'a', epoch: start.epoch, from: 1, limit: 9 });
    expect(page).toMatchObject({ continuous: true, oldest: 3, tip: { epoch: start.epoch, seq: 5 } });
    expect(page.events.map(({ seq }) => seq)).toEqual([3, 4, 5]);
    expect(seen.seqsOf('a')).toEqual([1, 2, 3, 4, 5]);
    expect(store.stats).toMatchObject({ forgottenChannels: 0, droppedEvents: 2 });
    expect(store.stats.bytes).toBeLessThanOrEqual(MAX);
  });

  it('forgets no id: a channel inside its dedupe window loses events, and a retry is recognized (G4)', async () => {
    const { broker, store } = await open();
    const first = append('a', 'x', { maxBytes: 1e9 });
    const [outcome] = await broker.log.appendMany([{ ...first, bytes: 30_000 }]);
    await broker.log.appendMany([big('b', 'x', 50_000)]);
    expect(store.stats).toMatchObject({ forgottenChannels: 0, droppedEvents: 1 });
    expect((await broker.log.appendMany([first]))[0]).toEqual({ ...outcome, duplicate: true });
  });

  it('delivers an event that is larger than the whole store, and keeps none of it', async () => {
    const { broker, store, seen } = await open();
    await broker.log.subscribe('a');
    await broker.log.appendMany([big('a', 'x', MAX + 1)]);
    expect(seen.seqsOf('a')).toEqual([1]);
    expect(await broker.log.read({ channel: 'a', from: 1, limit: 9 })).toMatchObject({
      oldest: 2,
      tip: { seq: 1 },
      events: [],
    });
    const [other] = await broker.log.appendMany([big('b', 'x', MAX + 1)]);
    expect(other).toMatchObject({ ok: true, position: { seq: 1 } });
    expect(await broker.log.tips(['b'])).toMatchObject([{ seq: 1 }]);
    expect(store.stats.bytes).toBeLessThanOrEqual(MAX);
  });

  describe('what can never fit drops nothing', () => {
    /** Idle channels and a subscribed one with events, and members that leave `free` bytes for what must stay. */
    async function full(free: number) {
      const of = await open();
      const { broker, store } = of;
      const entry = { channel: 'held', member: 'u1', device: 'd', generation: 1 };
      await broker.presence.enter(entry, 100_000);
      const events = ['a', 'b'].map((name) => big(name, 'x', 1_000));
      await broker.log.subscribe('live');
      const held = store.stats.bytes;
      await broker.presence.update({ ...entry, data: 'x'.repeat((MAX - held - free - 24) >>> 1) });
      await broker.log.appendMany([...events, big('live', 'x', 1_000)]);
      const { bytes, forgottenChannels, droppedEvents } = store.stats;
      expect({ forgottenChannels, droppedEvents }).toEqual({ forgottenChannels: 0, droppedEvents: 0 });
      expect(bytes).toBe(recount(store).bytes);
      return { ...of, bytes, entry };
    }

    const unchanged = ({ store, bytes }: { readonly store: MemoryStore; readonly bytes: number }) => {
      expect(store.stats).toMatchObject({ bytes, forgottenChannels: 0, droppedEvents: 0, channels: 4 });
    };

    it('no append of an id (G4)', async () => {
      const of = await full(9_000);
      const request = { ...append('new', 'x'.repeat(2_500)), producer: 'a:app' };
      for (let round = 0; round < 2; round += 1) {
        expect((await of.broker.log.appendMany([request]))[0]).toMatchObject({ code: 'unavailable' });
        unchanged(of);
      }
      // To a channel that is idle, and would have to stay with the id.
      expect((await of.broker.log.appendMany([{ ...request, channel: 'a' }]))[0]).toMatchObject({
        code: 'unavailable',
      });
      unchanged(of);
      expect(of.store.stats.refusals).toBe(3);
      expect(of.seen.warnings).toHaveLength(1);
    });

    it('no member and no data of one (G13)', async () => {
      const of = await full(9_000);
      const { broker, entry } = of;
      const data = 'y'.repeat(5_000);
      for (const channel of ['new', 'a', 'live', 'held'])
        await expect(
          broker.presence.enter({ ...entry, channel, member: 'u2', data }, 1_000),
        ).rejects.toThrow();
      await expect(broker.presence.update({ ...entry, data: 'y'.repeat(MAX >>> 1) })).rejects.toThrow();
      unchanged(of);
    });

    it('no event that is larger than all that may be dropped, which is delivered', async () => {
      const of = await full(9_000);
      const { broker, store, seen } = of;
      await broker.log.appendMany([big('live', 'y', 9_000)]);
      expect(seen.seqsOf('live')).toEqual([1, 2]);
      expect(await broker.log.read({ channel: 'live', from: 1, limit: 9 })).toMatchObject({
        oldest: 3,
        tip: { seq: 2 },
        events: [],
      });
      // Its own log has no gap, and others lost nothing.
      for (const channel of ['a', 'b'])
        expect((await broker.log.read({ channel, from: 1, limit: 9 })).events).toHaveLength(1);
      expect(store.stats).toMatchObject({
        bytes: recount(store).bytes,
        forgottenChannels: 0,
        droppedEvents: 2,
      });
      expect(seen.warnings).toHaveLength(1);
    });

    it('and what just fits is taken, to the byte', async () => {
      const weight = 280 + 140 + 140 + 2 * ('u1'.length + '2:u1x'.length + 'x'.length);
      for (const [room, channel] of [
        [weight + 700 + 2 * 'new'.length, 'new'],
        [weight + 700 + 2 * 'a'.length, 'a'],
        [weight, 'live'],
      ] as const) {
        for (const [spare, code] of [
          [0, undefined],
          [-2, 'unavailable'],
        ] as const) {
          // What is free beside what must stay; the members hold the rest, so events and idle channels give way.
          const of = await kit({ maxBytes: MAX });
          const entry = { channel: 'held', member: 'u1', device: 'd', generation: 1 };
          await of.broker.log.subscribe('live');
          await of.broker.presence.enter(entry, 100_000);
          const free = MAX - of.store.stats.bytes - 24;
          await of.broker.log.appendMany([big('b', 'x', 1), big('a', 'x', 1)]);
          await of.broker.presence.update({ ...entry, data: 'x'.repeat(1) });
          const data = (free - room - spare) / 2;
          expect(Number.isInteger(data)).toBe(true);
          await of.broker.presence.update({ ...entry, data: 'x'.repeat(data) });
          const [outcome] = await of.broker.log.appendMany([append(channel, 'x', { maxBytes: 1e9 })]);
          expect(outcome).toMatchObject(code === undefined ? { ok: true } : { code });
          expect(of.store.stats.bytes).toBe(recount(of.store).bytes);
          expect(of.store.stats.bytes).toBeLessThanOrEqual(MAX);
          await of.broker.close();
        }
      }
    });
  });

  it('says that something was dropped before it delivers the event for which it was', async () => {
    const { broker, seen } = await open();
    const heard: string[] = [];
    seen.onWarning = () => heard.push('warning');
    seen.eventsHook = () => heard.push('events');
    await broker.log.subscribe('live');
    await broker.log.appendMany([big('old', 'x', 40_000)]);
    await broker.log.appendMany([big('live', 'x', 40_000)]);
    expect(heard).toEqual(['warning', 'events']);
  });

  it('charges a payload for its structure, not only for its text', async () => {
    const { broker, store } = await open();
    const lists = Array.from({ length: 300 }, () => []);
    await broker.log.appendMany([{ ...big('a', 'x', 900), event: { id: 'x', event: 'm', payload: lists } }]);
    expect(store.stats.bytes).toBeGreaterThan(300 * 40);
    expect(store.stats.bytes).toBe(recount(store).bytes);
  });

  it('a payload that holds itself where its JSON does not is weighed too', async () => {
    const { broker, store } = await open();
    const loop: Record<string, unknown> = {};
    loop['self'] = loop;
    await broker.log.appendMany([{ ...big('a', 'x', 1_000), event: { id: 'x', event: 'm', payload: loop } }]);
    expect(store.stats.bytes).toBeLessThan(60_000);
  });

  it('refuses subscribes and members that would have to stay, and takes them when there is room (G13)', async () => {
    const { broker, store, clock, seen } = await open();
    const { warnings } = seen;
    let subscribed = 0;
    let refusal: unknown;
    for (let index = 0; refusal === undefined; index += 1) {
      await broker.log.subscribe(`room.${index}`).then(
        () => (subscribed += 1),
        (error: unknown) => (refusal = error),
      );
    }
    expect(refusal).toMatchObject({ code: 'unavailable', retryAfterMs: 1_000 });
    expect(subscribed).toBe(Math.floor((MAX - 10 * (700 + 2 * 6)) / (700 + 2 * 7)) + 10);
    const entry = { channel: 'room.1', member: 'u1', device: 'd', generation: 1 };
    await expect(broker.presence.enter(entry, 1_000)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(broker.presence.renew([entry], 1_000)).rejects.toMatchObject({ code: 'unavailable' });
    expect((await broker.log.appendMany([append('new', 'x')]))[0]).toEqual({
      ok: false,
      code: 'unavailable',
      retryAfterMs: 1_000,
      message: expect.stringContaining('memory of the server is full'),
    });
    // A channel that is there still counts and delivers.
    await broker.log.appendMany([big('room.1', 'x', 10_000)]);
    expect(seen.seqsOf('room.1')).toEqual([1]);
    expect(await broker.probe(1_000)).toBe(0);
    expect(store.stats.refusals).toBe(4);
    expect(warnings).toHaveLength(1);
    clock.advance(60_000);
    await broker.log.appendMany([append('new', 'x')]);
    expect(warnings).toHaveLength(2);
    // What was said once is not said again.
    expect(warnings[1]).toContain(
      '1 event(s) of other channels dropped, 4 append(s), subscribe(s) or member(s) refused',
    );

    for (let index = 2; index < 20; index += 1) await broker.log.unsubscribe(`room.${index}`);
    await broker.presence.enter(entry, 1_000);
    expect((await broker.log.appendMany([append('new', 'x')]))[0]).toMatchObject({ ok: true });
    expect(store.stats.bytes).toBe(recount(store).bytes);
  });

  it('a subscriber of a channel that nobody writes costs its record alone, and nothing once it leaves', async () => {
    const { broker, store } = await open();
    for (let round = 0; round < 3; round += 1) {
      const tip = await broker.log.subscribe('quiet');
      expect(store.stats.bytes).toBe(700 + 2 * 'quiet'.length);
      await broker.log.unsubscribe('quiet');
      expect(store.stats.bytes).toBe(0);
      expect(await broker.log.tips(['quiet'])).toEqual([tip]);
    }
  });

  it('a channel that is cleared costs nothing at once, and keeps its new epoch', async () => {
    const { broker, store } = await open();
    await broker.log.appendMany([big('a', 'x', 100)]);
    const [before] = await broker.log.tips(['a']);
    store.clear('a');
    expect(store.stats).toMatchObject({ bytes: 0, channels: 0 });
    const [after] = await broker.log.tips(['a']);
    expect(after).toMatchObject({ seq: 0 });
    expect(after?.epoch).not.toBe(before?.epoch);
    const [again] = await broker.log.appendMany([big('a', 'y', 100)]);
    expect(again).toMatchObject({ position: { epoch: after?.epoch, seq: 1 } });
  });

  it('a room begins another epoch once it was empty and unwatched, and none before (G19)', async () => {
    const { broker, store } = await open();
    const entry = { channel: 'a', member: 'u1', device: 'd', generation: 1, data: { name: 'Ada' } };
    const version = async () => {
      const { epoch, version: number } = await broker.presence.members('a', { limit: 9 });
      return { epoch, number };
    };
    const unwritten = await version();
    await broker.presence.enter(entry, 10_000);
    expect(await version()).toEqual({ epoch: unwritten.epoch, number: 1 });
    await broker.log.subscribe('a');
    await broker.presence.leave(entry, 0);
    expect(await version()).toEqual({ epoch: unwritten.epoch, number: 2 });
    await broker.log.unsubscribe('a');
    expect((await version()).number).toBe(0);
    expect((await version()).epoch).not.toBe(unwritten.epoch);
    expect(store.stats.bytes).toBe(0);
  });

  it('larger data of a member is charged, smaller data given back, and what does not fit is refused (G13)', async () => {
    const { broker, store } = await open();
    const entry = { channel: 'a', member: 'u1', device: 'd', generation: 1 };
    await broker.presence.enter(entry, 10_000);
    const empty = store.stats.bytes;
    await broker.presence.update({ ...entry, data: 'x'.repeat(10_000) });
    expect(store.stats.bytes).toBe(empty + 20_000 + 24);
    await expect(broker.presence.update({ ...entry, data: 'x'.repeat(40_000) })).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(store.stats.bytes).toBe(empty + 20_000 + 24);
    await broker.presence.update({ ...entry, data: undefined });
    expect(store.stats.bytes).toBe(empty);
  });
});
