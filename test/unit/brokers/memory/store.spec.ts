import { afterEach, describe, expect, it } from '@jest/globals';
import { append, kit, type Kit } from './kit.js';

describe('MemoryStore: epochs', () => {
  let made: Kit | undefined;
  const open = async () => (made = await kit());
  afterEach(() => made?.broker.close());

  it('G6 `clear` begins a new, empty epoch in which no earlier position is good, and pushes nothing', async () => {
    const { broker, seen } = await open();
    const before = await broker.log.subscribe('a');
    await broker.log.appendMany(['x', 'y'].map((id) => append('a', id)));
    const { length } = seen.batches;
    await broker.clear('a');
    expect(seen.batches).toHaveLength(length);

    const [tip] = await broker.log.tips(['a']);
    expect(tip).toMatchObject({ seq: 0 });
    expect(tip?.epoch).not.toBe(before.epoch);
    for (const from of [1, 2, 3]) {
      const result = await broker.log.read({ channel: 'a', epoch: before.epoch, from, limit: 9 });
      expect(result).toMatchObject({ continuous: false, events: [] });
    }
    await broker.log.appendMany([append('a', 'z')]);
    expect(seen.batches.at(-1)?.events).toMatchObject([{ id: 'z', seq: 1, epoch: tip?.epoch }]);
  });

  it('G4 `clear` does not let a late retry bring back what was deleted', async () => {
    const { broker } = await open();
    const [first] = await broker.log.appendMany([append('a', 'x')]);
    await broker.clear('a');
    expect((await broker.log.appendMany([append('a', 'x')]))[0]).toEqual({ ...first, duplicate: true });
    expect((await broker.log.read({ channel: 'a', from: 1, limit: 9 })).events).toEqual([]);
  });

  it('`clear` and `failOver` of an unknown channel do nothing', async () => {
    const { broker, store } = await open();
    await broker.clear('never');
    store.failOver('never', 3);
    expect(store.size).toBe(0);
  });

  it('G6 `failOver` behind the trimmed part leaves an empty log that counts on', async () => {
    const { broker, store } = await open();
    await broker.log.appendMany(['a', 'b', 'c', 'd', 'e'].map((id) => append('c', id, { size: 2 })));
    const [before] = await broker.log.tips(['c']);
    store.failOver('c', 2);
    const result = await broker.log.read({ channel: 'c', epoch: before?.epoch ?? '', from: 2, limit: 9 });
    expect(result).toMatchObject({ continuous: true, oldest: 3, events: [], tip: { seq: 2 } });
    await broker.log.appendMany([append('c', 'n')]);
    expect((await broker.log.read({ channel: 'c', from: 1, limit: 9 })).events).toMatchObject([
      { id: 'n', seq: 3 },
    ]);
  });

  it('P10 `failOver` that loses nothing keeps every position', async () => {
    const { broker, store } = await open();
    await broker.log.appendMany(['a', 'b', 'c'].map((id) => append('c', id)));
    const [before] = await broker.log.tips(['c']);
    store.failOver('c', 99);
    const [after] = await broker.log.tips(['c']);
    expect(after).toMatchObject({ seq: 3 });
    expect(after?.epoch).not.toBe(before?.epoch);
    const result = await broker.log.read({ channel: 'c', epoch: before?.epoch ?? '', from: 4, limit: 9 });
    expect(result.continuous).toBe(true);
  });

  it('P10 remembers eight earlier epochs, and no more', async () => {
    const { broker, store } = await open();
    await broker.log.appendMany([append('c', 'a')]);
    const epochs: string[] = [];
    for (let round = 0; round < 10; round += 1) {
      epochs.push((await broker.log.tips(['c']))[0]?.epoch ?? '');
      store.failOver('c', 99);
    }
    const good = await Promise.all(
      epochs.map(
        async (epoch) => (await broker.log.read({ channel: 'c', epoch, from: 2, limit: 1 })).continuous,
      ),
    );
    expect(good).toEqual([false, false, ...Array.from({ length: 8 }, () => true)]);
  });

  it('P10 a log that is in use is the same whether or not history is trimmed by a clock that goes back', async () => {
    const { broker, clock } = await open();
    await broker.log.appendMany([append('a', 'x')]);
    clock.jump(-3_600_000);
    await broker.log.appendMany([append('a', 'y')]);
    const { events } = await broker.log.read({ channel: 'a', from: 1, limit: 9 });
    expect(events.map((event) => event.seq)).toEqual([1, 2]);
  });
});
