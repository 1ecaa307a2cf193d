import { afterEach, describe, expect, it } from '@jest/globals';
import { CountingClock } from '../../support/engine/counting-clock.js';
import { collectGarbage } from '../../support/real-process.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

let server: WireServer;
afterEach(() => server.close());

describe('connections that end', () => {
  it('connections that end leave no session, timer, channel or memory behind while others continue (G13)', async () => {
    const clock = new CountingClock();
    const views: WeakRef<object>[] = [];
    server = await startWireServer({
      clock,
      channels: [wireChannel('rooms.:room', { presence: { graceMs: 1 }, publish: ['said'] })],
      settings: { lingerMs: 10, limits: { ratePerSecond: 1e6, burst: 1e6 } },
      onConnect: (connection) => void views.push(new WeakRef(connection)),
    });
    const stays = await server.connect('stays');
    await stays.subscribe('rooms.1');
    await stays.call({ type: 'ping' });
    const baseline = { ...server.engine.status };
    const timers = clock.pending;

    for (let round = 0; round < 10; round++) {
      const clients = await Promise.all(
        Array.from({ length: 20 }, (_, index) => server.connect(`u${index}`)),
      );
      for (const [index, client] of clients.entries()) {
        await client.subscribe(`rooms.${index}`);
        await client.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: index });
      }
      for (const [index, client] of clients.entries()) {
        if (index % 2 === 0) client.terminate();
        else void client.close();
      }
    }
    await until('the sessions to end', () => server.engine.status.sessions === baseline.sessions);
    await until('the channels to be let go', () => server.engine.status.channels === baseline.channels);
    expect(server.engine.status).toEqual(baseline);
    await until('the timers to be over', () => clock.pending <= timers);
    await collectGarbage();
    // The first is the one that stays; the wheel of timers must not hold the others until their time comes.
    expect(views.slice(1).filter((view) => view.deref() !== undefined)).toHaveLength(0);
    expect((await stays.call({ type: 'ping' })).type).toBe('pong');
    await server.close();
    await until('the last timers to be over', () => clock.pending === 0);
  });
});
