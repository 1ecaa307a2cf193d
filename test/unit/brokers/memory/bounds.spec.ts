import { afterEach, describe, expect, it } from '@jest/globals';
import type { MemoryChannel } from '../../../../lib/brokers/memory/channel.js';
import type { MemoryStore } from '../../../../lib/brokers/memory/index.js';
import { append, kit, type Kit } from './kit.js';

const channelsOf = (store: MemoryStore) =>
  (store as unknown as { channels: ReadonlyMap<string, MemoryChannel> }).channels;

describe('MemoryStore: bounds', () => {
  let made: Kit | undefined;
  const open = async (options: Parameters<typeof kit>[0] = {}) => (made = await kit(options));
  afterEach(async () => {
    await made?.broker.close();
    expect(made?.clock.pending ?? 0).toBe(0);
  });

  it('G13 frees history that is past its age, and ids past their window, without anybody asking', async () => {
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

  it('G13 sweeps many channels in steps, all of them within a round', async () => {
    const { broker, store, clock } = await open({ sweepMs: 1_000 });
    for (let index = 0; index < 7_000; index += 1) {
      await broker.log.appendMany([append(`c${index}`, 'a', { ttlMs: 500, dedupeMs: 0 })]);
    }
    const kept = () => [...channelsOf(store).values()].filter((channel) => channel.log.length > 0).length;
    clock.advance(1_000);
    expect(kept()).toBeGreaterThan(0);
    clock.advance(12_000);
    expect(kept()).toBe(0);
  });

  it('P10 keeps the head long after the events, then forgets it', async () => {
    const { broker, store, clock } = await open({ sweepMs: 60_000 });
    const [outcome] = await broker.log.appendMany([append('a', 'x', { ttlMs: 1_000 })]);
    clock.advance(29 * 24 * 3_600_000);
    expect(await broker.log.tips(['a'])).toEqual([outcome?.ok === true ? outcome.position : undefined]);
    clock.advance(29 * 24 * 3_600_000);
    expect(store.size).toBe(1);
    clock.advance(2 * 24 * 3_600_000);
    expect(store.size).toBe(0);
  });

  it('P10 a head is kept while somebody is subscribed, and from then on for its time', async () => {
    const { broker, store, clock } = await open({ headMs: 10_000, sweepMs: 1_000 });
    const tip = await broker.log.subscribe('a');
    clock.advance(100_000);
    expect(await broker.log.tips(['a'])).toEqual([tip]);
    await broker.log.unsubscribe('a');
    clock.advance(9_000);
    expect(store.size).toBe(1);
    clock.advance(3_000);
    expect(store.size).toBe(0);
  });

  it('G19 a channel with members is not forgotten', async () => {
    const { broker, store, clock } = await open({ headMs: 1_000, sweepMs: 1_000 });
    const entry = { channel: 'a', member: 'u1', device: 'd', generation: 1 };
    await broker.presence.enter(entry, 60_000);
    clock.advance(50_000);
    expect(store.size).toBe(1);
    clock.advance(20_000);
    expect(store.size).toBe(0);
  });

  it('G13 bounds the channels that nobody listens to, and forgets long unused ones first', async () => {
    const { broker, store, clock } = await open({ maxIdleChannels: 100 });
    for (let index = 0; index < 5_000; index += 1) {
      await broker.log.tips([`flood.${index}`, 'busy']);
      clock.advance(1);
    }
    expect(store.size).toBeLessThanOrEqual(100);
    const kept = [...channelsOf(store).keys()]
      .filter((name) => name !== 'busy')
      .map((name) => Number(name.slice(6)));
    expect(kept).toHaveLength(store.size - 1);
    expect(Math.min(...kept)).toBeGreaterThan(4_500);
  });

  it('G6 a channel that was forgotten for lack of room begins a new epoch', async () => {
    const { broker } = await open({ maxIdleChannels: 10 });
    await broker.log.appendMany([append('a', 'x', { dedupeMs: 0 })]);
    const [before] = await broker.log.tips(['a']);
    for (let index = 0; index < 500; index += 1) await broker.log.tips([`flood.${index}`]);
    const result = await broker.log.read({ channel: 'a', epoch: before?.epoch ?? '', from: 2, limit: 9 });
    expect(result).toMatchObject({ continuous: false, tip: { seq: 0 } });
    expect(result.tip.epoch).not.toBe(before?.epoch);
  });

  it('G4 P15 a flood of channels makes no id forgotten, and no subscription', async () => {
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
    expect(store.size).toBeLessThanOrEqual(11);
    expect(await broker.log.tips(['watched'])).toEqual([tip]);
  });

  it('G4 refuses rather than forgets an id when there is no room, and goes on when there is', async () => {
    const { broker, clock } = await open({ maxIds: 3 });
    const outcomes = await broker.log.appendMany(['a', 'b', 'c', 'd', 'a'].map((id) => append('one', id)));
    expect(outcomes.map((outcome) => (outcome.ok ? outcome.duplicate : outcome.code))).toEqual([
      false,
      false,
      false,
      'unavailable',
      true,
    ]);
    expect((await broker.log.appendMany([append('two', 'x')]))[0]).toEqual({
      ok: false,
      code: 'unavailable',
    });
    expect((await broker.log.appendMany([append('two', 'x', { dedupeMs: 0 })]))[0]).toMatchObject({
      ok: true,
    });
    clock.advance(10_000);
    expect((await broker.log.appendMany([append('two', 'x')]))[0]).toMatchObject({ ok: true });
  });

  it('P15 a shorter window holds for what is appended from then on', async () => {
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

  it('holds no timer before its first channel, and none after the last broker was closed', async () => {
    const { broker, clock, store } = await open();
    expect(clock.pending).toBe(0);
    await broker.log.tips(['a']);
    await broker.presence.enter({ channel: 'a', member: 'u', device: 'd', generation: 1 }, 1_000);
    expect(clock.pending).toBe(2);
    await broker.close();
    expect(clock.pending).toBe(0);
    expect(store.size).toBe(1);
  });
});
