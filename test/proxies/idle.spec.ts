import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TestApp } from '../e2e/nest/support/nest-app.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { ProxyProcess } from '../support/proxies/process.js';
import { wireChannel } from '../support/wire/channel.js';
import type { WireClient } from '../support/wire/client.js';
import { LONG_POLL, SSE } from '../support/transport/session-transports.js';
import { EventReader } from '../support/wire/event-reader.js';
import type { SessionClient } from '../support/wire/session-client.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import { connect, PROXIES } from './support/behind.js';
import { bootNode, startNode } from './support/node.js';

/** `PROXY_IDLE=minute`: time-outs of 5 s, as in the documentation, and a whole minute without an event. */
const MINUTE = process.env['PROXY_IDLE'] === 'minute';
/** Two thirds of it are for a machine that stands still; more would only make the tests long. */
const IDLE_MS = MINUTE ? 5_000 : Math.min(8_000, stretched(4_000));
const SILENCE_MS = MINUTE ? 60_000 : 3 * IDLE_MS;
/** As the documentation advises: interval and time-out together are shorter than the proxy's patience. */
const HEARTBEAT = { interval: Math.floor(IDLE_MS / 3), timeout: Math.floor(IDLE_MS / 3) };

describe(`Proxies that cut after ${IDLE_MS} ms of silence`, () => {
  let beating: TestApp;
  let silent: TestApp;
  /** Of plain streams: one with the same heartbeat, one without. */
  const feeds: WireServer[] = [];
  const proxies: ProxyProcess[] = [];
  const start = async (name: (typeof PROXIES)[number], port: number): Promise<ProxyProcess> => {
    const proxy = await ProxyProcess.start(name, { nodes: [port], idleMs: IDLE_MS });
    proxies.push(proxy);
    return proxy;
  };
  const follow = async (
    name: (typeof PROXIES)[number],
    feed: WireServer | undefined,
  ): Promise<EventReader> => {
    const { authority, tls } = await start(name, Number(new URL(feed?.httpUrl ?? '').port));
    const reader = await EventReader.open(`https://${authority}/realtime/sse?channels=rooms.quiet`, { tls });
    await reader.next('subscribed');
    return reader;
  };

  beforeAll(async () => {
    beating = await startNode({ heartbeat: HEARTBEAT, proxyIdleTimeout: IDLE_MS });
    silent = await startNode({ proxyIdleTimeout: false });
    for (const heartbeatMs of [HEARTBEAT.interval, 100 * IDLE_MS]) {
      const channels = [wireChannel('rooms.:room')];
      feeds.push(await startWireServer({ channels, settings: { anonymous: true }, sse: { heartbeatMs } }));
    }
  });

  afterAll(async () => {
    await Promise.all(proxies.map((proxy) => proxy.close()));
    await beating.close();
    await silent.close();
    for (const server of feeds) await server.close();
  });

  it(
    `cut nothing in ${SILENCE_MS} ms without an event where the heartbeat fits, be it the client or the server that has nothing to say (P8)`,
    async () => {
      const clients: WireClient[] = [];
      const readers: EventReader[] = [];
      const sessions: SessionClient[] = [];
      for (const name of PROXIES) {
        const proxy = await start(name, beating.port);
        const [reader, talker] = [await connect(proxy, 'reader'), await connect(proxy, 'talker')];
        await reader.subscribe('rooms.quiet');
        clients.push(reader, talker);
        readers.push(await follow(name, feeds[0]));
        for (const transport of [SSE, LONG_POLL]) {
          const place = { url: `https://${proxy.authority}/realtime`, tls: proxy.tls };
          const session = await transport.open(place, { name: `${transport.name} behind ${name}` });
          sessions.push(session);
          await session.hello('reader');
          await session.subscribe('rooms.quiet');
        }
      }
      const until = performance.now() + SILENCE_MS;
      while (performance.now() < until) {
        // One of them hears only what the heartbeat says, the other one is heard all the time.
        for (const talker of clients.filter((_, index) => index % 2 === 1)) talker.socket.ping();
        await elapse(HEARTBEAT.interval / 2);
      }
      expect(clients.map(({ ended }) => ended)).toEqual(clients.map(() => undefined));
      for (const client of [...clients, ...sessions]) {
        await client.call({ type: 'ping' });
        client.terminate();
      }
      await feeds[0]?.engine.application.publish('rooms.quiet', 'said', 'at last');
      for (const reader of readers) {
        expect(await reader.payload()).toBe('at last');
        reader.close();
      }
    },
    patience(SILENCE_MS + 30_000),
  );

  it(
    'cut a plain stream without comments, which shows that they count (P20)',
    async () => {
      const readers = await Promise.all(PROXIES.map((name) => follow(name, feeds[1])));
      await Promise.all(readers.map((reader) => reader.ended()));
      // Nothing that the node said: it would have said `bye`.
      expect(readers.map(({ received }) => received.length)).toEqual([1, 1, 1]);
    },
    patience(60_000),
  );

  it(
    'cut a WebSocket whose server is silent for longer, which shows that pings count (P8)',
    async () => {
      const clients = await Promise.all(
        PROXIES.map(async (name) => connect(await start(name, silent.port), 'reader')),
      );
      const started = performance.now();
      // The first ping of a heartbeat comes early, at a random moment.
      await Promise.all(clients.map((client) => client.expectClose(1006, patience(IDLE_MS * 30))));
      expect(performance.now() - started).toBeGreaterThanOrEqual(IDLE_MS / 2);
    },
    patience(60_000),
  );
});

describe('An application whose heartbeat does not fit the proxy', () => {
  it('does not boot, and the error names both numbers (P8)', async () => {
    await expect(bootNode({ proxyIdleTimeout: '5s' })).rejects.toThrow(
      /heartbeat.*leaves 35000 ms of silence \(interval 25000 \+ timeout 10000\), and a proxy cuts after 5000 ms/s,
    );
  });
});
