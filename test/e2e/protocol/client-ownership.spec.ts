import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { RealtimeClient } from '../../../lib/client/realtime-client.js';
import type { ChannelRecovered } from '../../../lib/client/channel/types.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';

// The client of this library against a server of this library: several readers of one channel, each with its own share.
const CHANNEL = 'boards.1';

let server: WireServer;
let client: RealtimeClient;
let sockets: WebSocket[] = [];
/** The last number that was published: the state of the channel. */
let drawn: number;
/** Subscriptions as the application sees them. */
let open: number;

afterEach(async () => {
  await client.close();
  await server.close();
});

async function start(log: { size?: number } = {}): Promise<void> {
  drawn = 0;
  open = 0;
  sockets = [];
  const snapshot = {
    shareable: true,
    run: async () => {
      // A read of a database: events come meanwhile.
      await draw();
      return { state: drawn };
    },
  };
  const hooks = { onSubscribe: () => void open++, onUnsubscribe: () => void open-- };
  const channels = [wireChannel('boards.:board', { behaviour: { snapshot, ...hooks }, log })];
  const retry = { baseMs: 1, maxMs: 10, firstSpreadMs: 1, stableMs: 1_000 };
  server = await startWireServer({ channels, settings: { retry } });
  class Watched extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  client = new RealtimeClient(server.url, { webSocket: Watched, token: () => 'alice' });
}

async function draw(): Promise<void> {
  await server.engine.application.publish(CHANNEL, 'drawn', ++drawn);
}

describe('readers of one channel', () => {
  it('who come while events flow are given a state no older than what others saw, and every event behind it (P26e)', async () => {
    await start();
    const room = client.channel<{ drawn: number }>(CHANNEL);
    let seen = 0;
    room.on('drawn', (n) => {
      expect(n).toBe(seen + 1);
      seen = n;
    });
    const first = await room.subscribe();
    seen = first.position.seq;
    const readers = Array.from({ length: 5 }, async () => {
      const { snapshot, release } = await room.subscribe();
      const state = snapshot as number;
      expect(state).toBeGreaterThanOrEqual(seen);
      const behind: number[] = [];
      const from = seen;
      room.on('drawn', (n) => behind.push(n));
      return { state, from, behind, release };
    });
    for (let n = 0; n < 50; n++) await draw();
    const joined = await Promise.all(readers);
    for (let n = 0; n < 5; n++) await draw();
    await until('the last event', () => seen === drawn);
    for (const { from, behind } of joined)
      expect(behind).toEqual(Array.from({ length: drawn - from }, (_, index) => from + 1 + index));

    for (const { release } of joined) release();
    expect(room.state).toBe('subscribed');
    first.release();
    await until('the end of the subscription', () => open === 0);
  });

  it('that are shown twice in one turn, or hidden, cost one subscribe', async () => {
    await start();
    const room = client.channel(CHANNEL);
    const shown = new AbortController();
    void room.subscribe({ signal: shown.signal });
    shown.abort();
    const again = new AbortController();
    await room.subscribe({ signal: again.signal });
    await until('the hook', () => open === 1);
    expect(drawn).toBe(1);
    again.abort();
    await until('the end of the subscription', () => open === 0);
  });
});

describe('back to a known state', () => {
  it('after a cut that the log does not reach: what is missing, with the state, then what is still there (P11, P26)', async () => {
    await start({ size: 3 });
    const room = client.channel<{ drawn: number }>(CHANNEL);
    const told: unknown[] = [];
    room.on('recovered', ({ outcome, gap, snapshot }: ChannelRecovered) =>
      told.push([outcome, gap?.from, gap?.to, snapshot]),
    );
    await room.subscribe();
    await until('the event of the snapshot', () => room.position?.seq === 1);
    room.on('drawn', (n) => told.push(n));
    sockets[0]?.terminate();
    for (let n = 0; n < 9; n++) await draw();
    await until('the last event', () => room.position?.seq === drawn);
    expect(told[0]).toEqual(['missing', 2, 7, drawn]);
    expect(told.slice(1)).toEqual([8, 9, 10, 11]);
  });

  it('a loop over the events ends with its client', async () => {
    await start();
    const seen: number[] = [];
    const loop = (async () => {
      for await (const { payload } of client.channel<{ drawn: number }>(CHANNEL).events()) seen.push(payload);
    })();
    await until('the subscription', () => open === 1);
    await draw();
    await until('both events', () => seen.length === 2);
    await client.close();
    await loop;
    expect(seen).toEqual([1, 2]);
  });
});
