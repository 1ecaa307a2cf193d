import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { ChannelPolicy } from '../../../../lib/core/ports/channel-definition.js';
import type { Envelope } from '../../../../lib/protocol/envelope.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet, type SettingsPatch } from '../../../support/engine/harness.js';

const ROOM = 'rooms.1';

let harness: EngineHarness;
afterEach(() => harness.stop());

async function start(settings: SettingsPatch = {}, overflow: ChannelPolicy['overflow'] = 'disconnect') {
  harness = await EngineHarness.start([channel('rooms.:room', { policy: { overflow } })], { settings });
}

/** Where the engine says that the client stands, without the epoch, which is always the log's. */
async function seqs({ handler }: FakeConnection): Promise<Record<string, number>> {
  const { epoch } = (await harness.engine.application.history(ROOM, { limit: 1 })).position;
  const positions = [...handler.positions()];
  expect(positions.every(([, position]) => position.epoch === epoch)).toBe(true);
  return Object.fromEntries(positions.map(([name, { seq }]) => [name, seq]));
}

describe('the verdict on a frame', () => {
  it('is accepted for what is taken, an envelope that is answered with an error included', async () => {
    await start();
    const connection = await harness.greet();
    expect(connection.send({ type: 'ping', id: 'p1' })).toEqual({ outcome: 'accepted' });
    expect(connection.send({ type: 'fly', id: 'x1' })).toEqual({ outcome: 'accepted' });
  });

  it('is paused while the engine wants no more (G16)', async () => {
    const settings = { limits: { ratePerSecond: 1, burst: 1 }, abuse: { throttleAfter: 1, closeAfter: 3 } };
    await start(settings);
    const connection = await harness.greet();
    expect(connection.send({ type: 'ping', id: 'p1' })).toEqual({ outcome: 'accepted' });
    expect(connection.send({ type: 'ping', id: 'p2' })).toEqual({ outcome: 'paused' });
    harness.clock.advance(1_000);
    expect(connection.send({ type: 'ping', id: 'p3' })).toEqual({ outcome: 'accepted' });
  });

  it.each([
    ['cannot be parsed', '{"type":', 4805],
    ['is too large', JSON.stringify({ type: 'ping', id: 'p1', meta: { x: 'x'.repeat(2_000) } }), 4806],
    ['says goodbye', JSON.stringify({ type: 'bye', id: 'b1' }), 1000],
  ])('is refused with the close code for one that %s, and for all that follow', async (_, frame, code) => {
    await start({ limits: { maxMessageBytes: 1_000 } });
    const connection = await harness.greet();
    expect(connection.sendRaw(frame)).toEqual({ outcome: 'refused', code });
    expect(connection.send({ type: 'ping', id: 'p2' })).toEqual({ outcome: 'refused', code });
  });
});

describe('the verdict on a frame of a connection that has ended', () => {
  it('is refused, not paused, while a publish of it is still on its way', async () => {
    let accept = (): void => undefined;
    const behaviour = {
      publish: new Map([['said', () => new Promise<void>((resolve) => (accept = resolve))]]),
    };
    const broker = memoryBroker();
    broker.log.appendMany = () => new Promise(() => undefined);
    const settings = { limits: { maxInFlight: 1 } };
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour })], { broker, settings });
    const connection = await harness.greet();
    connection.send({ type: 'publish', id: 'm1', channel: ROOM, event: 'said', payload: 1 });
    connection.drop();
    accept();
    await quiet();
    expect(connection.send({ type: 'ping', id: 'p1' })).toEqual({ outcome: 'refused', code: 1006 });
  });
});

describe('the positions of a client', () => {
  it('are those of its subscriptions, behind everything that was written', async () => {
    await start();
    const connection = await harness.subscriber(ROOM);
    expect(await seqs(connection)).toEqual({ [ROOM]: 0 });
    await harness.publish(ROOM, 3);
    expect(await seqs(connection)).toEqual({ [ROOM]: 3 });
    connection.send({ type: 'unsubscribe', id: 'u', channel: ROOM });
    expect(await seqs(connection)).toEqual({});
  });

  it('claim nothing that still waits, so a resume from there misses nothing', async () => {
    await start();
    const connection = await harness.subscriber(ROOM);
    connection.stall();
    await harness.publish(ROOM);
    await harness.publish(ROOM, 2);
    expect(connection.frames).toHaveLength(3);
    expect(await seqs(connection)).toEqual({ [ROOM]: 1 });
    const position = connection.handler.positions().get(ROOM);
    const again = await harness.greet();
    again.send({ type: 'subscribe', id: 's', channel: ROOM, payload: { position } });
    await quiet();
    expect(again.take('event').map(({ seq }) => seq)).toEqual([2, 3]);
    connection.drain();
    expect(await seqs(connection)).toEqual({ [ROOM]: 3 });
  });

  it('leave a channel out while the answer of its subscribe waits', async () => {
    await start();
    const connection = await harness.greet();
    connection.stall();
    connection.send({ type: 'ping', id: 'p' });
    await quiet();
    connection.send({ type: 'subscribe', id: 's', channel: ROOM });
    await quiet();
    expect(await seqs(connection)).toEqual({});
    connection.drain();
    expect(await seqs(connection)).toEqual({ [ROOM]: 0 });
  });

  it('are asked in the middle of a flush of several channels only behind what was delivered in it', async () => {
    const missed: string[] = [];
    let onDelivery = (): void => undefined;
    harness = await EngineHarness.start([channel('rooms.:room')], {
      observers: [{ onDelivery: () => onDelivery() }],
    });
    const connection = await harness.subscriber(ROOM);
    onDelivery = () => {
      const positions = connection.handler.positions();
      const written = connection.received.filter(({ type }) => type === 'event');
      for (const [name, { seq }] of positions)
        if (seq > written.filter(({ channel: of }) => of === name).length) missed.push(`${name} ${seq}`);
    };
    connection.send({ type: 'subscribe', id: 's2', channel: 'rooms.2' });
    await quiet();
    const { application } = harness.engine;
    const both = [ROOM, 'rooms.2'].map((name) => application.publish(name, 'said', 1));
    await Promise.all(both);
    // Between the two flushes of the turn, and with the first frame not yet written.
    const flushed = connection.frames.length;
    onDelivery();
    await quiet();
    expect(connection.frames.length).toBeGreaterThan(flushed);
    expect(missed).toEqual([]);
  });

  it('stand before events that were dropped and not yet announced (P25)', async () => {
    await start({ outbox: { maxMessages: 1 } }, 'drop-newest');
    const connection = await harness.subscriber(ROOM);
    connection.send({ type: 'subscribe', id: 's2', channel: 'rooms.2' });
    await quiet();
    connection.stall();
    await harness.publish(ROOM);
    await harness.publish('rooms.2');
    await harness.publish(ROOM, 2);
    const positions = () => [...connection.handler.positions()].map(([name, { seq }]) => [name, seq]);
    expect(positions()).toEqual([
      [ROOM, 1],
      ['rooms.2', 0],
    ]);
    connection.drain();
    await quiet();
    expect(connection.take('gap').map(({ payload }) => payload)).toMatchObject([{ from: 2, to: 3 }]);
    expect(positions()).toEqual([
      [ROOM, 3],
      ['rooms.2', 1],
    ]);
  });
});

describe('what a transport may do with the messages of a client', () => {
  it('translates those that are its own, and none that clients share', async () => {
    await start();
    const connection = await harness.subscriber(ROOM);
    const own: (string | undefined)[] = [];
    Object.assign(connection, {
      translate: (envelope: Envelope) => {
        own.push(envelope.type);
        if (envelope.type === 'pong') return undefined;
        return { ...envelope, type: 'subscribed', channel: 'rooms.2' };
      },
    });
    connection.send({ type: 'ping', id: 'p' }, { type: 'subscribe', id: 's2', channel: 'rooms.2' });
    await harness.publish(ROOM);
    expect(connection.take().map(({ type, channel }) => [type, channel])).toEqual([
      ['subscribed', 'rooms.2'],
      ['event', ROOM],
    ]);
    expect(own).toEqual(['pong', 'reply']);
    expect(connection.frames.every(({ length }) => length > 0)).toBe(true);
  });

  it('is notified before the engine ends the connection, with the queue written and the positions still known', async () => {
    await start();
    const connection = await harness.subscriber(ROOM);
    const known: unknown[] = [];
    Object.assign(connection, {
      onEnding: () => known.push(connection.closed, connection.handler.positions().get(ROOM)?.seq),
    });
    await harness.publish(ROOM, 2);
    await harness.engine.drain(0);
    expect(known).toEqual([undefined, 2]);
    expect(connection.closed?.code).toBe(4001);
    connection.drop();
    expect(known).toHaveLength(2);
  });
});

describe('a connection that is one-way', () => {
  const hello = { type: 'hello', id: 'h1', payload: { versions: [1] } };

  it.each([
    [true, undefined],
    [false, 4004],
  ])(
    '(%s) is closed for its silence with %s, and pinged only when it can answer (P8)',
    async (oneWay, code) => {
      await start();
      const connection = harness.connect({ transport: 'feed' }, oneWay);
      connection.send(hello);
      await quiet();
      for (let second = 0; second < 120; second++) harness.clock.advance(1_000);
      await quiet();
      expect(connection.closed?.code).toBe(code);
      expect(connection.take('ping').length > 0).toBe(!oneWay);
    },
  );

  it('still has to say hello in time (P3)', async () => {
    await start();
    const connection = harness.connect({ transport: 'feed' }, true);
    harness.clock.advance(10_300);
    expect(connection.closed?.code).toBe(4805);
  });
});
