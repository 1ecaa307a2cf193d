import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type {
  AuthorizationResult,
  ChannelDefinition,
  HandlerCall,
} from '../../../../lib/core/ports/channel-definition.js';
import type { MaybePromise } from '../../../../lib/core/ports/maybe-promise.js';
import type { Observer } from '../../../../lib/core/ports/observer.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';

const FORMS = ['at once', 'later'] as const;

function give<T>(form: (typeof FORMS)[number], make: () => T): MaybePromise<T> {
  return form === 'at once' ? make() : Promise.resolve().then(make);
}

type Call = readonly [method: keyof Observer, ...details: unknown[]];

/** An observer with every method, and what it was notified of. */
class Recorder {
  calls: Call[] = [];
  readonly observer = new Proxy<Observer>(
    {},
    {
      get:
        (_, name) =>
        (...details: unknown[]) =>
          void this.calls.push([name as keyof Observer, ...details]),
    },
  );

  /** Details of the calls of one method since they were last taken. */
  take(method: keyof Observer): unknown[][] {
    const taken = this.calls.filter(([name]) => name === method);
    this.calls = this.calls.filter(([name]) => name !== method);
    return taken.map(([, ...details]) => details);
  }
}

let harness: EngineHarness;
let recorders: Recorder[];
afterEach(() => harness.stop());

async function start(
  channels: readonly ChannelDefinition[],
  options: ConstructorParameters<typeof EngineHarness>[1] = {},
): Promise<void> {
  recorders = [new Recorder(), new Recorder()];
  harness = await EngineHarness.start(channels, {
    ...options,
    observers: recorders.map(({ observer }) => observer),
  });
}

/** What each of the two observers was notified of by one method: the same. */
function taken(method: keyof Observer): unknown[][] {
  const [first, second] = recorders.map((recorder) => recorder.take(method));
  expect(second).toEqual(first);
  return first ?? [];
}

/** Type, outcome and duration of the commands that ended. */
function ended(): unknown[][] {
  return taken('onCommandEnd').map(([, command, outcome, durationMs]) => [
    (command as { type: string }).type,
    outcome,
    durationMs,
  ]);
}

describe('without observers', () => {
  class CountingClock extends ManualClock {
    reads = 0;
    override monotonic(): number {
      this.reads++;
      return super.monotonic();
    }
  }

  async function readsPerTurn(observers: readonly Observer[]): Promise<number> {
    const clock = new CountingClock();
    // Of its own: what the broker reads is not the engine's.
    const broker = memoryBroker({ clock: new ManualClock() });
    harness = await EngineHarness.start([channel('rooms.:room')], { clock, broker, observers });
    await harness.subscriber('rooms.1');
    clock.reads = 0;
    await harness.publish('rooms.1', 10);
    const { reads } = clock;
    await harness.stop();
    return reads;
  }

  it('reads the clock from publish to delivery for the pace of flushes alone: once before and twice around one', async () => {
    expect(await readsPerTurn([])).toBe(3);
    expect(await readsPerTurn([{ onDelivery: () => undefined, onGap: () => undefined }])).toBe(3);
    // One more for the batch of appends, and one for each of its ten answers.
    expect(await readsPerTurn([{ onPublish: () => undefined }])).toBe(14);
  });
});

describe('connections', () => {
  it('open and close once each, with the close code', async () => {
    await start([channel('rooms.:room')]);
    const connection = await harness.greet('user:ada');
    expect(taken('onConnectionOpen')).toEqual([[expect.objectContaining({ ip: '127.0.0.1' })]]);
    expect(taken('onConnectionClose')).toEqual([]);
    connection.drop();
    expect(taken('onConnectionClose')).toEqual([
      [expect.objectContaining({ user: expect.objectContaining({ id: 'ada' }) as object }), 1006, 'client'],
    ]);
    const second = harness.connect();
    second.sendRaw('no command');
    expect(taken('onConnectionOpen')).toHaveLength(1);
    expect(taken('onConnectionClose').map(([, ...end]) => end)).toEqual([[4805, 'node']]);
  });

  it('refused by a transport are observed with the code of the refusal, or else its status', async () => {
    await start([channel('rooms.:room')]);
    const { host } = harness.engine;
    host.onRefused({ status: 401, message: 'No', code: 'token_expired' }, '10.0.0.1');
    host.onRefused({ status: 426, message: 'No' }, '10.0.0.2');
    host.onRequestRefused(410, '10.0.0.3');
    expect(taken('onRefusal')).toEqual([
      ['upgrade', 'token_expired', '10.0.0.1'],
      ['upgrade', 426, '10.0.0.2'],
      ['request', 410, '10.0.0.3'],
    ]);
  });

  it('that are above a limit once they open are observed to open and close, and not as refused', async () => {
    await start([channel('rooms.:room')], { settings: { limits: { maxConnectionsPerAddress: 1 } } });
    harness.connect();
    harness.connect();
    const order = recorders[0]?.calls.map(([method]) => method);
    expect(order?.slice(-2)).toEqual(['onConnectionOpen', 'onConnectionClose']);
    expect(taken('onRefusal')).toEqual([]);
    expect(taken('onConnectionOpen')).toHaveLength(2);
    expect(taken('onConnectionClose').map(([, code]) => code)).toEqual([4009]);
  });

  it.each(FORMS)('are refused at hello by a connect guard that answers %s, and by version', async (form) => {
    await start([channel('rooms.:room')], { onConnect: () => give(form, () => false) });
    await harness.greet();
    expect(taken('onRefusal')).toEqual([['hello', 'forbidden', '127.0.0.1']]);
    expect(ended()).toEqual([['hello', 'forbidden', 0]]);
    harness.connect().send({ type: 'hello', id: 'h', payload: { versions: [9] } });
    expect(taken('onRefusal')).toEqual([['hello', 'unsupported_version', '127.0.0.1']]);
    expect(ended()).toEqual([['hello', 'closed', 0]]);
  });
});

describe('commands', () => {
  it('are observed without payload and without fields that their type does not have (G23)', async () => {
    await start([channel('rooms.:room')]);
    const connection = harness.connect();
    connection.send({ type: 'hello', id: 'h', channel: 7, payload: { versions: [1], token: 'user:ada' } });
    await quiet();
    connection.send({ type: 'publish', id: 'p', channel: 'rooms.1', event: 'said', payload: 'secret' });
    connection.send({ type: 'history', id: 'l', channel: 'rooms.1', event: 7, payload: {} });
    expect(taken('onCommandStart').map(([, command]) => command)).toEqual([
      { type: 'hello', id: 'h', channel: undefined, event: undefined },
      { type: 'publish', id: 'p', channel: 'rooms.1', event: 'said' },
      { type: 'history', id: 'l', channel: 'rooms.1', event: undefined },
    ]);
  });

  it.each(FORMS)('start and end once each, when handlers answer %s', async (form) => {
    await start([
      channel('rooms.:room', {
        behaviour: {
          authorize: { subscribe: () => give(form, () => true), publish: 'public', request: 'public' },
          publish: new Map([
            ['said', ({ payload }: HandlerCall) => give(form, () => payload)],
            ['refused', () => give(form, () => fail('validation_failed'))],
          ]),
          requests: new Map([
            ['sum', () => give(form, () => 3)],
            ['bug', () => give(form, () => failPlainly())],
          ]),
        },
      }),
    ]);
    const client = await harness.greet();
    client.send({ type: 'subscribe', id: '1', channel: 'rooms.1' });
    await quiet();
    client.send(
      { type: 'publish', id: '2', channel: 'rooms.1', event: 'said', payload: 1 },
      { type: 'publish', id: '3', channel: 'rooms.1', event: 'refused', payload: 1 },
      { type: 'publish', id: '4', channel: 'rooms.1', event: 'undeclared', payload: 1 },
    );
    await quiet();
    client.send({ type: 'request', id: '5', channel: 'rooms.1', event: 'sum' });
    await quiet();
    client.send({ type: 'request', id: '6', channel: 'rooms.1', event: 'bug' });
    await quiet();
    client.send({ type: 'history', id: '7', channel: 'rooms.1', payload: {} });
    await quiet();
    client.send({ type: 'ping', id: '8' }, { type: 'auth', id: '9', payload: { token: 'user:eve' } });
    await quiet();
    client.send({ type: 'unsubscribe', id: '10', channel: 'rooms.1' }, { type: 'bye', id: '11' });
    await quiet();
    const started = taken('onCommandStart').map(([, command]) => command);
    const ends = taken('onCommandEnd');
    // The same objects, so that a span may be kept by them.
    expect(new Set(ends.map(([, command]) => command))).toEqual(new Set(started));
    const outcomes = Object.fromEntries(
      ends.map(([, command, outcome]) => [(command as { id: string }).id, outcome]),
    );
    expect(outcomes).toEqual({
      c1: 'ok',
      1: 'ok',
      2: 'ok',
      3: 'validation_failed',
      4: 'forbidden',
      5: 'ok',
      6: 'internal',
      7: 'ok',
      9: 'forbidden',
      10: 'ok',
    });
    expect(ends).toHaveLength(10);
  });

  it('last from when they begin to run, without the time in which they wait for others', async () => {
    let answer = (_: number): void => undefined;
    const asked = (): Promise<number> => new Promise((resolve) => (answer = resolve));
    const behaviour = { authorize: { request: 'public' as const }, requests: new Map([['asked', asked]]) };
    await start([channel('rooms.:room', { behaviour })], { settings: { limits: { maxInFlight: 1 } } });
    const client = await harness.greet();
    taken('onCommandEnd');
    for (const id of ['1', '2']) client.send({ type: 'request', id, channel: 'rooms.1', event: 'asked' });
    await quiet();
    harness.clock.advance(250);
    answer(1);
    await quiet();
    harness.clock.advance(10);
    answer(2);
    await quiet();
    expect(
      taken('onCommandEnd').map(([, command, outcome, ms]) => [(command as { id: string }).id, outcome, ms]),
    ).toEqual([
      ['1', 'ok', 250],
      ['2', 'ok', 10],
    ]);
  });

  it('end with their duration, or with the connection', async () => {
    let answer = (_: boolean): void => undefined;
    const decide = (): Promise<boolean> => new Promise((resolve) => (answer = resolve));
    await start([channel('rooms.:room', { behaviour: { authorize: { subscribe: decide } } })]);
    const client = await harness.greet();
    ended();
    client.send({ type: 'subscribe', id: '1', channel: 'rooms.1' });
    harness.clock.advance(250);
    answer(true);
    await quiet();
    expect(ended()).toEqual([['subscribe', 'ok', 250]]);
    client.send({ type: 'subscribe', id: '2', channel: 'rooms.2' });
    harness.clock.advance(10);
    client.drop();
    answer(true);
    await quiet();
    expect(ended()).toEqual([['subscribe', 'closed', 10]]);
  });

  it('of the same id end once each, and a refusal for their rate ends none of them', async () => {
    await start([channel('rooms.:room')], { settings: { limits: { burst: 2, ratePerSecond: 1 } } });
    const client = await harness.greet();
    ended();
    const publish = { type: 'publish', id: '1', channel: 'rooms.1', event: 'said', payload: 1 };
    client.send(publish, publish, publish);
    await quiet();
    expect(taken('onCommandStart')).toHaveLength(3);
    expect(ended()).toEqual([
      ['publish', 'ok', 0],
      ['publish', 'ok', 0],
    ]);
    expect(taken('onRateLimit')).toHaveLength(1);
  });
});

describe('authorizations', () => {
  const ASKED = [
    ['ok', () => true],
    ['forbidden', () => false],
    ['banned', () => fail('banned')],
    ['internal', () => failPlainly()],
  ] as const;

  it.each(FORMS.flatMap((form) => ASKED.map(([outcome, decide]) => [form, outcome, decide] as const)))(
    'that are decided %s are notified of as %s, once each',
    async (form, outcome, decide) => {
      const authorize = (): MaybePromise<AuthorizationResult> => give(form, decide);
      await start([channel('rooms.:room', { behaviour: { authorize: { subscribe: authorize } } })], {
        requests: new Map([['sum', { authorize, handle: () => 3 }]]),
      });
      const client = await harness.greet();
      client.send(
        { type: 'subscribe', id: '1', channel: 'rooms.1' },
        { type: 'request', id: '2', event: 'sum' },
      );
      await quiet();
      const details = taken('onAuthorization').map(([, ...rest]) => rest);
      expect(details).toHaveLength(2);
      expect(details).toContainEqual(['rooms.:room', 'subscribe', outcome, 0]);
      expect(details).toContainEqual(['', 'request', outcome, 0]);
    },
  );

  it('are not notified of where nobody is asked', async () => {
    await start([channel('rooms.:room')]);
    await harness.subscriber('rooms.1');
    expect(taken('onAuthorization')).toEqual([]);
  });
});

describe('events', () => {
  it('are notified of when they are published and delivered, once per append and per batch', async () => {
    await start([channel('rooms.:room')]);
    await harness.subscriber('rooms.1');
    const client = await harness.subscriber('rooms.1');
    await harness.publish('rooms.1', 3);
    expect(taken('onPublish')).toEqual(Array.from({ length: 3 }, () => ['rooms.:room', 'ok', 0]));
    expect(taken('onDelivery')).toEqual([['rooms.:room', 3, 2]]);
    const publish = { type: 'publish', id: '1', channel: 'rooms.1', event: 'said', payload: 1 };
    client.send(publish);
    await quiet();
    // The second is answered from memory.
    client.send(publish);
    await quiet();
    expect(taken('onPublish')).toEqual([['rooms.:room', 'ok', 0]]);
    const { engine } = harness;
    await engine.application.publish('rooms.1', 'said', 1, { id: 'x' });
    await engine.application.publish('rooms.1', 'said', 1, { id: 'x' });
    await expect(engine.application.publish('rooms.1', 'said', 2, { id: 'x' })).rejects.toMatchObject({
      code: 'conflict',
    });
    expect(taken('onPublish').map(([, outcome]) => outcome)).toEqual(['ok', 'duplicate', 'conflict']);
  });

  it('that a broker refuses as a whole are notified of, once each', async () => {
    const broker = memoryBroker();
    broker.log.appendMany = () => Promise.reject(new Error('broken'));
    await start([channel('rooms.:room')], { broker });
    await Promise.allSettled(
      [1, 2].map((payload) => harness.engine.application.publish('rooms.1', 'said', payload)),
    );
    expect(taken('onPublish')).toEqual([
      ['rooms.:room', 'unavailable', 0],
      ['rooms.:room', 'unavailable', 0],
    ]);
  });

  it.each([
    ['drop-oldest', 'overflow'],
    ['drop-newest', 'overflow'],
    ['conflate', 'conflated'],
  ] as const)('that %s drops are notified of as %s when they are announced', async (overflow, reason) => {
    await start([channel('rooms.:room', { policy: { overflow } })], {
      settings: { outbox: { maxMessages: 4 } },
    });
    const client = await harness.subscriber('rooms.1');
    client.stall();
    for (let batch = 0; batch < 6; batch++) await harness.publish('rooms.1', 2, { key: () => 'k' });
    expect(taken('onGap')).toEqual([]);
    client.drain();
    await quiet();
    const delivered = client.take('event').length;
    const gaps = taken('onGap');
    expect(gaps).toHaveLength(client.received.filter(({ type }) => type === 'gap').length);
    expect(gaps[0]?.slice(0, 2)).toEqual(['rooms.:room', reason]);
    expect(gaps[0]?.[3]).toBe(overflow);
    expect(gaps.reduce((sum, [, , events]) => sum + (events as number), 0)).toBe(12 - delivered);
  });

  it('that expired in the queue are notified of as gaps of one', async () => {
    await start([channel('rooms.:room')]);
    const client = await harness.subscriber('rooms.1');
    client.stall();
    await harness.publish('rooms.1');
    await harness.engine.application.publish('rooms.1', 'said', 1, { ttl: 10 });
    await quiet();
    harness.clock.advance(100);
    client.drain();
    expect(taken('onGap')).toEqual([['rooms.:room', 'expired', 1, 'disconnect']]);
  });

  it('are delivered to the sessions that are live, and not to one that is still behind', async () => {
    await start([channel('rooms.:room')]);
    await harness.subscriber('rooms.1');
    await harness.publish('rooms.1', 3);
    const { position } = await harness.engine.application.history('rooms.1', { limit: 1 });
    taken('onDelivery');
    const late = await harness.greet();
    late.stall();
    late.send({ type: 'ping', id: '1' });
    await quiet();
    const payload = { position: { ...position, seq: 0 } };
    late.send({ type: 'subscribe', id: '2', channel: 'rooms.1', payload });
    await quiet();
    await harness.publish('rooms.1');
    expect(taken('onDelivery')).toEqual([['rooms.:room', 1, 1]]);
    late.drain();
    await quiet();
    await harness.publish('rooms.1');
    expect(taken('onDelivery')).toEqual([['rooms.:room', 1, 2]]);
  });

  it('that are replayed are notified of when the subscriber is live, and not where there were none', async () => {
    await start([channel('rooms.:room')]);
    const client = await harness.subscriber('rooms.1');
    await harness.publish('rooms.1', 5);
    expect(taken('onReplay')).toEqual([]);
    const event = client.take('event').at(-1);
    const late = await harness.greet();
    late.send({
      type: 'subscribe',
      id: '1',
      channel: 'rooms.1',
      payload: { position: { epoch: event?.epoch, seq: 2 } },
    });
    await quiet();
    expect(late.take('event')).toHaveLength(3);
    expect(taken('onReplay')).toEqual([['rooms.:room', 3, 0]]);
  });

  it('that a frozen subscriber missed are notified of as one replay each time', async () => {
    const broker = memoryBroker();
    const begin = broker.start.bind(broker);
    let prove: (forMs: number) => void = () => undefined;
    broker.start = (listener) => {
      prove = (forMs) => listener.onControlCurrent(forMs);
      return begin(listener);
    };
    await start([channel('rooms.:room', { behaviour: { authorize: { subscribe: () => true } } })], {
      broker,
    });
    prove(1_000);
    const client = await harness.subscriber('rooms.1');
    for (const events of [3, 2]) {
      harness.clock.advance(1_000);
      await harness.publish('rooms.1', events);
      expect(client.take('event')).toEqual([]);
      prove(1_000);
      await quiet();
      expect(client.take('event')).toHaveLength(events);
      expect(taken('onReplay')).toEqual([['rooms.:room', events, 0]]);
    }
  });
});

describe('logs and broker', () => {
  it('notifies once of a gap that was read from the log', async () => {
    const broker = lossyBroker(memoryBroker());
    await start([channel('rooms.:room')], { broker });
    await harness.subscriber('rooms.1');
    broker.mangle = (events) => [events.filter(({ seq }) => seq !== 2 && seq !== 3)];
    await harness.publish('rooms.1', 5);
    expect(taken('onHeal')).toEqual([['rooms.:room', 4, 0]]);
  });

  it('a reset is notified of for each subscriber that is sent it', async () => {
    const store = new MemoryStore();
    await start([channel('rooms.:room')], { broker: memoryBroker({ store }) });
    const clients = [await harness.subscriber('rooms.1'), await harness.subscriber('rooms.1')];
    store.clear('rooms.1');
    await harness.publish('rooms.1');
    for (const client of clients) expect(client.take('reset')).toHaveLength(1);
    expect(taken('onReset')).toEqual([
      ['rooms.:room', 'lost'],
      ['rooms.:room', 'lost'],
    ]);
  });

  it('the state of the broker is notified of when it changes, with the reason', async () => {
    const broker = memoryBroker();
    const begin = broker.start.bind(broker);
    let change: (state: 'up' | 'down', reason?: string) => void = () => undefined;
    broker.start = (listener) => {
      change = (state, reason) => listener.onState(state, reason);
      return begin(listener);
    };
    await start([channel('rooms.:room')], { broker });
    change('down', 'no route');
    change('down', 'no route');
    change('up');
    expect(taken('onBrokerState')).toEqual([
      ['down', 'no route'],
      ['up', undefined],
    ]);
  });
});

describe('acts', () => {
  it('of the application come with the receipt of the broker', async () => {
    await start([channel('rooms.:room')]);
    const { engine } = harness;
    await engine.disconnect('ada', { reason: 'maintenance' });
    await engine.revoke('ada', 'rooms.1');
    await engine.ban('ada', { by: 'mod' });
    await engine.unban('ada', { by: 'mod' });
    const acts = taken('onAct');
    expect(acts.map(([act]) => act)).toMatchObject([
      { kind: 'disconnect', user: 'ada', reason: 'maintenance' },
      { kind: 'revoke', user: 'ada', channel: 'rooms.1' },
      { kind: 'ban', user: 'ada', by: 'mod' },
      { kind: 'unban', user: 'ada', by: 'mod' },
    ]);
    for (const [, receipt] of acts) expect(receipt).toEqual({ confirmed: [expect.any(String)], missing: [] });
  });

  it('that the broker rejects come with the error, which the caller gets too', async () => {
    const broker = memoryBroker();
    const error = new RealtimeError('unavailable');
    broker.bus.control = () => Promise.reject(error);
    await start([channel('rooms.:room')], { broker });
    await expect(harness.engine.ban('ada')).rejects.toBe(error);
    expect(taken('onAct')).toEqual([[expect.objectContaining({ kind: 'ban' }), undefined, error, 0]]);
  });

  it('against abuse are notified of when they begin, beside each violation', async () => {
    await start([channel('rooms.:room')], {
      settings: {
        limits: { burst: 1, ratePerSecond: 1 },
        abuse: { throttleAfter: 2, closeAfter: 5, banMs: 7_000 },
      },
    });
    const client = await harness.greet('user:ada');
    const ping = { type: 'ping', id: 'p' };
    client.send(ping, ping, ping, ping);
    const receipt = { confirmed: ['node-1'], missing: [] };
    const connection = expect.objectContaining({ ip: '127.0.0.1' });
    expect(taken('onRateLimit')).toHaveLength(3);
    expect(taken('onAct')).toEqual([[{ kind: 'throttle', connection, banMs: 0 }, receipt, undefined, 0]]);
    client.send(ping, ping);
    expect(client.closed?.code).toBe(4807);
    expect(taken('onRateLimit')).toHaveLength(2);
    expect(taken('onAct')).toEqual([[{ kind: 'close', connection, banMs: 7_000 }, receipt, undefined, 0]]);
  });
});

describe('an observer that fails', () => {
  it.each(FORMS)(
    '%s changes nothing for clients and other observers, and is logged once per method',
    async (form) => {
      const recorder = new Recorder();
      const broken = new Proxy<Observer>({}, { get: () => () => give(form, () => failPlainly()) });
      harness = await EngineHarness.start([channel('rooms.:room')], {
        observers: [broken, recorder.observer],
      });
      const client = await harness.subscriber('rooms.1');
      await harness.publish('rooms.1', 2);
      await harness.publish('rooms.1', 2);
      expect(client.take('event')).toHaveLength(4);
      expect(recorder.take('onDelivery')).toHaveLength(2);
      expect(recorder.take('onPublish')).toHaveLength(4);
      // onConnectionOpen, onCommandStart, onCommandEnd, onSubscribe, onPublish, onDelivery, onDeliveryEnd, onPublishDelivered.
      expect(harness.errors).toHaveLength(8);
    },
  );
});

function fail(code: 'validation_failed' | 'banned'): never {
  throw new RealtimeError(code);
}

function failPlainly(): never {
  throw new Error('broken');
}
