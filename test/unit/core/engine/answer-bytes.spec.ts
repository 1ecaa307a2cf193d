import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { OverflowPolicy } from '../../../../lib/core/ports/channel-definition.js';
import type { HistoryResult, PresencePage } from '../../../../lib/protocol/messages.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet, type SettingsPatch } from '../../../support/engine/harness.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const KIB = 1024;
const OFF = {
  ratePerSecond: 1e9,
  burst: 1e9,
  userRatePerSecond: 0,
  bytesPerSecond: 1e12,
  answerBytesPerSecond: 1e12,
  userAnswerBytesPerSecond: 1e12,
};
const ROOM = 'rooms.1';

async function start(settings: SettingsPatch = {}, overflow: OverflowPolicy = 'disconnect'): Promise<void> {
  harness = await EngineHarness.start([channel('rooms.:room', { policy: { overflow, presence: {} } })], {
    settings: { ...settings, limits: { ...OFF, ...settings.limits } },
  });
}

async function ask<Page>(
  client: FakeConnection,
  type: 'history' | 'presence',
  payload: object,
): Promise<Page> {
  client.send({ type, id: 'q', channel: ROOM, payload });
  await quiet();
  return client.take('reply').find(({ ref }) => ref === 'q')?.payload as Page;
}

describe('a page of history', () => {
  it.each([
    ['forwards', false],
    ['backwards', true],
  ])(
    'ends before it would be larger than the limit, with more, and continues %s (G16)',
    async (_way, reverse) => {
      await start();
      await harness.publish(ROOM, 40, { size: 30 * KIB });
      const client = await harness.subscriber(ROOM, 'user:ada');
      const seqs: number[] = [];
      for (let pages = 0; ; pages++) {
        const last = seqs.at(-1);
        const range = last === undefined ? {} : reverse ? { until: last - 1 } : { from: last + 1 };
        const page = await ask<HistoryResult>(client, 'history', { limit: 1_000, reverse, ...range });
        expect(JSON.stringify(page).length).toBeLessThan(257 * KIB);
        seqs.push(...page.events.map(({ seq }) => seq));
        if (!page.more) {
          expect(pages).toBe(4);
          break;
        }
      }
      const all = Array.from({ length: 40 }, (_, index) => index + 1);
      expect(seqs).toEqual(reverse ? all.reverse() : all);
    },
  );

  it('has one event that is larger than the limit by itself', async () => {
    await start({ outbox: { maxBytes: 64 * KIB } });
    await harness.publish(ROOM, 2, { size: 600 * KIB });
    const client = await harness.subscriber(ROOM, 'user:ada');
    const page = await ask<HistoryResult>(client, 'history', { from: 1, limit: 10 });
    expect([page.events.length, page.more]).toEqual([1, true]);
    const last = await ask<HistoryResult>(client, 'history', { from: 2, limit: 10 });
    expect([last.events.length, last.more]).toEqual([1, false]);
    expect(client.closed).toBeUndefined();
  });

  it('has exactly what fits', async () => {
    await start();
    await harness.publish(ROOM, 20, { size: 1_000 });
    const { events } = await harness.broker.log.read({ channel: ROOM, from: 1, limit: 10 });
    const fits = events.reduce((sum, { size }) => sum + size, 0);
    for (const [maxPageBytes, count] of [
      [fits, 10],
      [fits - 1, 9],
    ] as const) {
      await harness.stop();
      await start({ limits: { maxPageBytes } });
      await harness.publish(ROOM, 20, { size: 1_000 });
      const page = await harness.engine.application.history(ROOM, { limit: 15 });
      expect([page.events.length, page.more]).toEqual([count, true]);
    }
  });

  it.each([false, true])(
    'is not the end of the log where the broker answers a read with a part (reverse: %s)',
    async (reverse) => {
      const inner = memoryBroker();
      const broker = alteredBroker(inner, {
        log: { read: (request) => inner.log.read({ ...request, limit: Math.min(request.limit, 3) }) },
      });
      harness = await EngineHarness.start([channel('rooms.:room')], { broker });
      await harness.publish(ROOM, 10);
      const page = await harness.engine.application.history(ROOM, { limit: 10, reverse });
      expect([page.events.length, page.more]).toEqual([10, false]);
      const part = await harness.engine.application.history(ROOM, { from: 2, until: 8, limit: 5, reverse });
      expect([part.events.length, part.more]).toEqual([5, true]);
    },
  );
});

describe('a page of members', () => {
  async function members(count: number, dataBytes: number): Promise<void> {
    for (let index = 0; index < count; index++) {
      const member = `m${String(index).padStart(4, '0')}`;
      const entry = { channel: ROOM, member, device: member, generation: 1, data: 'd'.repeat(dataBytes) };
      await harness.broker.presence.enter(entry, 1e9);
    }
  }

  it.each([
    [3_900, 250, 66],
    [10, 250, 250],
  ])(
    'with %i bytes of data for each of %i members begins with %i, and the pages have all',
    async (data, count, first) => {
      await start({ outbox: { maxBytes: 16 * KIB * KIB } });
      await members(count, data);
      const client = await harness.subscriber(ROOM, 'user:ada');
      const found: string[] = [];
      let cursor: string | undefined;
      const sizes: number[] = [];
      do {
        const page: PresencePage = await ask(client, 'presence', { limit: 1_000, cursor });
        expect(JSON.stringify(page).length).toBeLessThan(260 * KIB);
        expect(page.count).toBe(count + 1);
        found.push(...page.members.map(({ id }) => id));
        sizes.push(page.members.length);
        cursor = page.more;
      } while (cursor !== undefined);
      expect(sizes[0]).toBe(first === count ? count + 1 : first);
      expect(new Set(found).size).toBe(count + 1);
      expect(found).toHaveLength(count + 1);
    },
  );

  it('has one member that is larger than the limit by itself', async () => {
    await start({ limits: { maxPageBytes: 1_024 } });
    await members(3, 2_000);
    const { members: found, more } = await harness.engine.application.members(ROOM);
    expect([found.length, more === undefined]).toEqual([1, false]);
  });

  it('that comes with a subscribe is bounded as well', async () => {
    await start({ limits: { maxPageBytes: 2_048 } });
    await members(9, 1_000);
    const client = await harness.greet('user:ada');
    client.send({ type: 'subscribe', id: 's', channel: ROOM, payload: { presence: {} } });
    await quiet();
    const { presence } = client.take('reply').find(({ ref }) => ref === 's')?.payload as {
      presence: PresencePage;
    };
    expect([presence.members.length, presence.count, presence.more === undefined]).toEqual([1, 10, false]);
  });
});

describe('an answer of a handler', () => {
  it.each(['sync', 'async'])(
    'above the limit is an error, and the log names the handler (%s)',
    async (form) => {
      const big = 'x'.repeat(3_000);
      const answer = (value: unknown) => (form === 'sync' ? value : Promise.resolve(value));
      const warnings: string[] = [];
      harness = new EngineHarness(
        [
          channel('rooms.:room', {
            behaviour: {
              snapshot: { shareable: false, run: () => answer({ state: big }) as { state: unknown } },
            },
          }),
        ],
        {
          settings: { limits: { ...OFF, maxAnswerBytes: 2_000 } },
          requests: new Map([['dump', { authorize: 'public', handle: () => answer(big) }]]),
          warnings,
        },
      );
      await harness.engine.start();
      const client = await harness.greet('user:ada');
      client.take();
      for (const id of ['r1', 'r2']) client.send({ type: 'request', id, event: 'dump' });
      client.send({ type: 'subscribe', id: 's', channel: ROOM });
      await quiet();
      const answers = client.take();
      expect(answers.map(({ type, payload }) => [type, (payload as { code?: string }).code])).toEqual(
        [1, 2, 3].map(() => ['error', 'message_too_large']),
      );
      expect(warnings).toEqual([
        expect.stringMatching(/request "dump".*limits\.maxAnswerBytes is 2000/s),
        expect.stringMatching(/snapshot handler of TestChannel/),
      ]);
      expect(harness.engine['parts'].hub.find(ROOM)?.subscriptions.size).toBe(0);
      expect(client.closed).toBeUndefined();
    },
  );
});

describe('an outbox', () => {
  it.each([
    ['one event', 1],
    ['two events, one after the other', 2],
  ])('in which nothing waits takes %s that is larger than itself (G13)', async (_what, count) => {
    await start({ outbox: { maxBytes: 2_048 } });
    const client = await harness.subscriber(ROOM, 'user:ada');
    for (let index = 0; index < count; index++) await harness.publish(ROOM, 1, { size: 500 * KIB });
    expect([client.take('event').length, client.closed]).toEqual([count, undefined]);
  });

  it('takes events of one turn that are larger than itself together, while the socket takes them', async () => {
    await start({ outbox: { maxBytes: 2_048 } });
    const client = await harness.subscriber(ROOM, 'user:ada');
    await harness.publish(ROOM, 3, { size: 500 * KIB });
    expect([client.take('event').length, client.closed]).toEqual([3, undefined]);
  });

  it('that has something takes no more than its limit', async () => {
    await start({ outbox: { maxBytes: 2_048 } });
    const client = await harness.subscriber(ROOM, 'user:ada');
    client.stall();
    await harness.publish(ROOM, 1, { size: 100 });
    await harness.publish(ROOM, 1, { size: 3_000 });
    expect(client.closed?.code).toBe(4003);
  });

  it('drops the oldest signals for events, which survive (P25)', async () => {
    await start({ outbox: { maxMessages: 100 } });
    const client = await harness.subscriber(ROOM, 'user:ada');
    client.stall();
    await harness.publish(ROOM);
    for (let index = 0; index < 5_000; index++)
      await harness.engine.application.signal(ROOM, 'typing', index);
    for (let index = 0; index < 5; index++) await harness.publish(ROOM);
    expect(client.closed).toBeUndefined();
    client.drain();
    await quiet();
    const got = client.take();
    expect(got.filter(({ type }) => type === 'event').map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5, 6]);
    const signals = got.filter(({ type }) => type === 'signal').map(({ payload }) => payload);
    expect(signals).toEqual(Array.from({ length: 95 }, (_, index) => 4_905 + index));
    expect(got.some(({ type }) => type === 'gap')).toBe(false);
  });

  it('drops signals for an answer', async () => {
    await start({ outbox: { maxMessages: 5 } });
    const client = await harness.subscriber(ROOM, 'user:ada');
    client.stall();
    await harness.publish(ROOM);
    for (let index = 0; index < 9; index++) await harness.engine.application.signal(ROOM, 'typing', index);
    client.send({ type: 'history', id: 'h', channel: ROOM });
    await quiet();
    client.drain();
    await quiet();
    const got = client.take();
    expect(got.filter(({ ref }) => ref === 'h').map(({ type }) => type)).toEqual(['reply']);
    expect(got.filter(({ type }) => type === 'signal').map(({ payload }) => payload)).toEqual([5, 6, 7, 8]);
  });

  it('refuses a signal that is larger than itself, and drops nothing for it', async () => {
    await start({ outbox: { maxBytes: 2_048 } });
    const client = await harness.subscriber(ROOM, 'user:ada');
    client.stall();
    await harness.publish(ROOM);
    await harness.engine.application.signal(ROOM, 'typing', 'small');
    await harness.engine.application.signal(ROOM, 'typing', 'x'.repeat(3_000));
    client.drain();
    await quiet();
    expect(client.take('signal').map(({ payload }) => payload)).toEqual(['small']);
  });

  it('makes a client read the members again whose change was dropped for an event (P25)', async () => {
    await start({ outbox: { maxMessages: 3 } });
    const client = await harness.greet('user:ada');
    client.send({ type: 'subscribe', id: 's', channel: ROOM, payload: { presence: {} } });
    await quiet();
    client.take();
    client.stall();
    await harness.publish(ROOM);
    const entry = { channel: ROOM, member: 'eve', device: 'd', generation: 1 };
    await harness.broker.presence.enter(entry, 1e9);
    for (let index = 0; index < 3; index++) await harness.publish(ROOM);
    client.drain();
    await quiet();
    const got = client.take();
    expect(got.filter(({ type }) => type === 'event')).toHaveLength(4);
    expect(got.filter(({ type }) => type === 'presence').map(({ payload }) => payload)).toMatchObject([
      { version: 2, previous: 2, join: [] },
    ]);
  });

  it('with no room for a page refuses the read for a while, and the connection stays open (G13)', async () => {
    await start({ outbox: { maxBytes: 400 * KIB } });
    await harness.publish(ROOM, 30, { size: 20 * KIB });
    const client = await harness.subscriber(ROOM, 'user:ada');
    client.stall();
    await harness.publish(ROOM);
    for (let index = 0; index < 5; index++) client.send({ type: 'history', id: `h${index}`, channel: ROOM });
    await quiet();
    expect(client.closed).toBeUndefined();
    expect(client.bufferedBytes).toBeLessThan(400 * KIB);
    client.drain();
    await quiet();
    const answers = client.take().filter(({ ref }) => ref !== undefined);
    expect(answers.map(({ type }) => type)).toEqual(['reply', 'error', 'error', 'error', 'error']);
    expect(answers.at(-1)?.payload).toMatchObject({ code: 'rate_limited', retryAfterMs: 1_000 });
  });

  it('with no room for its answer a subscribe is refused before anything is done for it (G13)', async () => {
    const asked: string[] = [];
    const authorize = {
      subscribe: ({ channel: name }: { readonly channel: string }) => {
        asked.push(name);
        return true as const;
      },
    };
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', { policy: { presence: {} } }),
        channel('dear.:room', { behaviour: { authorize } }),
      ],
      { settings: { outbox: { maxBytes: 400 * KIB }, limits: OFF } },
    );
    await harness.publish(ROOM, 30, { size: 20 * KIB });
    const client = await harness.subscriber(ROOM, 'user:ada');
    client.stall();
    await harness.publish(ROOM);
    client.send({ type: 'history', id: 'h', channel: ROOM });
    await quiet();
    for (let index = 0; index < 5; index++)
      client.send({ type: 'subscribe', id: `s${index}`, channel: `dear.${index}`, payload: {} });
    await quiet();
    expect(asked).toEqual([]);
    client.drain();
    await quiet();
    expect(client.take('error').map(({ payload }) => payload)).toMatchObject(
      Array.from({ length: 5 }, () => ({ code: 'rate_limited', retryAfterMs: 1_000 })),
    );
    client.send({ type: 'subscribe', id: 'again', channel: 'dear.1', payload: {} });
    await quiet();
    expect(client.take('reply').map(({ ref }) => ref)).toEqual(['again']);
    expect(asked).toEqual(['dear.1']);
  });
});

describe('the outboxes of one user', () => {
  const LIMIT = 400 * KIB;

  const queuedBytes = (): number => {
    const { queued, sessions } = harness.engine['parts'];
    return queued.of(sessions.list()[0]?.client ?? '');
  };

  it.each([
    ['user', 'user:ada'],
    ['address of anonymous clients', undefined],
  ])('hold a bounded total: one %s whose connections do not read is refused pages', async (_whose, token) => {
    await start({ outbox: { maxBytesPerUser: LIMIT } });
    await harness.publish(ROOM, 30, { size: 20 * KIB });
    const clients = await Promise.all(Array.from({ length: 8 }, () => harness.subscriber(ROOM, token)));
    for (const client of clients) client.stall();
    await harness.publish(ROOM);
    for (const client of clients)
      for (let index = 0; index < 4; index++)
        client.send({ type: 'history', id: `h${index}`, channel: ROOM });
    await quiet();
    const held = harness.engine['parts'].sessions
      .list()
      .reduce((sum, { outbox }) => sum + outbox.bufferedBytes, 0);
    expect(held).toBeLessThan(LIMIT + 8 * 64 * KIB);
    expect(queuedBytes()).toBeLessThanOrEqual(held + 8 * KIB);
    // Another user, and one that reads, are not affected.
    const other = await harness.subscriber(ROOM, 'user:eve');
    expect((await ask<HistoryResult>(other, 'history', {})).events.length).toBeGreaterThan(5);
    for (const client of clients) client.drain();
    await quiet();
    expect(queuedBytes()).toBe(0);
    const [first] = clients as [FakeConnection];
    first.take();
    expect((await ask<HistoryResult>(first, 'history', {})).events.length).toBeGreaterThan(5);
  });

  it('are given back with the connections', async () => {
    await start();
    const [one, two] = [
      await harness.subscriber(ROOM, 'user:ada'),
      await harness.subscriber(ROOM, 'user:ada'),
    ];
    one.stall();
    await harness.publish(ROOM, 5, { size: KIB });
    const [session] = harness.engine['parts'].sessions.list();
    expect(queuedBytes()).toBe(session?.outbox.bufferedBytes);
    expect(queuedBytes()).toBeGreaterThan(5 * KIB);
    one.drop();
    await quiet();
    expect(queuedBytes()).toBe(0);
    two.drop();
    await quiet();
    expect(harness.engine['parts'].queued.size).toBe(0);
  });

  it('never keep a connection that reads from its events', async () => {
    await start({ outbox: { maxBytesPerUser: 64 * KIB } });
    const [stalled, reading] = [
      await harness.subscriber(ROOM, 'user:ada'),
      await harness.subscriber(ROOM, 'user:ada'),
    ];
    stalled.stall();
    await harness.publish(ROOM, 1, { size: 100 * KIB });
    await harness.publish(ROOM, 5, { size: 20 * KIB });
    expect(reading.take('event')).toHaveLength(6);
    expect([reading.closed, stalled.closed?.code]).toEqual([undefined, 4003]);
  });

  it('never keep a connection that reads from its answers', async () => {
    await start({ outbox: { maxBytesPerUser: 64 * KIB } });
    await harness.publish(ROOM, 5, { size: 20 * KIB });
    const [stalled, reading] = [
      await harness.subscriber(ROOM, 'user:ada'),
      await harness.subscriber(ROOM, 'user:ada'),
    ];
    stalled.stall();
    await harness.publish(ROOM, 3, { size: 20 * KIB });
    reading.take();
    expect((await ask<HistoryResult>(reading, 'history', {})).events).toHaveLength(8);
    expect([reading.closed, stalled.closed]).toEqual([undefined, undefined]);
  });
});
