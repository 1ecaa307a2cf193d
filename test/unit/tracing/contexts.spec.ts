import { AsyncResource } from 'node:async_hooks';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { context, trace } from '@opentelemetry/api';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import type { Handshake } from '../../../lib/core/ports/connection.js';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import { openTelemetry } from '../../../lib/tracing/index.js';
import { alteredBroker } from '../../support/engine/altered-broker.js';
import { channel, EngineHarness, quiet } from '../../support/engine/harness.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { RecordingLogger } from '../../support/engine/recording-logger.js';
import { SpanRecorder } from '../../support/span-recorder.js';

let recorder: SpanRecorder;
let harness: EngineHarness | undefined;
beforeEach(() => {
  recorder = new SpanRecorder();
});
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
  await recorder.stop();
});

/** Runs each task in the context in which it was scheduled, as the timers of Node do. */
class BindingClock extends ManualClock {
  override schedule(delayMs: number, task: () => void): ReturnType<ManualClock['schedule']> {
    return super.schedule(delayMs, AsyncResource.bind(task));
  }
}

/** The span that the present work belongs to: its name, while it is known. */
function current(): string {
  const span = trace.getActiveSpan() as { name?: string } | undefined;
  return span?.name ?? 'none';
}

describe('what serves many commands', () => {
  it('belongs to none of them: appends, deliveries, timers', async () => {
    const seen: string[] = [];
    const clock = new BindingClock();
    const inner = memoryBroker({ clock });
    const broker = alteredBroker(inner, {
      log: {
        appendMany: async (requests) => {
          seen.push(`append ${current()}`);
          return inner.log.appendMany(requests);
        },
      },
    });
    const rooms = channel('rooms.:room', {
      behaviour: {
        authorize: {
          subscribe: () => {
            seen.push(`authorize ${current()}`);
            return { forMs: 5_000 };
          },
          publish: 'public',
        },
      },
    });
    harness = await EngineHarness.start([rooms], {
      clock,
      broker,
      tracing: openTelemetry(),
      observers: [{ onDelivery: () => void seen.push(`deliver ${current()}`) }],
    });
    const alice = await harness.subscriber('rooms.1', 'user:u1');
    const request = trace.getTracer('application').startSpan('request');
    alice.send({ type: 'publish', id: 'p1', channel: 'rooms.1', event: 'said', payload: 1 });
    await quiet();
    await context.with(trace.setSpan(context.active(), request), () => harness?.publish('rooms.1'));
    await clock.advanceAsync(5_001);
    await quiet();
    expect(seen).toEqual([
      'authorize authorize',
      'append none',
      'deliver none',
      'append none',
      'deliver none',
      // A lease that ended: its timer was armed by the subscribe.
      'authorize none',
    ]);
  });

  it('leaves the connect hook in the span of its connect', async () => {
    const seen: string[] = [];
    harness = await EngineHarness.start([channel('rooms.:room')], {
      tracing: openTelemetry(),
      onConnect: async () => {
        await Promise.resolve();
        seen.push(current());
      },
    });
    await harness.greet('user:u1');
    expect(seen).toEqual(['connect']);
  });

  it('keeps a command that waited for others in its own span', async () => {
    const seen: string[] = [];
    let release = (): void => undefined;
    const held = new Promise<void>((resolve) => (release = resolve));
    const rooms = channel('rooms.:room', {
      behaviour: {
        publish: new Map([
          [
            'said',
            async ({ payload }: { payload: unknown }) => {
              if (payload === 1) await held;
              seen.push(`${String(payload)} ${trace.getActiveSpan()?.spanContext().spanId}`);
            },
          ],
        ]),
      },
    });
    harness = await EngineHarness.start([rooms], {
      tracing: openTelemetry(),
      settings: { limits: { maxInFlight: 1 } },
    });
    const alice = await harness.greet('user:u1');
    for (const payload of [1, 2])
      alice.send({ type: 'publish', id: `p${payload}`, channel: 'rooms.1', event: 'said', payload });
    await quiet();
    release();
    await quiet();
    const handles = recorder.named('handle').map((span) => span.spanContext().spanId);
    expect(seen).toEqual(handles.map((id, index) => `${index + 1} ${id}`));
    const parents = recorder.named('handle').map((span) => span.parentSpanContext?.spanId);
    expect(parents).toEqual(recorder.named('publish rooms.:room').map((span) => span.spanContext().spanId));
  });
});

describe('openTelemetry()', () => {
  function start(options: Parameters<typeof openTelemetry>[0] = {}) {
    const logger = new RecordingLogger();
    const tracer = openTelemetry(options).start({
      nodeId: 'node-1',
      clock: new ManualClock(),
      entropy: new SeededEntropy(),
      logger,
    });
    return { tracer, warnings: logger.at('warn').map(({ message }) => message) };
  }

  it('traces nothing, and says so, where no SDK was started', async () => {
    await recorder.stop();
    const { tracer, warnings } = start();
    expect(tracer).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('no OpenTelemetry SDK was started before')]);
  });

  it('takes the provider that it is given', async () => {
    const { provider } = recorder;
    trace.disable();
    const { tracer, warnings } = start({ tracerProvider: provider });
    expect(tracer).toBeDefined();
    expect(warnings).toEqual([]);
  });

  it.each(['hello', 'publish', 'auth'] as const)('ends a %s with its answer', (type) => {
    const { tracer } = start();
    const connection = { id: 'c1', about: {} } as RealtimeConnection;
    tracer?.opened(connection, { transport: 'websocket', headers: {} } as Handshake);
    const begin = () => tracer?.starting(connection, { type }, () => undefined);
    const span = begin();
    expect(tracer?.within(span, current)).toBe(type === 'hello' ? 'connect' : type);
    span?.end('ok');
    expect(recorder.names).toEqual([type === 'hello' ? 'connect' : type]);
    // That of a connect is over with it.
    expect(tracer?.within(type === 'hello' ? begin() : undefined, current)).toBe('none');
  });

  it('says where spans cannot be connected', () => {
    context.disable();
    const { tracer, warnings } = start();
    expect(tracer).toBeDefined();
    expect(warnings).toEqual([expect.stringContaining('no context manager')]);
  });

  it.each([
    [{ clients: 'trust' }, `openTelemetry: clients is "trust". Give 'link', 'parent' or 'ignore'`],
    [{ userIds: 'yes' }, 'openTelemetry: userIds is "yes". Give true or false'],
    [{ channelNames: 1 }, 'openTelemetry: channelNames is 1. Give true or false'],
  ])('refuses %j', (options, message) => {
    expect(() => openTelemetry(options as Parameters<typeof openTelemetry>[0])).toThrow(
      new RangeError(message),
    );
  });
});

describe('without tracing', () => {
  it('a client makes no other node record its publish (P5d)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const alice = await harness.subscriber('rooms.1');
    const span = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-`;
    const none = `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`;
    const sent = [`${span}01`, `${span}ff`, `${span}00`, `01${span.slice(2)}01`, none, `${span}01-`, 'odd'];
    for (const [at, given] of sent.entries())
      alice.send({
        type: 'publish',
        id: `p${at}`,
        channel: 'rooms.1',
        event: 'said',
        payload: 1,
        trace: given,
      });
    await quiet();
    const handedOn = alice.take('event').map((event) => event.trace);
    expect(handedOn).toEqual([`${span}00`, `${span}00`, `${span}00`, ...sent.slice(3)]);
  });

  it('a publish keeps the trace that it was given, and nothing else (P5d)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const alice = await harness.subscriber('rooms.1');
    for (const given of [undefined, 'odd'])
      await harness.engine.application.publish(
        'rooms.1',
        'said',
        1,
        given === undefined ? {} : { trace: given },
      );
    await quiet();
    expect(alice.take('event').map(({ trace: sent }) => sent)).toEqual([undefined, 'odd']);
    expect(recorder.spans).toEqual([]);
  });
});
