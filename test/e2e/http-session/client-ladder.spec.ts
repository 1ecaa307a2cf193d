import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { httpFallback, type HttpFallbackOptions } from '../../../lib/client/http.js';
import { RealtimeClient } from '../../../lib/client/index.js';
import type { RealtimeClientOptions } from '../../../lib/client/index.js';
import { recordFigures } from '../../support/figures.js';
import { patience, stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { FaultyProxy } from '../../support/wire/faulty-proxy.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

/** Events of the whole way. */
const EVENTS = 10_000;
const REQUESTS = 200;

let server: WireServer;
let proxy: FaultyProxy;
let client: RealtimeClient;
/** How often each request ran. */
const runs = new Map<number, number>();

async function start(
  fallback: HttpFallbackOptions = {},
  options: RealtimeClientOptions = {},
  served: WireServerOptions = {},
): Promise<void> {
  runs.clear();
  server = await startWireServer({
    channels: [
      wireChannel('rooms.:room', {
        log: { size: 20_000, maxBytes: 67_108_864 },
        policy: { replayLimit: 20_000 },
        publish: ['said'],
        presence: true,
      }),
    ],
    requests: new Map([
      [
        'count',
        {
          authorize: 'public',
          handle: ({ payload }) => {
            const n = payload as number;
            runs.set(n, (runs.get(n) ?? 0) + 1);
            return n;
          },
        },
      ],
    ]),
    ...served,
    settings: {
      retry: { baseMs: 20, maxMs: 100, firstSpreadMs: 20, stableMs: 200 },
      heartbeat: { intervalMs: stretched(5_000), timeoutMs: stretched(2_000) },
      limits: { ratePerSecond: 1_000 },
      ...served.settings,
    },
  });
  proxy = await FaultyProxy.start(Number(new URL(server.url).port));
  client = new RealtimeClient(`http://127.0.0.1:${proxy.port}/realtime`, {
    webSocket: WebSocket,
    token: () => 'ada',
    connectTimeoutMs: stretched(2_000),
    fallback: httpFallback({ climbAfterMs: stretched(400), ...fallback }),
    ...options,
  });
}

afterEach(async () => {
  await client.close();
  await proxy.stop();
  await server.close();
});

const isOn = (transport: string) => (): boolean => client.status.transport === transport;
const numbers = (from: number, to: number): number[] =>
  Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe('a client whose network breaks transports', () => {
  it(
    'goes down from WebSocket to polls and up again: each event once and in order, each request once (P21k)',
    async () => {
      await start();
      const seen: unknown[] = [];
      const problems: unknown[] = [];
      const answers: number[] = [];
      const rungs: string[] = [];
      client.on('state', ({ transport }) => transport !== undefined && rungs.push(transport));
      const room = client.channel('rooms.1');
      room.on('tick', (n) => seen.push(n));
      for (const name of ['gap', 'lost'] as const) room.on(name, (what) => problems.push(what));
      await room.subscribe();

      let published = 0;
      let asked = 0;
      /** Events and requests, side by side, until so many are there in all. */
      const run = async (events: number, requests: number): Promise<void> => {
        const publishing = async (): Promise<void> => {
          while (published < events) {
            const some = numbers(published + 1, Math.min(events, published + 50));
            published += some.length;
            await Promise.all(some.map((n) => server.engine.application.publish('rooms.1', 'tick', n)));
          }
        };
        const asking = async (): Promise<void> => {
          while (asked < requests) answers.push(await client.request<number>('count', ++asked));
        };
        await Promise.all([publishing(), asking()]);
      };
      const part = (n: number): Promise<void> => run((EVENTS * n) / 5, (REQUESTS * n) / 5);
      const began = performance.now();

      expect(client.status.transport).toBe('websocket');
      await part(1);

      proxy.blocksUpgrades = true;
      proxy.cutUpgrades();
      await until('the event stream', isOn('sse'));
      await part(2);

      proxy.gathersAnswers = true;
      proxy.cutStreams();
      await until('the polls', isOn('polling'));
      await part(3);

      // The way up is the client's own: it is to harm nothing of what runs.
      let climbing = part(4);
      proxy.gathersAnswers = false;
      await until('the event stream again', isOn('sse'), patience(60_000));
      await climbing;
      climbing = part(4.5);
      proxy.blocksUpgrades = false;
      await until('the WebSocket again', isOn('websocket'), patience(60_000));
      await climbing;
      await part(5);

      await until('every event', () => seen.length >= EVENTS);
      recordFigures('ladder', `${EVENTS} events and ${REQUESTS} requests, down and up`, [
        performance.now() - began,
      ]);
      expect(seen).toEqual(numbers(1, EVENTS));
      expect(answers).toEqual(numbers(1, REQUESTS));
      expect([...runs.values()]).toEqual(numbers(1, REQUESTS).map(() => 1));
      expect(problems).toEqual([]);
      expect(new Set(rungs)).toEqual(new Set(['websocket', 'sse', 'polling']));
      expect(server.engine.status.sessions).toBe(1);
    },
    patience(180_000),
  );

  it(
    'stays where it is when the server is away, on each transport (P21k)',
    async () => {
      for (const transport of ['websocket', 'sse', 'polling'] as const) {
        await start({ climbAfterMs: 3_600_000 });
        proxy.blocksUpgrades = transport !== 'websocket';
        proxy.gathersAnswers = transport === 'polling';
        await client.connect();
        expect(client.status.transport).toBe(transport);
        proxy.isServerAway = true;
        let attempts = 0;
        client.on('state', ({ state }) => state === 'waiting' && attempts++);
        server.cut();
        proxy.cutUpgrades();
        proxy.cutStreams();
        await until('some attempts', () => attempts > 5);
        proxy.isServerAway = false;
        await until('the way back', () => client.state === 'live');
        expect(client.status.transport).toBe(transport);
        if (transport !== 'polling') {
          await client.close();
          await proxy.stop();
          await server.close();
        }
      }
    },
    patience(120_000),
  );

  it(
    'keeps what it publishes once and in order while transports change under it (P15, P16)',
    async () => {
      await start();
      const count = 300;
      const seen: unknown[] = [];
      const room = client.channel('rooms.1');
      await room.subscribe();
      room.on('said', (n) => seen.push(n));
      const results: Promise<unknown>[] = [];
      for (const n of numbers(1, count)) {
        results.push(room.publish('said', n));
        if (n === 50) {
          proxy.blocksUpgrades = true;
          proxy.cutUpgrades();
        }
        if (n === 150) await until('the event stream', isOn('sse'));
        if (n === 200) proxy.blocksUpgrades = false;
        if (n % 10 === 0) await results.at(-1);
      }
      await Promise.all(results);
      await until('the WebSocket', isOn('websocket'));
      await until('every event', () => seen.length >= count);
      expect(seen).toEqual(numbers(1, count));
    },
    patience(120_000),
  );

  it('is one member, who neither leaves nor joins, whatever carries it', async () => {
    await start();
    const watcher = await server.connect('grace');
    await watcher.call({ type: 'subscribe', channel: 'rooms.1', payload: {} });
    await client.channel('rooms.1').subscribe();
    await watcher.next('presence');
    proxy.blocksUpgrades = true;
    proxy.cutUpgrades();
    await until('the event stream', isOn('sse'));
    proxy.blocksUpgrades = false;
    await until('the WebSocket', isOn('websocket'));
    await client.channel('rooms.1').publish('said', 'here');
    await watcher.next('event');
    expect(watcher.received.filter(({ type }) => type === 'presence')).toHaveLength(1);
  });
});
