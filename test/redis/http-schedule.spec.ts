// Sessions over HTTP on a bad network, whose requests go to whichever node.
import { afterAll, afterEach, beforeAll, describe, it } from '@jest/globals';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { patience, stretched } from '../support/patience.js';
import { playSchedule, SCHEDULE_OPTIONS, type ScheduleNodes } from '../support/transport/http-schedule.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import { SwitchingProxy } from '../support/wire/switching-proxy.js';
import { RedisKit } from './kit.js';

/** `HTTP_SESSIONS=500 HTTP_SEED=7` plays a larger one, or another. */
const sessions = Number(process.env['HTTP_SESSIONS'] ?? 12);
const seed = Number(process.env['HTTP_SEED'] ?? 1);
const NODES = 3;

let kit: RedisKit;
let nodes: ScheduleNodes;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterEach(() => nodes.close());
afterAll(() => kit.dispose());

async function startNodes(): Promise<ScheduleNodes> {
  const all: WireServer[] = [];
  const alive: WireServer[] = [];
  const random = new SeededEntropy(seed);
  /** The way of each node to Redis. */
  const ways = new Map<WireServer, SwitchingProxy>();
  const start = async (): Promise<void> => {
    const number = all.length + 1;
    const way = await SwitchingProxy.start(Number(new URL(kit.server.url).port));
    const node = await startWireServer({
      ...SCHEDULE_OPTIONS,
      // A node that is dead counts as alive for as long as its view of revocations would.
      broker: kit.make({ url: `redis://127.0.0.1:${way.port}`, controlMaxAgeMs: stretched(3_000) }),
      entropy: new SeededEntropy(number),
      settings: { ...SCHEDULE_OPTIONS.settings, nodeId: `node-${number}` },
    });
    ways.set(node, way);
    all.push(node);
    alive.push(node);
  };
  for (let count = 0; count < NODES; count++) await start();
  return {
    alive,
    async replace() {
      const node = alive.shift() as WireServer;
      // Cut first, so that it cannot tell the others that it leaves.
      await ways.get(node)?.stop();
      // It looks for Redis until it gives up, which nobody waits for.
      void node.kill();
      await start();
    },
    places: () =>
      alive.map(({ httpUrl }) => ({
        url: httpUrl,
        // As a proxy chooses one, request by request.
        get elsewhere() {
          return random.pick(alive).httpUrl;
        },
      })),
    async close() {
      await Promise.all(all.map((node) => node.close()));
      await Promise.all([...ways.values()].map((way) => way.stop()));
    },
  };
}

describe('sessions over HTTP on a bad network and three nodes (P21)', () => {
  it(
    `run each command once and are sent each event once, ${sessions} of them with the seed ${seed}, although half of the requests go to any node and one of them is killed (G1, G4, P12)`,
    async () => {
      nodes = await startNodes();
      await playSchedule(nodes, { seed, sessions, commands: 20, kills: 1 });
    },
    patience(60_000 + sessions * 1_000),
  );
});
