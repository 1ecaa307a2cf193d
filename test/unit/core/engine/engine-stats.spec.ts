import { afterEach, describe, expect, it } from '@jest/globals';
import { PublishSample } from '../../../../lib/core/log/publish-sample.js';
import { BlockedOutboxes } from '../../../../lib/core/outbox/blocked-outboxes.js';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';

let harness: EngineHarness | undefined;
afterEach(async () => {
  await harness?.stop();
  harness = undefined;
});

describe('what a node counts', () => {
  it('sessions by state, connections and subscriptions go up and down with them, once', async () => {
    harness = await EngineHarness.start([channel('rooms.:room'), channel('halls.:hall')]);
    const { engine } = harness;
    const silent = harness.connect();
    expect(engine.stats().sessions).toEqual({ hello: 1, authenticating: 0, live: 0 });
    const ada = await harness.subscriber('rooms.1');
    const bob = await harness.subscriber('rooms.2');
    const stats = engine.stats();
    expect(stats.sessions).toEqual({ hello: 1, authenticating: 0, live: 2 });
    expect(stats.channels).toContainEqual({ pattern: 'rooms.:room', channels: 2, subscriptions: 2 });
    expect(stats.traffic.map(({ open, opened }) => [open, opened])).toEqual([[3, 3]]);
    bob.send({ type: 'unsubscribe', id: 'u', channel: 'rooms.2', payload: {} });
    await quiet();
    expect(engine.stats().channels).toContainEqual({ pattern: 'rooms.:room', channels: 2, subscriptions: 1 });
    for (const client of [silent, ada, bob]) client.drop();
    ada.drop();
    await quiet();
    harness.clock.advance(120_000);
    const after = engine.stats();
    expect(after.sessions).toEqual({ hello: 0, authenticating: 0, live: 0 });
    expect(after.channels).toContainEqual({ pattern: 'rooms.:room', channels: 0, subscriptions: 0 });
    expect(after.traffic.map(({ open, opened }) => [open, opened])).toEqual([[0, 3]]);
  });

  it('frames and bytes of both directions', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const { engine } = harness;
    const ada = await harness.subscriber('rooms.1');
    const [before] = engine.stats().traffic.map((one) => ({ ...one }));
    await harness.publish('rooms.1', 1);
    const ping = '{"type":"ping","id":"é"}';
    ada.sendRaw(ping);
    await quiet();
    const [after] = engine.stats().traffic;
    expect((after?.framesIn ?? 0) - (before?.framesIn ?? 0)).toBe(1);
    expect((after?.bytesIn ?? 0) - (before?.bytesIn ?? 0)).toBe(Buffer.byteLength(ping));
    expect((after?.framesOut ?? 0) - (before?.framesOut ?? 0)).toBe(2);
    expect(after?.bytesOut ?? 0).toBeGreaterThan((before?.bytesOut ?? 0) + 50);
  });

  it('the connection that has taken nothing for longest, until it takes some or is gone', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const { engine, clock } = harness;
    const [ada, bob] = [await harness.subscriber('rooms.1'), await harness.subscriber('rooms.1')];
    ada.stall();
    bob.stall();
    await harness.publish('rooms.1', 1);
    clock.advance(3_000);
    expect(engine.stats().blocked).toEqual({ connections: 2, oldestMs: 3_000 });
    ada.drain();
    bob.drop();
    await quiet();
    expect(engine.stats().blocked).toEqual({ connections: 0, oldestMs: 0 });
  });
});

describe('blocked outboxes', () => {
  it('give back what they held, once, and begin again where the socket took some', () => {
    let memory = 0;
    const blocked = new BlockedOutboxes({
      hold: (bytes) => void (memory += bytes.length),
      release: (bytes) => void (memory -= bytes.length),
    });
    const [one, two] = [{}, {}];
    blocked.block(one, Buffer.alloc(5), 100);
    blocked.block(two, Buffer.alloc(7), 200);
    expect([memory, blocked.oldestMs(300), blocked.size]).toEqual([12, 200, 2]);
    blocked.block(one, Buffer.alloc(3), 250);
    expect([memory, blocked.oldestMs(300), blocked.size]).toEqual([10, 100, 2]);
    blocked.free(two);
    blocked.free(two);
    expect([memory, blocked.oldestMs(300), blocked.has(two)]).toEqual([3, 50, false]);
  });
});

describe('the sample of publishes', () => {
  const event = (id: string): ChannelEvent =>
    new ChannelEvent({ channel: 'a', seq: 1, epoch: 'e', ts: 0, expiresAt: Infinity, id, event: 'said' });

  it('times one at a time, by its channel and id, and another after it or once it is lost', () => {
    const sample = new PublishSample();
    sample.begin('a', 'one', 100);
    sample.begin('b', 'two', 110);
    expect([sample.isOf('a'), sample.isOf('b')]).toEqual([true, false]);
    expect(sample.end([event('other')], 120)).toBeUndefined();
    expect(sample.end([event('other'), event('one')], 130)).toBe(30);
    expect(sample.isOf('a')).toBe(false);
    sample.begin('b', 'three', 200);
    sample.begin('a', 'four', 10_199);
    expect(sample.isOf('b')).toBe(true);
    sample.begin('a', 'four', 10_200);
    expect(sample.end([event('four')], 10_201)).toBe(1);
  });
});
