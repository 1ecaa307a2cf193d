// How much of a node's commands is under way, and how much waits.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Command } from 'ioredis';
import { MEMBERS } from '../../lib/brokers/redis/scripts/members.js';
import { READ } from '../../lib/brokers/redis/scripts/read.js';
import { requests } from '../support/engine/append-requests.js';
import type { RealtimeError } from '../../lib/protocol/realtime-error.js';
import { settle } from '../support/engine/manual-clock.js';
import { stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { alteredClient } from './altered-client.js';
import { RedisKit } from './kit.js';

const CHANNEL = 'rooms.1';

let kit: RedisKit;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterEach(() => kit.reset());
afterAll(() => kit.dispose());

describe('reads of one node', () => {
  /** A node whose reads are counted as they are sent. */
  async function counted(options: Parameters<RedisKit['node']>[0] = {}) {
    const sent: string[] = [];
    const client = alteredClient(kit.server.url, {
      refuse: ({ args }: Command) => {
        if (args[0] === READ.sha || args[0] === MEMBERS.sha) sent.push(String(args[0]));
        return undefined;
      },
    });
    const node = await kit.node({
      client,
      url: undefined,
      heartbeatMs: 60_000,
      sweepMs: 60_000,
      controlMaxAgeMs: 200_000,
      ...options,
    });
    await node.broker.log.appendMany(requests(CHANNEL, 'a', 3));
    await node.broker.log.read({ channel: CHANNEL, from: 1, limit: 9 });
    await node.broker.presence.members(CHANNEL, { limit: 9 });
    sent.length = 0;
    return { ...node, sent };
  }

  it('are under way 32 at once; the others follow, and each is answered', async () => {
    const { broker, sent } = await counted();
    const reads = Array.from({ length: 200 }, (_, index) =>
      index % 2 === 0
        ? broker.log.read({ channel: CHANNEL, from: 1, limit: 9 }).then(({ events }) => events.length)
        : broker.presence.members(CHANNEL, { limit: 9 }).then(({ count }) => count),
    );
    expect(sent.length).toBe(32);
    expect(await Promise.all(reads)).toEqual(reads.map((_, index) => (index % 2 === 0 ? 3 : 0)));
    expect(sent.length).toBe(200);
    // The second time: every place was given back.
    const again = Array.from({ length: 40 }, () => broker.log.read({ channel: CHANNEL, from: 1, limit: 1 }));
    expect(sent.length).toBe(232);
    await Promise.all(again);
  });

  it('that are refused give their places back, and what waits behind them is sent', async () => {
    const { broker, sent } = await counted();
    await kit.admin.del(kit.keys.stream(CHANNEL));
    await kit.admin.set(kit.keys.stream(CHANNEL), 'no stream');
    const read = () => broker.log.read({ channel: CHANNEL, from: 1, limit: 9 });
    const outcomes = await Promise.allSettled(Array.from({ length: 80 }, read));
    expect(outcomes.every(({ status }) => status === 'rejected')).toBe(true);
    expect(sent.length).toBe(80);
    await kit.admin.del(kit.keys.stream(CHANNEL));
    expect(await read()).toMatchObject({ tip: { seq: 3 } });
  });

  it('of a server that does not answer, are refused instead of waiting, and all places are free when it answers again (G21)', async () => {
    const { broker, sent } = await counted({ commandTimeoutMs: stretched(100) });
    const read = () => broker.log.read({ channel: CHANNEL, from: 1, limit: 9 });
    for (const _time of [1, 2]) {
      sent.length = 0;
      kit.server.pause();
      const outcomes = await Promise.allSettled(Array.from({ length: 40 }, read));
      const codes = outcomes.map((one) => one.status === 'rejected' && (one.reason as RealtimeError).code);
      expect(codes.filter((code) => code === 'timeout').length).toBe(32);
      expect(codes.filter((code) => code === 'unavailable').length).toBe(8);
      await expect(read()).rejects.toMatchObject({ code: 'unavailable' });
      expect(sent.length).toBe(32);
      kit.server.resume();
      await until('a read to be answered', () =>
        read().then(
          () => true,
          () => false,
        ),
      );
      sent.length = 0;
      const again = Array.from({ length: 40 }, read);
      await settle();
      expect(sent.length).toBeGreaterThanOrEqual(32);
      for (const { events } of await Promise.all(again)) expect(events).toHaveLength(3);
    }
  });

  it('beyond half of `maxQueued` are refused until others are answered; those that wait count', async () => {
    const { broker } = await counted({ maxQueued: 100 });
    const read = () => broker.log.read({ channel: CHANNEL, from: 1, limit: 9 });
    const outcomes = await Promise.allSettled(Array.from({ length: 60 }, read));
    expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBe(50);
    expect((outcomes.at(-1) as PromiseRejectedResult).reason).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('`maxQueued`'),
    });
    await read();
  });

  it('beyond half of `maxQueuedBytes` are refused; one that is alone is sent whatever it is', async () => {
    const { broker } = await counted({ maxQueuedBytes: 4_000 });
    const read = () => broker.log.read({ channel: 'c'.repeat(150), from: 1, limit: 9 });
    const outcomes = await Promise.allSettled(Array.from({ length: 40 }, read));
    const refused = outcomes.filter(({ status }) => status === 'rejected') as PromiseRejectedResult[];
    expect(refused.length).toBeGreaterThan(20);
    expect(refused[0]?.reason).toMatchObject({ message: expect.stringContaining('`maxQueuedBytes`') });
    await Promise.all([read(), broker.log.signal(CHANNEL, { event: 'e', payload: null })]);
  });

  it('leave room for what keeps the node alive, however many wait', async () => {
    const { broker } = await counted({ maxQueued: 40 });
    const reads = Array.from({ length: 100 }, () =>
      broker.log.read({ channel: CHANNEL, from: 1, limit: 9 }).catch(() => undefined),
    );
    await broker.log.signal(CHANNEL, { event: 'e', payload: null });
    await broker.presence.members(CHANNEL, { limit: 1 }).catch(() => undefined);
    await Promise.all(reads);
  });

  it('and signals that wait are bounded in bytes; one that is alone is sent whatever it is', async () => {
    const { broker } = await counted({ maxQueuedBytes: 2_000 });
    const signal = (size: number) => broker.log.signal(CHANNEL, { event: 'e', payload: 'x'.repeat(size) });
    const outcomes = await Promise.allSettled([signal(5_000), signal(10)]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('`maxQueuedBytes`'),
    });
    expect(
      (await Promise.allSettled([signal(800), signal(800), signal(800)])).map(({ status }) => status),
    ).toEqual(['fulfilled', 'fulfilled', 'rejected']);
    await signal(10);
  });
});
