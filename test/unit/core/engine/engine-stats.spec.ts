import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import { NodeCounts } from '../../../../lib/core/engine/node-counts.js';
import { PublishSample } from '../../../../lib/core/log/publish-sample.js';
import { BlockedOutboxes } from '../../../../lib/core/outbox/blocked-outboxes.js';
import { ChannelEvent } from '../../../../lib/core/ports/channel-event.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';

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

  it('times one at a time, by its channel and id, and another after it', () => {
    const sample = new PublishSample();
    sample.begin('a', 'one', 100);
    sample.begin('b', 'two', 110);
    expect([sample.isOf('a'), sample.isOf('b')]).toEqual([true, false]);
    expect(sample.end([event('other')], 120)).toBeUndefined();
    expect(sample.end([event('other'), event('one')], 130)).toBe(30);
    expect(sample.isOf('a')).toBe(false);
  });

  it('counts one that is not handed over within ten seconds with its time so far, and times another then', () => {
    const sample = new PublishSample();
    expect(sample.begin('b', 'three', 200)).toBeUndefined();
    expect(sample.begin('a', 'four', 10_199)).toBeUndefined();
    expect(sample.isOf('b')).toBe(true);
    expect(sample.begin('a', 'four', 10_200)).toEqual({ channel: 'b', durationMs: 10_000 });
    expect(sample.end([event('four')], 10_201)).toBe(1);
    expect(sample.begin('a', 'five', 90_000)).toBeUndefined();
  });

  it('times another at once where one will not be handed over', () => {
    const sample = new PublishSample();
    sample.begin('a', 'one', 0);
    sample.abandon('b');
    sample.abandon('b', 'one');
    sample.abandon('a', 'other');
    expect(sample.isOf('a')).toBe(true);
    sample.abandon('a', 'one');
    expect(sample.begin('b', 'two', 20_000)).toBeUndefined();
    sample.abandon('b');
    expect(sample.isOf('b')).toBe(false);
  });
});

describe('the time until a publish is handed to sockets', () => {
  const timed: [string, number][] = [];
  const start = async (): Promise<EngineHarness> => {
    timed.length = 0;
    const clock = new ManualClock();
    const broker = alteredBroker(memoryBroker({ clock, entropy: new SeededEntropy(2) }), { log: {} });
    harness = await EngineHarness.start([channel('rooms.:room'), channel('halls.:hall')], {
      clock,
      broker,
      observers: [{ onPublishDelivered: (pattern, ms) => void timed.push([pattern, ms]) }],
    });
    return harness;
  };
  const publish = async ({ engine }: EngineHarness, name: string, id?: string): Promise<unknown> =>
    engine.application
      .publish(name, 'said', 1, id === undefined ? {} : { id })
      .catch((error: unknown) => error)
      .finally(quiet);

  it('is measured of the next one at once where one failed or was a retry', async () => {
    let fails = true;
    const at = await start();
    const { appendMany } = at.broker.log;
    at.broker.log.appendMany = (requests) =>
      fails ? Promise.reject(new Error('away')) : appendMany.call(at.broker.log, requests);
    await at.subscriber('rooms.1');
    await at.subscriber('halls.1');
    expect(await publish(at, 'rooms.1')).toBeInstanceOf(Error);
    fails = false;
    await publish(at, 'halls.1', 'e1');
    await publish(at, 'halls.1', 'e1');
    await publish(at, 'rooms.1');
    expect(timed.map(([pattern]) => pattern)).toEqual(['halls.:hall', 'rooms.:room']);
  });

  it('is measured of another at once where the last subscriber left before', async () => {
    const at = await start();
    const ada = await at.subscriber('rooms.1');
    await at.subscriber('halls.1');
    const held = holdAppends(at);
    const first = publish(at, 'rooms.1');
    await quiet();
    ada.send({ type: 'unsubscribe', id: 'u', channel: 'rooms.1', payload: {} });
    await quiet();
    held.release();
    await first;
    await publish(at, 'halls.1');
    expect(timed.map(([pattern]) => pattern)).toEqual(['halls.:hall']);
  });

  it('is what it took so far of one that is still on its way when another begins ten seconds later', () => {
    timed.length = 0;
    let now = 0;
    const served = new Map(['rooms.1', 'halls.1'].map((name) => [name, `${name.slice(0, 5)}.:id`]));
    const counts = new NodeCounts(
      { onPublishDelivered: (pattern, ms) => void timed.push([pattern, ms]) },
      { monotonic: () => now },
      () => ({
        find: (name) => {
          const pattern = served.get(name);
          return pattern === undefined ? undefined : { isHeard: true, definition: { pattern } };
        },
      }),
      { hold: () => undefined, release: () => undefined },
    );
    counts.appends?.begin('rooms.1', 'a');
    now = 9_999;
    counts.appends?.begin('halls.1', 'b');
    expect(timed).toEqual([]);
    now = 10_500;
    counts.appends?.begin('elsewhere.1', 'c');
    expect(timed).toEqual([]);
    counts.appends?.begin('halls.1', 'd');
    expect(timed).toEqual([['rooms.:id', 10_500]]);
    served.delete('halls.1');
    now = 30_000;
    counts.appends?.begin('rooms.1', 'e');
    expect(timed).toHaveLength(1);
    expect(counts.sample.isOf('rooms.1')).toBe(true);
  });
});

/** Holds up what is appended from now on. */
function holdAppends({ broker }: EngineHarness): { release(): void } {
  const { appendMany } = broker.log;
  const waiting: (() => void)[] = [];
  broker.log.appendMany = async (requests) => {
    // Not what the node proves its freshness with.
    if (!requests.some((request) => request.channel.endsWith('.1')))
      return appendMany.call(broker.log, requests);
    await new Promise<void>((resolve) => waiting.push(resolve));
    return appendMany.call(broker.log, requests);
  };
  return {
    release: () => {
      broker.log.appendMany = appendMany;
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}
