import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ChannelHandle } from '../../../../lib/client/channel/handle.js';
import { watchUncaught } from '../../../support/real-process.js';
import { eventMessage, type ScriptedConnection } from '../../../support/wire/scripted-server.js';
import { codeOf, Harness } from '../harness.js';

let h: Harness;
let connection: ScriptedConnection;
let room: ChannelHandle;
let uncaught: ReturnType<typeof watchUncaught>;

beforeEach(async () => {
  uncaught = watchUncaught();
  h = await Harness.start();
  connection = await h.live();
  room = h.client.channel('rooms.1');
});

afterEach(async () => {
  await h.stop();
  expect(await uncaught.settled()).toEqual([]);
});

const event = (seq: number, name = 'tick') => eventMessage('rooms.1', seq, { event: name });
const NO_LONGER = new Error('no longer wanted');

async function subscribed(result: Record<string, unknown> = {}): Promise<void> {
  const answer = room.subscribe();
  await connection.subscribed(result);
  await answer;
}

describe('handles of one name', () => {
  it('are one object; and above a thousand channels that nobody uses, they act as one', async () => {
    expect(h.client.channel('rooms.1')).toBe(room);
    for (let n = 2; n <= 1_000; n++) h.client.channel(`rooms.${n}`);
    const [one, other] = [h.client.channel('rooms.a'), h.client.channel('rooms.a')];
    expect(other).not.toBe(one);
    const seen: unknown[] = [];
    other.on('tick', (_, { seq }) => seen.push(seq));
    expect(h.client.channel('rooms.a')).toBe(other);
    const answer = one.subscribe();
    await connection.subscribed();
    await answer;
    expect([other.state, one.presence.count]).toEqual(['subscribed', 0]);
    connection.send(eventMessage('rooms.a', 1));
    await connection.sync();
    expect([seen, other.position, one.position?.seq]).toEqual([[1], one.position, 1]);
    other.off('tick');
    void other.unsubscribe();
    await connection.expectCommand('unsubscribe');
    expect(h.client.channel('rooms.a')).not.toBe(other);
    expect(h.client.channel('rooms.1')).toBe(room);
  });
});

describe('listeners', () => {
  it('`once` is called once, also when it is removed by its own function', async () => {
    await subscribed();
    const seen: unknown[] = [];
    const removed = (): unknown => seen.push('removed');
    room.once('tick', (_, { seq }) => seen.push(seq));
    room.once('gap', ({ from }) => seen.push(`gap ${from}`));
    room.once('tick', removed);
    room.off('tick', removed);
    room.once('tick', removed)();
    const payload = { from: 2, to: 2, reason: 'expired', recoverable: false };
    const gap = { type: 'gap', channel: 'rooms.1', epoch: 'e1', payload };
    connection.send(event(1), gap, event(3), { ...gap, payload: { ...payload, from: 4, to: 4 } });
    await connection.sync();
    expect(seen).toEqual([1, 'gap 2']);
  });

  it('`off` without a listener removes all of the name, and of no other', async () => {
    await subscribed();
    const seen: unknown[] = [];
    room.on('tick', () => seen.push('on'));
    room.onEvent('tick', () => seen.push('onEvent'));
    room.onSignal('tick', () => seen.push('onSignal'));
    room.on('tock', () => seen.push('tock'));
    room.off('tick');
    connection.send(event(1), event(2, 'tock'), { type: 'signal', channel: 'rooms.1', event: 'tick' });
    await connection.sync();
    expect(seen).toEqual(['tock']);
    room.off('tick');
  });
});

describe('an aborted call', () => {
  it.each([
    ['publish', (signal: AbortSignal) => room.publish('said', 1, { signal })],
    ['request', (signal: AbortSignal) => room.request('vote', 1, { signal })],
    ['request of the client', (signal: AbortSignal) => h.client.request('vote', 1, { signal })],
    ['history', (signal: AbortSignal) => room.history({ signal })],
    ['snapshot', (signal: AbortSignal) => room.snapshot({ signal })],
    ['signal', (signal: AbortSignal) => room.signal('typing', 1, { signal })],
  ])('%s rejects with the reason, sent or not, and nobody has to handle that', async (_, call) => {
    await subscribed();
    const sent = new AbortController();
    const answer = call(sent.signal);
    void call(sent.signal);
    await connection.sync();
    expect(connection.unread.length).toBeGreaterThan(0);
    sent.abort(NO_LONGER);
    await expect(answer).rejects.toBe(NO_LONGER);

    const sentBefore = connection.unread.length;
    await expect(call(AbortSignal.abort(NO_LONGER))).rejects.toBe(NO_LONGER);
    void call(AbortSignal.abort(NO_LONGER));
    await connection.sync();
    expect(connection.unread).toHaveLength(sentBefore);
  });

  it('frees its place among the commands that wait (maxPendingCommands)', async () => {
    await h.stop();
    h = await Harness.start({ maxPendingCommands: 1 });
    await h.live();
    const { signal, abort } = abortable();
    const first = h.client.request('vote', 1, { signal });
    expect(await codeOf(h.client.request('vote', 2))).toBe('rate_limited');
    abort();
    await expect(first).rejects.toBe(NO_LONGER);
    const second = codeOf(h.client.request('vote', 3, { timeoutMs: 5 }));
    h.clock.advance(5);
    expect(await second).toBe('outcome_unknown');
  });

  it('a publish that was not sent is dropped, and the next one is sent', async () => {
    connection.terminate();
    await h.state('waiting');
    const { signal, abort } = abortable();
    const first = room.publish('said', 1, { signal });
    const second = room.publish('said', 2);
    abort();
    await expect(first).rejects.toBe(NO_LONGER);
    connection = await h.back();
    const command = await connection.expectCommand('publish');
    expect(command['payload']).toBe(2);
    connection.reply(command, { seq: 1, epoch: 'e1', duplicate: false });
    expect((await second).seq).toBe(1);
    await connection.sync();
    expect(connection.unread).toEqual([]);
  });

  it('a publish that holds back others is dropped, and they are sent at once', async () => {
    const { signal, abort } = abortable();
    void room.publish('said', 1, { signal });
    connection.error(await connection.expectCommand('publish'), 'unavailable', { retryAfterMs: 60_000 });
    await connection.sync();
    void room.publish('said', 2).catch(() => undefined);
    await connection.sync();
    expect(connection.unread).toEqual([]);
    abort();
    expect((await connection.expectCommand('publish'))['payload']).toBe(2);
  });

  it('the answer of a call that was aborted later is its answer', async () => {
    const { signal, abort } = abortable();
    const answer = room.request('vote', 1, { signal });
    connection.reply(await connection.expectCommand('request'), 'counted');
    expect(await answer).toBe('counted');
    abort();
  });
});

describe('timeoutMs', () => {
  it('ends a publish: not sent, or sent and unknown', async () => {
    connection.terminate();
    await h.state('waiting');
    const unsent = codeOf(room.publish('said', 1, { timeoutMs: 100 }));
    h.clock.advance(100);
    expect(await unsent).toBe('timeout');
    connection = await h.back();
    const sent = codeOf(room.publish('said', 1, { timeoutMs: 100 }));
    await connection.expectCommand('publish');
    h.clock.advance(99);
    await connection.sync();
    h.clock.advance(1);
    expect(await sent).toBe('outcome_unknown');
  });

  it('ends a read', async () => {
    await subscribed({ snapshot: 1 });
    const answers = [room.history({ timeoutMs: 100 }), room.snapshot({ timeoutMs: 100 })].map(codeOf);
    await connection.expectCommand('history');
    await connection.expectCommand('snapshot');
    h.clock.advance(100);
    expect(await Promise.all(answers)).toEqual(['timeout', 'timeout']);
  });
});

describe('signals', () => {
  it('throttled ones: the first at once, then the newest at the end of each window, by name', async () => {
    const answers = [1, 2, 3].map((n) => room.signal('typing', n, { throttleMs: 1_000 }));
    void room.signal('looking', 'other', { throttleMs: 1_000 });
    connection.reply(await connection.expectCommand('signal'), {});
    expect((await connection.expectCommand('signal'))['payload']).toBe('other');
    expect([await answers[0], await answers[1]]).toEqual([true, false]);
    await connection.sync();
    expect(connection.unread).toEqual([]);
    h.clock.advance(1_000);
    const newest = await connection.expectCommand('signal');
    expect(newest['payload']).toBe(3);
    connection.reply(newest, {});
    expect(await answers[2]).toBe(true);
    // The window that it began.
    void room.signal('typing', 4, { throttleMs: 1_000 });
    await connection.sync();
    expect(connection.unread).toEqual([]);
    h.clock.advance(1_000);
    await connection.expectCommand('signal');
    // A window in which nothing came ends: the next is sent at once.
    h.clock.advance(1_000);
    void room.signal('typing', 5, { throttleMs: 1_000 });
    expect((await connection.expectCommand('signal'))['payload']).toBe(5);
  });

  it('that are refused, or sent after close(), are no uncaught errors', async () => {
    void room.signal('typing');
    connection.error(await connection.expectCommand('signal'), 'forbidden');
    await connection.sync();
    const refused = codeOf(room.signal('typing'));
    connection.error(await connection.expectCommand('signal'), 'forbidden');
    expect(await refused).toBe('forbidden');
    void room.signal('typing');
    void room.history();
    await h.client.close();
    void room.signal('typing');
  });
});

describe('a loop over events', () => {
  /** Runs the loop, and gives what it saw and how it ended. */
  async function loop(
    options: Parameters<ChannelHandle['events']>[0] = {},
    until = Infinity,
  ): Promise<unknown[]> {
    const seen: unknown[] = [];
    try {
      for await (const { seq, payload } of room.events(options)) {
        seen.push([seq, payload]);
        if (seq >= until) break;
      }
      seen.push('end');
    } catch (error) {
      seen.push((error as { code?: unknown }).code ?? error);
    }
    return seen;
  }

  it('subscribes, gives each event, and unsubscribes when it is left', async () => {
    const seen = loop({}, 3);
    await connection.subscribed();
    connection.send(event(1), event(2));
    await connection.sync();
    connection.send(event(3), event(4));
    await connection.expectCommand('unsubscribe');
    const payload = (n: number) => [n, { n }];
    expect(await seen).toEqual([payload(1), payload(2), payload(3), 'end']);
    expect(room.state).toBe('unsubscribed');
  });

  it('ends without an error when it is aborted, or the application unsubscribes or closes', async () => {
    const before = abortable();
    const aborted = loop({ signal: before.signal });
    before.abort();
    expect(await aborted).toEqual(['end']);
    await connection.expectCommand('subscribe');
    await connection.expectCommand('unsubscribe');
    const during = abortable();
    const second = loop({ signal: during.signal });
    await connection.expectCommand('subscribe');
    during.abort();
    expect(await second).toEqual(['end']);
    await connection.expectCommand('unsubscribe');
    expect(await loop({ signal: AbortSignal.abort() })).toEqual(['end']);

    const early = loop();
    await connection.expectCommand('subscribe');
    void room.unsubscribe();
    expect(await early).toEqual(['end']);
    await connection.expectCommand('unsubscribe');
    const third = loop();
    await connection.subscribed();
    await connection.sync();
    void room.unsubscribe();
    expect(await third).toEqual(['end']);
    await connection.expectCommand('unsubscribe');
    const fourth = loop();
    await connection.subscribed();
    await connection.sync();
    void h.client.close();
    expect(await fourth).toEqual(['end']);
  });

  it('throws why the server ended the subscription, behind the events before that', async () => {
    const seen = loop();
    await connection.subscribed();
    connection.send(event(1), {
      type: 'unsubscribed',
      channel: 'rooms.1',
      payload: { code: 'forbidden', message: 'Revoked', retryable: false },
    });
    expect(await seen).toEqual([[1, { n: 1 }], 'forbidden']);
    const refused = loop();
    connection.error(await connection.expectCommand('subscribe'), 'unknown_channel');
    expect(await refused).toEqual(['unknown_channel']);
  });

  it('that is too slow ends with an error, behind what it still has', async () => {
    const seen: unknown[] = [];
    const events = room.events({ maxBuffered: 2 });
    const first = events.next();
    await connection.subscribed();
    connection.send(event(1));
    seen.push((await first).value?.seq);
    connection.send(event(2), event(3), event(4), event(5));
    await connection.sync();
    for (let n = 0; n < 2; n++) seen.push((await events.next()).value?.seq);
    expect(seen).toEqual([1, 2, 3]);
    await expect(events.next()).rejects.toMatchObject({ code: 'rate_limited' });
    await connection.expectCommand('unsubscribe');
  });
});

describe('members', () => {
  it('that join, change and leave are reported one by one, from a diff or from a new list', async () => {
    const seen: unknown[] = [];
    for (const name of ['join', 'update', 'leave'] as const)
      room.presence.on(name, ({ id, data }) => seen.push([name, id, data]));
    const page = (version: number, ...ids: string[]) => ({
      epoch: 'p',
      version,
      count: ids.length,
      members: ids.map((id) => ({ id, devices: 1, data: { of: id } })),
    });
    await subscribed({ presence: page(1, 'a', 'b') });
    expect(seen).toEqual([]);
    const diff = (version: number, more: object) => ({
      type: 'presence',
      channel: 'rooms.1',
      payload: { epoch: 'p', version, previous: version - 1, join: [], update: [], leave: [], ...more },
    });
    connection.send(
      diff(2, { join: [{ id: 'c', devices: 1 }], leave: ['a'] }),
      diff(3, { update: [{ id: 'b', devices: 1, data: 'new' }] }),
    );
    await connection.sync();
    expect(seen.splice(0)).toEqual([
      ['join', 'c', undefined],
      ['leave', 'a', { of: 'a' }],
      ['update', 'b', 'new'],
    ]);
    // After a reconnect the list is a new one: what differs is told.
    connection.terminate();
    connection = await h.back();
    await connection.subscribed({ recovery: 'complete', presence: page(9, 'c', 'd', 'b') });
    await connection.sync();
    expect(seen.splice(0)).toEqual([
      ['update', 'c', { of: 'c' }],
      ['join', 'd', { of: 'd' }],
      ['update', 'b', { of: 'b' }],
    ]);
    void room.unsubscribe();
    await connection.expectCommand('unsubscribe');
    await subscribed({ presence: page(12, 'x') });
    expect(seen).toEqual([]);
    room.presence.off('join');
    connection.send(diff(13, { join: [{ id: 'y', devices: 1 }] }));
    await connection.sync();
    expect(seen).toEqual([]);
  });
});

/** Compiles, or not: the suite is type-checked. */
describe('types', () => {
  it('of declared events and signals reach listeners and callers', () => {
    const typed = h.client.channel<{ said: { text: string }; gone: undefined }, { typing: { on: boolean } }>(
      'rooms.9',
    );
    typed.on('said', ({ text }) => text.toUpperCase());
    typed.on('*', (payload) => payload?.text);
    typed.onSignal('typing', ({ on }) => !on);
    typed.on('gap', ({ from }) => from);
    // @ts-expect-error: no such event
    typed.on('sayd', () => undefined);
    // @ts-expect-error: no such field
    typed.on('said', ({ texts }) => texts);
    // @ts-expect-error: another payload
    const wrong = (): unknown => typed.publish('said', { text: 1 });
    // @ts-expect-error: no such signal
    const unknown = (): unknown => typed.signal('typping');
    const right = (): unknown => [typed.publish('said', { text: 'a' }), typed.publish('gone')];
    room.on<{ n: number }>('tick', ({ n }) => n);
    room.on('tick', (payload: unknown) => payload);
    expect([wrong, unknown, right]).toHaveLength(3);
  });
});

function abortable(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(NO_LONGER) };
}
