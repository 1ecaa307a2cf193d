import { afterEach, expect, it } from '@jest/globals';
import { fork, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { RealtimeClient } from '../../lib/client/index.js';
import { balanced } from '../support/fault/client.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { RedisProcess } from '../support/redis/process.js';
import { until } from '../support/until.js';

const PROGRAM = join(import.meta.dirname, 'application.process.mjs');
const DEADLINE_MS = stretched(1_000);
/** What docs/operations.md says that a shutdown takes at most. */
const GRACE_MS = DEADLINE_MS + 5_000;
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
const sockets: Socket[] = [];
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  for (const socket of sockets.splice(0)) socket.destroy();
  for (const { child } of nodes.splice(0)) child.kill('SIGKILL');
  await redis?.dispose();
});

async function start(nodeId: string, url: string, hangs = false): Promise<Node> {
  const drain = { deadline: DEADLINE_MS, spread: 1_000 };
  const child = fork(PROGRAM, [JSON.stringify({ nodeId, redis: { url }, drain, hangs })], {
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
    else logs.push(message.message ?? message.type);
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

/** A WebSocket whose client answers nothing, not even a close. */
async function silent({ url }: Node): Promise<Socket> {
  const { port, pathname, host } = new URL(url);
  const socket = connect(Number(port), '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  const key = randomBytes(16).toString('base64');
  let answer = '';
  socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')));
  socket.write(
    `GET ${pathname} HTTP/1.1\r\nHost: ${host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  await until('the upgrade', () => answer.includes('\r\n\r\n'));
  expect(answer).toMatch(/^HTTP\/1.1 101/);
  return socket;
}

it(
  'a process of which nothing answers exits with 0 in one bounded time, and logs once each what it gave up (G18)',
  async () => {
    redis = await RedisProcess.start();
    const node = await start('leaving', redis.url, true);
    const room = client(() => node.url).channel('rooms.1');
    await room.subscribe();
    void room.publish('said', 'never answered').catch(() => undefined);
    await silent(node);
    await until('a hook that hangs', () => node.logs.includes('hook'), patience(10_000));
    redis.pause();
    const signalledAt = performance.now();
    node.child.kill('SIGTERM');
    const { code, at } = await node.exited;
    expect(code).toBe(0);
    // The process itself has to end, too.
    expect(at - signalledAt).toBeLessThan(GRACE_MS + stretched(250));
    expect(at - signalledAt).toBeGreaterThan(DEADLINE_MS);
    expect(node.logs.filter((line) => line.includes('Sec-WebSocket-Key'))).toEqual([]);
    const lines = (text: string) => node.logs.filter((line) => line.includes(text));
    for (const text of [
      'The hook target Pushes did not end 1 calls',
      '1 notices to users who may be offline were not taken',
      'The audit sink table did not take 1 entries before the end',
    ])
      expect([text, lines(text).length]).toEqual([text, 1]);
    // Only where a command waited for its whole time before the end.
    expect(lines('The broker is away').length).toBeLessThanOrEqual(1);
  },
  patience(60_000),
);
