import { describe, expect, it } from '@jest/globals';
import { channel, EngineHarness, quiet } from '../../support/engine.harness.js';

const handshake = {
  transport: 'websocket',
  headers: {},
  url: '/realtime',
  ip: '10.0.0.1',
  secure: false,
} as const;

async function pass(harness: EngineHarness, ms: number): Promise<void> {
  for (let elapsed = 0; elapsed < ms; elapsed += 50) {
    harness.clock.advance(50);
    await quiet();
  }
}

describe('drain and admission', () => {
  it('G18 refuses newcomers, says bye with advice, flushes what waits, closes with 4001', async () => {
    const harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.subscriber('rooms.1');
    expect(harness.engine.admit(handshake)).toBeUndefined();
    await harness.engine.publish('rooms.1', 'said', 'the last word');
    let drained = false;
    const drain = harness.engine.drain(5_000).then(() => (drained = true));
    expect(harness.engine.admit(handshake)).toMatchObject({ status: 503, retryAfterMs: expect.any(Number) });
    await quiet();
    await pass(harness, 200);
    await drain;
    expect(connection.take().map(({ type }) => type)).toEqual(['bye', 'event']);
    expect(connection.received.find(({ type }) => type === 'bye')?.payload).toEqual({
      code: 4001,
      retryAfterMs: 0,
      spreadMs: 5_000,
    });
    expect(connection.closed).toEqual({ code: 4001, reason: 'drain|0' });
    expect(drained).toBe(true);
    await harness.stop();
  });

  it('G18 calls the application no more once the drain has begun: what it needs may be closed', async () => {
    let calls = 0;
    const harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: { authorize: { subscribe: 'public', publish: () => ++calls > 0 } },
      }),
    ]);
    const connection = await harness.subscriber('rooms.1');
    harness.engine.beginDrain();
    connection.send(
      { type: 'publish', id: 'm1', channel: 'rooms.1', event: 'said' },
      { type: 'ping', id: 'p1' },
      { type: 'unsubscribe', id: 'u1', channel: 'rooms.1' },
    );
    await quiet();
    const answers = connection.take();
    expect(answers.map(({ type, ref }) => [type, ref])).toEqual([
      ['pong', 'p1'],
      ['reply', 'u1'],
      ['error', 'm1'],
    ]);
    expect(answers[2]?.payload).toMatchObject({ code: 'unavailable', retryable: true });
    expect(calls).toBe(0);
    await harness.stop();
  });

  it('G18 ends at the deadline although a client does not read', async () => {
    const harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.subscriber('rooms.1');
    connection.stall();
    await harness.publish('rooms.1', 3);
    let drained = false;
    void harness.engine.drain(2_000).then(() => (drained = true));
    await pass(harness, 1_900);
    expect(drained).toBe(false);
    expect(connection.closed).toBeUndefined();
    await pass(harness, 300);
    expect(drained).toBe(true);
    expect(connection.closed?.code).toBe(4001);
    await harness.stop();
  });

  it('G18 spreads the goodbyes over the deadline', async () => {
    const harness = await EngineHarness.start([channel('rooms.:room')]);
    const clients = await Promise.all(Array.from({ length: 300 }, () => harness.greet()));
    for (const client of clients) client.take();
    void harness.engine.drain(1_000);
    await quiet();
    const told = () => clients.filter((client) => client.received.some(({ type }) => type === 'bye')).length;
    expect(told()).toBe(64);
    await pass(harness, 500);
    expect(told()).toBe(300);
    await harness.stop();
  });

  it('P18 refuses a full node with 503 and a full address with 429, each with advice', async () => {
    const harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { limits: { maxConnections: 3, maxConnectionsPerAddress: 2 } },
    });
    const first = harness.connect({ ip: '10.0.0.1' });
    harness.connect({ ip: '10.0.0.1' });
    expect(harness.engine.admit(handshake)).toMatchObject({ status: 429, retryAfterMs: expect.any(Number) });
    expect(harness.engine.admit({ ...handshake, ip: '10.0.0.2' })).toBeUndefined();
    harness.connect({ ip: '10.0.0.2' });
    expect(harness.engine.admit({ ...handshake, ip: '10.0.0.3' })).toMatchObject({ status: 503 });
    first.drop();
    expect(harness.engine.admit(handshake)).toBeUndefined();
    await harness.stop();
  });

  it('stop closes what is left, and is idempotent', async () => {
    const harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.greet();
    await Promise.all([harness.engine.stop(), harness.engine.stop()]);
    expect(connection.closed?.code).toBe(4001);
    expect(harness.engine.status.sessions).toBe(0);
    expect(harness.clock.pending).toBe(0);
    await expect(harness.engine.publish('rooms.1', 'said', 1)).rejects.toMatchObject({ code: 'unavailable' });
  });
});
