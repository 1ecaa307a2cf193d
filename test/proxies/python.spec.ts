import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ProxyProcess } from '../support/proxies/process.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import { PROXIES } from './support/behind.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Made by scripts/test.mjs. */
const python = process.env['TEST_PYTHON'] ?? `${root}test-artifacts/python/bin/python`;

interface Said {
  readonly type: string;
  readonly payload: unknown;
  readonly id?: string;
}

let server: WireServer;
const children: ChildProcess[] = [];

beforeAll(async () => {
  server = await startWireServer({
    channels: [wireChannel('rooms.:room')],
    settings: { anonymous: true, retry: { firstSpreadMs: 100 } },
  });
});

afterEach(() => {
  for (const child of children.splice(0)) child.kill();
});

afterAll(() => server.close());

function run(...args: string[]) {
  const child = spawn(python, [`${root}test/proxies/clients/client.py`, ...args]);
  children.push(child);
  let [out, errors] = ['', ''];
  let failure: Error | undefined;
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
  child.once('error', (error) => (failure = error));
  const ended = once(child, 'exit');
  const said = (): Said[] => {
    const lines = out.slice(0, out.lastIndexOf('\n') + 1).split('\n');
    return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Said);
  };
  return {
    said,
    /** Resolves when it has said so many things of a type. */
    async has(type: string, count: number) {
      await until(`${count} times ${type}`, () => {
        if (failure !== undefined) throw failure;
        if (child.exitCode !== null && child.exitCode !== 0) throw new Error(errors);
        return said().filter((one) => one.type === type).length >= count;
      });
    },
    async end() {
      expect([(await ended)[0], errors]).toEqual([0, '']);
    },
  };
}

const publish = (channel: string, payload: unknown) =>
  server.engine.application.publish(channel, 'said', payload);
const payloadsOf = (said: readonly Said[]) =>
  said.filter(({ type }) => type === 'event').map(({ payload }) => payload);

describe.each(PROXIES)('a client in Python behind the documented %s', (name) => {
  let proxy: ProxyProcess;

  beforeAll(async () => {
    const nodes = [Number(new URL(server.httpUrl).port)] as const;
    proxy = await ProxyProcess.start(name, { nodes });
  });

  afterAll(() => proxy.close());

  it('speaks the protocol over the package websockets (P1, P3)', async () => {
    const channel = `rooms.${name}-ws`;
    const client = run('websocket', proxy.url, proxy.certificateFile, channel, '2');
    await client.has('reply', 1);
    await publish(channel, 'one');
    await publish(channel, 'two');
    await client.end();
    expect(client.said()[0]?.type).toBe('welcome');
    expect(payloadsOf(client.said())).toEqual(['one', 'two']);
  });

  it('follows a plain stream with the package sseclient, and resumes behind a cut (P20)', async () => {
    const channel = `rooms.${name}-sse`;
    const url = `https://${proxy.authority}/realtime/sse?channels=${channel}`;
    const client = run('stream', url, proxy.certificateFile, '4');
    await client.has('subscribed', 1);
    await publish(channel, 1);
    await publish(channel, 2);
    await client.has('event', 2);
    server.cut();
    await publish(channel, 3);
    await client.has('event', 3);
    await publish(channel, 4);
    await client.end();
    expect(payloadsOf(client.said())).toEqual([1, 2, 3, 4]);
    expect(client.said().filter(({ type }) => type === 'subscribed')).toHaveLength(2);
  });
});
