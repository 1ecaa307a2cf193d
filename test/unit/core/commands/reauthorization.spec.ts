import { afterEach, describe, expect, it } from '@jest/globals';
import type { AuthorizationResult, HandlerCall } from '../../../../lib/core/ports/channel-definition.js';
import type { MaybePromise } from '../../../../lib/core/ports/maybe-promise.js';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import type { Broker } from '../../../../lib/core/ports/broker.js';
import { ENGINE_DEFAULTS } from '../../../../lib/core/ports/settings-defaults.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { settle } from '../../../support/engine/manual-clock.js';

const ROOM = 'rooms.1';
const LEASE = 60_000;
const FOREVER = { intervalMs: 1e9, timeoutMs: 1e9 };

let harness: EngineHarness;
let warnings: string[];
let verdict: (call?: HandlerCall) => MaybePromise<AuthorizationResult>;
let roster: () => MaybePromise<AuthorizationResult>;
let asking: () => unknown;
let asked: number;
afterEach(() => harness.stop());

async function start(policy: Parameters<typeof channel>[1] = {}): Promise<FakeConnection> {
  warnings = [];
  asked = 0;
  asking = () => 42;
  verdict = () => ({ forMs: LEASE });
  roster = () => true;
  harness = await EngineHarness.start(
    [
      channel('rooms.:room', {
        policy: { presence: { graceMs: 0 }, ...policy.policy },
        behaviour: {
          authorize: {
            subscribe: (call) => {
              if (call.user?.id !== 'ada') return true;
              asked++;
              return verdict(call);
            },
            presence: ({ user }) => (user?.id === 'ada' ? roster() : true),
          },
          requests: new Map([['ask', () => asking()]]),
        },
      }),
    ],
    {
      warnings,
      settings: { heartbeat: FOREVER, retry: { baseMs: 500, maxMs: 4_000 }, presenceLeaseMs: 10 * LEASE },
    },
  );
  return harness.subscriber(ROOM, 'user:ada');
}

async function pass(ms: number): Promise<void> {
  harness.clock.advance(ms);
  await quiet();
}

const seqs = (client: FakeConnection) => client.take('event').map(({ seq }) => seq);

const FAILURES: readonly (readonly [string, () => MaybePromise<AuthorizationResult>])[] = [
  [
    'throws an error',
    () => {
      throw new Error('the database is away');
    },
  ],
  ['rejects with an error', () => settle().then(() => Promise.reject(new Error('the database is away')))],
  [
    'throws unavailable',
    () => {
      throw new RealtimeError('unavailable');
    },
  ],
  ['rejects with timeout', () => Promise.reject(new RealtimeError('timeout'))],
  ['rejects with internal', () => Promise.reject(new RealtimeError('internal'))],
];

const REFUSALS: readonly (readonly [string, string, () => MaybePromise<AuthorizationResult>])[] = [
  ['returns false', 'forbidden', () => false],
  ['resolves with false', 'forbidden', () => settle().then(() => false)],
  [
    'throws forbidden',
    'forbidden',
    () => {
      throw new RealtimeError('forbidden');
    },
  ],
  ['rejects with muted', 'muted', () => Promise.reject(new RealtimeError('muted'))],
];

describe('an authorization that is asked again (G11)', () => {
  it.each(FAILURES)(
    'and %s once: withheld, asked again, continued without a gap or a repeat',
    async (_, fail) => {
      const client = await start();
      await harness.publish(ROOM);
      expect(seqs(client)).toEqual([1]);
      verdict = fail;
      await pass(LEASE);
      expect(asked).toBe(2);
      await harness.publish(ROOM, 2);
      await harness.engine.application.signal(ROOM, 'typing', 1);
      const other = await harness.subscriber(ROOM, 'user:eve');
      await quiet();
      expect(client.take()).toEqual([]);
      expect(seqs(other)).toEqual([]);
      verdict = () => ({ forMs: LEASE });
      await pass(500);
      expect(asked).toBe(3);
      const received = client.take();
      expect(received.filter(({ type }) => type === 'event').map(({ seq }) => seq)).toEqual([2, 3]);
      // It missed that eve came: an empty change makes its client read the members again.
      expect(received.filter(({ type }) => type === 'presence')).toMatchObject([
        { payload: { version: 2, previous: 2, join: [] } },
      ]);
      await harness.publish(ROOM);
      expect(seqs(client)).toEqual([4]);
      // The next lease runs from the last yes.
      await pass(LEASE - 1);
      expect(asked).toBe(3);
      await pass(1);
      expect(asked).toBe(4);
      expect(client.take('unsubscribed')).toEqual([]);
    },
  );

  it.each(REFUSALS)('and %s: the subscription ends with %s', async (_, code, refuse) => {
    const client = await start();
    verdict = refuse;
    await pass(LEASE);
    expect(client.take('unsubscribed')).toMatchObject([{ payload: { code, retryable: false } }]);
    await harness.publish(ROOM);
    expect(client.take('event')).toEqual([]);
    await pass(LEASE);
    expect(asked).toBe(2);
  });

  it.each(REFUSALS)(
    'fails first, and then %s: it ends, and nothing that was withheld is sent',
    async (_, code, refuse) => {
      const client = await start();
      verdict = FAILURES[0]?.[1] as typeof verdict;
      await pass(LEASE);
      await harness.publish(ROOM);
      verdict = refuse;
      await pass(500);
      expect(client.take().map(({ type }) => type)).toEqual(['unsubscribed']);
      expect(code).toBeDefined();
    },
  );

  it('is asked after pauses that double up to maxMs, each at least half of that', async () => {
    await start();
    verdict = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    for (const pause of [500, 1_000, 2_000, 4_000, 4_000]) {
      const before = asked;
      await pass(pause / 2 - 1);
      expect(asked).toBe(before);
      await pass(pause / 2 + 1);
      expect(asked).toBe(before + 1);
    }
  });

  it('begins with the short pause again after a yes', async () => {
    await start();
    verdict = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    for (let round = 0; round < 4; round++) await pass(4_000);
    verdict = () => ({ forMs: LEASE });
    await pass(4_000);
    verdict = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    const before = asked;
    await pass(500);
    expect(asked).toBe(before + 1);
  });

  it.each([
    [30_000, 30_000],
    [1, 500],
    [Number.NaN, 500],
    [Infinity, 3_600_000],
  ])('heeds a retryAfterMs of %d, within bounds', async (retryAfterMs, waits) => {
    await start();
    verdict = () => Promise.reject(new RealtimeError('unavailable', 'Away', { retryAfterMs }));
    await pass(LEASE);
    await pass(waits / 2 - 1);
    expect(asked).toBe(2);
    await pass(waits / 2 + 1);
    expect(asked).toBe(3);
  });

  it('may be granted without an end: it is not asked any more', async () => {
    const client = await start();
    verdict = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    verdict = () => true;
    await pass(500);
    await pass(10 * LEASE);
    expect(asked).toBe(3);
    await harness.publish(ROOM);
    expect(seqs(client)).toEqual([1]);
  });

  it('while it is withheld, commands that need the subscription are answered with unavailable', async () => {
    const client = await start();
    verdict = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    client.send(
      { type: 'history', id: 'h', channel: ROOM },
      { type: 'request', id: 'r', channel: ROOM, event: 'ask' },
      { type: 'signal', id: 's', channel: ROOM, event: 'typing' },
    );
    await quiet();
    expect(client.take('error').map(({ payload }) => (payload as { code: string }).code)).toEqual([
      'unavailable',
      'unavailable',
      'unavailable',
    ]);
    verdict = () => true;
    await pass(500);
    client.take();
    client.send({ type: 'history', id: 'h2', channel: ROOM });
    await quiet();
    expect(client.take('reply')).toHaveLength(1);
  });

  it('one that does not answer keeps what it gave for handlerTimeout, and no longer (G11)', async () => {
    const client = await start();
    const { handlerTimeoutMs } = ENGINE_DEFAULTS;
    let answer: (value: boolean) => void = () => undefined;
    verdict = () => new Promise((resolve) => (answer = resolve));
    await pass(LEASE);
    await pass(handlerTimeoutMs - 1);
    await harness.publish(ROOM);
    expect(seqs(client)).toEqual([1]);
    await pass(1);
    await harness.publish(ROOM);
    expect(client.take()).toEqual([]);
    // A late yes is not heard: it is asked again.
    answer(true);
    await quiet();
    expect(client.take()).toEqual([]);
    verdict = () => true;
    await pass(500);
    expect(seqs(client)).toEqual([2]);
  });

  it('so is presence_update, and the member stays as it was (G11, G19)', async () => {
    const client = await start();
    client.send(
      { type: 'unsubscribe', id: 'u', channel: ROOM },
      { type: 'subscribe', id: 's', channel: ROOM, payload: { presence: { data: 'here' } } },
    );
    await quiet();
    client.take();
    const update = (id: string) => ({
      type: 'presence_update',
      id,
      channel: ROOM,
      payload: { data: 'changed' },
    });
    verdict = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    client.send(update('p1'));
    await quiet();
    expect(client.take('error').map(({ payload }) => (payload as { code: string }).code)).toEqual([
      'unavailable',
    ]);
    verdict = () => true;
    await pass(500);
    client.take();
    client.send(update('p2'));
    await quiet();
    expect(client.take('reply')).toMatchObject([{ ref: 'p2' }]);
  });

  it.each<[string, string, () => Promise<unknown>]>([
    ['its subscription is withheld', 'outcome_unknown', () => pass(1_000)],
    ['access is revoked', 'forbidden', () => harness.engine.revoke('ada', ROOM)],
  ])('a request whose handler has run when %s is answered with %s (P17c)', async (_, code, meanwhile) => {
    const client = await start();
    let answer: (value: unknown) => void = () => undefined;
    asking = () => new Promise((resolve) => (answer = resolve));
    await pass(LEASE - 1_000);
    client.send({ type: 'request', id: 'r', channel: ROOM, event: 'ask' });
    await quiet();
    verdict = () => Promise.reject(new Error('away'));
    await meanwhile();
    answer('secret');
    await quiet();
    expect(client.take('error').map(({ payload }) => payload)).toMatchObject([{ code, retryable: false }]);
    expect(client.take('reply')).toEqual([]);
  });

  it('a no while a request runs: its answer is not sent', async () => {
    const client = await start();
    let answer: (value: unknown) => void = () => undefined;
    asking = () => new Promise((resolve) => (answer = resolve));
    await pass(LEASE - 1_000);
    client.send({ type: 'request', id: 'r', channel: ROOM, event: 'ask' });
    await quiet();
    verdict = () => false;
    await pass(1_000);
    answer('secret');
    await quiet();
    expect(client.take().map(({ type, payload }) => [type, (payload as { code?: string }).code])).toEqual([
      ['unsubscribed', 'forbidden'],
      ['error', 'not_subscribed'],
    ]);
  });

  it('what waits for a slow client is put aside with it, and what waits for its other channels is not', async () => {
    const client = await start({ policy: { overflow: 'drop-oldest' } });
    client.send({ type: 'subscribe', id: 's2', channel: '$user.ada' });
    await quiet();
    client.take();
    client.stall();
    await harness.publish(ROOM);
    await harness.publish(ROOM);
    await harness.engine.application.publish('$user.ada', 'said', 'own');
    await quiet();
    verdict = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    client.drain();
    await quiet();
    const first = client.take('event');
    expect(first.filter((event) => event.channel === '$user.ada')).toHaveLength(1);
    const sent = first.filter((event) => event.channel === ROOM).map(({ seq }) => seq);
    verdict = () => true;
    await pass(500);
    // The first frame was with the socket already.
    expect([...sent, ...seqs(client)]).toEqual([1, 2]);
    expect(sent.length).toBeLessThan(2);
  });

  it('of two that are withheld, one that continues does not release the other', async () => {
    const client = await start({ policy: { overflow: 'drop-oldest' } });
    client.send({ type: 'subscribe', id: 's2', channel: 'rooms.2' });
    await quiet();
    client.take();
    client.stall();
    for (const name of [ROOM, 'rooms.2', ROOM, 'rooms.2']) await harness.publish(name);
    verdict = () => Promise.reject(new RealtimeError('unavailable', 'Away', { retryAfterMs: 10_000 }));
    await pass(LEASE);
    verdict = (call) => call?.channel === 'rooms.2' || Promise.reject(new Error('away'));
    await pass(10_000);
    client.drain();
    await quiet();
    const sent = client.take('event');
    expect(sent.filter((event) => event.channel === 'rooms.2').map(({ seq }) => seq)).toEqual([1, 2]);
    // The frame that the socket held, of the first event, had left.
    expect(sent.filter((event) => event.channel === ROOM).map(({ seq }) => seq)).toEqual([1]);
    verdict = () => true;
    await pass(4_000);
    expect(seqs(client)).toEqual([2]);
  });

  it('a node that knows all revokes again does not release what is withheld', async () => {
    const client = await start({ policy: { overflow: 'drop-oldest' } });
    client.stall();
    await harness.publish(ROOM);
    await harness.publish(ROOM);
    verdict = () => Promise.reject(new RealtimeError('unavailable', 'Away', { retryAfterMs: 100_000 }));
    await pass(LEASE);
    const { freshness } = harness.engine['parts'];
    freshness.prove(1_000);
    await pass(1_000);
    freshness.prove(1e9);
    client.drain();
    await quiet();
    await harness.publish(ROOM);
    expect(seqs(client)).toEqual([1]);
    verdict = () => true;
    await pass(100_000);
    expect(seqs(client)).toEqual([2, 3]);
  });

  it('a session that ends while it is withheld leaves nothing that asks again', async () => {
    const client = await start();
    verdict = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    client.drop();
    await quiet();
    await pass(LEASE);
    expect(asked).toBe(2);
  });

  it('an unsubscribe while it is withheld ends it, and a new subscribe is answered by its own authorization', async () => {
    const client = await start();
    verdict = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    client.send({ type: 'unsubscribe', id: 'u', channel: ROOM });
    await quiet();
    expect(client.take('reply')).toHaveLength(1);
    verdict = () => true;
    client.send({ type: 'subscribe', id: 's', channel: ROOM });
    await quiet();
    await harness.publish(ROOM);
    expect(seqs(client)).toEqual([1]);
    await pass(LEASE);
    expect(asked).toBe(3);
  });

  it('is not asked again during a drain', async () => {
    await start();
    verdict = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    void harness.engine.drain(10_000);
    await pass(8_000);
    expect(asked).toBe(2);
  });

  it('the log names the channel and the error, once in a while', async () => {
    const first = await start();
    const second = await harness.subscriber('rooms.2', 'user:ada');
    verdict = () => Promise.reject(new Error('the database is away'));
    await pass(LEASE);
    expect([first.closed, second.closed]).toEqual([undefined, undefined]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/rooms\.:room.*the database is away/);
    const text = 'a thrown text' as unknown as Error;
    verdict = () => Promise.reject(text);
    await pass(20_000);
    expect(warnings.join()).not.toContain('a thrown text');
  });

  it('where records of revokes were lost, a failure withholds as well', async () => {
    const client = await start();
    verdict = FAILURES[1]?.[1] as typeof verdict;
    await harness.engine['parts'].reauthorization.reauthorizeAll();
    await harness.publish(ROOM);
    expect(client.take()).toEqual([]);
    verdict = () => true;
    await pass(500);
    expect(seqs(client)).toEqual([1]);
  });
});

describe('the authorization of presence in a lease (G10, G11)', () => {
  it('ends the lease of the subscription when it is the shorter one', async () => {
    const client = await start();
    roster = () => ({ forMs: 1_000 });
    client.send(
      { type: 'unsubscribe', id: 'u', channel: ROOM },
      { type: 'subscribe', id: 's', channel: ROOM },
    );
    await quiet();
    const before = asked;
    await pass(1_000);
    expect(asked).toBe(before + 1);
  });

  it.each([
    ['at once', () => false],
    ['later', () => settle().then(() => false)],
  ])('a no that comes %s makes the client subscribe again, without a roster', async (_, no) => {
    const client = await start();
    roster = no;
    await pass(LEASE);
    expect(client.take('unsubscribed')).toMatchObject([
      { payload: { code: 'unavailable', retryable: true } },
    ]);
    client.send({ type: 'subscribe', id: 's', channel: ROOM });
    await quiet();
    expect(client.take('reply')[0]?.payload).not.toHaveProperty('presence');
    await pass(LEASE);
    // Not asked for the roster any more, which it is not shown.
    expect(client.take('unsubscribed')).toEqual([]);
  });

  it('one that fails withholds, as that of the subscription', async () => {
    const client = await start();
    roster = () => Promise.reject(new Error('away'));
    await pass(LEASE);
    await harness.publish(ROOM);
    expect(client.take()).toEqual([]);
    roster = () => true;
    await pass(500);
    expect(seqs(client)).toEqual([1]);
  });
});

describe('many authorizations that expire at the same moment (G11)', () => {
  const COUNT = 70;
  const AT_ONCE = 64;
  const LIMIT = ENGINE_DEFAULTS.handlerTimeoutMs;
  let answers: ((result: AuthorizationResult) => void)[];

  async function startMany(): Promise<FakeConnection> {
    warnings = [];
    answers = [];
    let isFirst = true;
    const subscribe = (): MaybePromise<AuthorizationResult> =>
      isFirst ? { forMs: LEASE } : new Promise((resolve) => answers.push(resolve));
    harness = await EngineHarness.start(
      [channel('rooms.:room', { behaviour: { authorize: { subscribe } } })],
      {
        warnings,
        settings: { heartbeat: FOREVER, limits: { burst: 1_000 }, retry: { baseMs: 500, maxMs: 500 } },
      },
    );
    const client = await harness.greet('user:ada');
    for (let room = 0; room < COUNT; room++)
      client.send({ type: 'subscribe', id: `s${room}`, channel: `rooms.${room}` });
    await quiet();
    isFirst = false;
    client.take();
    await pass(LEASE);
    return client;
  }

  const publishAll = async (): Promise<void> => {
    for (let room = 0; room < COUNT; room++) await harness.publish(`rooms.${room}`);
  };
  const roomsOf = (client: FakeConnection): number =>
    new Set(client.take('event').map((event) => event['channel'])).size;

  it('are asked 64 at a time; each answer lets another begin', async () => {
    await startMany();
    expect(answers).toHaveLength(AT_ONCE);
    answers[0]?.({ forMs: LEASE });
    await quiet();
    expect(answers).toHaveLength(AT_ONCE + 1);
    for (let next = 1; next < COUNT; next++) {
      answers[next]?.({ forMs: LEASE });
      await quiet();
    }
    expect(answers).toHaveLength(COUNT);
    // The next time there is room for as many again, and no timer of the wait is left.
    await pass(LIMIT);
    expect(warnings).toEqual([]);
    await pass(LEASE - LIMIT);
    expect(answers).toHaveLength(COUNT + AT_ONCE);
  });

  it('one that waits keeps what it had for handlerTimeout, is then withheld, and continues without a gap or a repeat', async () => {
    const client = await startMany();
    await pass(LIMIT - 1);
    await publishAll();
    expect(roomsOf(client)).toBe(COUNT);
    await pass(1);
    await publishAll();
    // The first were not answered in time, the others not asked.
    expect(roomsOf(client)).toBe(0);
    expect(answers).toHaveLength(COUNT);
    expect(warnings).toContainEqual(expect.stringContaining('More than 64 authorizations'));
    for (const answer of answers.slice(AT_ONCE)) answer(true);
    await quiet();
    expect(client.take('event').map(({ seq }) => seq)).toEqual(Array(COUNT - AT_ONCE).fill(2));
    await pass(500);
    for (const answer of answers.slice(COUNT)) answer(true);
    await quiet();
    for (const answer of answers.slice(COUNT + AT_ONCE)) answer(true);
    await quiet();
    expect(client.take('event').map(({ seq }) => seq)).toEqual(Array(AT_ONCE).fill(2));
    expect(client.take('unsubscribed')).toEqual([]);
  });

  it('one that has ended in the meantime is not asked, and gives its place to the next', async () => {
    const client = await startMany();
    client.send({ type: 'unsubscribe', id: 'u', channel: `rooms.${AT_ONCE}` });
    await quiet();
    for (const answer of answers) answer(true);
    await quiet();
    expect(answers).toHaveLength(COUNT - 1);
    client.drop();
    await quiet();
    const other = await harness.greet('user:eve');
    other.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
    await quiet();
    expect(answers).toHaveLength(COUNT);
  });

  it('a no to one that waited ends it', async () => {
    const client = await startMany();
    for (const answer of [...answers]) answer(true);
    await quiet();
    for (const answer of answers.slice(AT_ONCE)) answer(false);
    await quiet();
    expect(client.take('unsubscribed')).toHaveLength(COUNT - AT_ONCE);
  });
});

describe('a time that is given for history (G11)', () => {
  it('means nothing: it is asked for each command, and a replay is sent to its end', async () => {
    let reads = 0;
    harness = await EngineHarness.start(
      [
        channel('rooms.:room', {
          behaviour: {
            authorize: {
              subscribe: 'public',
              publish: 'public',
              history: () => {
                reads++;
                return { forMs: 1 };
              },
            },
          },
        }),
      ],
      { settings: { heartbeat: FOREVER } },
    );
    await harness.publish(ROOM, 3);
    const { position } = await harness.engine.application.history(ROOM);
    const client = await harness.greet('user:ada');
    client.take();
    client.send({
      type: 'subscribe',
      id: 's',
      channel: ROOM,
      payload: { position: { ...position, seq: 0 } },
    });
    await quiet();
    expect(seqs(client)).toEqual([1, 2, 3]);
    await pass(60_000);
    expect(reads).toBe(1);
    await harness.publish(ROOM);
    expect(seqs(client)).toEqual([4]);
    client.send({ type: 'history', id: 'h', channel: ROOM, payload: {} });
    await quiet();
    expect(reads).toBe(2);
    expect(client.take('reply')).toMatchObject([{ ref: 'h' }]);
  });
});

describe('a subscription that is withheld again and again while it is replayed', () => {
  it('has one reader, however often: what waits does not grow (G8, G11)', async () => {
    const inner = memoryBroker();
    let fails = false;
    let reads = 0;
    const read: Broker['log']['read'] = async (request) => {
      reads++;
      if (fails) throw new RealtimeError('unavailable');
      return inner.log.read(request);
    };
    let may = true;
    const subscribe = (): AuthorizationResult => {
      if (!may) throw new RealtimeError('unavailable');
      return { forMs: 100 };
    };
    harness = await EngineHarness.start(
      [channel('rooms.:room', { behaviour: { authorize: { subscribe } } })],
      {
        broker: alteredBroker(inner, { log: { read } }),
        settings: { heartbeat: FOREVER, retry: { baseMs: 1, maxMs: 1 }, ringSize: 1 },
      },
    );
    await harness.publish(ROOM, 5);
    const client = await harness.subscriber(ROOM, 'user:ada');
    may = false;
    await pass(100);
    await harness.publish(ROOM, 5);
    fails = true;
    reads = 0;
    for (let round = 0; round < 20; round++) {
      may = true;
      await pass(1);
      may = false;
      await pass(100);
    }
    // Two seconds of outage: a read each time, and each half a second.
    expect(reads).toBeLessThanOrEqual(25);
    may = true;
    await pass(1);
    expect(harness.clock.pending).toBeLessThanOrEqual(10);
    fails = false;
    await pass(500);
    expect(seqs(client)).toEqual([6, 7, 8, 9, 10]);
  });
});
