import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

const MIB = 1024 * 1024;
let server: WireServer;
afterEach(() => server.close());

describe('the outboxes of a node together, with sockets (G13)', () => {
  it('hold a bounded total: a client that does not read is closed, and the others lose nothing', async () => {
    server = await startWireServer({
      channels: [wireChannel('rooms.:room')],
      settings: { outbox: { maxBytes: 256 * MIB, maxBytesPerUser: 256 * MIB, maxBytesPerNode: 2 * MIB } },
    });
    const [reader, deaf] = [await server.connect('ada'), await server.connect('eve')];
    for (const client of [reader, deaf])
      await client.reply({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    deaf.stopReading();
    const isShed = () => server.records.some(({ message }) => message.includes('outbox.maxBytesPerNode'));
    const payload = 'x'.repeat(MIB / 2);
    // What the kernel takes of a socket that nobody reads differs.
    for (let seq = 1; !isShed(); seq++) {
      expect(seq).toBeLessThan(100);
      await server.engine.application.publish('rooms.1', 'said', payload);
      expect((await reader.next('event')).seq).toBe(seq);
    }
    await until('what it held to be freed', () => server.engine['parts'].budget.bytes === 0);
    expect(server.engine['parts'].sessions.size).toBe(1);
    deaf.goOnReading();
    await deaf.expectClose();
  });
});
