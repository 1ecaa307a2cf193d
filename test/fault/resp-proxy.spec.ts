// Pub/sub messages are lost, repeated, delayed and swapped between Redis and one node: the node mends it
// with one ranged read per channel and hole, and no client notices (G5). 200 clients.
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import { FaultCluster } from '../support/fault/cluster.js';
import { RespProxy, type MessageFate } from '../support/fault/resp-proxy.js';
import { CLIENTS, print, RATE, SEED } from '../support/fault/scenario.js';
import { describeViolations } from '../support/fault/history-checker.js';
import type { HistoryReport } from '../support/fault/history-types.js';
import { elapse, stretched } from '../support/patience.js';
import { RedisProcess } from '../support/redis/process.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { until } from '../support/until.js';

const HOLES = 20;
const ROOM = 'rooms.1';

let server: RedisProcess;
let proxy: RespProxy;
let admin: Redis;

beforeAll(async () => {
  server = await RedisProcess.start();
  proxy = await RespProxy.start(server.port);
  admin = new Redis(server.url);
});

afterAll(async () => {
  admin.disconnect();
  await proxy.close();
  await server.dispose();
});

/** Three nodes, the first of them behind the proxy. */
async function withCluster(
  { tipCheckMs, clients = 18 }: { readonly tipCheckMs: number; readonly clients?: number },
  work: (cluster: FaultCluster) => Promise<void>,
): Promise<void> {
  proxy.fate = undefined;
  await admin.flushall();
  const direct = { url: server.url, tipCheck: { intervalMs: tipCheckMs } };
  const cluster = await FaultCluster.start({
    clients,
    rate: RATE,
    seed: SEED,
    redis: direct,
    redisOf: (node) => (node === 0 ? { ...direct, url: proxy.url } : direct),
  });
  proxy.reads.length = 0;
  try {
    await work(cluster);
  } finally {
    await cluster.dispose();
  }
}

function expectNobodyNoticed(cluster: FaultCluster, report: HistoryReport): void {
  expect(describeViolations(report.violations)).toBe('0 violations');
  expect(report).toMatchObject({ gaps: 0, losses: 0, truncations: 0, resets: 0, unknown: 0, refused: 0 });
  expect(cluster.disconnects).toBe(0);
}

/** One event in the room, acknowledged. @returns its `seq`. */
async function publish({ publishers, history }: FaultCluster): Promise<number> {
  publishers[0]?.publish(ROOM);
  const last = [...history.publishes.values()].at(-1);
  await until('the acknowledgement', () => last?.outcome !== undefined);
  return last?.outcome?.kind === 'acknowledged' ? last.outcome.position.seq : -1;
}

async function untilAllHave({ clients }: FaultCluster, seq: number): Promise<void> {
  const inRoom = clients.filter(({ channels }) => channels.includes(ROOM));
  await until('all to have the last event', () =>
    inRoom.every(({ positions }) => positions.get(ROOM)?.seq === seq),
  );
}

/** The next message of the room has this fate, those after it pass. */
function mistreatNext(fate: MessageFate): void {
  let used = false;
  proxy.fate = (channel) => {
    if (channel !== ROOM || used) return 'pass';
    used = true;
    return fate;
  };
}

/** @returns ranged reads for `HOLES` times a message with this fate and one that follows it. */
async function readsFor(cluster: FaultCluster, fate: MessageFate): Promise<number> {
  const before = proxy.readsOf(ROOM);
  for (let hole = 0; hole < HOLES; hole++) {
    mistreatNext(fate);
    await publish(cluster);
    await untilAllHave(cluster, await publish(cluster));
    // What was held back comes now, and is no news.
    proxy.release();
  }
  // It has come when what is sent behind it has.
  await untilAllHave(cluster, await publish(cluster));
  return proxy.readsOf(ROOM) - before;
}

describe('faults between Redis and one node (G5)', () => {
  it('one gap costs one ranged read, however many clients the node has', async () => {
    await withCluster({ tipCheckMs: 600_000 }, async (cluster) => {
      await cluster.silence(admin);
      const reads = {
        drop: await readsFor(cluster, 'drop'),
        twice: await readsFor(cluster, 'twice'),
        swap: await readsFor(cluster, 'swap'),
        delay: await readsFor(cluster, 'hold'),
      };
      print('one hole at a time, ranged reads', { holes: HOLES, ...reads });
      expect(reads).toEqual({ drop: HOLES, twice: 0, swap: HOLES, delay: HOLES });
      expectNobodyNoticed(cluster, await cluster.judge(admin));
    });
  });

  it('a lost last message is found by the check of the tips, with one ranged read', async () => {
    await withCluster({ tipCheckMs: 1_000 }, async (cluster) => {
      await cluster.silence(admin);
      proxy.reads.length = 0;
      mistreatNext('drop');
      await untilAllHave(cluster, await publish(cluster));
      expect(proxy.readsOf(ROOM)).toBe(1);
      proxy.fate = undefined;
      expectNobodyNoticed(cluster, await cluster.judge(admin));
    });
  });

  it('no client notices that eight of a hundred messages are dropped, repeated, swapped or delayed under load', async () => {
    await withCluster({ tipCheckMs: stretched(4_000), clients: CLIENTS }, async (cluster) => {
      const entropy = new SeededEntropy(SEED);
      const holes = new Map<string, number>();
      const counts = { drop: 0, twice: 0, swap: 0, delay: 0 };
      const fates: readonly (keyof typeof counts)[] = ['drop', 'twice', 'swap', 'delay'];
      proxy.fate = (channel) => {
        if (entropy.random() > 0.08) return 'pass';
        const fate = entropy.pick(fates);
        counts[fate]++;
        if (fate !== 'twice') holes.set(channel, (holes.get(channel) ?? 0) + 1);
        return fate === 'delay' ? { delayMs: 20 + entropy.int(200) } : fate;
      };
      await elapse(6_000);
      const report = await cluster.judge(admin);
      const { messages, reads } = proxy;
      const sum = [...holes.values()].reduce((total, count) => total + count, 0);
      print('mistreated messages', { messages, ...counts, holes: sum, reads: reads.length, ...report });
      expectNobodyNoticed(cluster, report);
      expect(reads.length).toBeGreaterThan(0);
      // Fewer where one read filled two holes.
      for (const channel of cluster.channels)
        expect(proxy.readsOf(channel)).toBeLessThanOrEqual(holes.get(channel) ?? 0);
    });
  });
});
