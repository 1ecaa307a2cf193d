import { afterEach, describe, expect, it } from '@jest/globals';
import type { ErrorBody } from '../../../../lib/protocol/error-body.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import type { MaybePromise } from '../../../../lib/core/ports/maybe-promise.js';
import type { HandlerCall, PublishHandler } from '../../../../lib/core/ports/channel-definition.js';
import { channel, EngineHarness, quiet } from '../../../support/engine/harness.js';
import { publishAnswers as answers, publishOf } from '../../../support/engine/publishes.js';

let harness: EngineHarness;
afterEach(() => harness.stop());

const say = (id: string, payload: unknown = id, more: object = {}) => publishOf(id, payload, more);

async function startWith(handler: PublishHandler | undefined): Promise<void> {
  harness = await EngineHarness.start([
    channel('rooms.:room', { behaviour: { publish: new Map([['said', handler]]) } }),
  ]);
}

describe('publish', () => {
  it('an event without a handler is refused by name, and the log says once what the channel takes (G9)', async () => {
    const hints: string[] = [];
    const warnings: string[] = [];
    const behaviour = { publish: new Map([['said', undefined]]) };
    harness = await EngineHarness.start([channel('rooms.:room', { behaviour })], { hints, warnings });
    const one = await harness.greet('user:ada');
    one.take();
    for (const id of ['a', 'b']) one.send(say(id, 1, { event: 'sung' }));
    await quiet();
    const texts = one.take('error').map(({ payload }) => (payload as ErrorBody).message);
    expect(texts).toEqual(Array(2).fill('Clients may not publish "sung" on rooms.:room'));
    // What a client controls is not logged above `debug`.
    expect(warnings).toEqual([]);
    expect(hints.filter((line) => line.includes('@OnPublish'))).toEqual([
      expect.stringMatching(/to rooms\.:room an event .* Clients may publish: "said"$/),
    ]);
  });

  it('an application learns from the error which channel does not exist (G9)', async () => {
    await startWith(undefined);
    const { application } = harness.engine;
    const unknown = { code: 'unknown_channel', message: expect.stringContaining('"nope.1.x"') };
    await expect(application.publish('nope.1.x', 'said', 1)).rejects.toMatchObject(unknown);
    await expect(application.signal('nope.1.x', 'said', 1)).rejects.toMatchObject(unknown);
    await expect(application.history('nope.1.x')).rejects.toMatchObject(unknown);
    await expect(application.members('nope.1.x')).rejects.toMatchObject(unknown);
  });

  it('returns the first result for a repeated id, from any connection of the user (P15, G4)', async () => {
    let runs = 0;
    await startWith(() => void runs++);
    const one = await harness.greet('user:ada');
    const two = await harness.greet('user:ada');
    const other = await harness.greet('user:eve');
    one.send(say('m1', { text: 'hi' }));
    expect(await answers(one)).toEqual([['m1', 1, false]]);
    two.send(say('m1', { text: 'hi' }));
    expect((await answers(two)).slice(-1)).toEqual([['m1', 1, true]]);
    other.send(say('m1', { text: 'hi' }));
    expect((await answers(other)).slice(-1)).toEqual([['m1', 2, false]]);
    expect(runs).toBe(2);
  });

  it('remembers an id for its window and no longer, wherever the wall clock is (P15, P30, G28)', async () => {
    let runs = 0;
    const handler = (): void => void runs++;
    const log = { retain: true, size: 1_000, maxBytes: 1e6, ttlMs: 3_600_000, dedupeMs: 10_000 };
    harness = await EngineHarness.start([
      channel('rooms.:room', { policy: { log }, behaviour: { publish: new Map([['said', handler]]) } }),
    ]);
    const connection = await harness.greet('user:ada');
    // Every move of time moves the wall clock by another hour, forth or back: three rounds begin at each of its places.
    for (let round = 1; round <= 3; round++) {
      connection.send(say('m1'));
      expect(await answers(connection)).toEqual([['m1', round, false]]);
      harness.clock.advance(9_999);
      connection.send(say('m1'));
      expect(await answers(connection)).toEqual([['m1', round, true]]);
      expect(runs).toBe(round);
      harness.clock.advance(1);
      harness.clock.jump(round % 2 === 0 ? 7_200_000 : -1_800_000);
    }
  });

  it('reports a conflict for a repeated id with another payload or event, as the client sent it (P15)', async () => {
    let calls = 0;
    await startWith(() => ({ enriched: ++calls }));
    const connection = await harness.greet('user:ada');
    connection.send(say('m1', { text: 'hi' }));
    connection.send(say('m1', { text: 'hi' }));
    expect(await answers(connection)).toEqual([
      ['m1', 1, false],
      ['m1', 1, true],
    ]);
    connection.send(say('m1', { text: 'other' }));
    expect(await answers(connection)).toEqual([['m1', 'conflict']]);
  });

  it.each<[string, () => MaybePromise<boolean>]>([
    ['at once', () => false],
    ['later', () => Promise.resolve(false)],
  ])('says nothing of a repeated id to who may no longer publish (refused %s)', async (_, refuse) => {
    let may: () => MaybePromise<boolean> = () => true;
    harness = await EngineHarness.start([
      channel('rooms.:room', { behaviour: { authorize: { subscribe: 'public', publish: () => may() } } }),
    ]);
    const connection = await harness.greet('user:ada');
    connection.send(say('m1', { text: 'hi' }));
    expect(await answers(connection)).toEqual([['m1', 1, false]]);
    may = refuse;
    connection.send(say('m1', { text: 'other' }), say('m1', { text: 'hi' }), say('new', 1));
    expect((await answers(connection)).sort()).toEqual([
      ['m1', 'forbidden'],
      ['m1', 'forbidden'],
      ['new', 'forbidden'],
    ]);
    // A revoke that comes while the authorization is asked counts too.
    may = async () => {
      await harness.engine.revoke('ada', 'rooms.1');
      return true;
    };
    connection.send(say('m1', { text: 'other' }));
    expect(await answers(connection)).toEqual([['m1', 'forbidden']]);
    may = () => true;
    connection.send(say('m1', { text: 'other' }));
    expect(await answers(connection)).toEqual([['m1', 'conflict']]);
  });

  it('takes the ticket of an anonymous client as its producer, across reconnects (P15)', async () => {
    await startWith(undefined);
    const first = await harness.greet();
    const session = (first.take('welcome')[0]?.payload as { session: string }).session;
    first.send(say('m1'));
    expect(await answers(first)).toEqual([['m1', 1, false]]);
    first.drop();
    const second = await harness.greet(undefined, session);
    second.send(say('m1'));
    expect(await answers(second)).toEqual([['m1', 1, true]]);
    const stranger = await harness.greet();
    stranger.send(say('m1'));
    expect(await answers(stranger)).toEqual([['m1', 2, false]]);
  });

  it('appends accepted publishes in the order sent, although handlers take different times (P16)', async () => {
    const started: string[] = [];
    const gates = new Map<string, () => void>();
    await startWith(({ id }: HandlerCall) => {
      started.push(id);
      if (id === 'm3') throw new RealtimeError('validation_failed');
      return new Promise((resolve) => gates.set(id, () => resolve(undefined)));
    });
    const connection = await harness.greet('user:ada');
    connection.send(say('m1'), say('m2'), say('m3'), say('m4'));
    await quiet();
    expect(started).toEqual(['m1']);
    for (const id of ['m1', 'm2', 'm4']) {
      gates.get(id)?.();
      await quiet();
    }
    expect(await answers(connection)).toEqual(
      [
        ['m1', 1, false],
        ['m3', 'validation_failed'],
        ['m2', 2, false],
        ['m4', 3, false],
      ].sort(
        (a, b) =>
          ['m1', 'm2', 'm3', 'm4'].indexOf(a[0] as string) - ['m1', 'm2', 'm3', 'm4'].indexOf(b[0] as string),
      ),
    );
  });

  it('keeps a publish behind the second of two whose first has finished (P16)', async () => {
    const started: string[] = [];
    const gates = new Map<string, () => void>();
    await startWith(({ id }: HandlerCall) => {
      started.push(id);
      return new Promise((resolve) => gates.set(id, () => resolve(undefined)));
    });
    const connection = await harness.greet('user:ada');
    connection.send(say('m1'), say('m2'));
    await quiet();
    gates.get('m1')?.();
    await quiet();
    connection.send(say('m3'));
    await quiet();
    expect(started).toEqual(['m1', 'm2']);
    gates.get('m2')?.();
    await quiet();
    expect(started).toEqual(['m1', 'm2', 'm3']);
    gates.get('m3')?.();
    await quiet();
  });

  it('refuses as retryable what follows a publish that is not in the log (P16)', async () => {
    await startWith(({ payload }: HandlerCall) => {
      if (payload === 'bad') throw new RealtimeError('validation_failed');
    });
    const connection = await harness.greet('user:ada');
    connection.send(say('m1', 'bad'), say('m2', 'good', { after: 'm1' }));
    expect(await answers(connection)).toEqual([
      ['m1', 'validation_failed'],
      ['m2', 'out_of_order'],
    ]);
    connection.send(say('m3', 'good'), say('m2', 'good', { after: 'm3' }));
    expect(await answers(connection)).toEqual([
      ['m3', 1, false],
      ['m2', 2, false],
    ]);
  });

  it('passes the id to the handler as idempotency key, and appends what it returns (G4)', async () => {
    const keys: string[] = [];
    await startWith(({ id, payload, user }: HandlerCall) => {
      keys.push(id);
      return { text: payload, author: user?.id };
    });
    const connection = await harness.subscriber('rooms.1', 'user:ada');
    connection.send(say('m1', 'hi'));
    await quiet();
    expect(connection.take('event')[0]).toMatchObject({
      id: 'm1',
      user: 'ada',
      seq: 1,
      payload: { text: 'hi', author: 'ada' },
    });
    expect(keys).toEqual(['m1']);
  });

  it('fails only the publish whose handler returns an unserializable value (G25)', async () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    await startWith(({ payload }: HandlerCall) => (payload === 'circle' ? circle : { big: 1n }));
    const connection = await harness.subscriber('rooms.1', 'user:ada');
    connection.send(say('m1', 'circle'), say('m2', 'bigint'));
    expect(await answers(connection)).toEqual([
      ['m1', 'internal'],
      ['m2', 'internal'],
    ]);
    await expect(harness.engine.application.publish('rooms.1', 'said', circle)).rejects.toMatchObject({
      code: 'bad_request',
    });
    await expect(harness.engine.application.signal('rooms.1', 'typing', 1n)).rejects.toMatchObject({
      code: 'bad_request',
    });
    await harness.publish('rooms.1');
    expect(connection.take('event')).toHaveLength(1);
  });

  it('refuses an unknown channel, an undeclared event, and a channel without publishing (G9, G10)', async () => {
    harness = await EngineHarness.start([
      channel('rooms.:room'),
      channel('news', { behaviour: { authorize: { subscribe: 'public' } } }),
    ]);
    const connection = await harness.greet('user:ada');
    connection.send(
      say('m1', 1, { channel: 'nowhere' }),
      say('m2', 1, { event: 'undeclared' }),
      say('m3', 1, { channel: 'news' }),
      { type: 'subscribe', id: 's1', channel: 'rooms' },
      { type: 'subscribe', id: 's2', channel: 'rooms.1.extra' },
      { type: 'subscribe', id: 's3', channel: '$user.eve' },
      { type: 'subscribe', id: 's4', channel: '$user.ada' },
    );
    expect(await answers(connection)).toEqual([
      ['m1', 'unknown_channel'],
      ['m2', 'forbidden'],
      ['m3', 'forbidden'],
      ['s1', 'unknown_channel'],
      ['s2', 'unknown_channel'],
      ['s3', 'forbidden'],
      ['s4', undefined, undefined],
    ]);
  });

  it('request, history, presence and signal need the own live subscription (G10)', async () => {
    harness = await EngineHarness.start([
      channel('rooms.:room', {
        policy: { presence: { graceMs: 0 } },
        behaviour: { requests: new Map([['ask', () => 42]]) },
      }),
    ]);
    const connection = await harness.greet('user:ada');
    const commands = [
      { type: 'request', id: 'r1', channel: 'rooms.1', event: 'ask' },
      { type: 'history', id: 'r2', channel: 'rooms.1' },
      { type: 'presence', id: 'r3', channel: 'rooms.1' },
      { type: 'signal', id: 'r4', channel: 'rooms.1', event: 'typing' },
      { type: 'request', id: 'r5', event: 'ask' },
    ];
    connection.send(...commands);
    expect(await answers(connection)).toEqual([
      ['r1', 'not_subscribed'],
      ['r5', 'bad_request'],
      ['r2', 'not_subscribed'],
      ['r3', 'not_subscribed'],
      ['r4', 'not_subscribed'],
    ]);
    connection.send({ type: 'subscribe', id: 's1', channel: 'rooms.1' }, ...commands.slice(0, 4));
    const replies = (await answers(connection)) as string[][];
    expect(replies.map(([ref]) => ref).sort()).toEqual(['r1', 'r2', 'r3', 'r4', 's1']);
    expect(replies.every(([, code]) => typeof code !== 'string')).toBe(true);
  });

  it('a revoke during the authorization of a publish or subscribe wins (G11)', async () => {
    let release = (): void => undefined;
    const gate = new Promise<boolean>((resolve) => (release = () => resolve(true)));
    harness = await EngineHarness.start([
      channel('rooms.:room', { behaviour: { authorize: { subscribe: () => gate, publish: () => gate } } }),
    ]);
    const connection = await harness.greet('user:ada');
    connection.take();
    connection.send({ type: 'subscribe', id: 's1', channel: 'rooms.1' }, say('m1'));
    await quiet();
    const receipt = await harness.engine.revoke('ada', 'rooms.1');
    expect(receipt.missing).toEqual([]);
    release();
    expect(await answers(connection)).toEqual([
      ['m1', 'forbidden'],
      ['s1', 'forbidden'],
    ]);
    await harness.publish('rooms.1');
    expect(connection.take('event')).toEqual([]);
  });

  it('nothing more of a revoked channel is written, not even what was queued (G11)', async () => {
    harness = await EngineHarness.start([channel('rooms.:room', { policy: { overflow: 'drop-oldest' } })]);
    const connection = await harness.subscriber('rooms.1', 'user:ada');
    connection.stall();
    await harness.publish('rooms.1', 5);
    await harness.publish('rooms.1', 5);
    await harness.engine.revoke('ada', 'rooms.1', { reason: 'left the team' });
    await harness.publish('rooms.1', 5);
    connection.drain();
    await quiet();
    const envelopes = connection.take();
    expect(envelopes.filter(({ type }) => type === 'event').map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
    expect(envelopes.at(-1)).toMatchObject({
      type: 'unsubscribed',
      channel: 'rooms.1',
      payload: { code: 'forbidden', message: 'Access was revoked', retryable: false },
    });
  });

  it('a ban closes with 4803, and refuses the user until it ends', async () => {
    harness = await EngineHarness.start([channel('rooms.:room')]);
    const connection = await harness.greet('user:ada');
    await harness.engine.ban('ada', { forMs: 60_000, reason: 'spam', by: 'moderator' });
    expect(connection.closed).toEqual({ code: 4803, reason: 'banned|60000' });
    expect((await harness.greet('user:ada')).closed?.code).toBe(4803);
    harness.clock.advance(60_001);
    expect((await harness.greet('user:ada')).closed).toBeUndefined();
  });
});
