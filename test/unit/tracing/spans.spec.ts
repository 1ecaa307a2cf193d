import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { context, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { AlwaysOffSampler, ParentBasedSampler, type ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import type { HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { openTelemetry } from '../../../lib/tracing/index.js';
import { channel, EngineHarness, quiet } from '../../support/engine/harness.js';
import { FakeConnection } from '../../support/engine/fake-connection.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { idOf, SpanRecorder } from '../../support/span-recorder.js';

const CLIENT_TRACE = '0af7651916cd43dd8448eb211c80319c';
const CLIENT_SPAN = 'b7ad6b7169203331';
const TRACEPARENT = `00-${CLIENT_TRACE}-${CLIENT_SPAN}-01`;

let recorder: SpanRecorder;
const running: EngineHarness[] = [];
beforeEach(() => {
  recorder = new SpanRecorder();
});
afterEach(async () => {
  for (const harness of running.splice(0)) await harness.stop();
  await recorder.stop();
});

/** Work of the application, with a span of its own as an instrumented database has. */
async function query(name: string): Promise<void> {
  await Promise.resolve();
  trace.getTracer('application').startSpan(name).end();
}

const rooms = channel('rooms.:room', {
  behaviour: {
    authorize: {
      subscribe: async ({ channel: name }: HandlerCall) => {
        await query('select member');
        if (name === 'rooms.slow') throw new Error('select * from secrets');
        return name !== 'rooms.closed';
      },
      publish: () => true,
      request: 'public',
    },
    publish: new Map([
      [
        'said',
        async ({ payload }: HandlerCall) => {
          await query('insert message');
          return payload;
        },
      ],
      ['noted', undefined],
    ]),
    requests: new Map([['count', () => 7]]),
  },
});

type Options = NonNullable<ConstructorParameters<typeof EngineHarness>[1]>;

async function start(options: Options = {}): Promise<EngineHarness> {
  const harness = await EngineHarness.start([rooms], { tracing: openTelemetry(), ...options });
  running.push(harness);
  return harness;
}

/** Two nodes on one log. */
async function startTwo(options: Options = {}): Promise<readonly [EngineHarness, EngineHarness]> {
  const clock = new ManualClock();
  const store = new MemoryStore({ clock });
  const node = (nodeId: string, seed: number) =>
    start({ ...options, clock, seed, broker: memoryBroker({ store }), settings: { nodeId } });
  return [await node('left', 1), await node('right', 2)];
}

async function send(connection: FakeConnection, command: object): Promise<string | undefined> {
  connection.take();
  connection.send({ id: 'x1', ...command });
  await quiet();
  const [answer] = connection.take().filter(({ ref }) => ref === 'x1');
  return answer?.type === 'error' ? (answer.payload as { code: string }).code : answer?.type;
}

function traceOf(span: ReadableSpan): string {
  return span.spanContext().traceId;
}

describe('spans of one node', () => {
  it('show a page that starts: connect, authenticate, subscribe, first message', async () => {
    const harness = await start();
    await harness.subscriber('rooms.1', 'user:u1');
    await harness.publish('rooms.1');
    const connect = recorder.one('connect');
    expect(recorder.parentOf(connect)).toBeUndefined();
    expect(connect.kind).toBe(SpanKind.SERVER);
    expect(connect.attributes).toEqual({
      'realtime.transport': 'websocket',
      'realtime.connection.id': expect.any(String),
    });
    const authenticate = recorder.one('authenticate');
    const subscribe = recorder.one('subscribe rooms.:room');
    const first = recorder.one('first_message rooms.:room');
    expect(recorder.parentOf(authenticate)).toBe('connect');
    expect(recorder.parentOf(subscribe)).toBe('connect');
    expect(recorder.parentOf(recorder.one('authorize'))).toBe('subscribe rooms.:room');
    expect(recorder.parentOf(recorder.one('select member'))).toBe('authorize');
    expect(recorder.parentOf(first)).toBe('subscribe rooms.:room');
    expect(recorder.linksOf(first)).toEqual([idOf(recorder.one('publish rooms.:room'))]);
    expect(new Set([connect, authenticate, subscribe, first].map(traceOf)).size).toBe(1);
  });

  it('run a handler, and what it calls, inside of the publish; the delivery follows', async () => {
    const harness = await start();
    const alice = await harness.subscriber('rooms.1', 'user:u1');
    expect(await send(alice, { type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 })).toBe(
      'reply',
    );
    const publish = recorder.one('publish rooms.:room');
    expect(publish.kind).toBe(SpanKind.PRODUCER);
    expect(publish.attributes).toEqual({
      'messaging.system': 'nestjs_realtime',
      'messaging.operation.name': 'publish',
      'messaging.operation.type': 'send',
      'messaging.destination.template': 'rooms.:room',
      'realtime.connection.id': expect.any(String),
    });
    expect(recorder.parentOf(recorder.one('handle'))).toBe('publish rooms.:room');
    expect(recorder.one('handle').attributes).toEqual({
      'realtime.handler': 'The handler of the publish "said" of rooms.:room',
    });
    expect(recorder.parentOf(recorder.one('insert message'))).toBe('handle');
    expect(recorder.parentOf(recorder.one('append rooms.:room'))).toBe('publish rooms.:room');
    const deliver = recorder.one('deliver rooms.:room');
    expect(recorder.parentOf(deliver)).toBe('publish rooms.:room');
    expect(deliver.kind).toBe(SpanKind.CONSUMER);
    expect(deliver.attributes).toMatchObject({
      'messaging.operation.name': 'deliver',
      'messaging.batch.message_count': 1,
      'realtime.sessions': 1,
      'realtime.node.id': 'node-1',
    });
  });

  it('name a publish in the trace that its event carries (P5d)', async () => {
    const harness = await start();
    const alice = await harness.subscriber('rooms.1');
    alice.send({ type: 'publish', id: 'p1', channel: 'rooms.1', event: 'said', payload: 1 });
    await quiet();
    const publish = recorder.one('publish rooms.:room').spanContext();
    expect(alice.take('event')).toMatchObject([{ trace: `00-${publish.traceId}-${publish.spanId}-01` }]);
  });

  it('belong to the span of the application where that publishes', async () => {
    const harness = await start();
    await harness.subscriber('rooms.1');
    const request = trace.getTracer('application').startSpan('POST /messages');
    await context.with(trace.setSpan(context.active(), request), () =>
      harness.engine.application.publish('rooms.1', 'said', 1),
    );
    request.end();
    await quiet();
    expect(recorder.parentOf(recorder.one('publish rooms.:room'))).toBe('POST /messages');
    expect(recorder.parentOf(recorder.one('append rooms.:room'))).toBe('publish rooms.:room');
    expect(recorder.parentOf(recorder.one('deliver rooms.:room'))).toBe('publish rooms.:room');
  });

  it('continue the trace that the application gives, and no other', async () => {
    const harness = await start();
    await harness.engine.application.publish('rooms.1', 'said', 1, { trace: TRACEPARENT });
    await harness.engine.application.publish('rooms.1', 'said', 2, { trace: 'what is this' });
    const [given, odd] = recorder.named('publish rooms.:room');
    expect([given && traceOf(given), given && recorder.parentOf(given)]).toEqual([CLIENT_TRACE, CLIENT_SPAN]);
    expect(odd && recorder.parentOf(odd)).toBeUndefined();
  });

  it('of one delivery name every publish of the batch, up to 33 of them', async () => {
    const harness = await start();
    await harness.subscriber('rooms.1');
    await harness.publish('rooms.1', 40);
    const deliver = recorder.one('deliver rooms.:room');
    const publishes = recorder.named('publish rooms.:room').map(idOf);
    expect(deliver.parentSpanContext?.spanId).toBe(publishes[0]);
    expect(recorder.linksOf(deliver)).toEqual(publishes.slice(1, 33));
    expect(deliver.attributes['messaging.batch.message_count']).toBe(40);
  });

  it('end with what a client was answered, and with a failure only where the server failed', async () => {
    const harness = await start();
    const alice = await harness.greet('user:u1');
    expect(await send(alice, { type: 'subscribe', channel: 'rooms.closed' })).toBe('forbidden');
    expect(await send(alice, { type: 'subscribe', channel: 'rooms.slow' })).toBe('unavailable');
    expect(await send(alice, { type: 'request', channel: 'rooms.1', event: 'count' })).toBe('reply');
    const ended = recorder.spans
      .filter(({ name }) => /^(subscribe|authorize|request)/.test(name))
      .map(({ name, status, attributes }) => [name, attributes['error.type'], status.code]);
    expect(ended).toEqual([
      ['authorize', undefined, SpanStatusCode.UNSET],
      ['subscribe rooms.:room', 'forbidden', SpanStatusCode.UNSET],
      ['authorize', 'internal', SpanStatusCode.ERROR],
      ['subscribe rooms.:room', 'unavailable', SpanStatusCode.ERROR],
      ['request rooms.:room', undefined, SpanStatusCode.UNSET],
    ]);
    expect(JSON.stringify(recorder.spans.map(({ events, status }) => [events, status]))).not.toContain(
      'secrets',
    );
  });

  it('end with the connect that is refused, or left', async () => {
    const harness = await start();
    const refused = harness.connect();
    refused.send({ type: 'hello', id: 'h1', payload: { versions: [1], token: 'nonsense' } });
    await quiet();
    const left = harness.connect();
    left.drop();
    await quiet();
    const ended = recorder
      .named('connect')
      .map(({ attributes, status }) => [attributes['error.type'], status.code]);
    expect(ended).toEqual([
      ['unauthorized', SpanStatusCode.UNSET],
      ['close_1006', SpanStatusCode.UNSET],
    ]);
    expect(recorder.one('authenticate').attributes['error.type']).toBe('unauthorized');
  });

  it('of credentials that come with the handshake belong to the connect, also where they are refused', async () => {
    const harness = await start();
    const { host } = harness.engine;
    const { handshake } = new FakeConnection(harness.connect().variant);
    const verify = async (token: string): Promise<unknown> =>
      host.authenticate({ token, via: 'subprotocol', handshake });
    await expect(verify('nonsense')).rejects.toBeInstanceOf(RealtimeError);
    expect(recorder.parentOf(recorder.one('authenticate'))).toBe('connect');
    expect(recorder.one('connect').attributes['error.type']).toBe('unauthorized');
  });

  it('of an auth hold its verification', async () => {
    const harness = await start();
    const alice = await harness.greet('user:u1');
    recorder.clear();
    expect(await send(alice, { type: 'auth', payload: { token: 'user:u1' } })).toBe('reply');
    expect(recorder.names).toEqual(['authenticate', 'auth']);
    expect(recorder.parentOf(recorder.one('authenticate'))).toBe('auth');
  });

  it('of commands that come later are traces of their own, with a link to the connect', async () => {
    const harness = await start();
    const alice = await harness.greet('user:u1');
    await harness.clock.advanceAsync(10_001);
    await send(alice, { type: 'subscribe', channel: 'rooms.1' });
    const subscribe = recorder.one('subscribe rooms.:room');
    expect(recorder.parentOf(subscribe)).toBeUndefined();
    expect(recorder.linksOf(subscribe)).toEqual([idOf(recorder.one('connect'))]);
  });

  it('have neither user nor name of a channel, unless the options say so', async () => {
    const plain = await start();
    await send(await plain.greet('user:u1'), { type: 'subscribe', channel: 'rooms.nobody-knows' });
    await send(await plain.greet('user:u1'), { type: 'subscribe', channel: 'unknown.nobody-knows' });
    await plain.publish('rooms.nobody-knows');
    expect(recorder.names).toContain('subscribe');
    const seen = recorder.spans.map(({ name, attributes }) => [name, attributes]);
    expect(JSON.stringify(seen)).not.toMatch(/nobody-knows|u1"/);
    recorder.clear();
    const open = await start({ tracing: openTelemetry({ userIds: true, channelNames: true }) });
    await open.subscriber('rooms.1', 'user:u1');
    await open.publish('rooms.1');
    expect(recorder.one('connect').attributes['user.id']).toBe('u1');
    const named = { 'messaging.destination.name': 'rooms.1' };
    expect(recorder.one('subscribe rooms.:room').attributes).toMatchObject({ ...named, 'user.id': 'u1' });
    expect(recorder.one('publish rooms.:room').attributes).toMatchObject(named);
    expect(recorder.one('deliver rooms.:room').attributes).toMatchObject(named);
  });
});

describe('spans of two nodes', () => {
  it('are one trace from the publish to the delivery, and only of what is traced', async () => {
    const [left, right] = await startTwo();
    await right.subscriber('rooms.1');
    const alice = await left.greet('user:u1');
    recorder.clear();
    await send(alice, { type: 'publish', channel: 'rooms.1', event: 'noted', payload: 1 });
    const publish = recorder.one('publish rooms.:room');
    const deliver = recorder.one('deliver rooms.:room');
    expect(traceOf(deliver)).toBe(traceOf(publish));
    expect(recorder.parentOf(deliver)).toBe('publish rooms.:room');
    expect(deliver.attributes['realtime.node.id']).toBe('right');
    expect(recorder.one('append rooms.:room').attributes['realtime.node.id']).toBe('left');
    const first = recorder.one('first_message rooms.:room');
    expect(recorder.linksOf(first)).toEqual([idOf(publish)]);
  });

  it('have no delivery of an event whose trace is not sampled, or is none', async () => {
    const clock = new ManualClock();
    const store = new MemoryStore({ clock });
    const right = await start({ clock, seed: 2, broker: memoryBroker({ store }) });
    await right.subscriber('rooms.1');
    recorder.clear();
    // A node that traces nothing hands on what it was given.
    const bare = await EngineHarness.start([rooms], { clock, broker: memoryBroker({ store }) });
    running.push(bare);
    for (const trace of [
      undefined,
      `00-${CLIENT_TRACE}-${CLIENT_SPAN}-00`,
      'x'.repeat(55),
      TRACEPARENT.toUpperCase(),
    ])
      await bare.engine.application.publish('rooms.1', 'said', 1, trace === undefined ? {} : { trace });
    await quiet();
    expect(recorder.named('deliver rooms.:room')).toEqual([]);
    await bare.engine.application.publish('rooms.1', 'said', 1, { trace: TRACEPARENT });
    await quiet();
    expect(recorder.parentOf(recorder.one('deliver rooms.:room'))).toBe(CLIENT_SPAN);
    // Also where it is not the first of its batch.
    const { application } = bare.engine;
    const both = [{}, { trace: TRACEPARENT }].map((given) =>
      application.publish('rooms.1', 'said', 1, given),
    );
    await Promise.all(both);
    await quiet();
    const [, second] = recorder.named('deliver rooms.:room');
    expect(second?.attributes['messaging.batch.message_count']).toBe(2);
    expect(second && recorder.parentOf(second)).toBe(CLIENT_SPAN);
  });
});

describe('what is not sampled', () => {
  it('has no spans, and nothing of a client makes another node record it (P5d)', async () => {
    await recorder.stop();
    recorder = new SpanRecorder(new AlwaysOffSampler());
    const harness = await start();
    const alice = await harness.subscriber('rooms.1', 'user:u1');
    alice.send({
      type: 'publish',
      id: 'p1',
      channel: 'rooms.1',
      event: 'said',
      payload: 1,
      trace: TRACEPARENT,
    });
    alice.send({ type: 'publish', id: 'p2', channel: 'rooms.1', event: 'said', payload: 1 });
    alice.send({ type: 'publish', id: 'p3', channel: 'rooms.1', event: 'said', payload: 1, trace: 'odd' });
    await quiet();
    const traces = alice.take('event').map(({ trace: sent }) => sent);
    expect(traces).toEqual([`00-${CLIENT_TRACE}-${CLIENT_SPAN}-00`, undefined, 'odd']);
    expect(recorder.spans).toEqual([]);
  });
});

describe('the traceparent of a client', () => {
  async function publish(clients: 'link' | 'parent' | 'ignore' | undefined): Promise<ReadableSpan> {
    const harness = await start({ tracing: openTelemetry(clients === undefined ? {} : { clients }) });
    const alice = await harness.greet('user:u1');
    await harness.clock.advanceAsync(10_001);
    recorder.clear();
    const command = { type: 'publish', channel: 'rooms.1', event: 'noted', payload: 1, trace: TRACEPARENT };
    expect(await send(alice, command)).toBe('reply');
    return recorder.one('publish rooms.:room');
  }

  it('is a link by default, whatever it says of being sampled', async () => {
    for (const clients of [undefined, 'link'] as const) {
      const span = await publish(clients);
      expect(traceOf(span)).not.toBe(CLIENT_TRACE);
      expect(recorder.linksOf(span)).toContain(CLIENT_SPAN);
    }
  });

  it('is the parent, or nothing, where the options say so', async () => {
    const continued = await publish('parent');
    expect(traceOf(continued)).toBe(CLIENT_TRACE);
    expect(recorder.linksOf(continued)).toHaveLength(1);
    const ignored = await publish('ignore');
    expect(traceOf(ignored)).not.toBe(CLIENT_TRACE);
    expect(recorder.linksOf(ignored)).toHaveLength(1);
  });

  it('makes a server record only where it is the parent', async () => {
    await recorder.stop();
    recorder = new SpanRecorder(new ParentBasedSampler({ root: new AlwaysOffSampler() }));
    await expect(publish('link')).rejects.toThrow('Not one');
    expect(traceOf(await publish('parent'))).toBe(CLIENT_TRACE);
  });

  it.each([['link'], ['parent'], ['ignore']] as const)(
    'of a handshake is used in the same way: %s',
    async (clients) => {
      const harness = await start({ tracing: openTelemetry({ clients }) });
      harness.connect({ headers: { traceparent: TRACEPARENT } }).drop();
      harness.connect({ headers: { traceparent: `${TRACEPARENT}-more` } }).drop();
      await quiet();
      const [connect, odd] = recorder.named('connect');
      expect(connect && traceOf(connect) === CLIENT_TRACE).toBe(clients === 'parent');
      expect(connect && recorder.linksOf(connect)).toEqual(clients === 'link' ? [CLIENT_SPAN] : []);
      expect(odd && [recorder.parentOf(odd), recorder.linksOf(odd)]).toEqual([undefined, []]);
    },
  );
});
