import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, type MemoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { OrderKeeper, type OrderKeeperDeps } from '../../../../lib/core/hub/order-keeper.js';
import type { ServedChannel } from '../../../../lib/core/hub/subscription.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';

let harness: EngineHarness;
let memory: MemoryBroker;
let broker: ReturnType<typeof lossyBroker>;

beforeEach(async () => {
  memory = memoryBroker();
  broker = lossyBroker(memory);
  harness = await EngineHarness.start([channel('rooms.:room')], { broker, settings: { ringSize: 2 } });
});
afterEach(() => harness.stop());

/** Holds the answers of reads back, each until its own release; what they say is from before. */
function holdReads(): (() => void)[] {
  const releases: (() => void)[] = [];
  broker.onRead = async (_request, result) => {
    await new Promise<void>((resolve) => releases.push(resolve));
    return result;
  };
  return releases;
}

const seen = (client: FakeConnection): unknown[][] =>
  client.take().map(({ type, seq, payload }) => [type, seq ?? (payload as { recovery?: string }).recovery]);

describe('a log that changes while it is read', () => {
  it('keeps an event of the new log that arrives during a read of the old one (G6)', async () => {
    const client = await harness.subscriber('rooms.1');
    broker.mangle = (events) => [events.filter(({ seq }) => seq !== 2)];
    const releases = holdReads();
    await harness.publish('rooms.1', 3);
    memory.store.failOver('rooms.1', 3);
    await harness.publish('rooms.1', 1);
    broker.onRead = undefined;
    for (const release of releases) release();
    await quiet();
    expect(seen(client)).toEqual([
      ['event', 1],
      ['event', 2],
      ['event', 3],
      ['reset', 'complete'],
      ['event', 4],
      ['resumed', 4],
    ]);
  });

  it('does not replay a page of the old log that arrives during a reset (G3, G6)', async () => {
    const live = await harness.subscriber('rooms.1');
    await harness.publish('rooms.1', 10);
    const { epoch } = live.take('event')[0] as { epoch: string };
    const late = await harness.greet();
    late.take();
    let reads = 0;
    const releases: (() => void)[] = [];
    broker.onRead = async (_request, result) => {
      // The first is the plan of the subscribe.
      if (reads++ > 0) await new Promise<void>((resolve) => releases.push(resolve));
      return result;
    };
    late.send({ type: 'subscribe', id: 's', channel: 'rooms.1', payload: { position: { epoch, seq: 1 } } });
    await quiet();
    expect(releases).toHaveLength(1);
    memory.store.failOver('rooms.1', 5);
    await harness.publish('rooms.1', 2);
    // The keeper's look at the log, and then the plans of both resets.
    releases.splice(1).forEach((release) => release());
    await quiet();
    const [page, ...plans] = releases.splice(0);
    page?.();
    await quiet();
    broker.onRead = undefined;
    for (const release of [...plans, ...releases]) release();
    await quiet();
    expect(seen(late)).toEqual([
      ['reply', 'complete'],
      ['reset', 'complete'],
      ...[2, 3, 4, 5, 6, 7].map((seq) => ['event', seq]),
      ['resumed', 7],
    ]);
  });
});

describe('comparing a channel with its log', () => {
  it('calls back once for each time that it was asked', async () => {
    const tip = { epoch: 'e', seq: 1 };
    const served = { name: 'rooms.1', definition: channel('rooms.:room'), tip };
    const log = { read: () => Promise.resolve({ tip, continuous: true, oldest: 1, events: [] }) };
    const erasures = { cleanse: (_name: string, events: unknown) => events, covers: () => false };
    const deps = { log, observer: {}, erasures } as unknown as OrderKeeperDeps;
    const owner = { onNewEpoch: () => undefined, onLostRange: () => undefined };
    const keeper = new OrderKeeper(served as unknown as ServedChannel, deps, owner);
    const called: number[] = [];
    for (const time of [1, 2, 3]) {
      keeper.verify(() => called.push(time));
      await quiet();
    }
    expect(called).toEqual([1, 2, 3]);
  });
});
