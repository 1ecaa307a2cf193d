import { afterEach, describe, expect, it } from '@jest/globals';
import type { Envelope } from '../../../../lib/protocol/envelope.js';
import type { GapPayload } from '../../../../lib/protocol/messages.js';
import type { OverflowPolicy } from '../../../../lib/core/ports/channel-definition.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

async function slowSubscriber(overflow: OverflowPolicy): Promise<FakeConnection> {
  harness = await EngineHarness.start([channel('rooms.:room', { policy: { overflow } })], {
    settings: { outbox: { maxMessages: 20, maxBytes: 1024 * 1024 } },
  });
  const connection = await harness.subscriber('rooms.1');
  connection.stall();
  // The first frame is with the socket; what follows waits in the queue.
  await harness.publish('rooms.1');
  return connection;
}

async function catchUp(connection: FakeConnection): Promise<Envelope[]> {
  connection.drain();
  await quiet();
  return connection.take().filter(({ type }) => type === 'event' || type === 'gap');
}

const gapOf = (envelope: Envelope | undefined): GapPayload => {
  expect(envelope?.type).toBe('gap');
  return envelope?.payload as GapPayload;
};

/** P14 as a client applies it: returns the cursor, and fails on a hole or a repeat that nothing announced. */
function follow(envelopes: readonly Envelope[], start: number): number {
  let cursor = start;
  let thinnedTo = 0;
  for (const envelope of envelopes) {
    if (envelope.type === 'gap') {
      const gap = gapOf(envelope);
      if (gap.partial === true) thinnedTo = gap.to;
      else cursor = Math.max(cursor, gap.to);
    } else {
      const seq = envelope.seq as number;
      expect(seq).toBeGreaterThan(cursor);
      if (seq > thinnedTo) expect(seq).toBe(Math.max(cursor, thinnedTo) + 1);
      cursor = seq;
    }
  }
  return Math.max(cursor, thinnedTo);
}

describe('overflow of a queue', () => {
  it('disconnect closes with 4003, and the client resumes (G13)', async () => {
    const connection = await slowSubscriber('disconnect');
    await harness.publish('rooms.1', 25);
    expect(connection.closed).toEqual({ code: 4003, reason: 'slow_consumer|0' });
  });

  it('drop-oldest drops the oldest events of the channel and announces the range in its place (G13, P25)', async () => {
    const connection = await slowSubscriber('drop-oldest');
    await harness.publish('rooms.1', 60);
    expect(connection.closed).toBeUndefined();
    const [first, gap, ...events] = await catchUp(connection);
    expect(first?.seq).toBe(1);
    expect(gapOf(gap)).toMatchObject({ from: 2, reason: 'overflow', recoverable: true });
    expect(events.length).toBeLessThanOrEqual(20);
    expect(events.at(-1)?.seq).toBe(61);
    expect(follow([gap as Envelope, ...events], 1)).toBe(61);
  });

  it('drop-newest keeps queued events and announces the dropped tail when the queue drains (G13, P25)', async () => {
    const connection = await slowSubscriber('drop-newest');
    await harness.publish('rooms.1', 60);
    const envelopes = await catchUp(connection);
    expect(envelopes.slice(0, -1).map(({ seq }) => seq)).toEqual(
      Array.from({ length: 21 }, (_, index) => index + 1),
    );
    expect(gapOf(envelopes.at(-1))).toEqual({ from: 22, to: 61, reason: 'overflow', recoverable: true });
    await harness.publish('rooms.1');
    expect(connection.take('event').map(({ seq }) => seq)).toEqual([62]);
  });

  it('conflate keeps the newest event of each key at its own seq behind one partial gap (G13, P25)', async () => {
    const connection = await slowSubscriber('conflate');
    await harness.publish('rooms.1', 200, { key: (index) => `sensor-${index % 5}` });
    const [first, gap, ...events] = await catchUp(connection);
    expect(first?.seq).toBe(1);
    expect(gapOf(gap)).toMatchObject({ from: 2, reason: 'conflated', partial: true });
    expect(events.some(({ type }) => type === 'gap')).toBe(false);
    expect(follow([gap as Envelope, ...events], 1)).toBe(201);
    const newest = new Map(events.map((event) => [event.key, event.payload]));
    expect(Object.fromEntries(newest)).toEqual({
      'sensor-0': 195,
      'sensor-1': 196,
      'sensor-2': 197,
      'sensor-3': 198,
      'sensor-4': 199,
    });
  });

  it('conflate bounds the queue even if no two events share a key (G13)', async () => {
    const connection = await slowSubscriber('conflate');
    await harness.publish('rooms.1', 100, { key: (index) => `unique-${index}` });
    const envelopes = await catchUp(connection);
    expect(envelopes.length).toBeLessThanOrEqual(23);
    expect(follow(envelopes.slice(1), 1)).toBe(101);
  });

  it.each(['drop-oldest', 'drop-newest', 'conflate'] as const)(
    '%s announces every range exactly, for any order of stalls and drains (G13, P25)',
    async (overflow) => {
      const connection = await slowSubscriber(overflow);
      let random = 7;
      const next = (bound: number): number => (random = (random * 48271) % 2147483647) % bound;
      for (let round = 0; round < 60; round++) {
        await harness.publish('rooms.1', next(15), { key: () => `k${next(8)}` });
        if (next(4) === 0) {
          connection.drain();
          await quiet();
        }
        if (next(3) === 0) connection.stall();
      }
      connection.drain();
      await quiet();
      const { position } = await harness.engine.application.history('rooms.1', { limit: 1 });
      expect(
        follow(
          connection.take().filter(({ type }) => type === 'event' || type === 'gap'),
          0,
        ),
      ).toBe(position.seq);
    },
  );

  it('answers are never dropped: a queue full of them closes with 4003 (P25)', async () => {
    const connection = await slowSubscriber('drop-oldest');
    for (let index = 0; index < 40; index++) {
      connection.send({ type: 'history', id: `h${index}`, channel: 'rooms.1' });
      await quiet();
    }
    expect(connection.closed?.code).toBe(4003);
  });

  it('the connection lane overtakes queued data (P24, G15)', async () => {
    const connection = await slowSubscriber('drop-oldest');
    await harness.publish('rooms.1', 10);
    connection.send({ type: 'ping', id: 'p1' });
    await quiet();
    connection.drain();
    await quiet();
    const types = connection.take().map(({ type }) => type);
    expect(types.slice(0, 3)).toEqual(['event', 'pong', 'event']);
  });

  it('the answer to unsubscribe drops what is queued, and nothing follows it (P24)', async () => {
    const connection = await slowSubscriber('drop-oldest');
    await harness.publish('rooms.1', 10);
    connection.send({ type: 'unsubscribe', id: 'u1', channel: 'rooms.1' });
    await harness.publish('rooms.1', 3);
    connection.drain();
    await quiet();
    const [first, answer, ...rest] = connection.take();
    expect(first?.seq).toBe(1);
    expect(answer).toMatchObject({ type: 'reply', ref: 'u1' });
    expect(rest).toEqual([]);
  });

  it('the answer to unsubscribe drops the announcement of a dropped tail too (P24, P25)', async () => {
    const connection = await slowSubscriber('drop-newest');
    await harness.publish('rooms.1', 30);
    connection.send({ type: 'unsubscribe', id: 'u1', channel: 'rooms.1' });
    connection.drain();
    await quiet();
    expect(connection.take().map(({ type, seq, ref }) => [type, seq ?? ref])).toEqual([
      ['event', 1],
      ['reply', 'u1'],
    ]);
  });

  it('a stalled client delays no other client: the others receive in the same turn (G14)', async () => {
    const stalled = await slowSubscriber('drop-oldest');
    const quick = await harness.subscriber('rooms.1');
    await harness.publish('rooms.1', 500);
    expect(quick.take('event')).toHaveLength(500);
    expect(stalled.bufferedBytes).toBeLessThan(4_096);
  });

  it('an event whose ttl expires in the queue is announced as expired, and not delivered (P25)', async () => {
    const connection = await slowSubscriber('drop-oldest');
    await harness.engine.application.publish('rooms.1', 'said', 'soon stale', { ttl: 1_000 });
    await harness.publish('rooms.1');
    harness.clock.advance(2_000);
    const [, gap, event] = await catchUp(connection);
    expect(gapOf(gap)).toEqual({ from: 2, to: 2, reason: 'expired', recoverable: false });
    expect(event?.seq).toBe(3);
  });

  it('a session of several channels is written to once per turn (hot path)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const client = await harness.subscriber('rooms.1');
    for (const room of ['rooms.2', 'rooms.3']) client.send({ type: 'subscribe', id: room, channel: room });
    await quiet();
    client.take();
    const before = client.frames.length;
    await Promise.all(
      ['rooms.1', 'rooms.2', 'rooms.3'].map((room) => harness.engine.application.publish(room, 'said', room)),
    );
    await quiet();
    expect(client.take('event').map((event) => event.channel)).toEqual(['rooms.1', 'rooms.2', 'rooms.3']);
    expect(client.frames.length - before).toBe(1);
  });

  it('the events of one turn leave in one frame with the same bytes for every subscriber (hot path)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const clients = [await harness.subscriber('rooms.1'), await harness.subscriber('rooms.1')];
    const before = clients.map(({ frames }) => frames.length);
    await harness.publish('rooms.1', 10);
    const frames = clients.map((client, index) => client.frames.slice(before[index]));
    expect(frames.map(({ length }) => length)).toEqual([1, 1]);
    expect(frames[0]?.[0]).toBe(frames[1]?.[0]);
  });
});
