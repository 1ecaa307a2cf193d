import { afterEach, describe, expect, it } from '@jest/globals';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { wireChannel } from '../../support/wire/channel.js';
import type { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

let server: WireServer;
let clock: ManualClock;
let asked: number;
afterEach(() => server.close());

/** One command a second and none saved up: what is answered beyond that was free. */
async function start(maxChannels: number): Promise<void> {
  clock = new ManualClock();
  asked = 0;
  const subscribe = (): true => (asked++, true);
  server = await startWireServer({
    clock,
    channels: [wireChannel('rooms.:room', { behaviour: { authorize: { subscribe } } })],
    settings: {
      limits: { maxChannels, ratePerSecond: 1, burst: 1, userRatePerSecond: 1 },
      abuse: { throttleAfter: 1e6, closeAfter: 1e6 },
    },
  });
}

/** Subscribes to so many channels. @returns how many were answered well. */
async function subscribeAll(client: WireClient, count: number): Promise<number> {
  let well = 0;
  for (let from = 0; from < count; from += 250) {
    const size = Math.min(250, count - from);
    client.sendAll(
      Array.from({ length: size }, (_, n) => ({
        type: 'subscribe',
        id: `s${from + n}`,
        channel: `rooms.${from + n}`,
      })),
    );
    for (const { type } of await client.nextAll(size)) if (type === 'reply') well++;
  }
  return well;
}

async function resume(older: WireClient): Promise<WireClient> {
  const client = await server.open();
  await client.hello('ada', { session: older.welcome?.session });
  return client;
}

describe('subscribes that cost no command (G16)', () => {
  it('belong to the user: who reconnects without a ticket has no more than twice maxChannels, and regains them with time', async () => {
    await start(10);
    let well = 0;
    for (let round = 0; round < 6; round++) {
      const client = await server.connect('ada');
      well += await subscribeAll(client, 10);
      await client.close();
    }
    // Twenty were free, and one a command.
    expect(well).toBeLessThanOrEqual(22);
    expect(asked).toBe(well);
    expect(await subscribeAll(await server.connect('bob'), 10)).toBe(10);
    clock.advance(30_000);
    expect(await subscribeAll(await server.connect('ada'), 10)).toBe(10);
  });

  it('a session that continues has its channels again, twice in a row, and not for ever', async () => {
    await start(500);
    let client = await server.connect('ada');
    expect(await subscribeAll(client, 500)).toBe(500);
    for (let round = 0; round < 2; round++) {
      client = await resume(client);
      expect(await subscribeAll(client, 500)).toBe(500);
    }
    for (let round = 0; round < 3; round++) {
      client = await resume(client);
      expect(await subscribeAll(client, 500)).toBeLessThan(5);
    }
  });
});
