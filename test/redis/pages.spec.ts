// What one answer of Redis holds is bounded in bytes; nothing is lost between two answers.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ReadResult } from '../../lib/core/ports/broker.js';
import type { RedisBroker } from '../../lib/brokers/redis/index.js';
import { POLICY, request } from '../support/engine/append-requests.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import { WireClient } from '../support/wire/client.js';
import { startWireServer, type WireServer } from '../support/wire/server.js';
import { RedisKit } from './kit.js';

const CHANNEL = 'rooms.1';
const KIB = 1024;
/** No test is about what they may cost a second. */
const ANSWERS = { answerBytesPerSecond: 1e9, userAnswerBytesPerSecond: 1e9 };

let kit: RedisKit;
let server: WireServer | undefined;
beforeAll(async () => {
  kit = await RedisKit.open();
});
afterEach(async () => {
  await server?.close();
  server = undefined;
  await kit.reset();
});
afterAll(() => kit.dispose());

const range = (from: number, to: number) =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

/** Appends events of so many bytes, each in a record of its own. */
async function fill(broker: RedisBroker, sizes: readonly number[]): Promise<void> {
  for (const [index, size] of sizes.entries()) {
    const event = { id: `e${index + 1}`, event: 'e', payload: 'x'.repeat(size) };
    const policy = { ...POLICY, maxBytes: 100_000_000 };
    const [outcome] = await broker.log.appendMany([
      request(CHANNEL, event.id, { event, bytes: size, policy }),
    ]);
    expect(outcome).toMatchObject({ ok: true });
  }
}

const seqsOf = ({ events }: Pick<ReadResult, 'events'>) => events.map(({ seq }) => seq);

describe('a read of a log', () => {
  const FORMS = [false, true];

  it.each(FORMS)('ends before the record that would not fit (reverse: %s) (G8)', async (reverse) => {
    const { broker } = await kit.node({ maxReadBytes: 10 * KIB });
    await fill(broker, [4_000, 4_000, 4_000, 4_000]);
    const read = (from: number, until?: number) =>
      broker.log.read({ channel: CHANNEL, from, until, limit: 100, reverse });
    expect(seqsOf(await read(1))).toEqual(reverse ? [4, 3] : [1, 2]);
    expect(seqsOf(reverse ? await read(1, 2) : await read(3))).toEqual(reverse ? [2, 1] : [3, 4]);
  });

  it.each(FORMS)(
    'answers with a record that alone is larger, and only it (reverse: %s) (G8)',
    async (reverse) => {
      const { broker } = await kit.node({ maxReadBytes: 10 * KIB });
      await fill(broker, [100, 30_000, 100]);
      const pages: (readonly number[])[] = [];
      let [from, until] = [1, 3];
      while (from <= until) {
        const seqs = seqsOf(await broker.log.read({ channel: CHANNEL, from, until, limit: 9, reverse }));
        pages.push(seqs);
        expect(seqs.length).toBeGreaterThan(0);
        if (reverse) until = (seqs.at(-1) ?? 0) - 1;
        else from = (seqs.at(-1) ?? 9) + 1;
      }
      expect(pages).toEqual(reverse ? [[3], [2], [1]] : [[1], [2], [3]]);
    },
  );

  it('fills its answer exactly, and reads many small records in one (G8)', async () => {
    const { broker } = await kit.node();
    await fill(
      broker,
      range(1, 100).map(() => 10),
    );
    const [, [, fields] = ['', []]] = await kit.admin.xrange(kit.keys.stream(CHANNEL), '-', '+', 'COUNT', 2);
    const bytes = fields[3]?.length ?? 0;
    expect(seqsOf(await broker.log.read({ channel: CHANNEL, from: 1, limit: 500 }))).toEqual(range(1, 100));
    const { broker: narrow } = await kit.node({ maxReadBytes: 5 * bytes });
    expect(seqsOf(await narrow.log.read({ channel: CHANNEL, from: 1, limit: 500 }))).toEqual(range(1, 5));
    expect(seqsOf(await narrow.log.read({ channel: CHANNEL, from: 1, limit: 3 }))).toEqual(range(1, 3));
  });

  it('counts bytes and not characters, and answers with 256 KiB by default', async () => {
    const { broker } = await kit.node();
    const policy = { ...POLICY, maxBytes: 100_000_000 };
    for (const id of ['a', 'b', 'c']) {
      const event = { id, event: 'e', payload: '€'.repeat(40_000) };
      await broker.log.appendMany([request(CHANNEL, id, { event, bytes: 120_000, policy })]);
    }
    expect(seqsOf(await broker.log.read({ channel: CHANNEL, from: 1, limit: 9 }))).toEqual([1, 2]);
  });
});

describe('the members of a channel', () => {
  const LEASE_MS = 600_000;
  const entryOf = (member: string, data: unknown) => ({
    channel: CHANNEL,
    member,
    device: 'd',
    generation: 1,
    ...(data === undefined ? {} : { data }),
  });
  /** Members as `name:length of data`, page by page, and how many all pages say there are. */
  async function pagesOf(broker: RedisBroker, limit = 100) {
    const pages: string[][] = [];
    for (let cursor: string | undefined; pages.length === 0 || cursor !== undefined;) {
      const page = await broker.presence.members(
        CHANNEL,
        cursor === undefined ? { limit } : { cursor, limit },
      );
      pages.push(page.members.map(({ id, data }) => `${id}:${((data ?? '') as string).length}`));
      cursor = page.more;
    }
    return pages;
  }

  it('come in pages that end before the member that would not fit; one that is larger comes alone (P22)', async () => {
    const { broker } = await kit.node({ maxReadBytes: 1_000 });
    for (const [name, size] of [
      ['a', 400],
      ['b', 400],
      ['c', 400],
      ['d', 3_000],
      ['e', 10],
    ] as const)
      await broker.presence.enter(entryOf(name, 'x'.repeat(size)), LEASE_MS);
    expect(await pagesOf(broker)).toEqual([['a:400', 'b:400'], ['c:400'], ['d:3000'], ['e:10']]);
    expect(await pagesOf(broker, 1)).toEqual([['a:400'], ['b:400'], ['c:400'], ['d:3000'], ['e:10']]);
    // The last member fits exactly into the bound in number.
    expect((await broker.presence.members(CHANNEL, { limit: 2 })).more).toBeDefined();
  });

  it('change in messages of 256 KiB at most, each a version with the number of members after it (P22a, G19)', async () => {
    const { broker, seen } = await kit.node();
    await broker.log.subscribe(CHANNEL);
    const sizes: number[] = [];
    const listener = kit.admin.duplicate();
    listener.on('error', () => undefined);
    listener.on('smessage', (_topic: string, text: string) => sizes.push(Buffer.byteLength(text)));
    await listener.ssubscribe(kit.keys.topic(CHANNEL));
    const names = range(1, 200).map((index) => `m${index}`);
    await Promise.all(names.map((name) => broker.presence.enter(entryOf(name, '€'.repeat(1_300)), LEASE_MS)));
    await Promise.all(names.map((member) => broker.presence.leave(entryOf(member, undefined), 0)));
    await until('every change', () => seen.diffs.at(-1)?.diff.count === 0);
    const diffs = seen.diffs.map(({ diff }) => diff);
    expect(diffs.map(({ join }) => join.length).filter((count) => count > 0).length).toBeGreaterThan(2);
    expect(diffs.flatMap(({ join }) => join.map(({ id }) => id))).toEqual(names);
    expect(diffs.flatMap(({ leave }) => leave)).toEqual(names);
    let [version, count] = [0, 0];
    for (const diff of diffs) {
      count += diff.join.length - diff.leave.length;
      expect(diff).toMatchObject({ version: version + 1, previous: version, count });
      version = diff.version;
    }
    await until('every message', () => sizes.length === diffs.length);
    expect(Math.max(...sizes)).toBeLessThan(257 * KIB);
    expect((await broker.presence.members(CHANNEL, { limit: 9 })).version).toBe(version);
    listener.disconnect();
  });

  it('change in calls of `maxBatchBytes`, and changes beyond `maxQueued` are refused until others are done', async () => {
    const { broker } = await kit.node({ maxBatchBytes: 1_000, maxQueued: 3 });
    const enter = (name: string) => broker.presence.enter(entryOf(name, 'x'.repeat(700)), LEASE_MS);
    const results = await Promise.allSettled(['a', 'b', 'c', 'd'].map(enter));
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected']);
    expect((results[3] as PromiseRejectedResult).reason).toMatchObject({ code: 'unavailable' });
    await enter('d');
    const page = await broker.presence.members(CHANNEL, { limit: 9 });
    expect(page).toMatchObject({ count: 4, version: 4 });
  });

  it('changes beyond `maxQueuedBytes` are refused, one that is alone is not', async () => {
    const { broker } = await kit.node({ maxQueuedBytes: 1_000 });
    const enter = (name: string, size: number) =>
      broker.presence.enter(entryOf(name, 'x'.repeat(size)), LEASE_MS);
    const results = await Promise.allSettled([enter('a', 2_000), enter('b', 1)]);
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
    await enter('b', 1);
  });
});

describe('200 events of 60 KB', () => {
  const COUNT = 200;

  async function serve(): Promise<WireServer> {
    server = await startWireServer({
      broker: kit.make(),
      entropy: new SeededEntropy(5),
      channels: [
        wireChannel('rooms.:room', {
          log: { maxBytes: 100_000_000 },
          behaviour: { authorize: { subscribe: 'public', history: 'public' } },
        }),
      ],
      settings: {
        limits: { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 0, ...ANSWERS },
        outbox: { maxBytes: 100_000_000, maxBytesPerUser: 100_000_000 },
      },
    });
    return server;
  }

  it('come page by page, in both directions: nothing is lost, and `more` says when it is the end (P14e, G8)', async () => {
    const { url } = await serve();
    await fill(
      kit.brokers[0] as RedisBroker,
      range(1, COUNT).map(() => 60_000),
    );
    const client = await WireClient.open(url);
    await client.hello('ada');
    for (const reverse of [false, true]) {
      const seen: number[] = [];
      let [from, until] = [1, COUNT];
      for (let more = true; more;) {
        const payload = { from, until, limit: 1_000, reverse };
        const page = await client.reply({ type: 'history', channel: CHANNEL, payload });
        const seqs = seqsOf(page as unknown as ReadResult);
        expect(seqs.length).toBeGreaterThan(0);
        expect(seqs.length).toBeLessThanOrEqual(4);
        seen.push(...seqs);
        more = page['more'] === true;
        if (reverse) until = (seqs.at(-1) ?? 0) - 1;
        else from = (seqs.at(-1) ?? 0) + 1;
      }
      expect(seen).toEqual(reverse ? range(1, COUNT).reverse() : range(1, COUNT));
    }
    await client.close();
  });

  it('are replayed to clients at several positions, each event once and in order (P12, G7)', async () => {
    const { url } = await serve();
    const broker = kit.brokers[0] as RedisBroker;
    await fill(
      broker,
      range(1, COUNT).map(() => 60_000),
    );
    const [tip] = await broker.log.tips([CHANNEL]);
    await Promise.all(
      [0, 2, 150].map(async (seq) => {
        const client = await WireClient.open(url);
        await client.hello(`u${seq}`);
        const payload = { position: { epoch: tip?.epoch, seq } };
        expect((await client.call({ type: 'subscribe', channel: CHANNEL, payload })).payload).toMatchObject({
          recovery: 'complete',
        });
        for (const expected of range(seq + 1, COUNT)) expect((await client.next('event')).seq).toBe(expected);
        await client.close();
      }),
    );
  });
});
