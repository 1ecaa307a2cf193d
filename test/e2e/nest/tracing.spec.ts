import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { trace } from '@opentelemetry/api';
import { AlwaysOnSampler, ParentBasedSampler } from '@opentelemetry/sdk-trace-node';
import { Authorize, Channel, OnPublish, RealtimeService } from '../../../lib/nest/index.js';
import { openTelemetry } from '../../../lib/tracing/index.js';
import { SpanRecorder } from '../../support/span-recorder.js';
import { byName, makeApp, PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

@Channel('rooms.:room')
class Rooms {
  @Authorize('subscribe')
  canRead() {
    return true;
  }
  @Authorize('publish')
  canWrite() {
    return true;
  }
  @OnPublish('said')
  async said() {
    await Promise.resolve();
    trace.getTracer('database').startSpan('INSERT messages').end();
  }
}

let recorder: SpanRecorder;
let running: TestApp | undefined;
beforeEach(() => {
  recorder = new SpanRecorder();
});
afterEach(async () => {
  await running?.close();
  running = undefined;
  await recorder.stop();
});

describe('tracing', () => {
  it.each(PLATFORMS)(
    'has the spans of a handler of a class as children of its publish: %s',
    async (_, platform) => {
      running = await startApp(platform, {
        providers: [Rooms],
        realtime: { auth: byName, nodeId: 'n1', tracing: openTelemetry() },
      });
      const client = await running.connect('alice');
      await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
      await client.call({ type: 'publish', channel: 'rooms.1', event: 'said', payload: {} });
      await client.next();
      expect(recorder.parentOf(recorder.one('INSERT messages'))).toBe('handle');
      expect(recorder.parentOf(recorder.one('handle'))).toBe('publish rooms.:room');
      expect(recorder.parentOf(recorder.one('authenticate'))).toBe('connect');
      expect(recorder.one('append rooms.:room').attributes['realtime.node.id']).toBe('n1');
    },
  );

  it.each(PLATFORMS)('records by its share, the spans of a handler included: %s', async (_, platform) => {
    await recorder.stop();
    recorder = new SpanRecorder(new ParentBasedSampler({ root: new AlwaysOnSampler() }));
    for (const sampleRatio of [0, 1]) {
      running = await startApp(platform, {
        providers: [Rooms],
        realtime: { auth: byName, tracing: openTelemetry({ sampleRatio }) },
      });
      const client = await running.connect('alice');
      await client.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
      await client.call({ type: 'publish', channel: 'rooms.1', event: 'said', payload: {} });
      const { trace: carried } = await client.next();
      await running.app.get(RealtimeService).channel('rooms.1').publish('said', 1);
      await client.next();
      await running.close();
      if (sampleRatio === 0) {
        expect([recorder.names, carried]).toEqual([[], undefined]);
      } else {
        expect(recorder.parentOf(recorder.one('INSERT messages'))).toBe('handle');
        expect(recorder.named('deliver rooms.:room')).toHaveLength(2);
        expect(carried).toContain(recorder.one('handle').spanContext().traceId);
      }
    }
  });

  it('is off by default, and costs no span', async () => {
    running = await startApp(PLATFORMS[0][1], { providers: [Rooms], realtime: { auth: byName } });
    const client = await running.connect('alice');
    await client.call({ type: 'publish', channel: 'rooms.1', event: 'said', payload: {} });
    await running.app.get(RealtimeService).channel('rooms.1').publish('said', 1);
    expect(recorder.names).toEqual(['INSERT messages']);
  });

  it('refuses what is no tracing at boot, with the remedy', async () => {
    const tracing = { enabled: true } as unknown as ReturnType<typeof openTelemetry>;
    const made = makeApp(PLATFORMS[0][1], { realtime: { auth: byName, tracing } });
    await expect(made).rejects.toThrow(
      /tracing: cannot trace\. Give openTelemetry\(\) of nestjs-realtime\/tracing/,
    );
  });
});
