import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import { openTelemetry } from '../../../lib/tracing/index.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { alteredBroker } from '../../support/engine/altered-broker.js';
import { channel, EngineHarness, quiet } from '../../support/engine/harness.js';
import { idOf, SpanRecorder } from '../../support/span-recorder.js';

let recorder: SpanRecorder;
let harness: EngineHarness;
beforeEach(() => {
  recorder = new SpanRecorder();
});
afterEach(async () => {
  await harness.stop();
  await recorder.stop();
});

const FIRST = 'first_message rooms.:room';

async function start(options: ConstructorParameters<typeof EngineHarness>[1] = {}): Promise<void> {
  harness = await EngineHarness.start([channel('rooms.:room')], { tracing: openTelemetry(), ...options });
}

describe('the span until the first message', () => {
  it('ends once, with the first of the events that come, for each subscription of a channel', async () => {
    await start();
    for (const user of ['u1', 'u2', 'u3']) await harness.subscriber('rooms.1', `user:${user}`);
    await harness.publish('rooms.1', 2);
    await harness.publish('rooms.1');
    const [publish] = recorder.named('publish rooms.:room').map(idOf);
    expect(recorder.named(FIRST).map((span) => recorder.linksOf(span))).toEqual([
      [publish],
      [publish],
      [publish],
    ]);
    // One delivery for each batch, however many sessions.
    const sessions = recorder
      .named('deliver rooms.:room')
      .map(({ attributes }) => attributes['realtime.sessions']);
    expect(sessions).toEqual([3, 3]);
  });

  it('ends with the first event that is replayed', async () => {
    await start();
    await harness.publish('rooms.1', 3);
    const [, second] = recorder.named('publish rooms.:room').map(idOf);
    const alice = await harness.greet('user:u1');
    alice.send({ type: 'subscribe', id: 's0', channel: 'rooms.1' });
    await quiet();
    const [{ payload }] = alice.take('reply') as unknown as [{ payload: { position: { epoch: string } } }];
    const bob = await harness.greet('user:u2');
    const position = { epoch: payload.position.epoch, seq: 1 };
    bob.send({ type: 'subscribe', id: 's1', channel: 'rooms.1', payload: { position } });
    await quiet();
    expect(bob.take('event')).toHaveLength(2);
    expect(recorder.linksOf(recorder.one(FIRST))).toEqual([second]);
  });

  it('ends without one where the subscription or its connection ends', async () => {
    await start();
    const alice = await harness.subscriber('rooms.1', 'user:u1');
    alice.send({ type: 'unsubscribe', id: 'n1', channel: 'rooms.1' });
    await quiet();
    await harness.publish('rooms.1');
    const bob = await harness.subscriber('rooms.2', 'user:u2');
    bob.drop();
    await quiet();
    expect(recorder.named(FIRST).map(({ attributes, links }) => [attributes['error.type'], links])).toEqual([
      ['closed', []],
      ['closed', []],
    ]);
  });

  it('ends without one where the next message is a reset', async () => {
    const store = new MemoryStore();
    await start({ broker: memoryBroker({ store }) });
    await harness.publish('rooms.1');
    const alice = await harness.subscriber('rooms.1', 'user:u1');
    store.clear('rooms.1');
    await harness.publish('rooms.1', 2);
    expect(alice.take('reset')).toHaveLength(1);
    expect(recorder.named(FIRST).map(({ attributes }) => attributes['error.type'])).toEqual(['closed']);
  });

  it('is made for 1024 subscriptions at most: of the oldest one nothing is recorded', async () => {
    await start({ settings: { limits: { maxChannels: 2_000, ratePerSecond: 10_000, burst: 10_000 } } });
    const alice = await harness.greet('user:u1');
    for (let room = 0; room < 1_025; room++) {
      alice.send({ type: 'subscribe', id: `s${room}`, channel: `rooms.${room}` });
      if (room % 50 === 0) await quiet();
    }
    await quiet();
    expect(alice.take('reply')).toHaveLength(1_025);
    await harness.publish('rooms.0');
    expect(recorder.named(FIRST)).toEqual([]);
    await harness.publish('rooms.1');
    await harness.publish('rooms.1024');
    expect(recorder.named(FIRST)).toHaveLength(2);
  });
});

describe('spans of what fails', () => {
  it('end with the append that the broker refuses, of clients and of the application', async () => {
    const inner = memoryBroker();
    const refusal = { ok: false, code: 'unavailable' } as const;
    const broker = alteredBroker(inner, {
      log: { appendMany: async (requests) => requests.map(() => refusal) },
    });
    await start({ broker });
    const alice = await harness.greet('user:u1');
    alice.send({ type: 'publish', id: 'p1', channel: 'rooms.1', event: 'said', payload: 1 });
    await quiet();
    await expect(harness.engine.application.publish('rooms.1', 'said', 1)).rejects.toBeInstanceOf(
      RealtimeError,
    );
    const ended = recorder.spans
      .filter(({ name }) => name.endsWith('rooms.:room'))
      .map(({ name, attributes }) => [name, attributes['error.type']]);
    expect(ended).toEqual([
      ['append rooms.:room', 'unavailable'],
      ['publish rooms.:room', 'unavailable'],
      ['append rooms.:room', 'unavailable'],
      ['publish rooms.:room', 'unavailable'],
    ]);
  });

  it('end with a connection that is lost while a command runs', async () => {
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', {
          behaviour: { publish: new Map([['said', () => new Promise(() => undefined)]]) },
        }),
      ],
      { tracing: openTelemetry() },
    );
    const alice = await harness.greet('user:u1');
    alice.send({ type: 'publish', id: 'p1', channel: 'rooms.1', event: 'said', payload: 1 });
    await quiet();
    alice.drop();
    await quiet();
    expect(recorder.one('publish rooms.:room').attributes['error.type']).toBe('closed');
  });
});
