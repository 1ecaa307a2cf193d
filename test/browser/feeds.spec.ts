import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { Browser, Page } from 'playwright-core';
import { redisBroker } from '../../lib/brokers/redis/index.js';
import { systemEntropy } from '../../lib/core/ports/entropy.js';
import { RedisProcess } from '../support/redis/process.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import { launchChromium } from './support/chromium.js';

const CHANNELS = ['prices.eur', 'prices.usd', 'prices.gbp'];

let browser: Browser;
let redis: RedisProcess;
let balancer: Server;
/** The node that the balancer sends newcomers to. */
let current: WireServer;
const paths = new Set<Socket>();

/** What a page keeps of its stream; the code of the page is in {@link follow}. */
interface Followed {
  readonly seen: Record<string, number[]>;
  readonly outcomes: number;
  readonly opened: number;
  readonly state: number;
  readonly errors: string[];
}

async function startNode(nodeId: string): Promise<WireServer> {
  return startWireServer({
    channels: [
      wireChannel('prices.:currency'),
      wireChannel('mine.:user', { behaviour: { authorize: { subscribe: () => false } } }),
    ],
    broker: redisBroker({ url: redis.url }),
    // Of its own for each process, as in real deployments.
    entropy: systemEntropy,
    settings: { anonymous: true, nodeId, drainSpreadMs: 200, retry: { firstSpreadMs: 200 } },
  });
}

beforeAll(async () => {
  redis = await RedisProcess.start();
  current = await startNode('node-1');
  balancer = createServer((client) => {
    const target = connect(Number(new URL(current.httpUrl).port), '127.0.0.1');
    for (const socket of [client, target]) {
      paths.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        paths.delete(socket);
        client.destroy();
        target.destroy();
      });
    }
    client.pipe(target);
    target.pipe(client);
  });
  await new Promise<void>((resolve) => balancer.listen(0, '127.0.0.1', resolve));
  browser = await launchChromium();
});

afterAll(async () => {
  await browser?.close();
  for (const socket of paths) socket.destroy();
  await new Promise<void>((resolve) => balancer.close(() => resolve()));
  await current?.close();
  await redis?.dispose();
});

/** A page of the server's own origin that follows channels with the browser's own `EventSource`. */
async function follow(channels: readonly string[]): Promise<Page> {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${(balancer.address() as AddressInfo).port}/realtime`);
  await page.evaluate((url) => {
    const followed = {
      seen: {} as Record<string, number[]>,
      outcomes: 0,
      opened: 0,
      state: 0,
      errors: [] as string[],
    };
    const source = new EventSource(url);
    source.onopen = () => void followed.opened++;
    source.onmessage = ({ data }) => {
      const { type, channel, seq, payload } = JSON.parse(data as string) as {
        type: string;
        channel: string;
        seq: number;
        payload: { code: string };
      };
      if (type === 'event') (followed.seen[channel] ??= []).push(seq);
      if (type === 'subscribed') followed.outcomes++;
      if (type === 'error') followed.errors.push(payload.code);
    };
    Object.assign(window, { followed, source });
  }, `/realtime/sse?channels=${channels.join()}`);
  return page;
}

const look = (page: Page): Promise<Followed> =>
  page.evaluate(() => {
    const { followed, source } = window as unknown as { followed: Followed; source: EventSource };
    return { ...followed, state: source.readyState };
  });

const publishAll = async (price: number): Promise<void> => {
  for (const channel of CHANNELS) await current.engine.application.publish(channel, 'price', price);
};

describe('the EventSource of Chromium', () => {
  it('loses nothing through ten cuts, a rolling restart over Redis and a drain with refusals in between (P20)', async () => {
    const page = await follow(CHANNELS);
    let published = 0;
    const hasAll = (): Promise<void> =>
      until('everything that was published', async () => {
        const { seen } = await look(page);
        return CHANNELS.every((channel) => seen[channel]?.includes(published) === true);
      });
    await until('the outcomes', async () => (await look(page)).outcomes === 3);
    for (let cut = 0; cut < 10; cut++) {
      await publishAll(++published);
      await hasAll();
      for (const socket of paths) socket.destroy();
      await publishAll(++published);
      await hasAll();
    }
    for (const nodeId of ['node-2', 'node-3']) {
      const older = current;
      const next = await startNode(nodeId);
      // Newcomers still reach the node that drains: they are told to come back.
      await older.engine.drain(2_000);
      await until('a refusal for now', async () => (await look(page)).errors.includes('unavailable'));
      current = next;
      await publishAll(++published);
      await hasAll();
      await older.close();
      await page.evaluate(
        () => void (window as unknown as { followed: { errors: string[] } }).followed.errors.splice(0),
      );
    }
    const { seen, state, opened } = await look(page);
    expect(state).toBe(1);
    expect(opened).toBeGreaterThan(12);
    for (const channel of CHANNELS) {
      const distinct = [...new Set(seen[channel])].sort((a, b) => a - b);
      expect(distinct).toEqual(Array.from({ length: published }, (_, index) => index + 1));
      // Only what follows the last id comes again: never more than what was published since one cut.
      expect(seen[channel]?.length).toBeLessThanOrEqual(published * 2);
    }
    await page.close();
  });

  it('stops for good where it is refused for good (P20)', async () => {
    const page = await follow(['mine.ada']);
    await until('the end', async () => (await look(page)).state === 2);
    expect((await look(page)).errors).toEqual(['forbidden']);
    await page.close();
  });
});
