import { afterEach, describe, expect, it } from '@jest/globals';
import { append, kit, type Kit } from './kit.js';
import { channelsOf } from './recount.js';

describe('MemoryStore: bounds', () => {
  let made: Kit | undefined;
  const open = async (options: Parameters<typeof kit>[0] = {}) => (made = await kit(options));
  afterEach(async () => {
    await made?.broker.close();
    expect(made?.clock.pending ?? 0).toBe(0);
  });

  it('frees expired history and ids without a read (G13)', async () => {
    const { broker, store, clock } = await open({ sweepMs: 1_000 });
    for (let index = 0; index < 50; index += 1) {
      await broker.log.appendMany([append('a', `i${index}`, { ttlMs: 5_000, dedupeMs: 2_000 })]);
    }
    const channel = channelsOf(store).get('a');
    expect([channel?.log.length, channel?.ids.size]).toEqual([50, 50]);
    clock.advance(3_000);
    expect([channel?.log.length, channel?.ids.size]).toEqual([50, 0]);
    clock.advance(3_000);
    expect([channel?.log.length, channel?.ids.size]).toEqual([0, 0]);
  });

  it('frees what has ended with the first command after its time, without a timer (G13)', async () => {
    const { broker, store, clock } = await open({ sweepMs: 1e9 });
    for (let index = 0; index < 700; index += 1) {
      await broker.log.appendMany([append(`c${index}`, 'a', { ttlMs: 500, dedupeMs: 400 })]);
    }
    const full = store.stats;
    clock.advance(399);
    expect(store.stats).toEqual(full);
    clock.advance(1);
    expect(store.stats.idBytes).toBe(0);
    clock.advance(99);
    const kept = () => [...channelsOf(store).values()].filter((channel) => channel.log.length > 0).length;
    expect(kept()).toBe(700);
    clock.advance(1);
    await broker.log.tips(['other']);
    expect(kept()).toBe(0);
  });

  it('keeps the head long after the events, then forgets it; a read does not extend it (P10)', async () => {
    const { broker, store, clock } = await open({ sweepMs: 60_000 });
    const [outcome] = await broker.log.appendMany([append('a', 'x', { ttlMs: 1_000 })]);
    clock.advance(30 * 24 * 3_600_000 - 1);
    expect(await broker.log.tips(['a'])).toEqual([outcome?.ok === true ? outcome.position : undefined]);
    expect(store.size).toBe(1);
    clock.advance(1);
    const [tip] = await broker.log.tips(['a']);
    expect(store.size).toBe(0);
    expect(store.stats.bytes).toBe(0);
    expect(tip).toMatchObject({ seq: 0 });
    expect(tip?.epoch).not.toBe(outcome?.ok === true ? outcome.position.epoch : '');
  });

  it('keeps a written head while a node is subscribed, and for headMs afterwards (P10)', async () => {
    const { broker, store, clock } = await open({ headMs: 10_000, sweepMs: 1_000 });
    await broker.log.subscribe('a');
    await broker.log.appendMany([append('a', 'x', { ttlMs: 1_000, dedupeMs: 0 })]);
    const [tip] = await broker.log.tips(['a']);
    clock.advance(100_000);
    expect(await broker.log.tips(['a'])).toEqual([tip]);
    await broker.log.unsubscribe('a');
    clock.advance(9_999);
    expect(store.size).toBe(1);
    clock.advance(1);
    expect(await broker.log.tips(['a'])).not.toEqual([tip]);
    expect(store.stats.bytes).toBe(0);
  });

  it('keeps a channel that has members (G19)', async () => {
    const { broker, store, clock } = await open({ headMs: 1_000, sweepMs: 1_000 });
    const entry = { channel: 'a', member: 'u1', device: 'd', generation: 1 };
    await broker.presence.enter(entry, 60_000);
    clock.advance(50_000);
    expect(store.size).toBe(1);
    clock.advance(20_000);
    expect(store.size).toBe(0);
  });

  it('bounds the channels without subscribers, and forgets exactly those with the oldest append (G13)', async () => {
    const { broker, store } = await open({ maxIdleChannels: 100 });
    for (let index = 0; index < 500; index += 1) {
      const names = [`flood.${index}`, 'busy'];
      await broker.log.appendMany(names.map((name) => append(name, 'x', { dedupeMs: 0 })));
      await broker.log.tips(['flood.0', 'flood.1']);
    }
    const newest = Array.from({ length: 99 }, (_, index) => `flood.${401 + index}`);
    expect([...channelsOf(store).keys()].sort()).toEqual(['busy', ...newest].sort());
    expect(store.stats).toMatchObject({ channels: 100, forgottenChannels: 401 });
  });

  it('reads of names that were never written store nothing and forget nothing (G13)', async () => {
    const { broker, store } = await open({ maxIdleChannels: 10 });
    for (let index = 0; index < 10; index += 1)
      await broker.log.appendMany([append(`real.${index}`, 'x', { dedupeMs: 0 })]);
    const before = store.stats;
    for (let index = 0; index < 500; index += 1) {
      const channel = `none.${index}`;
      const [tip] = await broker.log.tips([channel]);
      expect(await broker.log.read({ channel, from: 1, limit: 9 })).toEqual({
        tip,
        continuous: true,
        oldest: 1,
        events: [],
      });
      expect(await broker.presence.members(channel, { limit: 9 })).toMatchObject({ version: 0, count: 0 });
      await broker.log.signal(channel, { event: 'typing' });
      await broker.log.unsubscribe(channel);
    }
    expect(store.stats).toEqual(before);
  });

  it('starts a new epoch for a channel that was forgotten for lack of room (G6)', async () => {
    const { broker } = await open({ maxIdleChannels: 10 });
    await broker.log.appendMany([append('a', 'x', { dedupeMs: 0 })]);
    const [before] = await broker.log.tips(['a']);
    for (let index = 0; index < 10; index += 1)
      await broker.log.appendMany([append(`flood.${index}`, 'x', { dedupeMs: 0 })]);
    const result = await broker.log.read({ channel: 'a', epoch: before?.epoch ?? '', from: 2, limit: 9 });
    expect(result).toMatchObject({ continuous: false, tip: { seq: 0 } });
    expect(result.tip.epoch).not.toBe(before?.epoch);
  });

  it('forgets no id and no subscription under a flood of channels (G4, P15)', async () => {
    const { broker, store, clock } = await open({ maxIdleChannels: 10, sweepMs: 1_000 });
    const [first] = await broker.log.appendMany([append('remembered', 'x')]);
    const tip = await broker.log.subscribe('watched');
    for (let index = 0; index < 200; index += 1) await broker.log.appendMany([append(`own.${index}`, 'x')]);
    expect(store.size).toBe(202);
    expect((await broker.log.appendMany([append('remembered', 'x')]))[0]).toEqual({
      ...first,
      duplicate: true,
    });
    expect(await broker.log.tips(['watched'])).toEqual([tip]);
    clock.advance(12_000);
    // Now they may go, and do so when the next one comes.
    await broker.log.appendMany([append('one.more', 'x')]);
    expect(store.size).toBe(11);
    expect(await broker.log.tips(['watched'])).toEqual([tip]);
  });

  it('applies a shorter window from the next append (P15)', async () => {
    const { broker, clock } = await open();
    await broker.log.appendMany([
      append('a', 'long', { dedupeMs: 10_000 }),
      append('a', 'short', { dedupeMs: 1_000 }),
    ]);
    clock.advance(1_000);
    const outcomes = await broker.log.appendMany([append('a', 'long'), append('a', 'short')]);
    expect(outcomes.map((outcome) => outcome.ok && outcome.duplicate)).toEqual([true, false]);
    clock.advance(9_999);
    expect((await broker.log.appendMany([append('a', 'short')]))[0]).toMatchObject({ duplicate: true });
  });

  it('has no timer before its first channel, and none after the last broker is closed', async () => {
    const { broker, clock, store } = await open();
    expect(clock.pending).toBe(0);
    await broker.log.tips(['a']);
    expect(clock.pending).toBe(0);
    await broker.presence.enter({ channel: 'a', member: 'u', device: 'd', generation: 1 }, 1_000);
    expect(clock.pending).toBe(2);
    await broker.close();
    expect(clock.pending).toBe(0);
    expect(store.size).toBe(1);
  });
});
