import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RealtimeHealthIndicator, RealtimeHealthModule } from '../../lib/health/index.js';
import { PLATFORMS, startApp, type TestApp } from '../e2e/nest/support/nest-app.js';
import { DeafProxy } from '../support/fault/deaf-proxy.js';
import { elapse, patience, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

const PROBE_MS = patience(1_000);

describe('readiness of nodes on Redis (G20)', () => {
  let kit: RedisKit;
  const apps: TestApp[] = [];
  const proxies: DeafProxy[] = [];

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(async () => {
    await Promise.all(apps.splice(0).map((app) => app.close()));
    await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
    await kit.reset();
  });
  afterAll(() => kit.dispose());

  async function node(nodeId: string, nodeTtlMs = 15_000) {
    const proxy = await DeafProxy.start(kit.server.port);
    proxies.push(proxy);
    const app = await startApp(PLATFORMS[0][1], {
      imports: [RealtimeHealthModule],
      realtime: {
        nodeId,
        broker: kit.make({ url: proxy.url, heartbeatMs: 200, nodeTtlMs }),
        drain: { deadline: '200ms', spread: 0 },
      },
    });
    apps.push(app);
    const ready = async () => {
      const before = performance.now();
      const { realtime } = await app.app
        .get(RealtimeHealthIndicator)
        .ready('realtime', { timeoutMs: PROBE_MS });
      return { ...realtime, tookMs: performance.now() - before };
    };
    return { proxy, ready };
  }

  it('a broker that takes commands and delivers nothing makes it red within the time of the probe, and green again after', async () => {
    const { proxy, ready } = await node('a');
    expect(await ready()).toMatchObject({ status: 'up' });
    proxy.deaf = true;
    const red = await ready();
    expect(red).toMatchObject({
      status: 'down',
      reason: `events do not return to this node: The probe did not come back within ${PROBE_MS} ms`,
    });
    expect(red.tookMs).toBeLessThan(PROBE_MS + patience(300));
    proxy.deaf = false;
    await until('readiness to be green', async () => (await ready()).status === 'up');
  });

  it('of two nodes only the one that hears nothing is red, whichever says so', async () => {
    const [left, right] = [await node('a'), await node('b')];
    // Until the list of the nodes is no older than the second one.
    await elapse(1_100);
    left.proxy.deaf = true;
    const red = await left.ready();
    expect(red).toMatchObject({ status: 'down' });
    expect(red.tookMs).toBeLessThan(PROBE_MS + patience(300));
    expect(await right.ready()).toMatchObject({ status: 'up' });
  });

  it.each([
    ['full', 'maxmemory', '1', '0', 'OOM'],
    ['without its replicas', 'min-replicas-to-write', '1', '0', 'NOREPLICAS'],
  ])(
    'no node turns red while Redis is %s for longer than nodes show that they are there',
    async (_what, option, value, before, cause) => {
      const ttlMs = stretched(1_000);
      const nodes = [await node('a', ttlMs), await node('b', ttlMs)];
      await elapse(1_100);
      await kit.admin.config('SET', option, value);
      const found: unknown[] = [];
      try {
        const since = performance.now();
        while (performance.now() - since < 3 * ttlMs) {
          for (const { ready } of nodes) found.push(await ready());
          await elapse(2_000);
        }
      } finally {
        await kit.admin.config('SET', option, before);
      }
      const red = found.filter((one) => (one as { status: string }).status === 'down');
      expect(red).toEqual([]);
      expect(found.at(-1)).toMatchObject({
        reason: expect.stringContaining(`Redis refused the command: ${cause}`) as unknown,
      });
      for (const { ready } of nodes)
        await until('readiness to be green', async () => (await ready()).status === 'up');
    },
    patience(30_000),
  );

  it('a Redis that refuses writes is named, and degrades all nodes', async () => {
    const [left, right] = [await node('a'), await node('b')];
    await elapse(1_100);
    await kit.admin.config('SET', 'maxmemory', '1');
    try {
      for (const { ready } of [left, right])
        await until('readiness to name it', async () => {
          const { reason, status } = (await ready()) as { reason?: string; status: string };
          return (
            status !== 'down' &&
            reason?.startsWith(
              'events do not return to this node, nor to the other nodes that were asked: Redis refused the command: OOM',
            ) === true
          );
        });
    } finally {
      await kit.admin.config('SET', 'maxmemory', '0');
    }
    await until('readiness to be green', async () => (await left.ready()).status === 'up');
  });
});
