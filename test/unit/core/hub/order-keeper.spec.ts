import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore, type MemoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';

let harness: EngineHarness;
let memory: MemoryBroker;
let store: MemoryStore;
let broker: ReturnType<typeof lossyBroker>;

beforeEach(async () => {
  store = new MemoryStore();
  memory = memoryBroker({ store });
  broker = lossyBroker(memory);
  harness = await EngineHarness.start(
    [
      channel('rooms.:room', {
        behaviour: { snapshot: { shareable: true, run: () => ({ state: 'fresh state' }) } },
      }),
    ],
    { broker },
  );
});
afterEach(() => harness.stop());

describe('filling gaps from the log', () => {
  it('reads a gap once, however many sessions wait behind it, and disconnects none (G5)', async () => {
    const clients = await Promise.all([1, 2, 3].map(() => harness.subscriber('rooms.1')));
    const lost = new Set([3, 4, 5]);
    broker.mangle = (events) => [events.filter(({ seq }) => !lost.has(seq))];
    await harness.publish('rooms.1', 10);
    for (const client of clients) {
      expect(client.take().map(({ type, seq }) => [type, seq])).toEqual(
        Array.from({ length: 10 }, (_, index) => ['event', index + 1]),
      );
      expect(client.closed).toBeUndefined();
    }
    expect(broker.reads).toHaveLength(1);
    expect(broker.reads[0]).toMatchObject({ channel: 'rooms.1', from: 3 });
  });

  it('hides repeats, swaps and delays between broker and node (G2, G5)', async () => {
    const client = await harness.subscriber('rooms.1');
    let held: ChannelEvent[] = [];
    let state = 11;
    const next = (bound: number): number => (state = (state * 48271) % 2147483647) % bound;
    broker.mangle = (events) => {
      const out: ChannelEvent[] = [];
      for (const event of events) {
        const fate = next(10);
        if (fate === 0) continue;
        if (fate === 1) out.push(event, event);
        else if (fate === 2) held.push(event);
        else if (fate === 3) out.unshift(event);
        else out.push(event);
      }
      const late = held;
      if (next(3) === 0) held = [];
      return [[...out, ...(held.length === 0 ? late : [])]];
    };
    for (let round = 0; round < 50; round++) await harness.publish('rooms.1', next(12));
    broker.mangle = undefined;
    await harness.publish('rooms.1');
    const tip = (await harness.engine.application.history('rooms.1', { limit: 1 })).position.seq;
    expect(client.take().map(({ type, seq }) => [type, seq])).toEqual(
      Array.from({ length: tip }, (_, index) => ['event', index + 1]),
    );
  });

  it('announces a gap that the log no longer holds (G5)', async () => {
    const client = await harness.subscriber('rooms.1');
    broker.mangle = (events) => [events.filter(({ seq }) => seq !== 2 && seq !== 3)];
    broker.onRead = (request, result) =>
      request.from === 2
        ? { ...result, oldest: 4, events: result.events.filter(({ seq }) => seq >= 4) }
        : result;
    await harness.publish('rooms.1', 5);
    expect(client.take().map(({ type, seq, payload }) => (type === 'gap' ? payload : seq))).toEqual([
      1,
      { from: 2, to: 3, reason: 'expired', recoverable: false },
      4,
      5,
    ]);
  });

  it('retries a failed read, while later events wait for it (G5)', async () => {
    const client = await harness.subscriber('rooms.1');
    let failures = 2;
    broker.mangle = (events) => [events.filter(({ seq }) => seq !== 2)];
    broker.onRead = (_, result) => {
      if (failures-- > 0) throw new Error('away');
      return result;
    };
    await harness.publish('rooms.1', 4);
    expect(client.take('event').map(({ seq }) => seq)).toEqual([1]);
    for (let attempt = 0; attempt < 2; attempt++) {
      harness.clock.advance(500);
      await quiet();
    }
    expect(client.take('event').map(({ seq }) => seq)).toEqual([2, 3, 4]);
  });

  it('retries a failed read as soon as the broker is back (G5, G21)', async () => {
    const client = await harness.subscriber('rooms.1');
    let away = true;
    broker.mangle = (events) => [events.filter(({ seq }) => seq !== 2)];
    broker.onRead = (_, result) => {
      if (away) throw new Error('away');
      return result;
    };
    broker.listener?.onState('down', 'a test');
    await harness.publish('rooms.1', 4);
    expect(client.take('event').map(({ seq }) => seq)).toEqual([1]);
    away = false;
    broker.listener?.onState('up');
    await quiet();
    expect(client.take('event').map(({ seq }) => seq)).toEqual([2, 3, 4]);
  });

  it('sends a complete reset when a log lost nothing, with one read for all subscribers at its tip (G6)', async () => {
    const clients = await Promise.all([1, 2, 3, 4].map(() => harness.subscriber('rooms.1')));
    await harness.publish('rooms.1', 3);
    for (const client of clients) client.take();
    store.failOver('rooms.1', 3);
    broker.reads.length = 0;
    await harness.publish('rooms.1', 2);
    await quiet();
    const { epoch } = (await harness.engine.application.history('rooms.1')).position;
    for (const client of clients) {
      const [reset, ...rest] = client.take();
      expect(reset).toMatchObject({ type: 'reset', payload: { recovery: 'complete', position: { epoch } } });
      expect(rest.filter(({ type }) => type === 'event').map(({ seq }) => seq)).toEqual([4, 5]);
      expect(client.closed).toBeUndefined();
    }
    expect(broker.reads.length).toBeLessThan(6);
  });

  it('sends reset with lost and the snapshot before the first event of another epoch (G6, P10)', async () => {
    const client = await harness.subscriber('rooms.1');
    await harness.publish('rooms.1', 3);
    client.take();
    await memory.clear('rooms.1');
    await harness.publish('rooms.1', 2);
    await quiet();
    const { position } = await harness.engine.application.history('rooms.1');
    const [reset, ...rest] = client.take();
    expect(reset).toMatchObject({
      type: 'reset',
      channel: 'rooms.1',
      payload: {
        recovery: 'lost',
        reason: 'epoch_changed',
        snapshot: 'fresh state',
        position: { epoch: position.epoch },
      },
    });
    const from = (reset?.payload as { position: { seq: number } }).position.seq;
    expect(rest.every(({ type, epoch }) => type === 'event' && epoch === position.epoch)).toBe(true);
    expect(rest.map(({ seq }) => seq)).toEqual(
      Array.from({ length: position.seq - from }, (_, index) => from + index + 1),
    );
    await harness.publish('rooms.1');
    expect(client.take('event').map(({ seq }) => seq)).toEqual([position.seq + 1]);
  });
});
