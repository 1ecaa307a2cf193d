import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Redis } from 'ioredis';
import type { RedisBroker } from '../../lib/brokers/redis/index.js';
import type { Position } from '../../lib/protocol/position.js';
import { request, requests } from '../support/engine/append-requests.js';
import { patience } from '../support/patience.js';
import { RedisProcess } from '../support/redis/process.js';
import { synced } from '../support/redis/sentinels.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

const CHANNEL = 'rooms.1';

describe('incarnations of a server and the epochs of its logs (G6, P10)', () => {
  let kit: RedisKit;

  async function append(broker: RedisBroker, prefix: string, count: number): Promise<Position> {
    const outcomes = await broker.log.appendMany(requests(CHANNEL, prefix, count));
    const last = outcomes.at(-1);
    if (last?.ok !== true) throw new Error(`An append failed: ${last?.code ?? 'no outcome'}`);
    return last.position;
  }

  const good = async (broker: RedisBroker, { epoch, seq }: Position) =>
    (await broker.log.read({ channel: CHANNEL, epoch, from: seq + 1, limit: 100 })).continuous;

  const back = (broker: RedisBroker) =>
    until('the broker to be back', () =>
      broker.log.tips([CHANNEL]).then(
        () => true,
        () => false,
      ),
    );

  afterEach(() => kit.dispose());

  describe('one server', () => {
    beforeEach(async () => {
      kit = await RedisKit.open();
    });

    it('G6 a restart with data keeps every position, and goes on counting', async () => {
      const { broker } = await kit.node();
      const before = await append(broker, 'a', 5);
      await kit.server.kill();
      await kit.server.launch();
      await back(broker);
      expect(await good(broker, before)).toBe(true);
      const after = await append(broker, 'b', 1);
      expect(after.seq).toBe(6);
      expect(after.epoch).not.toBe(before.epoch);
      expect(await good(broker, before)).toBe(true);
      expect(await good(broker, { ...before, seq: 6 })).toBe(false);
    });

    it('G6 a ninth fork pushes the oldest out', async () => {
      const { broker } = await kit.node();
      const tips: Position[] = [await append(broker, 'a', 1)];
      for (let round = 0; round < 9; round += 1) {
        await kit.admin.call('DEBUG', 'CHANGE-REPL-ID');
        tips.push(await append(broker, `r${round}-`, 1));
      }
      expect(await Promise.all(tips.map((tip) => good(broker, tip)))).toEqual([
        false,
        ...Array.from({ length: 9 }, () => true),
      ]);
    });

    it('G6 a flush begins another log; nothing of before is good', async () => {
      const { broker, seen } = await kit.node({ tipCheck: { intervalMs: 50 } });
      const before = await append(broker, 'a', 5);
      await broker.log.subscribe(CHANNEL);
      await kit.admin.flushall();
      // Nothing is published: only the check of the tips can notice.
      await until('a hint to look at the log', () => seen.eventsOf(CHANNEL).length > 0);
      expect(seen.eventsOf(CHANNEL)[0]).toMatchObject({ epoch: '', event: '$tip' });
      for (const seq of [0, 3, 5, 6]) expect(await good(broker, { ...before, seq })).toBe(false);
      expect(await append(broker, 'b', 1)).toMatchObject({ seq: 1 });
    });

    it('G6 a log whose head was dropped begins anew, without the events of the old one', async () => {
      const { broker } = await kit.node();
      const before = await append(broker, 'a', 5);
      await kit.admin.del(kit.keys.head(CHANNEL));
      const after = await append(broker, 'b', 1);
      expect(after).toMatchObject({ seq: 1 });
      expect(after.epoch).not.toBe(before.epoch);
      const { events } = await broker.log.read({ channel: CHANNEL, from: 1, limit: 10 });
      expect(events.map(({ id }) => id)).toEqual(['b1']);
    });

    it('G6 G19 presence begins another epoch with another incarnation, so that no version repeats', async () => {
      const { broker } = await kit.node();
      const entry = { channel: CHANNEL, member: 'u1', device: 'd1', generation: 1 };
      await broker.presence.enter(entry, 10_000);
      const before = await broker.presence.members(CHANNEL, { limit: 10 });
      await kit.admin.call('DEBUG', 'CHANGE-REPL-ID');
      const after = await broker.presence.members(CHANNEL, { limit: 10 });
      expect(after.members).toEqual(before.members);
      expect(after.epoch).not.toBe(before.epoch);
    });
  });

  it('G6 a restart without data begins another log', async () => {
    kit = await RedisKit.open({ durable: false });
    const { broker, seen } = await kit.node();
    const before = await append(broker, 'a', 5);
    await broker.log.subscribe(CHANNEL);
    await kit.server.kill();
    await kit.server.launch();
    // The new connection alone makes the broker look.
    await until('a hint to look at the log', () => seen.eventsOf(CHANNEL).length > 0);
    for (const seq of [0, 5]) expect(await good(broker, { ...before, seq })).toBe(false);
    expect(await append(broker, 'b', 1)).toMatchObject({ seq: 1 });
  });

  it('G6 an older snapshot honours what it holds, and nothing behind it', async () => {
    kit = await RedisKit.open({ durable: false });
    const { broker } = await kit.node();
    const early = await append(broker, 'a', 5);
    await kit.admin.save();
    const [dump, copy] = ['dump.rdb', 'older.rdb'].map((name) => join(kit.server.folder, name));
    copyFileSync(dump ?? '', copy ?? '');
    const late = await append(broker, 'b', 5);
    await kit.server.kill();
    rmSync(dump ?? '', { force: true });
    copyFileSync(copy ?? '', dump ?? '');
    await kit.server.launch();
    await back(broker);
    expect(await good(broker, early)).toBe(true);
    expect(await good(broker, late)).toBe(false);
    const next = await append(broker, 'c', 6);
    // The new log has passed the lost position: that it is not taken for its continuation is what epochs are for.
    expect(next.seq).toBe(11);
    expect(await good(broker, late)).toBe(false);
    expect(await good(broker, early)).toBe(true);
    // What was lost with the snapshot may be sent again (G4).
    expect(await broker.log.appendMany([request(CHANNEL, 'b1'), request(CHANNEL, 'a1')])).toMatchObject([
      { duplicate: false, position: { seq: 12 } },
      { duplicate: true, position: { seq: 1 } },
    ]);
  });

  it('G6 a replica that lagged when it was promoted honours what it holds, and nothing behind it', async () => {
    kit = await RedisKit.open();
    const replica = await RedisProcess.start({
      args: ['--replicaof', `127.0.0.1 ${kit.server.port}`, '--repl-diskless-sync-delay', '0'],
    });
    const admin = new Redis(replica.url);
    try {
      await synced(replica);
      const { broker } = await kit.node();
      const kept = await append(broker, 'a', 5);
      expect(await kit.admin.wait(1, patience(2_000))).toBe(1);
      replica.pause();
      const lost = await append(broker, 'b', 5);
      await kit.server.kill();
      replica.resume();
      await admin.call('REPLICAOF', 'NO', 'ONE');

      const { broker: next } = await kit.node({ url: replica.url });
      // Its socket may have held a part of the stream: what it has decides, whatever that is.
      const tip = (await next.log.tips([CHANNEL]))[0]?.seq ?? 0;
      expect(tip).toBeGreaterThanOrEqual(5);
      expect(await good(next, kept)).toBe(true);
      expect(await good(next, { ...lost, seq: tip + 1 })).toBe(false);
      const after = await append(next, 'c', 10);
      expect(after.seq).toBe(tip + 10);
      if (tip < lost.seq) expect(await good(next, lost)).toBe(false);
    } finally {
      admin.disconnect();
      await replica.dispose();
    }
  });
});
