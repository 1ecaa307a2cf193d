import { describe, expect, it } from '@jest/globals';
import { channel, EngineHarness, quiet, type SettingsPatch } from '../../../support/engine/harness.js';

async function pass(harness: EngineHarness, ms: number): Promise<void> {
  for (let elapsed = 0; elapsed < ms; elapsed += 50) {
    harness.clock.advance(50);
    await quiet();
  }
}

describe('the bye messages of a drain (G18)', () => {
  async function draining(settings: SettingsPatch, deadlineMs: number, count = 200) {
    const harness = await EngineHarness.start([channel('rooms.:room')], { settings });
    const clients = await Promise.all(Array.from({ length: count }, () => harness.subscriber('rooms.1')));
    for (const client of clients) client.take();
    const drained = harness.engine.drain(deadlineMs);
    await quiet();
    const byes = () => clients.flatMap(({ received }) => received.filter(({ type }) => type === 'bye'));
    const closed = () => clients.filter((client) => client.closed !== undefined).length;
    return { harness, clients, drained, byes, closed };
  }

  it('are paced over the spread, and each connection ends one step behind its own', async () => {
    const { harness, byes, closed, drained } = await draining({ drainSpreadMs: 2_000 }, 10_000);
    expect(byes()).toHaveLength(5);
    expect(closed()).toBe(0);
    await pass(harness, 50);
    expect(byes()).toHaveLength(10);
    expect(closed()).toBe(5);
    await pass(harness, 900);
    expect(byes()).toHaveLength(100);
    expect(closed()).toBe(95);
    await pass(harness, 950);
    expect(byes()).toHaveLength(195);
    await pass(harness, 50);
    expect(byes()).toHaveLength(200);
    expect(closed()).toBe(195);
    await pass(harness, 50);
    expect(closed()).toBe(200);
    await pass(harness, 50);
    await drained;
    await harness.stop();
  });

  it('come to a client before it misses an event: until its turn it is sent what is published', async () => {
    const { harness, clients, closed } = await draining({ drainSpreadMs: 2_000 }, 10_000);
    await pass(harness, 1_000);
    expect(closed()).toBe(100);
    await harness.engine.application.publish('rooms.1', 'said', 'late');
    await pass(harness, 50);
    const readers = clients.filter(({ received }) => received.some(({ type }) => type === 'event'));
    expect(readers).toHaveLength(100);
    await pass(harness, 1_000);
    expect(closed()).toBe(200);
    await harness.stop();
  });

  it('are paced over 0.8 of the deadline where the spread is longer', async () => {
    const { harness, byes } = await draining({ drainSpreadMs: 5_000 }, 1_000);
    expect(byes()).toHaveLength(13);
    await pass(harness, 350);
    expect(byes()).toHaveLength(100);
    await pass(harness, 400);
    expect(byes()).toHaveLength(200);
    await harness.stop();
  });

  it('come half as often again while a node makes up for a stall, and no more at once', async () => {
    const { harness, byes } = await draining({ drainSpreadMs: 2_000 }, 10_000);
    expect(byes()).toHaveLength(5);
    harness.clock.advance(500);
    await quiet();
    expect(byes()).toHaveLength(5 + 8);
    await pass(harness, 50);
    expect(byes()).toHaveLength(5 + 8 + 8);
    // 1,950 ms have passed when it has caught up, and is even again.
    await pass(harness, 1_400);
    expect(byes()).toHaveLength(200);
    await harness.stop();
  });

  it('have come to everybody at 0.8 of the deadline, however late the node is', async () => {
    const { harness, byes } = await draining({ drainSpreadMs: 2_000 }, 10_000);
    harness.clock.advance(7_900);
    await quiet();
    expect(byes()).toHaveLength(13);
    await pass(harness, 50);
    expect(byes()).toHaveLength(200);
    await harness.stop();
  });

  it.each([
    ['all at once without a spread', 0, 50, 0],
    ['with a spread of their own that is no longer than all of it', 100, 25, 100],
  ])('are sent %s', async (_, drainSpreadMs, first, spreadMs) => {
    const { harness, byes } = await draining({ drainSpreadMs }, 10_000, 50);
    expect(byes()).toHaveLength(first);
    for (const { payload } of byes()) expect(payload).toEqual({ code: 4001, retryAfterMs: 0, spreadMs });
    await pass(harness, 50);
    expect(byes()).toHaveLength(50);
    await harness.stop();
  });

  it('of a few connections are not paced over the whole spread', async () => {
    const { harness, byes, closed } = await draining({}, 10_000, 10);
    expect(byes()).toHaveLength(4);
    await pass(harness, 100);
    expect(byes()).toHaveLength(10);
    await pass(harness, 50);
    expect(closed()).toBe(10);
    await harness.stop();
  });

  it('do not keep a client waiting that has gone by itself', async () => {
    const { harness, clients, drained, byes } = await draining({ drainSpreadMs: 2_000 }, 10_000);
    for (const client of clients) client.drop();
    await pass(harness, 50);
    await drained;
    expect(byes()).toHaveLength(5);
    await harness.stop();
  });

  it('a client whose command is under way is not closed before its answer while others wait for their turn', async () => {
    let answer: (value: unknown) => void = () => undefined;
    const requests = new Map([['ask', () => new Promise((resolve) => (answer = resolve))]]);
    const harness = await EngineHarness.start([channel('rooms.:room', { behaviour: { requests } })], {
      settings: { drainSpreadMs: 2_000 },
    });
    const asking = await harness.subscriber('rooms.1');
    await Promise.all(Array.from({ length: 199 }, () => harness.greet()));
    asking.send({ type: 'request', id: 'r1', channel: 'rooms.1', event: 'ask' });
    await quiet();
    void harness.engine.drain(10_000);
    await pass(harness, 500);
    expect(asking.received.filter(({ type }) => type === 'bye')).toHaveLength(1);
    expect(asking.closed).toBeUndefined();
    answer({ done: true });
    await quiet();
    await pass(harness, 50);
    expect(asking.received.some(({ ref }) => ref === 'r1')).toBe(true);
    expect(asking.closed?.code).toBe(4001);
    await harness.stop();
  });
});
