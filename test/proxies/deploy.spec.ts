import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { redisBroker } from '../../lib/brokers/redis/index.js';
import { RealtimeClient } from '../../lib/client/index.js';
import { RealtimeService } from '../../lib/nest/index.js';
import type { TestApp } from '../e2e/nest/support/nest-app.js';
import { patience } from '../support/patience.js';
import { ProxyProcess } from '../support/proxies/process.js';
import { freePort, RedisProcess } from '../support/redis/process.js';
import { until } from '../support/until.js';
import { PROXIES } from './support/behind.js';
import { sessionsOf, startNode } from './support/node.js';

const CLIENTS = 12;

let redis: RedisProcess;
let nodes: (TestApp | undefined)[] = [];
let ports: [number, number];
let proxy: ProxyProcess | undefined;
const clients: RealtimeClient[] = [];

const launch = async (index: 0 | 1): Promise<TestApp> => {
  const node = await startNode(
    {
      broker: () => redisBroker({ url: redis.url }),
      ticketSecret: 'the same secret on every node of a test',
      drain: { deadline: '5s', spread: '500ms' },
      retry: { firstSpread: '200ms', base: '100ms' },
    },
    ports[index],
  );
  nodes[index] = node;
  return node;
};

beforeEach(async () => {
  redis = await RedisProcess.start();
  ports = [await freePort(), await freePort()];
  nodes = [];
  await launch(0);
  await launch(1);
});

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await proxy?.close();
  proxy = undefined;
  for (const node of nodes) await node?.close();
  await redis.dispose();
});

describe.each(PROXIES)('A deploy, node by node, behind the documented %s', (name) => {
  it(
    'moves every client to the other node, without sticky sessions, and nobody misses an event (G18, P12)',
    async () => {
      const through = (proxy = await ProxyProcess.start(name, { nodes: ports }));
      class Through extends WebSocket {
        constructor(url: string, protocols?: string[]) {
          super(url, protocols, { ...through.tls });
        }
      }
      const seen: number[][] = [];
      for (let index = 0; index < CLIENTS; index++) {
        const client = new RealtimeClient(through.url, {
          token: () => `user${index}`,
          webSocket: Through,
        });
        clients.push(client);
        const mine: number[] = [];
        seen.push(mine);
        const room = client.channel('rooms.1');
        room.on('said', (payload) => mine.push((payload as { n: number }).n));
        await room.subscribe();
      }
      const load = () => nodes.map((node) => (node === undefined ? 0 : sessionsOf(node)));
      // Both of them serve: no client is bound to a node.
      expect(Math.min(...load())).toBeGreaterThan(0);

      let published = 0;
      const publish = async (by: TestApp | undefined): Promise<void> => {
        const channel = by?.app.get(RealtimeService).channel('rooms.1');
        await channel?.publish('said', { n: ++published });
      };
      for (const index of [0, 1] as const) {
        const other = nodes[1 - index];
        const leaving = nodes[index]?.close();
        await until('the other node to have every client', async () => {
          await publish(other);
          return other !== undefined && sessionsOf(other) >= CLIENTS;
        });
        await leaving;
        nodes[index] = undefined;
        expect(load()[1 - index]).toBe(CLIENTS);
        await launch(index);
        await publish(other);
      }
      await until('everybody to have everything', () => seen.every(({ length }) => length === published));
      const all = Array.from({ length: published }, (_, index) => index + 1);
      for (const mine of seen) expect(mine).toEqual(all);
    },
    patience(60_000),
  );
});
