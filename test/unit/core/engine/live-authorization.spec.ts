// What the application takes away while something is under way: revokes of patterns, authorizations that are asked again, and what
// waits for a client at that moment.
import { afterEach, describe, expect, it } from '@jest/globals';
import type { AuthorizationResult, HandlerCall } from '../../../../lib/core/ports/channel-definition.js';
import type { MaybePromise } from '../../../../lib/core/ports/maybe-promise.js';
import type { FakeConnection } from '../../../support/engine/fake-connection.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';

const FOREVER = { intervalMs: 1e9, timeoutMs: 1e9 };
const DONE = { confirmed: ['node-1'], missing: [] };

let harness: EngineHarness;
afterEach(() => harness.stop());

type Rule = (call: HandlerCall) => MaybePromise<AuthorizationResult>;

async function start(rule: Rule, recheckMs = 0): Promise<void> {
  harness = await EngineHarness.start(
    [
      channel('rooms.:room', { behaviour: { authorize: { subscribe: rule, history: rule } } }),
      channel('halls.:hall.:desk', { behaviour: { authorize: { subscribe: rule } } }),
      channel('news.:topic'),
    ],
    { settings: { heartbeat: FOREVER, recheckMs, retry: { baseMs: 500, maxMs: 4_000 } } },
  );
}

async function follow(token: string | undefined, ...names: readonly string[]): Promise<FakeConnection> {
  const client = await harness.greet(token);
  for (const [index, name] of names.entries())
    client.send({ type: 'subscribe', id: `s${index}`, channel: name });
  await quiet();
  client.take();
  return client;
}

const endedOf = (client: FakeConnection) => client.take('unsubscribed').map(({ channel: name }) => name);

async function pass(ms: number): Promise<void> {
  harness.clock.advance(ms);
  await quiet();
}

describe('a revoke of a pattern (G11)', () => {
  it('ends the subscriptions that it matches, of that user, on all connections', async () => {
    await start(() => true);
    const names = ['rooms.1', 'rooms.2', 'halls.1.a', 'halls.2.a', 'news.1'];
    const [one, two, eve] = [
      await follow('user:ada', ...names),
      await follow('user:ada', 'rooms.3'),
      await follow('user:eve', ...names),
    ];
    expect(await harness.engine.revoke('ada', 'rooms.:room')).toEqual(DONE);
    await quiet();
    expect(endedOf(one)).toEqual(['rooms.1', 'rooms.2']);
    expect(endedOf(two)).toEqual(['rooms.3']);
    await harness.engine.revoke('ada', 'halls.:hall.a');
    await quiet();
    expect(endedOf(one)).toEqual(['halls.1.a', 'halls.2.a']);
    expect(eve.take()).toEqual([]);
    await harness.publish('news.1');
    expect(one.take('event')).toHaveLength(1);
  });

  it.each([
    ['a pattern that no channel can match', 'rooms.:a.b.c', 'unknown_channel'],
    ['a parameter without a name', 'rooms.:', 'bad_request'],
    ['a parameter twice', 'halls.:a.:a', 'bad_request'],
    ['neither a name nor a pattern', 'rooms..1', 'bad_request'],
  ])('is refused for %s, also where it is to authorize again', async (_, text, code) => {
    await start(() => true);
    await expect(harness.engine.revoke('ada', text)).rejects.toMatchObject({ code });
    await expect(harness.engine.reauthorize('ada', text)).rejects.toMatchObject({ code });
  });

  it('refuses a subscribe and a read of history that are under way', async () => {
    const answers: ((yes: boolean) => void)[] = [];
    await start(() => new Promise((resolve) => answers.push(resolve)));
    const ada = await harness.greet('user:ada');
    ada.take();
    ada.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
    ada.send({ type: 'history', id: 'h', channel: 'rooms.2' });
    ada.send({ type: 'subscribe', id: 'other', channel: 'halls.1.a' });
    await quiet();
    await harness.engine.revoke('ada', 'rooms.:room');
    for (const answer of answers) answer(true);
    await quiet();
    const received = ada.take();
    const refused = received
      .filter(({ type }) => type === 'error')
      .map(({ ref, payload }) => [ref, (payload as { code: string }).code]);
    expect(new Map(refused as [string, string][])).toEqual(
      new Map([
        ['s', 'forbidden'],
        ['h', 'forbidden'],
      ]),
    );
    expect(received.filter(({ type }) => type === 'reply').map(({ ref }) => ref)).toEqual(['other']);
  });
});

describe('authorizations that are to be asked again by reauthorize() (G11)', () => {
  it.each([
    ['of a user', 'ada', undefined, ['rooms.1', 'halls.1.a']],
    ['of a pattern', undefined, 'rooms.:room', ['rooms.1']],
    ['of a channel and a user', 'ada', 'halls.1.a', ['halls.1.a']],
    ['of another user', 'eve', undefined, []],
    ['of all', undefined, undefined, ['rooms.1', 'halls.1.a']],
  ])('%s: each is asked once, and only a no ends its subscription', async (_, user, text, ended) => {
    const isAllowed = new Set(['ada', 'eve']);
    const asked: string[] = [];
    await start(({ user: who, channel: name }) => {
      asked.push(`${who?.id ?? 'nobody'} ${name}`);
      return isAllowed.has(who?.id ?? '');
    });
    const ada = await follow('user:ada', 'rooms.1', 'halls.1.a', 'news.1');
    const eve = await follow('user:eve', 'rooms.1');
    asked.length = 0;
    isAllowed.delete('ada');
    expect(await harness.engine.reauthorize(user, text)).toEqual(DONE);
    await quiet();
    expect(endedOf(ada)).toEqual(ended);
    expect(endedOf(eve)).toEqual([]);
    expect(asked.filter((one) => one.startsWith('ada'))).toEqual(ended.map((name) => `ada ${name}`));
    expect(new Set(asked).size).toBe(asked.length);
  });

  it('concerns anonymous clients where no user is named', async () => {
    let isOpen = true;
    await start(() => isOpen);
    const client = await follow(undefined, 'rooms.1');
    isOpen = false;
    await harness.engine.reauthorize(undefined, 'rooms.1');
    await quiet();
    expect(endedOf(client)).toEqual(['rooms.1']);
  });

  it('is confirmed when each was answered, 64 at a time, and one that fails is withheld first', async () => {
    let waiting: { answer: (yes: boolean) => void; fail: (error: Error) => void }[] | undefined;
    await start(() =>
      waiting === undefined ? true : new Promise((answer, fail) => waiting?.push({ answer, fail })),
    );
    const clients: FakeConnection[] = [];
    for (let index = 0; index < 70; index++) clients.push(await follow(`user:u${index}`, 'rooms.1'));
    const begun: NonNullable<typeof waiting> = [];
    waiting = begun;
    let receipt: unknown;
    void harness.engine.reauthorize(undefined, 'rooms.1').then((done) => (receipt = done));
    await quiet();
    expect(begun).toHaveLength(64);
    begun[0]?.fail(new Error('the database is away'));
    for (const { answer } of begun.slice(1)) answer(true);
    await quiet();
    await quiet();
    expect(begun).toHaveLength(70);
    expect(receipt).toBeUndefined();
    for (const { answer } of begun.slice(64)) answer(true);
    await quiet();
    expect(receipt).toEqual(DONE);
    waiting = undefined;
    await harness.publish('rooms.1');
    expect(clients.map((client) => client.take('event').length)).toEqual([0, ...Array<number>(69).fill(1)]);
    await pass(500);
    expect(clients[0]?.take('event')).toHaveLength(1);
  });

  it('a yes that was asked for earlier does not take the place of a later answer', async () => {
    const answers: ((result: boolean) => void)[] = [];
    let isSync = true;
    await start(() => isSync || new Promise((resolve) => answers.push(resolve)));
    const ada = await follow('user:ada', 'rooms.1');
    isSync = false;
    const receipts = [harness.engine.reauthorize('ada'), harness.engine.reauthorize('ada')];
    await quiet();
    expect(answers).toHaveLength(2);
    await pass(9_000);
    answers[0]?.(true);
    await quiet();
    // The later one does not answer: nothing is known then, whatever the earlier one said.
    await pass(1_000);
    await Promise.all(receipts);
    await harness.publish('rooms.1');
    expect(ada.take('event')).toEqual([]);
    expect(endedOf(ada)).toEqual([]);
  });

  it('a failure that was asked for earlier withholds until the later one answers', async () => {
    const answers: { yes: () => void; fail: () => void }[] = [];
    let isSync = true;
    await start(
      () =>
        isSync ||
        new Promise((resolve, reject) =>
          answers.push({ yes: () => resolve(true), fail: () => reject(new Error('away')) }),
        ),
    );
    const ada = await follow('user:ada', 'rooms.1');
    isSync = false;
    const receipts = [harness.engine.reauthorize('ada'), harness.engine.reauthorize('ada')];
    await quiet();
    answers[0]?.fail();
    await quiet();
    await harness.publish('rooms.1');
    expect(ada.take('event')).toEqual([]);
    answers[1]?.yes();
    await Promise.all(receipts);
    await quiet();
    expect(ada.take('event')).toHaveLength(1);
  });

  it('a subscribe whose authorization was asked before is refused for the moment', async () => {
    let answer: ((yes: boolean) => void) | undefined;
    await start(() => new Promise((resolve) => (answer = resolve)));
    const ada = await harness.greet('user:ada');
    ada.take();
    ada.send({ type: 'subscribe', id: 's', channel: 'rooms.1' });
    await quiet();
    expect(await harness.engine.reauthorize(undefined, 'rooms.:room')).toEqual(DONE);
    answer?.(true);
    await quiet();
    expect(ada.take('error')).toMatchObject([
      { ref: 's', payload: { code: 'unavailable', retryable: true } },
    ]);
    ada.send({ type: 'subscribe', id: 't', channel: 'rooms.1' });
    await quiet();
    await harness.engine.reauthorize('eve');
    answer?.(true);
    await quiet();
    expect(ada.take('reply')).toMatchObject([{ ref: 't' }]);
  });

  it('a node that drains asks nothing, and does not confirm', async () => {
    let asked = 0;
    await start(() => ++asked > 0);
    await follow('user:ada', 'rooms.1');
    harness.engine.beginDrain();
    expect(await harness.engine.reauthorize()).toEqual({ confirmed: [], missing: ['node-1'] });
    expect(asked).toBe(1);
  });
});

describe('a periodic recheck (G11)', () => {
  it('asks each subscription once between half the time and all of it, spread, and again after each yes', async () => {
    const at: number[] = [];
    await start(() => at.push(harness.clock.monotonic()) > 0, 60_000);
    for (let index = 0; index < 60; index++) await follow(`user:u${index}`, 'rooms.1');
    const began = harness.clock.monotonic();
    at.length = 0;
    for (let ms = 0; ms < 60_000; ms += 500) await pass(500);
    const first = at.slice(0, 60).map((time) => time - began);
    expect(at.length).toBeGreaterThanOrEqual(60);
    expect(Math.min(...first)).toBeGreaterThanOrEqual(30_000);
    expect(Math.max(...first)).toBeLessThanOrEqual(60_000);
    // No tenth of the half has more than a third of them.
    const tenths = first.map((time) => Math.min(9, Math.floor((time - 30_000) / 3_000)));
    for (let tenth = 0; tenth < 10; tenth++)
      expect(tenths.filter((one) => one === tenth).length).toBeLessThan(20);
    for (let ms = 0; ms < 120_000; ms += 500) await pass(500);
    // In each minute each is asked at least once and at most twice.
    expect(at.length).toBeGreaterThanOrEqual(180);
    expect(at.length).toBeLessThanOrEqual(360);
  });

  it.each([
    ['the lease, where it ends earlier', 10_000, 60_000, 10_000],
    ['the recheck, where it comes earlier', 60_000, 10_000, 10_000],
  ])('ends with %s', async (_, forMs, recheckMs, latest) => {
    let asked = 0;
    await start(() => {
      asked++;
      return { forMs };
    }, recheckMs);
    await follow('user:ada', 'rooms.1');
    await pass(4_999);
    expect(asked).toBe(1);
    await pass(latest - 4_999);
    expect(asked).toBe(2);
  });

  it('a no ends the subscription, a failure withholds it, and public channels are not asked', async () => {
    let verdict: () => boolean = () => true;
    await start(() => verdict(), 10_000);
    const [ada, eve] = [await follow('user:ada', 'rooms.1', 'news.1'), await follow('user:eve', 'rooms.1')];
    verdict = () => {
      throw new Error('away');
    };
    await pass(10_000);
    await harness.publish('rooms.1');
    expect(ada.take('event')).toEqual([]);
    verdict = () => false;
    await pass(1_000);
    expect([endedOf(ada), endedOf(eve)]).toEqual([['rooms.1'], ['rooms.1']]);
    await harness.publish('news.1');
    expect(ada.take('event')).toHaveLength(1);
  });

  it('is off unless it is set, and a channel may have its own', async () => {
    let asked = 0;
    const definition = channel('rooms.:room', {
      policy: { recheckMs: 10_000 },
      behaviour: { authorize: { subscribe: () => ++asked > 0 } },
    });
    harness = await EngineHarness.start([definition], { settings: { heartbeat: FOREVER } });
    await follow('user:ada', 'rooms.1');
    await pass(10_000);
    expect(asked).toBe(2);
    await harness.stop();
    asked = 0;
    await start(() => ++asked > 0);
    await follow('user:ada', 'rooms.1');
    await pass(1e8);
    expect(asked).toBe(1);
  });
});
