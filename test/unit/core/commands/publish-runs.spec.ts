import { afterEach, describe, expect, it } from '@jest/globals';
import { memoryBroker, MemoryStore } from '../../../../lib/brokers/memory/index.js';
import type { Broker } from '../../../../lib/core/ports/broker.js';
import { PublishRuns } from '../../../../lib/core/commands/publish-runs.js';
import type { HandlerCall } from '../../../../lib/core/ports/channel-definition.js';
import type { ErrorBody } from '../../../../lib/protocol/error-body.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { SeededEntropy } from '../../../support/engine/seeded-entropy.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { publishAnswers as answers, publishOf } from '../../../support/engine/publishes.js';

const LIMIT_MS = 10_000;
/** How long a handler is waited for that does not end. */
const END_MS = 10 * LIMIT_MS;
const WINDOW_MS = 300_000;
const ROOM = 'rooms.1';

/** One run of the handler. */
interface Run {
  readonly call: HandlerCall;
  end(returned?: unknown): void;
  fail(error: Error): void;
}

let harness: EngineHarness;
let runs: Run[];
afterEach(() => harness.stop());

async function start(dedupeMs = 300_000, broker?: Broker): Promise<void> {
  runs = [];
  const handler = (call: HandlerCall): Promise<unknown> =>
    new Promise((end, fail) => runs.push({ call, end, fail }));
  harness = await EngineHarness.start(
    [
      channel('rooms.:room', {
        policy: { log: { retain: true, size: 1_000, maxBytes: 1e6, ttlMs: 3_600_000, dedupeMs } },
        behaviour: { publish: new Map([['said', handler]]) },
      }),
    ],
    {
      settings: { handlerTimeoutMs: LIMIT_MS, heartbeat: { intervalMs: 1e9, timeoutMs: 1e9 } },
      ...(broker === undefined ? {} : { broker }),
    },
  );
}

const say = (id: string, payload: unknown = { text: id }, more: object = {}) => publishOf(id, payload, more);

async function pass(ms: number): Promise<void> {
  harness.clock.advance(ms);
  await quiet();
}

const logged = async () =>
  (await harness.engine.application.history(ROOM)).events.map(({ id, payload }) => [id, payload]);
const ticketOf = (connection: FakeConnection): string =>
  (connection.received.find(({ type }) => type === 'welcome')?.payload as { session: string }).session;

type Comeback = (older: FakeConnection, token: string | undefined) => Promise<FakeConnection>;
const COMEBACKS: readonly (readonly [string, string | undefined, Comeback])[] = [
  ['on the same connection', 'user:ada', (older) => Promise.resolve(older)],
  ['on another connection of the user', 'user:ada', (_, token) => harness.greet(token)],
  [
    'after a reconnect',
    'user:ada',
    (older, token) => {
      older.drop();
      return harness.greet(token, ticketOf(older));
    },
  ],
  ['after a takeover', 'user:ada', (older, token) => harness.greet(token, ticketOf(older))],
  [
    'after a reconnect of an anonymous client',
    undefined,
    (older) => {
      older.drop();
      return harness.greet(undefined, ticketOf(older));
    },
  ],
];

describe('a publish that is sent again while its handler runs (G4, P15c)', () => {
  it.each(COMEBACKS)(
    '%s, after timeout: joins the run, and is answered with its result',
    async (_, token, comeBack) => {
      await start();
      const first = await harness.greet(token);
      first.send(say('m1'));
      await pass(LIMIT_MS);
      expect(await answers(first)).toEqual([['m1', 'timeout']]);
      const again = await comeBack(first, token);
      again.take();
      again.send(say('m1'));
      await quiet();
      expect(runs).toHaveLength(1);
      runs[0]?.end({ text: 'made once' });
      expect(await answers(again)).toEqual([['m1', 1, false]]);
      expect(await logged()).toEqual([['m1', { text: 'made once' }]]);
    },
  );

  it.each(COMEBACKS.slice(1))(
    '%s, before any answer: is appended once, and nothing runs twice',
    async (_, token, comeBack) => {
      await start();
      const first = await harness.greet(token);
      first.send(say('m1'));
      await quiet();
      const again = await comeBack(first, token);
      again.take();
      again.send(say('m1'));
      await quiet();
      runs[0]?.end();
      expect(await answers(again)).toMatchObject([['m1', 1, expect.any(Boolean)]]);
      expect(runs).toHaveLength(1);
      expect(await logged()).toEqual([['m1', { text: 'm1' }]]);
    },
  );

  it('is appended again where the log has lost it, also behind another publish (P15c, G6)', async () => {
    const store = new MemoryStore();
    const inner = memoryBroker({ store });
    let reads = 0;
    const read: Broker['log']['read'] = (request) => {
      reads++;
      return inner.log.read(request);
    };
    await start(undefined, alteredBroker(inner, { log: { read } }));
    const client = await harness.greet('user:ada');
    client.send(say('m1'));
    await quiet();
    runs[0]?.end();
    expect(await answers(client)).toEqual([['m1', 1, false]]);
    store.failOver(ROOM, 0);
    client.send(say('m2'));
    client.send(say('m1'));
    await quiet();
    runs[1]?.end();
    await quiet();
    runs[2]?.end();
    await quiet();
    // Behind the other publish it does not ask again for what the log has lost.
    expect(reads).toBe(1);
    expect(await answers(client)).toEqual([
      ['m2', 1, false],
      ['m1', 2, false],
    ]);
    expect(await logged()).toEqual([
      ['m2', { text: 'm2' }],
      ['m1', { text: 'm1' }],
    ]);
  });

  it('may run out of time itself, as often as it is sent; a run that ended is not joined', async () => {
    await start();
    const client = await harness.greet('user:ada');
    for (let round = 0; round < 3; round++) {
      client.send(say('m1'));
      await pass(LIMIT_MS);
      expect(await answers(client)).toEqual([['m1', 'timeout']]);
    }
    expect(runs).toHaveLength(1);
    // Nobody waits for it any more: what was answered with timeout is not appended behind what came later.
    runs[0]?.end('late');
    await quiet();
    expect(await logged()).toEqual([]);
    client.send(say('m1'));
    await quiet();
    expect(runs).toHaveLength(2);
    runs[1]?.end('second');
    expect(await answers(client)).toEqual([['m1', 1, false]]);
  });

  it('is not run again where it was appended while the second one was authorized', async () => {
    const granted: ((yes: boolean) => void)[] = [];
    runs = [];
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        behaviour: {
          authorize: { subscribe: 'public', publish: () => new Promise<boolean>((yes) => granted.push(yes)) },
          publish: new Map([['said', (call) => void runs.push({ call, end: () => 0, fail: () => 0 })]]),
        },
      }),
    ]);
    const [first, second] = [await harness.greet('user:ada'), await harness.greet('user:ada')];
    first.send(say('m1'));
    second.send(say('m1'));
    await quiet();
    granted[0]?.(true);
    expect(await answers(first)).toEqual([['m1', 1, false]]);
    granted[1]?.(true);
    await quiet();
    granted[2]?.(true);
    expect(await answers(second)).toEqual([['m1', 1, true]]);
    expect(runs).toHaveLength(1);
    second.send(say('m1', { text: 'another' }));
    await quiet();
    granted[3]?.(true);
    expect(await answers(second)).toEqual([['m1', 'conflict']]);
  });

  it('shares what the handler made of the payload that it was given', async () => {
    await start();
    const client = await harness.greet('user:ada');
    client.send(say('m1'));
    await pass(LIMIT_MS);
    client.send(say('m1'));
    await quiet();
    (runs[0]?.call.payload as { text: string }).text = 'cleaned';
    runs[0]?.end();
    await quiet();
    expect(await logged()).toEqual([['m1', { text: 'cleaned' }]]);
  });

  it('shares the error of the handler; the next one runs it again', async () => {
    await start();
    const client = await harness.greet('user:ada');
    client.send(say('m1'));
    await pass(LIMIT_MS);
    client.send(say('m1'));
    await quiet();
    runs[0]?.fail(new RealtimeError('validation_failed'));
    expect(await answers(client)).toEqual([
      ['m1', 'timeout'],
      ['m1', 'validation_failed'],
    ]);
    client.send(say('m1'));
    await quiet();
    expect(runs).toHaveLength(2);
    runs[1]?.end();
  });

  it('is a conflict with other content, and joins nothing of another user, channel or id', async () => {
    await start();
    const ada = await harness.greet('user:ada');
    const eve = await harness.greet('user:eve');
    ada.send(say('m1'));
    await pass(LIMIT_MS);
    ada.take();
    ada.send(say('m1', 'other'));
    expect(await answers(ada)).toEqual([['m1', 'conflict']]);
    ada.send(say('m1', undefined, { channel: 'rooms.2' }), say('m2'));
    eve.send(say('m1'));
    await quiet();
    expect(runs).toHaveLength(4);
    for (const run of runs) run.end();
    await quiet();
    expect((await logged()).map(([id]) => id).sort()).toEqual(['m1', 'm2']);
  });

  it('asks the authorization of the one that joins, and a revoke in between wins (G11)', async () => {
    await start();
    const client = await harness.greet('user:ada');
    client.send(say('m1'));
    await pass(LIMIT_MS);
    client.send(say('m1'));
    await quiet();
    await harness.engine.revoke('ada', ROOM);
    runs[0]?.end();
    expect(await answers(client)).toEqual([
      ['m1', 'timeout'],
      ['m1', 'forbidden'],
    ]);
    expect(await logged()).toEqual([]);
  });

  it('one that waits behind it says for which publish', async () => {
    await start();
    const client = await harness.greet('user:ada');
    client.send(say('m1'), say('m2'));
    await pass(LIMIT_MS);
    const errors = client.take('error').map(({ ref, payload }) => [ref, (payload as ErrorBody).message]);
    expect(errors).toContainEqual([
      'm2',
      'It waited too long for the publish before it, "m1", which has not been decided',
    ]);
    for (const run of runs) run.end();
  });
});

describe('a handler of a publish that never ends (G4, P15c)', () => {
  it('blocks its id for ten times handlerTimeout: then it is answered at once and finally, and nothing runs twice', async () => {
    await start();
    const client = await harness.greet('user:ada');
    client.send(say('m1'));
    await pass(END_MS - 1);
    expect(await answers(client)).toEqual([['m1', 'timeout']]);
    client.send(say('m1'));
    await quiet();
    expect(client.take('error')).toEqual([]);
    await pass(1);
    const other = await harness.greet('user:ada');
    other.take();
    other.send(say('m1'));
    await quiet();
    const [error] = other.take('error');
    expect(error).toMatchObject({ ref: 'm1', payload: { code: 'outcome_unknown', retryable: false } });
    expect((error?.payload as ErrorBody).message).toContain('does not end');
    expect(runs).toHaveLength(1);
    // Who joined before that has the answer that it waited for.
    runs[0]?.end('late');
    expect(await answers(client)).toEqual([['m1', 1, false]]);
    other.send(say('m1'));
    expect(await answers(other)).toEqual([['m1', 1, true]]);
    expect(runs).toHaveLength(1);
  });

  it('does not block the publishes behind it, nor other content of its id longer than itself', async () => {
    await start();
    const client = await harness.greet('user:ada');
    client.send(say('m1'));
    await pass(END_MS);
    client.take();
    client.send(say('m1', 'other'), say('m2'));
    await quiet();
    runs[1]?.end();
    expect(await answers(client)).toEqual([
      ['m1', 'conflict'],
      ['m2', 1, false],
    ]);
  });

  it('is forgotten when its id may name another publish: a new one runs, and what the old one makes is lost', async () => {
    await start();
    const client = await harness.greet('user:ada');
    client.send(say('m1'));
    await pass(END_MS + WINDOW_MS - 1);
    client.send(say('m1'));
    expect(await answers(client)).toEqual([
      ['m1', 'timeout'],
      ['m1', 'outcome_unknown'],
    ]);
    await pass(1);
    client.send(say('m1', 'new'));
    await quiet();
    expect(runs).toHaveLength(2);
    // Neither end of the old one takes the new one away.
    runs[0]?.end('old');
    await quiet();
    client.send(say('m1', 'new'));
    await quiet();
    expect(runs).toHaveLength(2);
    runs[1]?.end('made once');
    expect(await answers(client)).toEqual([
      ['m1', 1, false],
      ['m1', 1, true],
    ]);
    expect(await logged()).toEqual([['m1', 'made once']]);
  });

  it('is not waited for where it fails in the end: the next one runs again', async () => {
    await start();
    const client = await harness.greet('user:ada');
    client.send(say('m1'));
    await pass(END_MS);
    client.take();
    runs[0]?.fail(new Error('at last'));
    await quiet();
    client.send(say('m1'));
    await quiet();
    expect(runs).toHaveLength(2);
    runs[1]?.end();
  });
});

describe('a publish that is sent twice on one connection before its answer (G4, P15c)', () => {
  /** Answers of the broker wait until they are let go. */
  function holdAppends(): () => void {
    const { log } = harness.broker;
    const held: (() => void)[] = [];
    const append = log.appendMany.bind(log);
    Object.assign(log, {
      appendMany: async (requests: Parameters<typeof append>[0]) => {
        const outcomes = await append(requests);
        await new Promise<void>((resolve) => held.push(resolve));
        return outcomes;
      },
    });
    return () => held.splice(0).forEach((go) => go());
  }

  it.each(['before', 'after'])(
    'runs once where the second step comes %s the append of the first',
    async (when) => {
      await start();
      const letGo = holdAppends();
      const client = await harness.greet('user:ada');
      client.send(say('m1'), say('m1'));
      await quiet();
      expect(runs).toHaveLength(1);
      runs[0]?.end('made once');
      if (when === 'before') await quiet();
      letGo();
      await quiet();
      letGo();
      expect(await answers(client)).toEqual([
        ['m1', 1, false],
        ['m1', 1, true],
      ]);
      expect(runs).toHaveLength(1);
      expect(await logged()).toEqual([['m1', 'made once']]);
    },
  );

  it('one that waited behind others is answered from what is known by then, or is a conflict', async () => {
    await start();
    const client = await harness.greet('user:ada');
    client.send(say('m1'), say('m2'), say('m1'), say('m1', 'other'));
    await quiet();
    runs[0]?.end();
    await quiet();
    runs[1]?.end();
    expect((await answers(client)).sort()).toEqual([
      ['m1', 1, false],
      ['m1', 1, true],
      ['m1', 'conflict'],
      ['m2', 2, false],
    ]);
    expect(runs).toHaveLength(2);
  });

  it('in a channel that remembers no ids each is a publish of its own, whatever it holds', async () => {
    await start(0);
    const ada = await harness.greet('user:ada');
    const again = await harness.greet('user:ada');
    again.take();
    ada.send(say('m1'));
    again.send(say('m1', 'other'));
    await quiet();
    expect(runs).toHaveLength(2);
    for (const run of runs) run.end();
    expect(await answers(ada)).toEqual([['m1', 1, false]]);
    expect(await answers(again)).toEqual([['m1', 2, false]]);
  });

  it('the wait for the one before it does not go on while its own handler runs', async () => {
    await start();
    const client = await harness.greet('user:ada');
    client.send(say('m1'), say('m2'));
    await pass(LIMIT_MS - 1);
    runs[0]?.end();
    await quiet();
    await pass(1);
    expect(await answers(client)).toEqual([['m1', 1, false]]);
    await pass(LIMIT_MS - 1);
    const [error] = client.take('error');
    expect(error).toMatchObject({ ref: 'm2', payload: { code: 'timeout' } });
    expect((error?.payload as ErrorBody).message).not.toContain('before it');
    runs[1]?.end();
  });
});

describe('a publish that the broker refused', () => {
  it.each([
    ['refuses', (): Promise<never[]> => Promise.resolve([])],
    ['fails', (): Promise<never> => Promise.reject(new Error('no broker'))],
  ])('shares its run with nobody any more: the broker %s', async (_, refuse) => {
    const inner = memoryBroker({ clock: new ManualClock(), entropy: new SeededEntropy(1) });
    let refuses = true;
    await start(
      300_000,
      alteredBroker(inner, {
        log: { appendMany: (requests) => (refuses ? refuse() : inner.log.appendMany(requests)) },
      }),
    );
    const client = await harness.greet('user:ada');
    client.send(say('m1'));
    await quiet();
    runs[0]?.end();
    await quiet();
    expect(client.take('error')).toMatchObject([{ ref: 'm1', payload: { code: 'unavailable' } }]);
    refuses = false;
    client.send(say('m1'));
    await quiet();
    expect(runs).toHaveLength(2);
    runs[1]?.end();
    expect(await answers(client)).toEqual([['m1', 1, false]]);
  });
});

describe('PublishRuns', () => {
  const named = { channel: 'a', producer: 'u:x', id: 'i', fingerprint: 'f' };

  it.each<[string, () => unknown]>([
    ['at once', () => 7],
    ['later', () => Promise.resolve(7)],
  ])('shares what a handler answers %s until everybody has let it go', async (_, work) => {
    await start();
    const known = new PublishRuns(harness.clock, LIMIT_MS);
    const again = () => {
      throw new Error('a second run');
    };
    const one = known.join(named, WINDOW_MS, work);
    const two = known.join(named, WINDOW_MS, again);
    expect(await Promise.all([one.result, two.result])).toEqual([7, 7]);
    one.release();
    expect(known.size).toBe(1);
    const three = known.join(named, WINDOW_MS, again);
    two.release();
    expect(() => known.join({ ...named, fingerprint: 'other' }, WINDOW_MS, again)).toThrow(RealtimeError);
    three.release();
    expect(known.size).toBe(0);
  });

  it('keeps a run that nobody waits for any more until its handler ends', async () => {
    await start();
    const known = new PublishRuns(harness.clock, LIMIT_MS);
    let end: () => void = () => undefined;
    known.join(named, WINDOW_MS, () => new Promise<void>((resolve) => (end = resolve))).release();
    expect(known.size).toBe(1);
    end();
    await quiet();
    expect(known.size).toBe(0);
  });

  it('keeps nothing of a handler that fails, and a late release takes no run of another', async () => {
    await start();
    const known = new PublishRuns(harness.clock, LIMIT_MS);
    expect(() =>
      known.join(named, WINDOW_MS, () => {
        throw new Error('at once');
      }),
    ).toThrow('at once');
    expect(known.size).toBe(0);
    const failed = known.join(named, WINDOW_MS, () => Promise.reject(new Error('later')));
    await expect(failed.result).rejects.toThrow('later');
    expect(known.size).toBe(0);
    const next = known.join(named, WINDOW_MS, () => 8);
    failed.release();
    expect(known.size).toBe(1);
    next.release();
    expect(known.size).toBe(0);
  });

  it('forgets handlers that do not end, whichever publish comes, and keeps what somebody waits for', async () => {
    await start();
    const known = new PublishRuns(harness.clock, LIMIT_MS);
    const never = (): Promise<never> => new Promise(() => undefined);
    const join = (id: string, work: () => unknown) => known.join({ ...named, id }, WINDOW_MS, work);
    let fail: (error: Error) => void = () => undefined;
    join('failing', () => new Promise((_, reject) => (fail = reject))).release();
    join('1', never).release();
    const waited = join('2', never);
    join('3', never).release();
    harness.clock.advance(END_MS + WINDOW_MS);
    join('at once', () => 1).release();
    expect(known.size).toBe(2);
    waited.release();
    const successor = join('failing', () => 2);
    expect(known.size).toBe(1);
    fail(new Error('late'));
    await quiet();
    expect(known.size).toBe(1);
    successor.release();
    expect(known.size).toBe(0);
  });

  it('forgets each in its own time, however long another channel remembers ids', async () => {
    await start();
    const known = new PublishRuns(harness.clock, LIMIT_MS);
    const never = (): Promise<never> => new Promise(() => undefined);
    known.join({ ...named, id: 'long' }, 86_400_000, never).release();
    known.join({ ...named, id: 'short' }, 1_000, never).release();
    harness.clock.advance(END_MS + 999);
    expect(() => known.join({ ...named, id: 'short' }, 1_000, () => 2)).toThrow(RealtimeError);
    harness.clock.advance(1);
    expect(known.join({ ...named, id: 'short' }, 1_000, () => 2).result).toBe(2);
    expect(() => known.join({ ...named, id: 'long' }, 86_400_000, () => 2)).toThrow(RealtimeError);
  });

  it('calls the then of what a handler returned once: that of a query builder runs the query', async () => {
    await start();
    let queries = 0;
    const query = {
      then: (resolve: (rows: string) => void) => {
        queries++;
        setImmediate(() => resolve('rows'));
      },
    };
    const known = new PublishRuns(harness.clock, LIMIT_MS);
    const all = [1, 2].map(() => known.join(named, WINDOW_MS, () => query).result);
    expect(await Promise.all(all)).toEqual(['rows', 'rows']);
    expect(queries).toBe(1);
  });

  it.each([
    [
      { producer: 'u:a b', id: 'i' },
      { producer: 'b', id: 'i u:a' },
    ],
    [
      { producer: '1', id: 'i' },
      { producer: '', id: 'i1' },
    ],
  ])('tells %j from %j', async (one, other) => {
    await start();
    const known = new PublishRuns(harness.clock, LIMIT_MS);
    const first = known.join({ ...named, ...one }, WINDOW_MS, () => Promise.resolve('one')).result;
    const second = known.join({ ...named, ...other }, WINDOW_MS, () => Promise.resolve('other')).result;
    expect(await Promise.all([first, second])).toEqual(['one', 'other']);
  });
});
