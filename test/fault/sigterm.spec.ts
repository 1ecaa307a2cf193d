import { afterEach, expect, it } from '@jest/globals';
import { fork, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { RealtimeClient } from '../../lib/client/index.js';
import { balanced } from '../support/fault/client.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { RedisProcess } from '../support/redis/process.js';
import { until } from '../support/until.js';

const PROGRAM = join(import.meta.dirname, 'application.process.mjs');
const DEADLINE_MS = stretched(1_000);
/** What docs/operations.md says that an orchestrator must give. */
const GRACE_MS = 2 * DEADLINE_MS + 5_000;
const READERS = 60;

interface Node {
  readonly child: ChildProcess;
  readonly url: string;
  readonly logs: string[];
  readonly exited: Promise<{ readonly code: number | null; readonly at: number }>;
}

let redis: RedisProcess | undefined;
const nodes: Node[] = [];
const clients: RealtimeClient[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  for (const { child } of nodes.splice(0)) child.kill('SIGKILL');
  await redis?.dispose();
});

async function start(nodeId: string, url: string): Promise<Node> {
  const drain = { deadline: DEADLINE_MS, spread: 1_000 };
  const child = fork(PROGRAM, [JSON.stringify({ nodeId, redis: { url }, drain })], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const logs: string[] = [];
  child.stderr?.on('data', (chunk: Buffer) => logs.push(chunk.toString()));
  const exited = new Promise<{ code: number | null; at: number }>((resolve) =>
    child.once('exit', (code) => resolve({ code, at: performance.now() })),
  );
  let port: number | undefined;
  child.on('message', (message: { type: string; port?: number; message?: string }) => {
    if (message.type === 'ready') port = message.port;
    else logs.push(message.message ?? '');
  });
  await until(`${nodeId} to start: ${logs.join('\n')}`, () => port !== undefined, patience(20_000));
  const node = { child, url: `ws://127.0.0.1:${port}/realtime`, logs, exited };
  nodes.push(node);
  return node;
}

function client(pick: () => string): RealtimeClient {
  const made = new RealtimeClient('ws://balanced/realtime', { webSocket: balanced(pick) });
  clients.push(made);
  return made;
}

it(
  'a process that gets SIGTERM under load exits with 0 within the grace period, and nobody misses an event (G18)',
  async () => {
    redis = await RedisProcess.start();
    const [leaving, staying] = [await start('leaving', redis.url), await start('staying', redis.url)];
    // As a balancer that looks at readiness: new connections go to the node that stays once the other one drains.
    let draining = false;
    const seen = Array.from({ length: READERS }, () => [] as number[]);
    const gaps: unknown[] = [];
    for (const seqs of seen) {
      const room = client(() => (draining ? staying.url : leaving.url)).channel('rooms.1');
      room.on('*', (_payload, { seq }) => void seqs.push(seq));
      room.on('gap', (gap) => void gaps.push(gap));
      await room.subscribe();
    }
    const failed: unknown[] = [];
    let published = 0;
    let publishing = true;
    const writer = client(() => (draining ? staying.url : leaving.url)).channel('rooms.1');
    await writer.subscribe();
    const load = (async () => {
      while (publishing) {
        await writer.publish('said', published).then(
          () => published++,
          (error: unknown) => failed.push(error),
        );
        await elapse(5);
      }
    })();
    await until('a load', () => published > 50);
    draining = true;
    const signalledAt = performance.now();
    leaving.child.kill('SIGTERM');
    const { code, at } = await leaving.exited;
    expect(code).toBe(0);
    expect(at - signalledAt).toBeLessThan(GRACE_MS);
    const then = published;
    await until('the load to continue at the other node', () => published > then + 50, patience(10_000));
    publishing = false;
    await load;
    expect(failed).toEqual([]);
    await until(
      'everybody to have everything',
      () => seen.every((seqs) => seqs.at(-1) === published),
      patience(10_000),
    );
    for (const seqs of seen) expect(seqs).toEqual(Array.from({ length: published }, (_, index) => index + 1));
    expect(gaps).toEqual([]);
    const progress = leaving.logs.filter((line) => line.startsWith('Draining'));
    expect(progress[0]).toBe(
      `Draining: ${READERS + 1} of ${READERS + 1} connections are left after 0 of ${DEADLINE_MS} ms`,
    );
    expect(progress.at(-1)).toMatch(new RegExp(`^Draining: 0 of ${READERS + 1} connections are left`));
  },
  patience(60_000),
);
