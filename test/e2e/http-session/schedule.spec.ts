import { afterEach, describe, it } from '@jest/globals';
import { patience } from '../../support/patience.js';
import { playSchedule, SCHEDULE_OPTIONS, type ScheduleNodes } from '../../support/transport/http-schedule.js';
import { startWireCluster } from '../../support/wire/cluster.js';

/** `HTTP_SESSIONS=500 HTTP_SEED=7` plays a larger one, or another. */
const sessions = Number(process.env['HTTP_SESSIONS'] ?? 24);
const seed = Number(process.env['HTTP_SEED'] ?? 1);

let nodes: ScheduleNodes;
afterEach(() => nodes.close());

/** Two nodes that share a log; those that were killed are not among them. */
async function startNodes(): Promise<ScheduleNodes> {
  const cluster = await startWireCluster(2, SCHEDULE_OPTIONS);
  const dead = new Set<unknown>();
  const alive = () => cluster.nodes.filter((node) => !dead.has(node));
  return {
    get alive() {
      return alive();
    },
    async replace() {
      const [first] = alive();
      dead.add(first);
      await first?.kill();
      await cluster.start();
    },
    places: () => alive().map(({ httpUrl }) => ({ url: httpUrl })),
    close: () => cluster.close(),
  };
}

describe('sessions over HTTP on a bad network (P21)', () => {
  it(
    `run each command once and are sent each event once, ${sessions} of them with the seed ${seed}, although nodes are killed (G1, G4, P12)`,
    async () => {
      nodes = await startNodes();
      await playSchedule(nodes, { seed, sessions, commands: 20, kills: 2 });
    },
    patience(60_000 + sessions * 1_000),
  );
});
