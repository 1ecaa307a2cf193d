import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { context, ROOT_CONTEXT, trace } from '@opentelemetry/api';
import {
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace-node';
import { memoryBroker, MemoryStore } from '../../../lib/brokers/memory/index.js';
import type { HandlerCall } from '../../../lib/core/ports/channel-definition.js';
import type { RealtimeTracing, TracedNode } from '../../../lib/core/ports/tracer.js';
import { openTelemetry, type OpenTelemetryOptions } from '../../../lib/tracing/index.js';
import { channel, EngineHarness, quiet } from '../../support/engine/harness.js';
import { FakeConnection } from '../../support/engine/fake-connection.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { idOf, SpanRecorder } from '../../support/span-recorder.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';
const SAMPLED = `00-${TRACE}-${SPAN}-01`;
const NOT_SAMPLED = `00-${TRACE}-${SPAN}-00`;
const AFTER_START_MS = 10_001;

/** Says which spans it was asked about. */
class CountingSampler implements Sampler {
  readonly asked: string[] = [];
  private readonly inner = new ParentBasedSampler({ root: new AlwaysOnSampler() });

  shouldSample(...args: Parameters<Sampler['shouldSample']>) {
    this.asked.push(args[2]);
    return this.inner.shouldSample(...args);
  }
}

let sampler: CountingSampler;
let recorder: SpanRecorder;
const running: EngineHarness[] = [];
beforeEach(() => {
  sampler = new CountingSampler();
  recorder = new SpanRecorder(sampler);
});
afterEach(async () => {
  for (const harness of running.splice(0)) await harness.stop();
  await recorder.stop();
});

/** Flags of the span that each piece of the application's code ran in; `undefined` for none. */
let flags: (number | undefined)[];
beforeEach(() => {
  flags = [];
});
async function work(name: string): Promise<void> {
  await Promise.resolve();
  flags.push(trace.getActiveSpan()?.spanContext().traceFlags);
  trace.getTracer('application').startSpan(name).end();
}

const rooms = channel('rooms.:room', {
  behaviour: {
    authorize: {
      subscribe: async () => {
        await work('select');
        return true;
      },
      publish: 'public',
      request: 'public',
    },
    publish: new Map([
      [
        'said',
        async ({ payload }: HandlerCall) => {
          await work('insert');
          return payload;
        },
      ],
      ['noted', undefined],
    ]),
    requests: new Map([['count', () => 7]]),
  },
});

/** @param draws what chance gives to the tracing, in this order, and then 0.999. */
function drawing(options: OpenTelemetryOptions, draws: number[] = []): RealtimeTracing {
  const inner = openTelemetry(options);
  const entropy = { random: () => draws.shift() ?? 0.999 };
  return { start: (node: TracedNode) => inner.start({ ...node, entropy }) };
}

type Options = NonNullable<ConstructorParameters<typeof EngineHarness>[1]>;

async function start(tracing: OpenTelemetryOptions, draws?: number[], more: Options = {}) {
  const harness = await EngineHarness.start([rooms], { tracing: drawing(tracing, draws), ...more });
  running.push(harness);
  return harness;
}

let sent = 0;
async function send(connection: FakeConnection, command: object): Promise<void> {
  const id = `x${++sent}`;
  connection.send({ id, ...command });
  await quiet();
  expect(connection.take().find(({ ref }) => ref === id)).toMatchObject({ type: 'reply' });
}
const said = { type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 };
const noted = { ...said, event: 'noted' };
const count = { type: 'request', channel: 'rooms.1', event: 'count' };

/** Runs something as an instrumented request of the application does. */
function inside<T>(flag: 0 | 1, run: () => T): T {
  const parent = { traceId: TRACE, spanId: SPAN, traceFlags: flag };
  return context.with(trace.setSpanContext(ROOT_CONTEXT, parent), run);
}

describe('a share of 0', () => {
  it('offers nothing that begins here to the tracer, and lets spans of the application not begin traces', async () => {
    const harness = await start({ sampleRatio: 0 });
    const alice = await harness.subscriber('rooms.1', 'user:u1');
    await send(alice, said);
    await send(alice, { type: 'auth', payload: { token: 'user:u1' } });
    await harness.clock.advanceAsync(AFTER_START_MS);
    await send(alice, count);
    await harness.publish('rooms.1');
    // What the application asks for by itself is asked about, as the child of something that is not sampled.
    expect(sampler.asked).toEqual(['select', 'insert']);
    expect(flags).toEqual([0, 0]);
    expect(recorder.spans).toEqual([]);
  });

  it('says so of the work to samplers by share without a parent, and to authenticators', async () => {
    await recorder.stop();
    recorder = new SpanRecorder(new TraceIdRatioBasedSampler(0.999_999));
    const harness = await start({ sampleRatio: 0 }, [], {
      authenticator: {
        authenticate: async () => {
          await work('verify');
          return {};
        },
      },
    });
    await send(await harness.subscriber('rooms.1', 'user:u1'), said);
    expect(flags).toEqual([0, 0, 0]);
    expect(recorder.spans).toEqual([]);
  });

  it('keeps commands out of the span of the request by which their connection was opened', async () => {
    const harness = await start({ sampleRatio: 0 });
    await inside(1, async () => {
      const alice = await harness.subscriber('rooms.1', 'user:u1');
      await send(alice, said);
    });
    expect(flags).toEqual([0, 0]);
    expect(recorder.spans).toEqual([]);
  });

  it('makes no event carry a trace, and no client force one (P5d)', async () => {
    const harness = await start({ sampleRatio: 0 });
    const alice = await harness.subscriber('rooms.1');
    const given = [undefined, SAMPLED, 'odd'];
    for (const [at, one] of given.entries()) alice.send({ ...noted, id: `p${at}`, trace: one });
    await quiet();
    const traces = alice.take('event').map((event) => event.trace);
    expect(traces).toEqual([undefined, NOT_SAMPLED, 'odd']);
    expect(sampler.asked).toEqual(['select']);
  });

  it('traces what the application publishes in a span that is sampled, and only that', async () => {
    const harness = await start({ sampleRatio: 0 });
    await harness.subscriber('rooms.1');
    const { application } = harness.engine;
    await inside(0, () => application.publish('rooms.1', 'said', 1));
    await application.publish('rooms.1', 'said', 1, { trace: NOT_SAMPLED });
    await inside(1, () => application.publish('rooms.1', 'said', 1, { trace: NOT_SAMPLED }));
    await quiet();
    expect(sampler.asked).toEqual(['select']);
    await inside(1, () => application.publish('rooms.1', 'said', 1));
    await quiet();
    await inside(0, () => application.publish('rooms.1', 'said', 1, { trace: SAMPLED }));
    await quiet();
    const published = recorder.named('publish rooms.:room');
    expect(published.map(recorder.parentOf.bind(recorder))).toEqual([SPAN, SPAN]);
    expect(recorder.named('append rooms.:room')).toHaveLength(2);
    expect(recorder.named('deliver rooms.:room')).toHaveLength(2);
  });

  it('makes no span of a publish whose own trace is not sampled, inside of one that is', async () => {
    const harness = await start({ sampleRatio: 0 });
    const alice = await harness.subscriber('rooms.1');
    await inside(1, () => harness.engine.application.publish('rooms.1', 'said', 1, { trace: NOT_SAMPLED }));
    await quiet();
    expect(alice.take('event').map((event) => event.trace)).toEqual([NOT_SAMPLED]);
    expect(recorder.spans).toEqual([]);
  });

  it('traces the delivery of what another node sampled', async () => {
    const clock = new ManualClock();
    const store = new MemoryStore({ clock });
    const node = (nodeId: string, sampleRatio: number) =>
      start({ sampleRatio }, [], { clock, broker: memoryBroker({ store }), settings: { nodeId } });
    const [left, right] = [await node('left', 1), await node('right', 0)];
    await right.subscriber('rooms.1');
    expect(recorder.spans).toEqual([]);
    await send(await left.greet('user:u1'), noted);
    const deliver = recorder.one('deliver rooms.:room');
    expect(deliver.attributes['realtime.node.id']).toBe('right');
    expect(recorder.parentOf(deliver)).toBe('publish rooms.:room');
    expect(recorder.named('first_message rooms.:room')).toEqual([]);
  });
});

describe('a share between', () => {
  it('is the chance of each trace that begins, below it and not at it', async () => {
    const harness = await start({ sampleRatio: 0.25 }, [0.25, 0.249, 0.25, 0.5, 0]);
    const alice = await harness.greet('user:u1');
    await harness.clock.advanceAsync(AFTER_START_MS);
    for (let at = 0; at < 4; at++) await send(alice, count);
    expect(recorder.named('connect')).toEqual([]);
    expect(recorder.named('request rooms.:room')).toHaveLength(2);
  });

  it('is decided once for a connect and what its page does at the start', async () => {
    const harness = await start({ sampleRatio: 0.5 }, [0.9, 0.1]);
    const alice = await harness.subscriber('rooms.1', 'user:u1');
    await send(alice, { type: 'auth', payload: { token: 'user:u1' } });
    expect(recorder.spans).toEqual([]);
    const bob = await harness.subscriber('rooms.1', 'user:u2');
    await send(bob, { type: 'auth', payload: { token: 'user:u2' } });
    await harness.clock.advanceAsync(AFTER_START_MS);
    await send(bob, count);
    expect([...recorder.names].sort()).toEqual([
      'auth',
      'authenticate',
      'authenticate',
      'authorize',
      'connect',
      'select',
      'subscribe rooms.:room',
    ]);
    expect(recorder.named('authenticate').map(recorder.parentOf.bind(recorder))).toEqual(['connect', 'auth']);
  });

  it('has no link to a connect that was not sampled', async () => {
    const harness = await start({ sampleRatio: 0.5 }, [0.9, 0.1, 0.9, 0.1, 0.1]);
    const [alice, bob] = [await harness.greet('user:u1'), await harness.greet('user:u2')];
    await harness.clock.advanceAsync(AFTER_START_MS);
    for (const one of [bob, alice, bob]) await send(one, { ...count, trace: SAMPLED });
    const connect = idOf(recorder.one('connect'));
    const requests = recorder.named('request rooms.:room');
    expect(requests.map(recorder.linksOf.bind(recorder))).toEqual([[SPAN], [connect, SPAN]]);
  });

  it('is not of what continues the trace of a client, where that is the parent', async () => {
    const headers = (traceparent: string) => ({ headers: { traceparent } });
    const none = await start({ sampleRatio: 0, clients: 'parent' });
    none.connect(headers(NOT_SAMPLED)).drop();
    none.connect(headers(SAMPLED)).drop();
    const alice = await none.greet('user:u1');
    await send(alice, { ...count, trace: NOT_SAMPLED });
    await send(alice, { ...count, trace: SAMPLED });
    expect(sampler.asked).toEqual(['connect', 'request rooms.:room', 'handle']);
    expect(recorder.parentOf(recorder.one('connect'))).toBe(SPAN);
    expect(recorder.parentOf(recorder.one('request rooms.:room'))).toBe(SPAN);
    const all = await start({ sampleRatio: 1, clients: 'parent' });
    recorder.clear();
    all.connect(headers(NOT_SAMPLED)).drop();
    await send(await all.greet('user:u1'), { ...count, trace: NOT_SAMPLED });
    expect(recorder.named('connect').map(recorder.parentOf.bind(recorder))).toEqual([undefined]);
    expect(recorder.named('request rooms.:room')).toEqual([]);
  });
});

describe('credentials', () => {
  const auth = { type: 'auth', payload: { token: 'user:u1' } };

  it('belong to the auth that is sampled, of a connect that was not', async () => {
    const harness = await start({ sampleRatio: 0.5 }, [0.9, 0.1]);
    const alice = await harness.greet('user:u1');
    await harness.clock.advanceAsync(AFTER_START_MS);
    await send(alice, auth);
    expect(recorder.names).toEqual(['authenticate', 'auth']);
    expect(recorder.parentOf(recorder.one('authenticate'))).toBe('auth');
  });

  it('have no span in an auth that is not sampled, of a connect that was', async () => {
    const harness = await start({ sampleRatio: 0.5 }, [0.1, 0.9, 0.1]);
    const alice = await harness.greet('user:u1');
    await harness.clock.advanceAsync(AFTER_START_MS);
    recorder.clear();
    await send(alice, auth);
    expect(recorder.names).toEqual([]);
  });

  it('that come with the handshake are verified outside of the request that opened it', async () => {
    const authenticate = async () => {
      await work('verify');
      return {};
    };
    const harness = await start({ sampleRatio: 0 }, [], { authenticator: { authenticate } });
    const { handshake } = new FakeConnection(harness.connect().variant);
    await inside(1, async () =>
      harness.engine.host.authenticate({ token: 'a', via: 'subprotocol', handshake }),
    );
    expect(flags).toEqual([0]);
    expect(recorder.spans).toEqual([]);
  });
});

describe('without a share', () => {
  it('the sampler of the SDK is asked for what continues a trace that is not sampled, too', async () => {
    const harness = await start({ clients: 'parent' });
    await send(await harness.greet('user:u1'), { ...count, trace: NOT_SAMPLED });
    expect(sampler.asked).toEqual(['connect', 'authenticate', 'request rooms.:room']);
  });

  it('a publish whose own trace is not sampled has no append in the span around it', async () => {
    const harness = await start({});
    await inside(1, () => harness.engine.application.publish('rooms.1', 'said', 1, { trace: NOT_SAMPLED }));
    await quiet();
    expect(sampler.asked).toEqual(['publish rooms.:room']);
  });
});

describe('a share of 1', () => {
  it('is as good as none', async () => {
    const traced = async (options: OpenTelemetryOptions) => {
      recorder.clear();
      const harness = await start(options);
      const alice = await harness.subscriber('rooms.1', 'user:u1');
      await send(alice, { ...said, trace: SAMPLED });
      await harness.clock.advanceAsync(AFTER_START_MS);
      await send(alice, count);
      await harness.publish('rooms.1');
      return recorder.spans.map((span) => [
        span.name,
        recorder.parentOf(span),
        recorder.linksOf(span).length,
        span.attributes,
      ]);
    };
    const all = await traced({});
    expect(all.length).toBeGreaterThan(10);
    expect(await traced({ sampleRatio: 1 })).toEqual(all);
  });
});

describe('a sampler that throws', () => {
  it('lets the command be carried out, and is logged once', async () => {
    const warnings: string[] = [];
    const harness = await start({}, [], { warnings });
    const alice = await harness.greet('user:u1');
    sampler.shouldSample = () => {
      throw new Error('out of order');
    };
    await send(alice, count);
    await send(alice, count);
    expect(warnings).toEqual([
      'OpenTelemetry failed; further failures of it are not logged: Error: out of order',
    ]);
  });
});

describe('the option', () => {
  it.each([[-0.01], [1.01], [NaN], [Infinity], ['0.01'], [null]])('refuses %p', (sampleRatio) => {
    const shown = typeof sampleRatio === 'number' ? sampleRatio : JSON.stringify(sampleRatio);
    expect(() => openTelemetry({ sampleRatio } as OpenTelemetryOptions)).toThrow(
      new RangeError(`openTelemetry: sampleRatio is ${shown}. Give a number from 0 to 1, e.g. 0.01`),
    );
  });

  it('counts with the sampler of the SDK in what the doctor is shown', async () => {
    await recorder.stop();
    const root = new TraceIdRatioBasedSampler(0.5);
    recorder = new SpanRecorder(new ParentBasedSampler({ root }));
    const shareOf = (options: OpenTelemetryOptions) => openTelemetry(options).inspect?.().share;
    expect([{}, { sampleRatio: 0.5 }, { sampleRatio: 0 }].map(shareOf)).toEqual([0.5, 0.25, 0]);
  });
});
