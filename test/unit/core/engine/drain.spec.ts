import { describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import { TimeLeft } from '../../../../lib/core/async/time-left.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

const handshake = {
  transport: 'websocket',
  headers: {},
  url: '/realtime',
  ip: '10.0.0.1',
  network: '10.0.0.1',
  secure: false,
} as const;

async function pass(harness: EngineHarness, ms: number): Promise<void> {
  for (let elapsed = 0; elapsed < ms; elapsed += 50) {
    harness.clock.advance(50);
    await quiet();
  }
}

describe('drain and admission', () => {
  it('refuses new connections, sends bye with advice, flushes queues and closes with 4001 (G18)', async () => {
    const harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.subscriber('rooms.1');
    expect(harness.engine.host.admit(handshake)).toBeUndefined();
    await harness.engine.application.publish('rooms.1', 'said', 'the last word');
    let drained = false;
    const drain = harness.engine.drain(5_000).then(() => (drained = true));
    expect(harness.engine.host.admit(handshake)).toMatchObject({
      status: 503,
      retryAfterMs: expect.any(Number),
    });
    await quiet();
    await pass(harness, 200);
    await drain;
    expect(connection.take().map(({ type }) => type)).toEqual(['bye', 'event']);
    expect(connection.received.find(({ type }) => type === 'bye')?.payload).toEqual({
      code: 4001,
      retryAfterMs: 0,
      spreadMs: 250,
    });
    expect(connection.closed).toEqual({ code: 4001, reason: 'drain|0' });
    expect(drained).toBe(true);
    await harness.stop();
  });

  it.each([
    ['has not said hello', false],
    ['is being authenticated', true],
  ])(
    'a client that %s is sent no bye before welcome: it is closed with 4001 (G18, P3)',
    async (_, greets) => {
      const harness = await EngineHarness.start([channel('rooms.:room')], {
        authenticator: { authenticate: () => new Promise(() => undefined) },
      });
      const connection = harness.connect();
      if (greets) connection.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'user:ada' } });
      await quiet();
      const drain = harness.engine.drain(5_000);
      await quiet();
      await pass(harness, 200);
      await drain;
      expect(connection.received).toEqual([]);
      expect(connection.closed).toEqual({ code: 4001, reason: 'drain|0' });
      await harness.stop();
    },
  );

  it('calls no handler of the application after the drain began (G18)', async () => {
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

  describe('running commands (G18)', () => {
    async function inFlight(type: 'request' | 'publish') {
      let answer: (value: unknown) => void = () => undefined;
      let calls = 0;
      const handler = () => (calls++, new Promise((resolve) => (answer = resolve)));
      const harness = await EngineHarness.start([
        channel('rooms.:room', {
          behaviour: {
            requests: new Map([['ask', handler]]),
            publish: new Map([['said', handler]]),
          },
        }),
      ]);
      const asking = await harness.subscriber('rooms.1');
      const idle = await harness.subscriber('rooms.2');
      asking.send({ type, id: 'r1', channel: 'rooms.1', event: type === 'request' ? 'ask' : 'said' });
      await quiet();
      return { harness, asking, idle, calls: () => calls, answer: (value: unknown) => answer(value) };
    }

    it.each(['request', 'publish'] as const)(
      'running commands are answered before the close: %s (G18)',
      async (type) => {
        const { harness, asking, idle, answer } = await inFlight(type);
        let drained = false;
        void harness.engine.drain(5_000).then(() => (drained = true));
        await pass(harness, 300);
        expect(idle.closed?.code).toBe(4001);
        expect(asking.closed).toBeUndefined();
        expect(drained).toBe(false);
        answer({ done: true });
        await quiet();
        await pass(harness, 50);
        expect(asking.closed).toEqual({ code: 4001, reason: 'drain|0' });
        expect(asking.received.filter(({ ref }) => ref === 'r1').map((answered) => answered.type)).toEqual([
          'reply',
        ]);
        await pass(harness, 50);
        expect(drained).toBe(true);
        await harness.stop();
      },
    );

    it('running commands that are never answered delay the drain until the deadline at most (G18)', async () => {
      const { harness, asking } = await inFlight('request');
      let drained = false;
      void harness.engine.drain(2_000).then(() => (drained = true));
      await pass(harness, 1_900);
      expect(asking.closed).toBeUndefined();
      await pass(harness, 150);
      expect(asking.closed?.code).toBe(4001);
      expect(drained).toBe(true);
      await harness.stop();
    });

    it('commands behind a running one are refused as retryable, as their handlers have not begun (G18)', async () => {
      const { harness, asking, calls, answer } = await inFlight('publish');
      asking.send({ type: 'publish', id: 'r2', channel: 'rooms.1', event: 'said' });
      await quiet();
      void harness.engine.drain(5_000);
      await pass(harness, 100);
      answer({ done: true });
      await quiet();
      await pass(harness, 50);
      const answers = asking.received.filter(({ ref }) => ref === 'r1' || ref === 'r2');
      expect(answers.map(({ type, ref }) => [type, ref])).toEqual(
        expect.arrayContaining([
          ['reply', 'r1'],
          ['error', 'r2'],
        ]),
      );
      expect(answers.find(({ ref }) => ref === 'r2')?.payload).toMatchObject({
        code: 'unavailable',
        retryable: true,
      });
      expect(calls()).toBe(1);
      expect(asking.closed?.code).toBe(4001);
      await harness.stop();
    });

    it('a drain does not wait for an authentication that is in progress (G18)', async () => {
      const harness = await EngineHarness.start([channel('rooms.:room')], {
        authenticator: { authenticate: () => new Promise(() => undefined) },
      });
      const connection = await harness.greet('user:ada');
      void harness.engine.drain(5_000);
      await pass(harness, 100);
      expect(connection.closed?.code).toBe(4001);
      await harness.stop();
    });
  });

  it('ends at the deadline even if a client does not read (G18)', async () => {
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

  it('tells the log and observers how many are left, when it begins, every two seconds, and when it ends (G18)', async () => {
    const seen: [number, number][] = [];
    const harness = await EngineHarness.start([channel('rooms.:room')], {
      observers: [{ onDrain: (left, total) => void seen.push([left, total]) }],
    });
    const [slow] = [await harness.subscriber('rooms.1'), await harness.greet(), await harness.greet()];
    slow?.stall();
    await harness.publish('rooms.1', 1);
    const leaving = () => harness.engine.stats().leaving;
    expect(leaving()).toBe(0);
    void harness.engine.drain(5_000);
    expect(leaving()).toBe(3);
    await pass(harness, 1_950);
    expect(leaving()).toBe(1);
    expect(seen).toEqual([[3, 3]]);
    await pass(harness, 150);
    expect(seen).toEqual([
      [3, 3],
      [1, 3],
    ]);
    await pass(harness, 3_200);
    expect(seen).toEqual([
      [3, 3],
      [1, 3],
      [1, 3],
      [1, 3],
    ]);
    expect(harness.logs.filter((line) => line.startsWith('Draining'))).toEqual([
      'Draining: 3 of 3 connections are left after 0 of 5000 ms',
      'Draining: 1 of 3 connections are left after 2000 of 5000 ms',
      'Draining: 1 of 3 connections are left after 4000 of 5000 ms',
      'Draining: 1 of 3 connections are left after 5000 of 5000 ms',
    ]);
    expect(leaving()).toBe(0);
    await harness.stop();
  });

  it('writes no line where nobody is connected: an application that could not start says why last (G18)', async () => {
    const harness = await EngineHarness.start([channel('rooms.:room')]);
    void harness.engine.drain(5_000);
    await pass(harness, 100);
    expect(harness.logs.filter((line) => line.startsWith('Draining'))).toEqual([]);
    await harness.stop();
  });

  describe('members of a node that ends (G18, G19)', () => {
    async function start(answers: boolean, ms?: number) {
      const order: string[] = [];
      const clock = new ManualClock();
      const inner = memoryBroker({ clock });
      let answer: () => void = () => undefined;
      const leave = async (): Promise<void> => {
        await new Promise<void>((resolve) => (answer = resolve));
        if (answers) order.push('left');
      };
      const broker = alteredBroker(inner, {
        presence: { leave },
        close: async () => void order.push('closed'),
      });
      const channels = [channel('rooms.:room', { policy: { presence: {} } })];
      const warnings: string[] = [];
      const harness = await EngineHarness.start(channels, { broker, clock, warnings });
      const member = await harness.greet('user:ada');
      member.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { presence: {} } });
      await quiet();
      const stopped = harness.engine.stop(...(ms === undefined ? [] : [new TimeLeft(clock, ms)]));
      await quiet();
      expect(member.closed?.code).toBe(4001);
      return { harness, order, stopped, warnings, answer: () => answer() };
    }

    it('the broker has them before it is closed', async () => {
      const { order, stopped, answer } = await start(true);
      expect(order).toEqual([]);
      answer();
      await stopped;
      expect(order).toEqual(['left', 'closed']);
    });

    it.each([
      ['for two seconds', undefined, 2_000],
      ['for two seconds, however much time there is', 60_000, 2_000],
      ['for half of the time that there is', 1_200, 600],
    ])('are waited for %s, and the log says that they were given up', async (_, ms, waitedMs) => {
      const { order, harness, warnings } = await start(false, ms);
      await harness.clock.advanceAsync(waitedMs - 1);
      expect(order).toEqual([]);
      await harness.clock.advanceAsync(1);
      await quiet();
      expect(order).toEqual(['closed']);
      expect(warnings).toEqual([
        `The broker did not take the last leaves of members within ${waitedMs} ms: these members leave with their leases`,
      ]);
    });
  });

  it('is as long where the wall clock is far ahead of, or behind, the time that passes (G18)', async () => {
    for (const skew of [86_400_000, -86_400_000]) {
      const clock = new ManualClock();
      clock.jump(skew);
      const harness = await EngineHarness.start([channel('rooms.:room')], { clock });
      const slow = await harness.subscriber('rooms.1');
      slow.stall();
      await harness.publish('rooms.1', 1);
      let drained = false;
      void harness.engine.drain(1_000).then(() => (drained = true));
      await pass(harness, 950);
      expect(drained).toBe(false);
      await pass(harness, 150);
      expect(drained).toBe(true);
      await harness.stop();
    }
  });

  it('advises 2 s before it has begun, and 250 ms once it drains, when another node takes the client (P18)', async () => {
    const harness = await EngineHarness.start([channel('rooms.:room')]);
    harness.engine.beginDrain();
    expect(harness.engine.host.admit(handshake)).toMatchObject({ status: 503, retryAfterMs: 250 });
    await harness.stop();
    const early = new EngineHarness([channel('rooms.:room')]);
    expect(early.engine.host.admit(handshake)).toMatchObject({ status: 503, retryAfterMs: 2_000 });
  });

  it('refuses with 503 when the node is full and 429 when the address is, each with advice (P18)', async () => {
    const harness = await EngineHarness.start([channel('rooms.:room')], {
      settings: { limits: { maxConnections: 3, maxConnectionsPerAddress: 2 } },
    });
    const first = harness.connect({ ip: '10.0.0.1' });
    harness.connect({ ip: '10.0.0.1' });
    expect(harness.engine.host.admit(handshake)).toMatchObject({
      status: 429,
      retryAfterMs: expect.any(Number),
    });
    expect(harness.engine.host.admit({ ...handshake, ip: '10.0.0.2', network: '10.0.0.2' })).toBeUndefined();
    harness.connect({ ip: '10.0.0.2' });
    expect(harness.engine.host.admit({ ...handshake, ip: '10.0.0.3', network: '10.0.0.3' })).toMatchObject({
      status: 503,
    });
    first.drop();
    expect(harness.engine.host.admit(handshake)).toBeUndefined();
    await harness.stop();
  });

  it('closes all connections on `stop`, which is idempotent', async () => {
    const harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.greet();
    await Promise.all([harness.engine.stop(), harness.engine.stop()]);
    expect(connection.closed?.code).toBe(4001);
    expect(harness.engine.status.sessions).toBe(0);
    expect(harness.clock.pending).toBe(0);
    await expect(harness.engine.application.publish('rooms.1', 'said', 1)).rejects.toMatchObject({
      code: 'unavailable',
    });
  });
});
