import { afterEach, describe, expect, it } from '@jest/globals';
import type { AppendRequest, LogPolicy } from '../../../../lib/core/ports/broker.js';
import { append, kit, type Kit } from './kit.js';
import { idsInMemory, recount } from './recount.js';

const as = (producer: string, id: string, policy: Partial<LogPolicy> = {}): AppendRequest => ({
  ...append('room', id, policy),
  producer,
});

describe('remembered ids of the memory broker: a share for each producer', () => {
  let made: Kit | undefined;
  const open = async (options: Parameters<typeof kit>[0] = {}) =>
    (made = await kit({ maxBytes: 1_000_000, maxIdBytes: 100_000, ...options }));
  afterEach(() => made?.broker.close());

  /** Publishes until one is refused; the number of those that were not. */
  async function fill(of: Kit, producer: string): Promise<number> {
    for (let count = 0; ; count += 1) {
      const [outcome] = await of.broker.log.appendMany([as(producer, `e${count}`)]);
      if (outcome?.ok === true) continue;
      expect(outcome?.code).toBe('rate_limited');
      return count;
    }
  }

  it('one user fills its own share and no more, and another still publishes (G4, G14)', async () => {
    const of = await open();
    const greedy = await fill(of, 'u:greedy');
    // A ninth of all, where it is alone.
    expect(of.store.stats.idBytes).toBeGreaterThan(100_000 / 9 - 500);
    expect(of.store.stats.idBytes).toBeLessThanOrEqual(100_000 / 9);
    for (let user = 0; user < 20; user += 1) {
      expect(await fill(of, `u:next${user}`)).toBeGreaterThan(1);
    }
    expect(greedy).toBeGreaterThan(await fill(of, 'u:late'));
  });

  it('any number of anonymous sessions leaves half to the others (G14)', async () => {
    const of = await open();
    for (let session = 0; session < 300; session += 1) await fill(of, `s:lineage${session}`);
    expect(of.store.stats.idBytes).toBeLessThanOrEqual(50_000);
    expect(await fill(of, 's:another')).toBe(0);
    // What a user alone may hold beside the anonymous half: an eighth of what is free.
    expect(await fill(of, 'u:ada')).toBeGreaterThanOrEqual(14);
    expect((await of.broker.log.appendMany([as('a:app', 'x')]))[0]).toMatchObject({ ok: true });
  });

  it('anonymous sessions have their half again once its ids have ended, any number of times (G14)', async () => {
    const of = await open();
    const counts: number[] = [];
    for (let round = 0; round < 3; round += 1) {
      let count = 0;
      for (let session = 0; session < 100; session += 1) count += await fill(of, `s:lineage${session}`);
      counts.push(count);
      of.clock.advance(10_000);
      expect(of.store.stats.idBytes).toBe(0);
    }
    expect(counts[0]).toBeGreaterThan(50);
    expect(counts).toEqual([counts[0], counts[0], counts[0]]);
  });

  it('the application may use all that is free', async () => {
    const of = await open();
    const count = await fill(of, 'a:app');
    expect(of.store.stats.idBytes).toBeGreaterThan(100_000 - 500);
    expect(count).toBeGreaterThan(250);
    expect((await of.broker.log.appendMany([as('u:ada', 'x')]))[0]).toMatchObject({ code: 'rate_limited' });
  });

  it('says when the oldest id of the producer ends, and takes the publish then (G4)', async () => {
    const of = await open();
    const { broker, clock } = of;
    await broker.log.appendMany([as('u:ada', 'first')]);
    clock.advance(4_000);
    await fill(of, 'u:ada');
    const [refused] = await broker.log.appendMany([as('u:ada', 'next')]);
    expect(refused).toEqual({
      ok: false,
      code: 'rate_limited',
      retryAfterMs: 6_000,
      message: expect.stringContaining('your publishes are still remembered'),
    });
    // Nothing was forgotten for it, a retry needs no room, and what is not remembered neither.
    expect((await broker.log.appendMany([as('u:ada', 'first')]))[0]).toMatchObject({ duplicate: true });
    expect((await broker.log.appendMany([as('u:ada', 'free', { dedupeMs: 0 })]))[0]).toMatchObject({
      ok: true,
    });
    clock.advance(5_999);
    expect((await broker.log.appendMany([as('u:ada', 'next')]))[0]).toMatchObject({ retryAfterMs: 1 });
    clock.advance(1);
    expect((await broker.log.appendMany([as('u:ada', 'next')]))[0]).toMatchObject({ ok: true });
    expect(of.store.stats.refusals).toBeGreaterThanOrEqual(3);
  });

  it('says when any id ends to a producer that has none', async () => {
    const of = await open({ maxIdBytes: 1_000 });
    await of.broker.log.appendMany([as('a:app', 'x'), as('a:app', 'y')]);
    of.clock.advance(1_000);
    expect((await of.broker.log.appendMany([as('u:ada', 'x')]))[0]).toMatchObject({
      code: 'rate_limited',
      retryAfterMs: 9_000,
    });
  });

  it('gives bytes back at the time at which each id ends, whichever window it has, also a second time', async () => {
    const of = await open();
    const { broker, store, clock } = of;
    for (let round = 0; round < 2; round += 1) {
      await broker.log.appendMany([
        as('u:ada', 'long', { dedupeMs: 9_000 }),
        as('u:ada', 'short', { dedupeMs: 1_000 }),
        as('u:bob', 'short', { dedupeMs: 1_000 }),
      ]);
      const all = store.stats.idBytes;
      clock.advance(999);
      expect(store.stats.idBytes).toBe(all);
      clock.advance(1);
      expect(store.stats.idBytes).toBe(recount(store).idBytes);
      expect(store.stats.idBytes).toBeLessThan(all / 2);
      clock.advance(8_000);
      expect(store.stats.idBytes).toBe(0);
    }
  });

  it('keeps no id that has ended behind an older one of another window, also a second time (G14)', async () => {
    const of = await open();
    const { broker, store, clock } = of;
    for (let round = 0; round < 2; round += 1) {
      await broker.log.appendMany([as('u:ada', 'long', { dedupeMs: 9_000 })]);
      for (let index = 0; index < 5; index += 1) {
        await broker.log.appendMany([as('u:ada', `short${index}`, { dedupeMs: 1_000 })]);
        clock.advance(1_000);
        expect(store.stats.idBytes).toBe(recount(store).idBytes);
        expect(idsInMemory(store)).toBe(1);
      }
      clock.advance(4_000);
      expect(store.stats.idBytes).toBe(0);
      expect(idsInMemory(store)).toBe(0);
    }
  });

  it('keeps no id of an append that a failover lost, in the middle of others (G6)', async () => {
    const of = await open();
    const { broker, store, clock } = of;
    const other = (id: string) => ({ ...as('u:ada', id), channel: 'other' });
    await broker.log.appendMany([
      as('u:ada', '1'),
      other('2'),
      as('u:ada', '3'),
      other('4'),
      as('u:ada', '5'),
    ]);
    store.failOver('room', 1);
    expect(idsInMemory(store)).toBe(3);
    expect(store.stats.idBytes).toBe(recount(store).idBytes);
    store.failOver('room', 0);
    store.failOver('other', 1);
    expect(idsInMemory(store)).toBe(1);
    expect((await broker.log.appendMany([other('2')]))[0]).toMatchObject({ duplicate: true });
    expect((await broker.log.appendMany([other('4')]))[0]).toMatchObject({ duplicate: false });
    clock.advance(10_000);
    expect(store.stats).toMatchObject({ bytes: recount(store).bytes, idBytes: 0 });
    expect(idsInMemory(store)).toBe(0);
  });

  it('says when the first id of the producer ends, whichever window it has (G4)', async () => {
    const of = await open({ maxIdBytes: 7_000 });
    const { broker } = of;
    await broker.log.appendMany([as('u:ada', 'long', { dedupeMs: 9_000 })]);
    await broker.log.appendMany([as('a:app', 'fill', { dedupeMs: 500 })]);
    of.clock.advance(100);
    const short = as('u:ada', 'x'.repeat(600), { dedupeMs: 1_000 });
    expect((await broker.log.appendMany([short]))[0]).toMatchObject({ retryAfterMs: 8_900 });
    await broker.log.appendMany([as('u:bob', 'b', { dedupeMs: 1_000 })]);
    expect((await broker.log.appendMany([{ ...short, producer: 'u:bob' }]))[0]).toMatchObject({
      retryAfterMs: 1_000,
    });
  });

  it('a second window of a producer costs its own record, which is asked for first and given back', async () => {
    const of = await open();
    const { broker, store, clock } = of;
    const bytesOf = async (request: AppendRequest) => {
      const before = store.stats.idBytes;
      await broker.log.appendMany([request]);
      return store.stats.idBytes - before;
    };
    const first = await bytesOf(as('u:ada', 'a', { dedupeMs: 9_000 }));
    const second = await bytesOf(as('u:ada', 'b', { dedupeMs: 9_000 }));
    const other = await bytesOf(as('u:ada', 'c', { dedupeMs: 1_000 }));
    expect(other).toBeGreaterThan(second);
    expect(other).toBeLessThan(first);
    clock.advance(1_000);
    expect(store.stats.idBytes).toBe(first + second);
    // What is left is less than the id with its lane, and enough for the id alone.
    const tight = await kit({ maxBytes: 100_000, maxIdBytes: first + second + other - 1 });
    for (const id of ['a', 'b']) await tight.broker.log.appendMany([as('a:ada', id, { dedupeMs: 9_000 })]);
    expect((await tight.broker.log.appendMany([as('a:ada', 'c', { dedupeMs: 1_000 })]))[0]).toMatchObject({
      code: 'rate_limited',
    });
    expect((await tight.broker.log.appendMany([as('a:ada', 'c', { dedupeMs: 9_000 })]))[0]).toMatchObject({
      ok: true,
    });
    await tight.broker.close();
  });

  it('a larger `idShare` lets one producer hold more', async () => {
    const counts: number[] = [];
    for (const idShare of [0.01, 0.125, 1]) {
      const of = await open({ idShare });
      counts.push(await fill(of, 'u:ada'));
      await of.broker.close();
    }
    expect(counts).toEqual([...counts].sort((left, right) => left - right));
    expect(new Set(counts).size).toBe(3);
  });
});
