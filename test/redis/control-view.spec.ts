import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RedisBrokerOptions } from '../../lib/brokers/redis/index.js';
import { redisBroker } from '../../lib/brokers/redis/index.js';
import { encodeBody, encodeRecord } from '../../lib/brokers/redis/wire.js';
import { RecordingListener } from '../../lib/brokers/contract/recording-listener.js';
import { stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

const CONTROL = '$rt.control';
const BOUND = stretched(4_000);

describe('proofs that a node knows every revoke', () => {
  let kit: RedisKit;

  const node = (options: RedisBrokerOptions = {}) => kit.node({ controlMaxAgeMs: BOUND, ...options });

  /** Stores a record of which nobody is told, as when its message is lost. @returns its `seq`. */
  async function storeSilently(user: string): Promise<number> {
    const { admin, keys } = kit;
    const seq = Number(await admin.hget(keys.head(CONTROL), 's')) + 1;
    const payload = { r: `record-${seq}`, s: 'another', m: { kind: 'revoke', user } };
    const record = encodeRecord([encodeBody({ id: payload.r, event: 'revoke', payload })]);
    await admin
      .multi()
      .xadd(keys.stream(CONTROL), `${seq}-1`, 't', String(Date.now()), 'b', record)
      .hset(keys.head(CONTROL), 's', seq, 'k', '1', 'z', '10000')
      .exec();
    return seq;
  }

  /** Waits until the only node has said so many times more that it lives. */
  async function signsOfLife(count: number): Promise<void> {
    const lease = async () => String(await kit.admin.call('ZRANGE', kit.keys.nodes, 0, -1, 'WITHSCORES'));
    let last = await lease();
    let renewed = 0;
    await until(`${count} signs of life`, async () => {
      const now = await lease();
      if (now !== last) renewed += 1;
      last = now;
      return renewed >= count;
    });
  }

  beforeAll(async () => {
    kit = await RedisKit.open();
  });
  afterEach(() => kit.reset());
  afterAll(() => kit.dispose());

  it('a proof comes with each heartbeat from the start, valid for less than the bound (G11)', async () => {
    const { seen } = await node();
    expect(seen.proofs.length).toBeGreaterThan(0);
    await until('some signs of life', () => seen.proofs.length > 5);
    for (const forMs of seen.proofs) {
      expect(forMs).toBeGreaterThan(0);
      // What the answer took is gone: the view was current when it was asked for, not when the answer came.
      expect(forMs).toBeLessThan(BOUND);
    }
  });

  it('a proof costs no command of its own: the heartbeat answers it (G11)', async () => {
    // Sweeps are calls too, and have their own pace.
    const { seen } = await node({ sweepMs: 600_000 });
    await until('a sign of life', () => seen.proofs.length > 2);
    await kit.admin.config('RESETSTAT');
    const before = seen.proofs.length;
    await until('ten signs of life', () => seen.proofs.length >= before + 10);
    const stats = await kit.admin.info('commandstats');
    const scripts = Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1]);
    // Each heartbeat, and beside it the look at the server's identity (G6).
    expect(scripts).toBeLessThanOrEqual(2 * (seen.proofs.length - before) + 3);
  });

  it('a proof comes only after a revoke whose message was lost, which the next heartbeat finds (G11)', async () => {
    const { seen } = await node({ tipCheck: { intervalMs: 600_000 } });
    const order: string[] = [];
    seen.controlHook = (message) => void order.push('user' in message ? String(message.user) : message.kind);
    const proofs = seen.onControlCurrent.bind(seen);
    seen.onControlCurrent = (forMs) => {
      order.push('proof');
      proofs(forMs);
    };
    await storeSilently('ada');
    await storeSilently('eve');
    await until('both', () => order.includes('eve'));
    await until('a proof after them', () => order.at(-1) === 'proof');
    const found = order.slice(order.indexOf('ada'));
    expect(found.slice(0, 3)).toEqual(['ada', 'eve', 'proof']);
    expect(seen.controls).toHaveLength(2);
  });

  it('no proof comes while the records cannot be read, even if the tip is known (G11)', async () => {
    const { seen } = await node();
    const { admin, keys } = kit;
    await storeSilently('ada');
    await until('the record', () => seen.controls.length === 1);
    // The head says that there is one more, and the log does not have it.
    await admin.hincrby(keys.head(CONTROL), 's', 1);
    // The one that is under way may not know of it yet.
    await signsOfLife(2);
    const proved = seen.proofs.length;
    await signsOfLife(5);
    expect(seen.proofs).toHaveLength(proved);
    await admin.hincrby(keys.head(CONTROL), 's', -1);
    await storeSilently('eve');
    const count = seen.proofs.length;
    await until('the next proof', () => seen.proofs.length > count);
    expect(seen.controls).toHaveLength(2);
  });

  describe('proofs while Redis is away (G11, G21)', () => {
    // Longer than `until` waits: the proof must come of the way back.
    const rarely = { heartbeatMs: 600_000, controlMaxAgeMs: 900_000 };

    it('a paused Redis stops the proofs, and its return brings one before the next heartbeat', async () => {
      const { broker, seen } = await node(rarely);
      kit.server.pause();
      await expect(broker.log.tips(['rooms.1'])).rejects.toMatchObject({ code: 'timeout' });
      expect(seen.states.at(-1)).toBe('down');
      const count = seen.proofs.length;
      await expect(broker.log.tips(['rooms.1'])).rejects.toMatchObject({ code: 'unavailable' });
      expect(seen.proofs).toHaveLength(count);
      kit.server.resume();
      await until('the way back', () => seen.states.at(-1) === 'up');
      await until('a proof', () => seen.proofs.length > count);
    });

    it('an ended Redis stops the proofs, and its restart brings one before the next heartbeat', async () => {
      const { seen } = await node(rarely);
      await kit.server.kill();
      await until('the state to be down', () => seen.states.at(-1) === 'down');
      const count = seen.proofs.length;
      await kit.server.launch();
      await until('the way back', () => seen.states.at(-1) === 'up');
      await until('a proof', () => seen.proofs.length > count);
    });
  });

  it('no proof comes after the log of records is lost, until the node has reauthorized everything (G11)', async () => {
    const { broker, seen } = await node();
    await broker.bus.control({ kind: 'disconnect', user: 'u1' });
    expect(seen.losses).toBe(0);
    let madeUp: () => void = () => undefined;
    seen.lossHook = () => new Promise((resolve) => (madeUp = resolve));
    await kit.admin.flushall();
    await until('the loss', () => seen.losses === 1);
    const count = seen.proofs.length;
    // A later record does not wait.
    await broker.bus.control({ kind: 'disconnect', user: 'u2' });
    expect(seen.controls.map((message) => 'user' in message && message.user)).toEqual(['u1', 'u2']);
    await signsOfLife(5);
    expect(seen.proofs).toHaveLength(count);
    madeUp();
    await until('new proofs', () => seen.proofs.length > count + 1);
    expect(seen.losses).toBe(1);
  });

  it('restrictions that are stored are handed again after the log of records is lost, with what is left of them (G30)', async () => {
    const { broker, seen } = await node();
    const mute = { kind: 'restrict', act: 'mute', whom: { of: 'user', id: 'u1' }, forMs: 3_600_000 } as const;
    await broker.bus.control(mute);
    await broker.bus.control({ kind: 'restrict', act: 'ban', whom: { of: 'address', id: '203.0.113.7' } });
    seen.controls.length = 0;
    await kit.admin.del(kit.keys.head(CONTROL), kit.keys.stream(CONTROL));
    await until('the loss', () => seen.losses === 1);
    const again = seen.controls.flatMap((message) => (message.kind === 'restrict' ? [message] : []));
    expect(again.map(({ act }) => act).sort()).toEqual(['ban', 'mute']);
    const left = again.find(({ act }) => act === 'mute')?.forMs;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(3_600_000);
  });

  it('a stored restriction that a node does not understand keeps it neither from the others nor from starting (G30)', async () => {
    const first = await node();
    await first.broker.bus.control({ kind: 'restrict', act: 'mute', whom: { of: 'user', id: 'u1' } });
    await kit.admin.hset(kit.keys.restrictions, 'new', ' {"kind":"restrict","act":"hide","whom":{}}');
    const seen = new RecordingListener();
    seen.controlHook = (message) => {
      if (message.kind === 'restrict' && (message.act as string) === 'hide') throw new Error('unknown');
    };
    await kit.make().start(seen);
    expect(seen.controls).toHaveLength(2);
    expect(seen.warnings).toHaveLength(1);
  });

  it('proofs continue after a restart that lost no records (G11)', async () => {
    const { broker, seen } = await node();
    await broker.bus.control({ kind: 'disconnect', user: 'u1' });
    await kit.server.kill();
    await kit.server.launch();
    const count = seen.proofs.length;
    await until('new proofs', () => seen.proofs.length > count + 1);
    expect(seen.losses).toBe(0);
  });

  it.each([
    [{ controlMaxAgeMs: 3_999 }, '4000'],
    [{ heartbeatMs: 8_000 }, '11000'],
    [{ commandTimeoutMs: 200, heartbeatMs: 100, controlMaxAgeMs: 250 }, '300'],
  ])('a bound that one slow answer would exceed fails the boot: %j (G11)', (options, least) => {
    expect(() => redisBroker(options)).toThrow(RangeError);
    expect(() => redisBroker(options)).toThrow('`controlMaxAgeMs` must be at least');
    expect(() => redisBroker(options)).toThrow(least);
  });

  it('the default bound of a proof is ten seconds (G11)', () => {
    expect(() => redisBroker({ heartbeatMs: 7_000 })).not.toThrow();
    expect(() => redisBroker({ heartbeatMs: 7_001 })).toThrow('not 10000');
  });
});
