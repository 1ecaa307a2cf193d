import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import { ThrottledLog } from '../../../../lib/core/async/throttled-log.js';
import { unwritableLog } from '../../../../lib/core/engine/unwritable-log.js';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import type { BrokerListener } from '../../../../lib/core/ports/broker.js';
import type { Codec } from '../../../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../../../lib/protocol/codecs/json.js';
import type { Envelope } from '../../../../lib/protocol/envelope.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import { createPlainVariant, FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

/** A codec of the application that cannot write a value that says so. */
const brokenCodec: Codec = {
  ...jsonCodec,
  encode(envelope) {
    const text = JSON.stringify(envelope);
    if (text.includes('unwritable')) throw new Error('no such value');
    return text;
  },
};
const brokenVariant = createPlainVariant(brokenCodec);

async function greet(variant = brokenVariant): Promise<FakeConnection> {
  const connection = new FakeConnection(variant);
  connection.handler = harness.engine.host.open(connection, {});
  connection.send({ type: 'hello', id: 'h', payload: { versions: [1] } });
  await quiet();
  return connection;
}

async function subscribe(connection: FakeConnection, position?: object): Promise<void> {
  connection.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { position } });
  await quiet();
}

/** What arrived of the channel: payloads and gaps. */
function arrived(connection: FakeConnection): unknown[] {
  return connection
    .take()
    .filter(({ type }) => type === 'event' || type === 'gap')
    .map(({ type, seq, payload }: Envelope) => (type === 'gap' ? payload : [seq, payload]));
}

const publish = (...payloads: unknown[]): Promise<unknown> =>
  Promise.all(payloads.map((payload) => harness.engine.application.publish('rooms.1', 'said', payload)));

const gap = (seq: number): object => ({ from: seq, to: seq, reason: 'unreadable', recoverable: false });

describe('an event that cannot be written to a client', () => {
  it('becomes a gap to that client alone, and the rest of its batch is delivered (P25)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const [broken, second, sound] = [await greet(), await greet(), await harness.greet('user:ada')];
    for (const client of [broken, second, sound]) await subscribe(client);
    for (const client of [broken, second, sound]) client.take();
    await publish(1, 'unwritable', 3);
    await quiet();
    for (const client of [broken, second]) {
      expect(arrived(client)).toEqual([[1, 1], gap(2), [3, 3]]);
      expect(client.closed).toBeUndefined();
    }
    expect(arrived(sound)).toEqual([
      [1, 1],
      [2, 'unwritable'],
      [3, 3],
    ]);
    // Once for all connections of the codec.
    expect(harness.errors).toHaveLength(1);
  });

  it('becomes a gap where it is alone in its batch, and later events are delivered', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const client = await greet();
    await subscribe(client);
    client.take();
    for (const payload of ['unwritable', 2, 'unwritable', 4]) {
      await publish(payload);
      await quiet();
    }
    expect(arrived(client)).toEqual([gap(1), [2, 2], gap(3), [4, 4]]);
  });

  it.each([1, 256])(
    'becomes a gap in a replay, and the client is live behind it: ring of %i (P12)',
    async (ringSize) => {
      harness = await EngineHarness.start([channel('rooms.:room')], { settings: { ringSize } });
      await publish('unwritable', 2, 'unwritable');
      const { epoch } = (await harness.engine.application.history('rooms.1')).position;
      const client = await greet();
      await subscribe(client, { epoch, seq: 0 });
      expect(arrived(client)).toEqual([gap(1), [2, 2], gap(3)]);
      await publish(4);
      await quiet();
      expect(arrived(client)).toEqual([[4, 4]]);
      expect(client.closed).toBeUndefined();
    },
  );

  it('becomes a gap in the queue of a client that reads slowly, and counts for it (G13)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { overflow: 'drop-newest' } })], {
      settings: { outbox: { maxMessages: 4 } },
    });
    const client = await greet();
    await subscribe(client);
    client.take();
    client.stall();
    for (let index = 0; index < 20; index++) {
      await publish('unwritable');
      await quiet();
    }
    client.drain();
    await quiet();
    const gaps = arrived(client) as { from: number; to: number; reason: string }[];
    expect(gaps.length).toBeLessThan(10);
    expect(gaps[0]?.from).toBe(1);
    expect(gaps.at(-1)).toMatchObject({ to: 20, reason: 'overflow' });
  });

  it('is left out of a page of history', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    await publish(1, 'unwritable', 3);
    const client = await greet();
    await subscribe(client);
    client.take();
    client.send({ type: 'history', id: 'y', channel: 'rooms.1', payload: {} });
    await quiet();
    const [reply] = client.take('reply') as { payload: { events: { payload: unknown }[] } }[];
    expect(reply?.payload.events.map(({ payload }) => payload)).toEqual([1, 3]);
  });

  it('may be a signal, which is dropped without a word', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const client = await greet();
    await subscribe(client);
    client.take();
    await harness.engine.application.signal('rooms.1', 'typing', 'unwritable');
    await harness.engine.application.signal('rooms.1', 'typing', 'sound');
    await quiet();
    expect(client.take('signal')).toMatchObject([{ payload: 'sound' }]);
    expect(client.closed).toBeUndefined();
  });

  it('is logged at most once in ten seconds, with the number of the others', () => {
    const clock = new ManualClock();
    const lines: string[] = [];
    const logger = { debug: () => undefined, log: () => undefined, warn: () => undefined };
    const note = unwritableLog(
      new ThrottledLog({ ...logger, error: (line) => void lines.push(line) }, clock),
      () => 'rooms.:room',
    );
    const event = { type: 'event', channel: 'rooms.1\n', seq: 3 };
    for (let index = 0; index < 3; index++) note(event, 'json', new Error('x'));
    clock.advance(10_000);
    note({ type: 'signal', channel: 'rooms.2' }, 'msgpack', new Error('x'));
    clock.advance(9_999);
    note(event, 'json', new Error('x'));
    expect(lines).toEqual([
      'The event 3 of a channel of rooms.:room could not be written as json, and was left out',
      'The signal of a channel of rooms.:room could not be written as msgpack, and was left out (2 more of this kind since the last line)',
    ]);
  });
});

describe('an event that the broker finds and cannot read', () => {
  const place = { channel: 'rooms.1', epoch: 'e1', ts: 0 };
  const event = (seq: number): ChannelEvent =>
    seq === 2
      ? ChannelEvent.unreadable({ ...place, seq })
      : new ChannelEvent({ ...place, expiresAt: Infinity, seq, id: `i${seq}`, event: 'said', payload: seq });
  const tip = { epoch: 'e1', seq: 3 };

  async function start(subscribedTip: number): Promise<BrokerListener> {
    const clock = new ManualClock();
    const inner = memoryBroker({ clock, entropy: new SeededEntropy(1) });
    let listener: BrokerListener | undefined;
    const broker = alteredBroker(inner, {
      start: (given, nodeId) => {
        listener = given;
        return inner.start(given, nodeId);
      },
      log: {
        subscribe: async () => ({ epoch: 'e1', seq: subscribedTip }),
        read: async ({ from, until = 3, limit }) => ({
          tip,
          continuous: true,
          oldest: 1,
          events: [1, 2, 3]
            .filter((seq) => seq >= from && seq <= until)
            .slice(0, limit)
            .map(event),
        }),
      },
    });
    harness = await EngineHarness.start([channel('rooms.:room')], { broker, clock });
    if (listener === undefined) throw new Error('The broker was not started');
    return listener;
  }

  it('is a gap in a replay and is left out of history, for the application too (P25, P14e)', async () => {
    await start(3);
    const client = await harness.greet('user:ada');
    await subscribe(client, { epoch: 'e1', seq: 0 });
    expect(arrived(client)).toEqual([[1, 1], gap(2), [3, 3]]);
    client.send({ type: 'history', id: 'y', channel: 'rooms.1', payload: { limit: 2 } });
    await quiet();
    const [reply] = client.take('reply') as { payload: { events: { seq: number }[]; more: boolean } }[];
    expect(reply?.payload.events.map(({ seq }) => seq)).toEqual([1, 3]);
    expect((await harness.engine.application.history('rooms.1')).events.map(({ seq }) => seq)).toEqual([
      1, 3,
    ]);
  });

  it('is a gap in live delivery', async () => {
    const listener = await start(0);
    const client = await harness.greet('user:ada');
    await subscribe(client);
    client.take();
    listener.onEvents('rooms.1', [event(1), event(2), event(3)]);
    await quiet();
    expect(arrived(client)).toEqual([[1, 1], gap(2), [3, 3]]);
  });
});
