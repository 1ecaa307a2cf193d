// What is held, and what is renewed late because Redis was away or refused writes.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { BrokerTransitions, Hold } from '../../lib/core/ports/transitions.js';
import { elapse, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

const LEASE_MS = stretched(600);
const CHANNEL = 'rooms.1';

function hold(holder: string, generation = 1): Hold {
  return { channel: CHANNEL, holder, generation };
}

describe('holders that renew late on Redis (G32)', () => {
  let kit: RedisKit;

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  async function node(): Promise<BrokerTransitions> {
    return (await kit.node()).broker.transitions;
  }

  async function consume(transitions: BrokerTransitions): Promise<readonly boolean[]> {
    const taken = await transitions.take(10);
    await transitions.done(taken.map(({ id }) => id));
    return taken.map(({ held }) => held);
  }

  it('have held all the time where nobody found that their leases ended', async () => {
    const transitions = await node();
    await transitions.hold([hold('a'), hold('b')], LEASE_MS);
    expect(await consume(transitions)).toEqual([true]);
    await elapse(LEASE_MS + 1);
    await transitions.hold([hold('a'), hold('b')], 10 * LEASE_MS);
    expect(await consume(transitions)).toEqual([]);
    await transitions.release(hold('a'), 0);
    expect(await consume(transitions)).toEqual([]);
    await transitions.release(hold('b'), 0);
    expect(await consume(transitions)).toEqual([false]);
  });

  it('do not bring back another holder, whose lease ended too', async () => {
    const transitions = await node();
    await transitions.hold([hold('a'), hold('b')], LEASE_MS);
    await elapse(LEASE_MS + 1);
    await transitions.hold([hold('a')], 10 * LEASE_MS);
    await transitions.release(hold('a'), 0);
    expect(await consume(transitions)).toEqual([true, false]);
  });

  it('another holder that comes after the end begins again', async () => {
    const transitions = await node();
    await transitions.hold([hold('a')], LEASE_MS);
    await elapse(LEASE_MS + 1);
    await transitions.hold([hold('b')], 10 * LEASE_MS);
    expect(await consume(transitions)).toEqual([true, false, true]);
  });

  it('begin again where their end was recorded', async () => {
    const transitions = await node();
    await transitions.hold([hold('a')], LEASE_MS);
    expect(await consume(transitions)).toEqual([true]);
    const found: boolean[] = [];
    await until('the end', async () => (found.push(...(await consume(transitions))), found.length > 0));
    await transitions.hold([hold('a')], 10 * LEASE_MS);
    expect([...found, ...(await consume(transitions))]).toEqual([false, true]);
  });

  it('are renewed on a server that is full, which takes no new ones', async () => {
    const transitions = await node();
    await transitions.hold([hold('a')], LEASE_MS);
    expect(await consume(transitions)).toEqual([true]);
    await kit.admin.config('SET', 'maxmemory', '1');
    const [renewed, began, again] = await Promise.allSettled([
      transitions.hold([hold('a')], 10 * LEASE_MS),
      transitions.hold([{ ...hold('a'), channel: 'rooms.2' }], LEASE_MS),
      transitions.hold([hold('a')], 10 * LEASE_MS),
    ]);
    expect([renewed, again]).toEqual([{ status: 'fulfilled' }, { status: 'fulfilled' }]);
    expect(began).toMatchObject({ status: 'rejected', reason: { code: 'unavailable' } });
    expect(String((began as PromiseRejectedResult).reason)).toContain('OOM');
    await elapse(LEASE_MS + 1);
    await kit.admin.config('SET', 'maxmemory', '0');
    expect(await consume(transitions)).toEqual([]);
    await transitions.release(hold('a'), 0);
    expect(await consume(transitions)).toEqual([false]);
  });

  it('are not ended by the first looks after a server that refused everything for longer than a lease', async () => {
    const transitions = await node();
    await transitions.hold([hold('a')], LEASE_MS);
    expect(await consume(transitions)).toEqual([true]);
    await kit.admin.config('SET', 'min-replicas-to-write', '1');
    await elapse(LEASE_MS + 1);
    await expect(transitions.hold([hold('a')], LEASE_MS)).rejects.toMatchObject({ code: 'unavailable' });
    await expect(transitions.take(10)).rejects.toMatchObject({ code: 'unavailable' });
    await kit.admin.config('SET', 'min-replicas-to-write', '0');
    expect(await consume(transitions)).toEqual([]);
    await transitions.hold([hold('a')], LEASE_MS);
    expect(await consume(transitions)).toEqual([]);
    const found: boolean[] = [];
    await until('the end', async () => (found.push(...(await consume(transitions))), found.length > 0));
    expect(found).toEqual([false]);
  });

  it('keep the key of their thing for longer than their leases, which not every renewal renews', async () => {
    const headMs = 100_000;
    const { transitions } = (await kit.node({ headMs })).broker;
    const key = kit.keys.holders(CHANNEL, CHANNEL);
    for (const lease of [200_000, 400_000]) {
      await transitions.hold([hold('a')], lease);
      expect(await kit.admin.pttl(key)).toBeGreaterThan(lease + 0.85 * headMs);
    }
    await kit.admin.persist(key);
    await transitions.hold([hold('a')], 400_001);
    expect(await kit.admin.pttl(key)).toBe(-1);
    await transitions.hold([hold('a')], 420_000);
    expect(await kit.admin.pttl(key)).toBeGreaterThan(500_000);
  });

  it('are held although another thing of the call is damaged, which is warned of', async () => {
    const warnings: string[] = [];
    const { broker } = await kit.node({ onWarning: (text) => warnings.push(text) });
    const channels = Array.from({ length: 20 }, (_, index) => `rooms.${index}`);
    const all = channels.map((channel) => ({ ...hold('a'), channel }));
    await kit.admin.set(kit.keys.holders('rooms.3', 'rooms.3'), 'of another program');
    for (let round = 0; round < 2; round++) await broker.transitions.hold(all, 10 * LEASE_MS);
    const taken = await broker.transitions.take(100);
    const held = taken.map(({ channel }) => channel);
    expect(held.sort()).toEqual(channels.filter((channel) => channel !== 'rooms.3').sort());
    expect(warnings).toEqual([expect.stringMatching(/^Who holds a channel cannot be written.*WRONGTYPE/)]);
  });

  it('are held in any partitions by few calls', async () => {
    const { broker } = await kit.node({
      heartbeatMs: 600_000,
      controlMaxAgeMs: 900_000,
      sweepMs: 600_000,
      partitions: 512,
    });
    const all = Array.from({ length: 1_000 }, (_, index) => ({ ...hold('a'), channel: `rooms.${index}` }));
    await kit.admin.config('RESETSTAT');
    await broker.transitions.hold(all, 10 * LEASE_MS);
    const calls = async () =>
      Number(/cmdstat_eval(?:sha)?:calls=(\d+)/.exec(await kit.admin.info('commandstats'))?.[1] ?? 0);
    expect(await calls()).toBeLessThanOrEqual(28);
    const channels = new Set<string>();
    for (let look = 0; look < 10; look++)
      for (const { channel } of await broker.transitions.take(1_000)) channels.add(channel);
    expect(channels.size).toBe(1_000);
  });
});
