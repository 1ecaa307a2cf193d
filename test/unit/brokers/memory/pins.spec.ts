import { afterEach, describe, expect, it } from '@jest/globals';
import { append, kit, type Kit } from './kit.js';
import { activeOf } from './recount.js';

describe('subscribers of a memory store and its machine', () => {
  let made: Kit | undefined;
  const open = async (options: Parameters<typeof kit>[0] = {}) => (made = await kit(options));
  afterEach(async () => {
    await made?.broker.close();
    expect(made?.clock.pending ?? 0).toBe(0);
  });

  it('a listener that subscribes to a channel in the midst of its subscribe leaves it held once (G13)', async () => {
    const { broker, node, seen, store, clock } = await open();
    const { broker: other } = await node();
    await broker.log.subscribe('b');
    await broker.presence.enter({ channel: 'b', member: 'ada', device: 'd', generation: 1 }, 1_000);
    const inner: Promise<unknown>[] = [];
    seen.onPresence = () => void inner.push(other.log.subscribe('a'));
    // The member leaves with the time that this call notices, before a timer does.
    (clock as unknown as { time: number }).time += 1_000;
    await broker.log.subscribe('a');
    await Promise.all(inner);
    expect([inner.length, activeOf(store)]).toEqual([1, 2]);
    for (const each of [broker, other]) await each.log.unsubscribe('a');
    await broker.log.unsubscribe('b');
    expect(activeOf(store)).toBe(0);
    await other.close();
  });

  it('a listener that closes its broker in the midst of a subscribe leaves nothing subscribed (G13)', async () => {
    const { broker, seen, store, clock } = await open();
    await broker.log.subscribe('b');
    await broker.presence.enter({ channel: 'b', member: 'ada', device: 'd', generation: 1 }, 1_000);
    seen.onPresence = () => void broker.close();
    (clock as unknown as { time: number }).time += 1_000;
    await broker.log.subscribe('a');
    expect(activeOf(store)).toBe(0);
  });

  it('a channel that nobody subscribes to any longer is not followed (G13)', async () => {
    const { broker, store } = await open();
    const { feeds } = (store.machine as unknown as { channels: { feeds: ReadonlyMap<string, unknown> } })
      .channels;
    for (let round = 0; round < 3; round += 1) await broker.log.subscribe(`room.${round}`);
    expect(feeds.size).toBe(3);
    for (let round = 0; round < 3; round += 1) await broker.log.unsubscribe(`room.${round}`);
    expect(feeds.size).toBe(0);
  });

  it('events of one call to several channels reach each listener once, and the next call brings only its own (G2)', async () => {
    const { broker, seen } = await open();
    for (const name of ['a', 'b']) await broker.log.subscribe(name);
    await broker.log.appendMany([append('a', '1'), append('b', '2')]);
    await broker.log.appendMany([append('a', '3')]);
    expect(seen.batches.map(({ events }) => events.map(({ id }) => id))).toEqual([['1'], ['2'], ['3']]);
  });

  it('a probe comes back where the store has room for nothing more, so that health does not take the node away (G20)', async () => {
    const { broker, store } = await open({ maxBytes: 65_536 });
    const member = (index: number) => ({ channel: 'a', member: `m${index}`, device: 'd', generation: 1 });
    let refused = 0;
    for (let index = 0; index < 200; index += 1)
      await broker.presence.enter(member(index), 60_000).catch(() => (refused += 1));
    await expect(broker.log.subscribe('x'.repeat(200))).rejects.toMatchObject({ code: 'unavailable' });
    expect(refused).toBeGreaterThan(0);
    expect(store.stats.maxBytes - store.stats.bytes).toBeLessThan(720);
    expect(await broker.probe(1_000)).toBe(0);
  });

  it('a node that closes is the consumer of transitions no longer', async () => {
    const { broker, node } = await open();
    const { broker: other } = await node();
    await broker.transitions.hold([{ channel: 'a', holder: 'n', generation: 1 }], 60_000);
    expect(await broker.transitions.take(9)).toHaveLength(1);
    expect(await other.transitions.take(9)).toHaveLength(0);
    await broker.close();
    expect(await other.transitions.take(9)).toHaveLength(1);
    await other.close();
  });
});
