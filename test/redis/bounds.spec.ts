// What a channel keeps, and what one of its publishers may have remembered, in bytes and in number.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { RedisBroker } from '../../lib/brokers/redis/index.js';
import type { AppendRequest } from '../../lib/core/ports/broker.js';
import { POLICY, request } from '../support/engine/append-requests.js';
import { loseEnd } from '../support/redis/deployment.js';
import { until } from '../support/until.js';
import { RedisKit } from './kit.js';

const CHANNEL = 'rooms.1';

let kit: RedisKit;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterEach(() => kit.reset());
afterAll(() => kit.dispose());

const range = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

describe('the bound of a channel in bytes', () => {
  const sized = (id: string, bytes: number, maxBytes: number, change: Partial<AppendRequest> = {}) =>
    request(CHANNEL, id, { bytes, policy: { ...POLICY, dedupeMs: 0, maxBytes, size: 10_000 }, ...change });
  const kept = async (broker: RedisBroker) => {
    const page = await broker.log.read({ channel: CHANNEL, from: 1, limit: 1_000 });
    const backwards = await broker.log.read({ channel: CHANNEL, from: 1, limit: 1_000, reverse: true });
    expect(backwards.events.map(({ seq }) => seq).reverse()).toEqual(page.events.map(({ seq }) => seq));
    expect(page.oldest).toBe(page.events[0]?.seq ?? page.tip.seq + 1);
    return page.events.map(({ seq }) => seq);
  };

  it('keeps exactly the newest events that fit, whether they came one by one or together (P11)', async () => {
    const { broker } = await kit.node();
    const sizes: number[] = [];
    const expected = (max: number) => {
      let sum = 0;
      let from = sizes.length + 1;
      while (from > 1 && sum + (sizes[from - 2] ?? 0) <= max) sum += sizes[(from -= 1) - 1] ?? 0;
      return range(from, sizes.length);
    };
    for (const count of [1, 1, 5, 1, 40, 2, 3, 1, 1, 100, 1, 7]) {
      const batch = range(1, count).map((index) => ((sizes.length + index) * 37) % 91);
      sizes.push(...batch);
      const outcomes = await broker.log.appendMany(
        batch.map((bytes, index) => sized(`${sizes.length}-${index}`, bytes, 1_000)),
      );
      expect(outcomes.every(({ ok }) => ok)).toBe(true);
      expect(await kept(broker)).toEqual(expected(1_000));
      // The second time, when what was dropped is gone.
      expect(await kept(broker)).toEqual(expected(1_000));
    }
  });

  it.each([
    [0, []],
    [9, []],
    [10, [3]],
    [19, [3]],
    [20, [2, 3]],
    [29, [2, 3]],
    [30, [1, 2, 3]],
  ])('with a bound of %i bytes, keeps %j of three events of 10 (P11)', async (maxBytes, seqs) => {
    for (const together of [false, true]) {
      const { broker } = await kit.node();
      const all = ['a', 'b', 'c'].map((id) => sized(id, 10, maxBytes));
      const outcomes = together
        ? await broker.log.appendMany(all)
        : (await Promise.all(all.map((one) => broker.log.appendMany([one])))).flat();
      expect(outcomes.map((outcome) => outcome.ok && outcome.position.seq)).toEqual([1, 2, 3]);
      expect(await kept(broker)).toEqual(seqs);
      await kit.reset();
    }
  });

  it.each([112, 113, 114, 1_000])(
    'takes a first event of %i bytes with a bound of 100, and the next ones (P27)',
    async (bytes) => {
      const { broker } = await kit.node();
      for (const [index, size] of [bytes, bytes, 100].entries()) {
        const [outcome] = await broker.log.appendMany([sized(`e${index}`, size, 100)]);
        expect(outcome).toMatchObject({ ok: true, position: { seq: index + 1 } });
      }
      expect(await kept(broker)).toEqual([3]);
    },
  );

  it('numbers and delivers an event that alone is larger than the bound, and keeps nothing before it (P27)', async () => {
    const { broker, seen } = await kit.node();
    await broker.log.subscribe(CHANNEL);
    await broker.log.appendMany([sized('a', 10, 100), sized('b', 101, 100)]);
    expect(await kept(broker)).toEqual([]);
    await broker.log.appendMany([sized('c', 100, 100)]);
    expect(await kept(broker)).toEqual([3]);
    expect(seen.seqsOf(CHANNEL)).toEqual([1, 2, 3]);
  });

  it('counts only what was appended of a batch with duplicates (P15)', async () => {
    const { broker } = await kit.node();
    const policy = { ...POLICY, maxBytes: 35 };
    const one = (id: string) => sized(id, 10, 35, { policy });
    await broker.log.appendMany([one('a'), one('b')]);
    await broker.log.appendMany([one('a'), one('c'), one('b'), one('d')]);
    expect(await kept(broker)).toEqual([2, 3, 4]);
    await broker.log.appendMany([one('a'), one('e'), one('b')]);
    expect(await kept(broker)).toEqual([3, 4, 5]);
  });

  it('holds for what is kept after a restart and after a failover that lost the end (G6)', async () => {
    const { broker } = await kit.node();
    await broker.log.appendMany(range(1, 6).map((index) => sized(`a${index}`, 10, 40)));
    await kit.admin.call('DEBUG', 'CHANGE-REPL-ID');
    expect(await kept(broker)).toEqual([3, 4, 5, 6]);
    await broker.log.appendMany([sized('b', 15, 40)]);
    expect(await kept(broker)).toEqual([5, 6, 7]);
    await loseEnd(kit.admin, kit.admin, kit.keys, CHANNEL, 6);
    expect(await kept(broker)).toEqual([3, 4, 5, 6]);
    await broker.log.appendMany([sized('c', 5, 40)]);
    expect(await kept(broker)).toEqual([4, 5, 6, 7]);
    // A record that was cut in two.
    await loseEnd(kit.admin, kit.admin, kit.keys, CHANNEL, 5);
    await broker.log.appendMany([sized('d', 20, 40)]);
    expect(await kept(broker)).toEqual([4, 5, 6]);
  });

  it('a smaller bound holds with the next event, and a larger one from there (P11)', async () => {
    const { broker } = await kit.node();
    await broker.log.appendMany(range(1, 10).map((index) => sized(`a${index}`, 10, 1_000)));
    await broker.log.appendMany([sized('b', 10, 30)]);
    expect(await kept(broker)).toEqual([9, 10, 11]);
    await broker.log.appendMany([sized('c', 10, 1_000)]);
    expect((await kept(broker)).at(-1)).toBe(12);
  });

  it('bounds what Redis stores too, within an eighth and a record', async () => {
    const { broker } = await kit.node();
    const text = 'x'.repeat(1_000);
    for (const round of range(1, 30)) {
      await broker.log.appendMany(
        range(1, 10).map((index) =>
          sized(`${round}-${index}`, 1_000, 20_000, {
            event: { id: `${round}-${index}`, event: 'e', payload: text },
          }),
        ),
      );
      const records = await kit.admin.xrange(kit.keys.stream(CHANNEL), '-', '+');
      const bytes = records.reduce((sum, [, fields]) => sum + (fields[3]?.length ?? 0), 0);
      expect(bytes).toBeLessThan((20_000 * 9) / 8 + 11_000);
    }
  });
});

describe('the ids of one producer', () => {
  it('are at most its share: further publishes are refused with a time to wait, and nobody else pays for it (P15)', async () => {
    const { broker } = await kit.node({ maxIdsPerProducer: 2 });
    const publish = (id: string, producer: string) => request(CHANNEL, id, { producer });
    const outcomes = await broker.log.appendMany([
      ...['a', 'b', 'c'].map((id) => publish(id, 'u:ada')),
      publish('a', 'u:eve'),
    ]);
    expect(outcomes).toEqual([
      expect.objectContaining({ ok: true }),
      expect.objectContaining({ ok: true }),
      { ok: false, code: 'rate_limited', retryAfterMs: expect.any(Number), message: expect.any(String) },
      expect.objectContaining({ ok: true, position: expect.objectContaining({ seq: 3 }) }),
    ]);
  });
});

describe('a producer at its share of ids (P15)', () => {
  const publish = (id: string, change: Partial<AppendRequest> = {}) =>
    request(CHANNEL, id, { producer: 'u:ada', ...change });
  const refused = expect.objectContaining({ ok: false, code: 'rate_limited' });
  const duplicate = (seq: number) => ({
    ok: true,
    duplicate: true,
    position: expect.objectContaining({ seq }),
  });

  it('is answered what it knows already: repeats, conflicts, one by one and in one call', async () => {
    const { broker } = await kit.node({ maxIdsPerProducer: 2 });
    await broker.log.appendMany([publish('a'), publish('b')]);
    for (const _time of [1, 2]) {
      expect(await broker.log.appendMany([publish('a')])).toEqual([duplicate(1)]);
      expect(await broker.log.appendMany([publish('b', { fingerprint: 'else' })])).toEqual([
        { ok: false, code: 'conflict' },
      ]);
      expect(await broker.log.appendMany([publish('c')])).toEqual([refused]);
      expect(
        await broker.log.appendMany([
          publish('d'),
          publish('a'),
          request(CHANNEL, 'other', { producer: 'u:eve' }),
          publish('b'),
          publish('c'),
          publish('a', { fingerprint: 'else' }),
        ]),
      ).toEqual([
        refused,
        duplicate(1),
        expect.objectContaining({ ok: true, position: expect.objectContaining({ seq: 3 }) }),
        duplicate(2),
        refused,
        { ok: false, code: 'conflict' },
      ]);
    }
    const { events } = await broker.log.read({ channel: CHANNEL, from: 1, limit: 10 });
    expect(events.map(({ id }) => id)).toEqual(['a', 'b', 'other']);
  });

  it('reached within one call, the events beyond it are refused, and a repeat in it is none of them', async () => {
    const { broker, seen } = await kit.node({ maxIdsPerProducer: 2 });
    await broker.log.subscribe(CHANNEL);
    expect(await broker.log.appendMany(['a', 'b', 'a', 'c'].map((id) => publish(id)))).toEqual([
      expect.objectContaining({ ok: true, duplicate: false }),
      expect.objectContaining({ ok: true, duplicate: false }),
      duplicate(1),
      refused,
    ]);
    await until('both events', () => seen.eventsOf(CHANNEL).length === 2);
    expect(seen.eventsOf(CHANNEL).map(({ id, payload }) => [id, payload])).toEqual([
      ['a', { id: 'a' }],
      ['b', { id: 'b' }],
    ]);
  });

  it('is not brought there by repeats, conflicts, what is out of order, and what Redis refused', async () => {
    const { broker } = await kit.node({
      maxIdsPerProducer: 2,
      heartbeatMs: 600_000,
      controlMaxAgeMs: 900_000,
    });
    await broker.log.appendMany([publish('a')]);
    for (let time = 0; time < 3; time += 1) {
      expect(await broker.log.appendMany([publish('a')])).toEqual([duplicate(1)]);
      expect(await broker.log.appendMany([publish('a', { fingerprint: 'else' })])).toEqual([
        { ok: false, code: 'conflict' },
      ]);
      expect(await broker.log.appendMany([publish('b', { after: 'never' })])).toEqual([
        { ok: false, code: 'out_of_order' },
      ]);
      await kit.admin.config('SET', 'min-replicas-to-write', '1');
      expect(await broker.log.appendMany([publish('b')])).toMatchObject([{ ok: false, code: 'unavailable' }]);
      await kit.admin.config('SET', 'min-replicas-to-write', '0');
    }
    expect(await broker.log.appendMany([publish('b'), publish('c')])).toEqual([
      expect.objectContaining({ ok: true, duplicate: false }),
      refused,
    ]);
  });
});

describe('what is sent to Redis', () => {
  const MIB = 1024 * 1024;
  const textEvent = (id: string, text: string, change: Partial<AppendRequest> = {}) =>
    request(CHANNEL, id, { event: { id, event: 'e', payload: text }, bytes: 50, ...change });

  it('is no event or signal above 8 MiB: it alone is refused with `message_too_large` (P29e)', async () => {
    const { broker, seen } = await kit.node();
    await broker.log.subscribe(CHANNEL);
    // Fewer characters than the bound, and more bytes.
    const large = '€'.repeat(3 * MIB);
    const outcomes = await broker.log.appendMany([
      textEvent('a', 'small'),
      textEvent('b', large),
      textEvent('c', 'x'.repeat(7 * MIB)),
    ]);
    expect(outcomes).toEqual([
      expect.objectContaining({ ok: true }),
      { ok: false, code: 'message_too_large', message: expect.stringContaining('8388608') },
      expect.objectContaining({ ok: true, position: expect.objectContaining({ seq: 2 }) }),
    ]);
    await expect(broker.log.signal(CHANNEL, { event: 'e', payload: large })).rejects.toMatchObject({
      code: 'message_too_large',
    });
    await broker.log.signal(CHANNEL, { event: 'small' });
    await until('the signal', () => seen.signals.length > 0);
    expect(seen.signals.map(({ signal }) => signal.event)).toEqual(['small']);
    // A refused event takes no id, so it can be sent again when it is smaller.
    expect((await broker.log.appendMany([textEvent('b', 'small')]))[0]).toMatchObject({
      ok: true,
      duplicate: false,
    });
  });

  it('are batches and records measured in bytes and not in characters', async () => {
    const { broker } = await kit.node({ maxBatchBytes: 1_000, pipelineDepth: 1 });
    await kit.admin.config('RESETSTAT');
    await broker.log.appendMany(range(1, 4).map((index) => textEvent(`e${index}`, '€'.repeat(200))));
    // Two of 600 bytes would be in one call if characters counted.
    const records = await kit.admin.xrange(kit.keys.stream(CHANNEL), '-', '+');
    expect(records.map(([id]) => id)).toEqual(['1-1', '2-1', '3-1', '4-1']);
  });

  it('are records of 64 KiB at most, or of one event', async () => {
    const { broker } = await kit.node();
    await broker.log.appendMany(range(1, 4).map((index) => textEvent(`e${index}`, '€'.repeat(10_000))));
    const records = await kit.admin.xrange(kit.keys.stream(CHANNEL), '-', '+');
    expect(records.map(([id]) => id)).toEqual(['2-2', '4-2']);
  });

  it('waits for no more than `maxQueuedBytes`, in bytes', async () => {
    const { broker } = await kit.node({ maxQueuedBytes: 1_000 });
    const outcomes = await broker.log.appendMany(
      range(1, 2).map((index) => textEvent(`e${index}`, '€'.repeat(200))),
    );
    expect(outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.code))).toEqual(['ok', 'unavailable']);
  });

  it('cannot be asked for larger calls than Redis should be given', () => {
    expect(() => kit.make({ maxBatchBytes: 8 * MIB + 1 })).toThrow(
      '`maxBatchBytes` must be a positive number of at most',
    );
  });
});
