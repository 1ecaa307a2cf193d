import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ReadableSpan } from '@opentelemetry/sdk-trace-node';
import { openTelemetry } from '../../lib/tracing/index.js';
import { idOf, SpanRecorder } from '../support/span-recorder.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import { RedisKit } from './kit.js';
import { startRedisNodes, type RedisNodes } from './nodes.js';

let kit: RedisKit;
let recorder: SpanRecorder;
let running: RedisNodes | undefined;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterAll(() => kit.dispose());
beforeEach(() => {
  recorder = new SpanRecorder();
});
afterEach(async () => {
  await running?.close();
  running = undefined;
  await kit.reset();
  await recorder.stop();
});

function traceOf(span: ReadableSpan): string {
  return span.spanContext().traceId;
}

function millisecondsOf({ duration }: ReadableSpan): number {
  return duration[0] * 1_000 + duration[1] / 1_000_000;
}

describe('traces over two nodes with Redis', () => {
  it('lead from the publish on one node to the delivery on the other, with the time to the first message', async () => {
    running = await startRedisNodes(kit, 2, {
      channels: [
        wireChannel('rooms.:room', { behaviour: { publish: new Map([['said', ({ payload }) => payload]]) } }),
      ],
      tracing: openTelemetry(),
    });
    const [left, right] = running.nodes;
    if (left === undefined || right === undefined) throw new Error('no two nodes');
    const bob = await right.connect('bob');
    await bob.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    const alice = await left.connect('alice');
    await alice.call({ type: 'publish', channel: 'rooms.1', event: 'said', payload: { text: 'hi' } });
    const event = await bob.next();
    await until('the delivery is traced', () => recorder.named('deliver rooms.:room').length > 0);

    const publish = recorder.one('publish rooms.:room');
    expect(event).toMatchObject({ type: 'event', trace: `00-${traceOf(publish)}-${idOf(publish)}-01` });
    const path = ['handle', 'append rooms.:room', 'deliver rooms.:room'].map((name) => recorder.one(name));
    expect(path.map((span) => recorder.parentOf(span))).toEqual(path.map(() => 'publish rooms.:room'));
    expect(path.map(traceOf)).toEqual(path.map(() => traceOf(publish)));
    expect(path.map(({ attributes }) => attributes['realtime.node.id'])).toEqual([
      undefined,
      'node-1',
      'node-2',
    ]);

    const first = recorder.one('first_message rooms.:room');
    const page = ['subscribe rooms.:room', 'first_message rooms.:room'].map((name) => recorder.one(name));
    const connects = recorder.named('connect').map(traceOf);
    expect(page.map(traceOf)).toEqual([connects[0], connects[0]]);
    expect(recorder.parentOf(first)).toBe('subscribe rooms.:room');
    expect(recorder.linksOf(first)).toEqual([idOf(publish)]);
    expect(first.attributes['realtime.node.id']).toBe('node-2');
    // From the answer to the subscribe until the event was handed to the socket: alice connected and published in between.
    const waited = millisecondsOf(first);
    expect(waited).toBeGreaterThan(millisecondsOf(recorder.one('append rooms.:room')));
  });
});
