import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type { Broker } from '../../../../lib/core/ports/broker.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';

const ROOM = 'rooms.1';

let harness: EngineHarness;
afterEach(() => harness.stop());

describe('a replay whose page is being read', () => {
  it('continues in the new log where it was moved there before the page came (P10, G8)', async () => {
    const store = new MemoryStore();
    const inner = memoryBroker({ store });
    let pages = 0;
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (go = resolve));
    const read: Broker['log']['read'] = async (request) => {
      const page = await inner.log.read(request);
      // The first page; what proves a position is one event.
      const isPage = request.limit > 1 && pages++ === 0;
      if (isPage) await gate;
      return page;
    };
    harness = await EngineHarness.start([channel('rooms.:room')], {
      broker: alteredBroker(inner, { log: { read } }),
      settings: { ringSize: 1 },
    });
    await harness.publish(ROOM, 5);
    const { epoch } = store.read({ channel: ROOM, from: 1, limit: 1 }).tip;
    const client = await harness.greet('user:ada');
    client.take();
    client.send({ type: 'subscribe', id: 's', channel: ROOM, payload: { position: { epoch, seq: 0 } } });
    await quiet();
    expect(client.take('reply')).toMatchObject([{ payload: { recovery: 'complete' } }]);
    store.clear(ROOM);
    await harness.publish(ROOM);
    expect(client.take('reset')).toHaveLength(1);
    expect(client.take('event')).toEqual([]);
    go();
    await quiet();
    await harness.publish(ROOM, 2);
    expect(client.take('event').map(({ seq }) => seq)).toEqual([2, 3]);
  });
});
