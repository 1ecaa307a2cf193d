import { afterEach, describe, expect, it } from '@jest/globals';
import { httpFallback, type HttpFallbackOptions } from '../../../lib/client/http.js';
import { RealtimeClient, type RealtimeClientOptions } from '../../../lib/client/index.js';
import { SeededEntropy } from '../../support/engine/seeded-entropy.js';
import { elapse, patience, stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { FaultyProxy, type RequestFault } from '../../support/wire/faulty-proxy.js';
import {
  nameAuthenticator,
  startWireServer,
  type WireServer,
  type WireServerOptions,
} from '../../support/wire/server.js';
import { systemClock } from '../../../lib/core/ports/clock.js';

const FAULTS: readonly RequestFault[] = ['lose', 'cut-answer', 'cut-body', 'refuse', 'twice'];

let server: WireServer;
let proxy: FaultyProxy;
let client: RealtimeClient;
const runs = new Map<string, number>();

async function start(
  transport: 'sse' | 'polling',
  served: WireServerOptions = {},
  options: RealtimeClientOptions = {},
  fallback: HttpFallbackOptions = {},
): Promise<void> {
  runs.clear();
  server = await startWireServer({
    channels: [wireChannel('rooms.:room', { publish: ['said'], log: { size: 5_000 } })],
    requests: new Map([
      [
        'count',
        {
          authorize: 'public',
          handle: ({ payload }) => {
            runs.set(String(payload), (runs.get(String(payload)) ?? 0) + 1);
            return payload;
          },
        },
      ],
    ]),
    ...served,
    settings: {
      retry: { baseMs: 20, maxMs: 100, firstSpreadMs: 20, stableMs: 200 },
      limits: { ratePerSecond: 1_000 },
      ...served.settings,
    },
  });
  proxy = await FaultyProxy.start(Number(new URL(server.url).port));
  client = new RealtimeClient(`http://127.0.0.1:${proxy.port}/realtime`, {
    token: () => 'ada',
    connectTimeoutMs: stretched(2_000),
    fallback: httpFallback({ transports: [transport], ...fallback }),
    ...options,
  });
}

afterEach(async () => {
  await client.close();
  await proxy.stop();
  await server.close();
});

describe.each(['sse', 'polling'] as const)('a session over %s', (transport) => {
  it(
    'gives each event, publish and request once, in order, whatever becomes of its requests (P21)',
    async () => {
      await start(transport);
      const entropy = new SeededEntropy(15);
      const met = new Map<RequestFault, number>();
      const seen: unknown[] = [];
      const said: unknown[] = [];
      const problems: unknown[] = [];
      const room = client.channel('rooms.1');
      room.on('tick', (n) => seen.push(n));
      room.on('said', (n) => said.push(n));
      for (const name of ['gap', 'lost'] as const) room.on(name, (what) => problems.push(what));
      await room.subscribe();
      let sessions = 0;
      client.on('state', ({ state }) => state === 'live' && sessions++);
      proxy.fault = () => {
        if (entropy.random() > 0.3) return 'none';
        const fault = FAULTS[Math.floor(entropy.random() * FAULTS.length)] ?? 'none';
        met.set(fault, (met.get(fault) ?? 0) + 1);
        return fault;
      };
      const count = 60;
      const requests: unknown[] = [];
      const publishes: Promise<unknown>[] = [];
      for (let n = 1; n <= count; n++) {
        await server.engine.application.publish('rooms.1', 'tick', n);
        publishes.push(room.publish('said', n));
        requests.push(await client.request('count', n));
      }
      await Promise.all(publishes);
      proxy.fault = () => 'none';
      await until('every event', () => seen.length >= count && said.length >= count);
      const all = Array.from({ length: count }, (_, index) => index + 1);
      expect(seen).toEqual(all);
      expect(said).toEqual(all);
      expect(requests).toEqual(all);
      expect([...runs.values()]).toEqual(all.map(() => 1));
      expect(problems).toEqual([]);
      // One session carried all of it, through every kind of fault.
      expect(sessions).toBe(0);
      expect([...met.keys()].sort()).toEqual([...FAULTS].sort());
    },
    patience(120_000),
  );

  it('stops with what the server says when its user is disconnected for good', async () => {
    await start(transport);
    await client.connect();
    await server.engine.disconnect('ada', { reason: 'spam' });
    await until('the end', () => client.state === 'closed');
    expect(client.status).toMatchObject({ code: 4811, name: 'kicked' });
  });

  it('leaves at once when it closes (P19d)', async () => {
    await start(transport);
    await client.connect();
    expect(server.engine.status.sessions).toBe(1);
    await client.close();
    await until('the server to know', () => server.engine.status.sessions === 0);
  });

  it('sends cookies and tokens only when it opens, and proves itself by its id alone behind that', async () => {
    await start(transport, {}, { token: () => 'ada', tokenIn: 'subprotocol' });
    await client.connect();
    expect(client.user).toBe('ada');
    expect(await client.request('count', 'x')).toBe('x');
  });

  it('is refused as a WebSocket is: a bad token stops it (P3e)', async () => {
    await start(transport, {}, { token: () => 'bad' });
    await expect(client.connect()).rejects.toMatchObject({ code: 'unauthorized' });
    expect(client.status).toMatchObject({ state: 'closed', code: 4801 });
  });
});

describe('polls', () => {
  it(
    'are not taken for a flood where events come faster than they are asked for',
    async () => {
      await start('polling', { settings: { limits: {} } });
      const count = 600;
      const seen: unknown[] = [];
      const room = client.channel('rooms.1');
      room.on('tick', (n) => seen.push(n));
      await room.subscribe();
      let ends = 0;
      client.on('state', ({ state }) => state !== 'live' && ends++);
      for (let n = 1; n <= count; n++) {
        await server.engine.application.publish('rooms.1', 'tick', n);
        await elapse(5);
      }
      await until('every event', () => seen.length >= count || ends > 0);
      expect(ends).toBe(0);
      expect(seen).toEqual(Array.from({ length: count }, (_, index) => index + 1));
    },
    patience(60_000),
  );
});

describe('an event stream', () => {
  it('that is cut continues from its position (P13)', async () => {
    await start('sse');
    const seen: unknown[] = [];
    const room = client.channel('rooms.1');
    room.on('tick', (n) => seen.push(n));
    await room.subscribe();
    await server.engine.application.publish('rooms.1', 'tick', 1);
    await until('the first', () => seen.length === 1);
    proxy.cutStreams();
    await server.engine.application.publish('rooms.1', 'tick', 2);
    await until('the second', () => seen.length === 2);
    expect(seen).toEqual([1, 2]);
    expect(client.stats()).toMatchObject({ reconnects: 1, recovered: 1, lost: 0 });
  });

  it('is not taken for one that a proxy gathers where the server takes its time to know the user', async () => {
    const clock = systemClock;
    const { authenticate } = nameAuthenticator(clock);
    const slow = stretched(1_400);
    await start('sse', {
      authenticator: {
        authenticate: async (input) => {
          await elapse(slow);
          return authenticate(input);
        },
      },
    });
    const states: string[] = [];
    client.on('state', ({ state }) => states.push(state));
    await client.connect();
    expect(states).toEqual(['connecting', 'live']);
  });
});
