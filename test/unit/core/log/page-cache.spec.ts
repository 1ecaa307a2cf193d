import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { lossyBroker } from '../../../support/fault/lossy-broker.js';

let harness: EngineHarness;
let broker: ReturnType<typeof lossyBroker>;
let store: MemoryStore;
let epoch: string;

beforeEach(async () => {
  store = new MemoryStore();
  broker = lossyBroker(memoryBroker({ store }));
  harness = await EngineHarness.start(
    [
      channel('rooms.:room', {
        policy: { log: { retain: true, size: 2_000, maxBytes: 8_388_608, ttlMs: 3_600_000, dedupeMs: 0 } },
      }),
    ],
    {
      broker,
    },
  );
  await harness.publish('rooms.1', 1_000);
  ({ epoch } = (await harness.engine.application.history('rooms.1', { limit: 1 })).position);
  broker.reads.length = 0;
});
afterEach(() => harness.stop());

async function returning(seqs: readonly number[]): Promise<readonly FakeConnection[]> {
  const clients: FakeConnection[] = [];
  for (let index = 0; index < seqs.length; index++) clients.push(await harness.greet());
  for (const [index, client] of clients.entries())
    client.send({
      type: 'subscribe',
      id: `s${index}`,
      channel: 'rooms.1',
      payload: { position: { epoch, seq: seqs[index] } },
    });
  for (let turn = 0; turn < 40; turn++) await quiet();
  return clients;
}

const seqsOf = (client: FakeConnection): (number | undefined)[] => client.take('event').map(({ seq }) => seq);
const range = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('replay for many clients', () => {
  it('reads the log once per page, however many clients return and at whatever positions (G8)', async () => {
    const positions = Array.from({ length: 50 }, (_, index) => index * 7);
    const clients = await returning(positions);
    for (const [index, client] of clients.entries())
      expect(seqsOf(client)).toEqual(range((positions[index] ?? 0) + 1, 1_000));
    const pages = Math.ceil(1_000 / 128);
    // And one read that proves the epoch.
    expect(broker.reads.length).toBeLessThanOrEqual(pages + 1);
  });

  it('reads a page that ended with the log again for a client that needs more (G8, P12)', async () => {
    const [early] = await returning([990]);
    expect(early && seqsOf(early)).toEqual(range(991, 1_000));
    await harness.publish('rooms.1', 300);
    const [late] = await returning([995]);
    expect(late && seqsOf(late)).toEqual(range(996, 1_300));
    await harness.publish('rooms.1', 1);
    expect(late && seqsOf(late)).toEqual([1_301]);
  });

  it('continues after a page that the broker cut short, and shares that page too (G8, P12)', async () => {
    // As a broker does that bounds a read in bytes.
    broker.onRead = (_request, result) => ({ ...result, events: result.events.slice(0, 50) });
    const clients = await returning([0, 20, 120]);
    for (const [index, position] of [0, 20, 120].entries())
      expect(seqsOf(clients[index] as FakeConnection)).toEqual(range(position + 1, 1_000));
    expect(broker.reads.length).toBeLessThanOrEqual(40);
  });

  it('shares every page behind one that was cut short with clients at other positions (G8)', async () => {
    broker.onRead = (_request, result) => ({ ...result, events: result.events.slice(0, 10) });
    const [first] = await returning([640]);
    expect(first && seqsOf(first)).toEqual(range(641, 1_000));
    const before = broker.reads.length;
    const clients = await returning([707, 733, 951]);
    for (const [index, position] of [707, 733, 951].entries())
      expect(seqsOf(clients[index] as FakeConnection)).toEqual(range(position + 1, 1_000));
    // The reads that prove the epoch.
    expect(broker.reads.length - before).toBeLessThanOrEqual(3);
  });

  it('does not reuse a page for another epoch (G6)', async () => {
    await returning([100]);
    store.failOver('rooms.1', 500);
    await harness.publish('rooms.1', 10);
    const [within, beyond] = await returning([400, 900]);
    const answer = (client: FakeConnection | undefined) =>
      client?.received.find(({ ref }) => ref?.startsWith('s'))?.payload;
    expect(answer(within)).toMatchObject({ recovery: 'complete' });
    expect(within && seqsOf(within)).toEqual(range(401, 510));
    expect(answer(beyond)).toMatchObject({ recovery: 'lost', reason: 'epoch_changed' });
  });

  it('releases pages that are not read any more (G8)', async () => {
    await returning([0]);
    const before = broker.reads.length;
    await returning([0]);
    expect(broker.reads.length - before).toBeLessThanOrEqual(1);
    harness.clock.advance(2_500);
    await returning([0]);
    expect(broker.reads.length - before).toBeGreaterThan(5);
  });
});
