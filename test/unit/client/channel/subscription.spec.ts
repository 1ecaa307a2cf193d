import { afterEach, describe, expect, it } from '@jest/globals';
import type { RealtimeClientOptions } from '../../../../lib/client/options.js';
import type { ChannelHandle } from '../../../../lib/client/channel/handle.js';
import { LIBRARY_EVENTS } from '../../../../lib/client/channel/types.js';
import { eventMessage, type ScriptedConnection } from '../../../support/wire/scripted-server.js';
import { codeOf, Harness } from '../harness.js';

let harness: Harness | undefined;
afterEach(() => harness?.stop());

interface Room {
  readonly h: Harness;
  readonly connection: ScriptedConnection;
  readonly room: ChannelHandle;
  /** Everything that the room told, in order. */
  readonly log: unknown[];
}

/** Subscribed to `rooms.1`. */
async function subscribed(
  result: Record<string, unknown> = {},
  options: RealtimeClientOptions = {},
): Promise<Room> {
  const h = (harness = await Harness.start(options));
  const room = h.client.channel('rooms.1');
  const log = recorded(room);
  const answer = room.subscribe();
  const connection = await h.live();
  await connection.subscribed(result);
  await answer;
  return { h, connection, room, log };
}

function recorded(room: ChannelHandle): unknown[] {
  const log: unknown[] = [];
  room.on('*', (_, event) => log.push(event.seq));
  for (const name of LIBRARY_EVENTS) {
    if (name !== 'state' && name !== 'recovered') room.on(name, (first: unknown) => log.push([name, first]));
  }
  return log;
}

const names = (log: unknown[]): unknown[] =>
  log.map((entry) => (Array.isArray(entry) ? (entry[0] as string) : entry));
const event = (seq: number, more = {}) => eventMessage('rooms.1', seq, more);
const at = (seq: number, epoch = 'e1') => ({ position: { epoch, seq } });

describe('subscribing', () => {
  it('sends position, params, snapshot and presence, and resolves with the answer (P11)', async () => {
    const h = (harness = await Harness.start());
    const connection = await h.live();
    const answer = h.client.channel('rooms.1').subscribe({
      position: { epoch: 'e1', seq: 4 },
      params: { tab: 2 },
      snapshot: false,
      presence: { data: 'me' },
    });
    const command = await connection.expectCommand('subscribe');
    expect(command).toMatchObject({
      channel: 'rooms.1',
      payload: {
        position: { epoch: 'e1', seq: 4 },
        params: { tab: 2 },
        snapshot: false,
        presence: { data: 'me' },
      },
    });
    connection.reply(command, { ...at(9), recovery: 'complete', later: 'ignored' });
    expect(await answer).toEqual({ ...at(9), recovery: 'complete', release: expect.any(Function) });
    expect(h.client.channel('rooms.1').position).toEqual({ epoch: 'e1', seq: 4 });
  });

  it('returns the same object for the same name, and refuses an invalid name (P23)', async () => {
    const { client } = (harness = await Harness.start());
    expect(client.channel('rooms.1')).toBe(client.channel('rooms.1'));
    expect(() => client.channel('rooms..1')).toThrow(RangeError);
  });

  it('rejects on a final refusal, and emits `unsubscribed`', async () => {
    const h = (harness = await Harness.start());
    const connection = await h.live();
    const room = h.client.channel('rooms.1');
    const log = recorded(room);
    const refused = codeOf(room.subscribe());
    connection.error(await connection.expectCommand('subscribe'), 'forbidden', { message: 'No' });
    expect(await refused).toBe('forbidden');
    expect(log).toEqual([['unsubscribed', { code: 'forbidden', message: 'No', willRetry: false }]]);
    expect(room.state).toBe('unsubscribed');
  });

  it('retries a temporary refusal after its advice or with backoff', async () => {
    const h = (harness = await Harness.start());
    const connection = await h.live();
    const answer = h.client.channel('rooms.1').subscribe();
    connection.error(await connection.expectCommand('subscribe'), 'unavailable', { retryAfterMs: 5_000 });
    await connection.sync();
    h.clock.advance(4_999);
    await connection.sync();
    expect(connection.unread).toEqual([]);
    h.clock.advance(1);
    connection.error(await connection.expectCommand('subscribe'), 'timeout');
    await connection.expectCommand('unsubscribe');
    await connection.sync();
    h.clock.advance(2_000);
    await connection.subscribed();
    expect((await answer).recovery).toBe('new');
  });

  it('leaves and subscribes again after an answer that cannot be read', async () => {
    const h = (harness = await Harness.start());
    const connection = await h.live();
    const answer = h.client.channel('rooms.1').subscribe();
    connection.reply(await connection.expectCommand('subscribe'), { recovery: 'new' });
    await connection.expectCommand('unsubscribe');
    await connection.subscribed();
    await answer;
    expect(h.errors[0]?.context).toEqual({ source: 'protocol', channel: 'rooms.1' });
  });

  it('leaves and subscribes again when the answer does not come in time', async () => {
    const h = (harness = await Harness.start({ requestTimeoutMs: 5_000 }));
    const connection = await h.live();
    const answer = h.client.channel('rooms.1').subscribe();
    const late = await connection.expectCommand('subscribe');
    h.clock.advance(5_000);
    await connection.expectCommand('unsubscribe');
    const second = await connection.expectCommand('subscribe');
    connection.reply(late, { ...at(3), recovery: 'new' });
    connection.reply(second, { ...at(7), recovery: 'new' });
    expect((await answer).position.seq).toBe(7);
  });
});

describe('delivery', () => {
  it('delivers each event once and in order, with its payload (G2, G3)', async () => {
    const { connection, room } = await subscribed();
    const seen: unknown[] = [];
    room.on<{ n: number }>('tick', ({ n }, { seq, user }) => seen.push([n, seq, user]));
    connection.send(event(1, { user: 'u2' }), event(1, { user: 'u2' }), event(2));
    await connection.sync();
    expect(seen).toEqual([
      [1, 1, 'u2'],
      [2, 2, undefined],
    ]);
  });

  it('delivers the snapshot first, then the replay, resumed and live events, all from one frame (P12)', async () => {
    const h = (harness = await Harness.start());
    const connection = await h.live();
    const room = h.client.channel('rooms.1');
    const log = recorded(room);
    void room.subscribe({ position: { epoch: 'e0', seq: 4 } });
    const command = await connection.expectCommand('subscribe');
    connection.send(
      {
        type: 'reply',
        ref: command.id,
        payload: { ...at(2), recovery: 'lost', reason: 'expired', snapshot: null },
      },
      event(3),
      { type: 'resumed', channel: 'rooms.1', epoch: 'e1', seq: 3 },
      event(4),
    );
    await connection.sync();
    expect(names(log)).toEqual(['subscribed', 'lost', 'snapshot', 3, 'resumed', 4]);
    expect(log[2]).toEqual(['snapshot', null]);
  });

  it('reports the missing range of a truncated answer (P11)', async () => {
    const { h, connection, room, log } = await subscribed(at(2));
    connection.terminate();
    const second = await h.back();
    await second.subscribed({ ...at(9), recovery: 'truncated', from: 8, to: 9, cause: 'trimmed' });
    second.send(event(8), event(9), { type: 'resumed', channel: 'rooms.1', epoch: 'e1', seq: 9 });
    await second.sync();
    expect(names(log).slice(1)).toEqual(['subscribed', 'gap', 8, 9, 'resumed']);
    expect(log[2]).toEqual([
      'gap',
      { epoch: 'e1', from: 3, to: 7, reason: 'trimmed', partial: false, recoverable: false },
    ]);
    expect(room.position).toEqual({ epoch: 'e1', seq: 9 });
  });

  it('resumes from before an event that leaves out some (P14)', async () => {
    const { connection, log } = await subscribed();
    connection.send(event(1), event(4));
    await connection.expectCommand('unsubscribe');
    const again = await connection.expectCommand('subscribe');
    expect(again.payload).toMatchObject(at(1));
    connection.send(event(5));
    connection.reply(again, { ...at(5), recovery: 'complete' });
    connection.send(event(2), event(3), event(4), event(5));
    await connection.sync();
    expect(names(log).slice(1)).toEqual([1, 'subscribed', 2, 3, 4, 5]);
  });

  it('drops an event of another epoch and subscribes again, with growing delays (P14)', async () => {
    const { h, connection, log } = await subscribed();
    connection.send(event(1), event(2, { epoch: 'e9' }), event(2));
    await connection.expectCommand('unsubscribe');
    expect((await connection.expectCommand('subscribe')).payload).toMatchObject(at(1));
    await connection.sync();
    expect(names(log)).toEqual(['subscribed', 1]);
    // The same happens again: not in a loop.
    connection.terminate();
    const second = await h.back();
    await second.subscribed({ ...at(2), recovery: 'complete' });
    second.send(event(2, { epoch: 'e9' }));
    await second.expectCommand('unsubscribe');
    await second.sync();
    expect(second.unread).toEqual([]);
    h.clock.advance(1_000);
    await second.expectCommand('subscribe');
  });

  it('delivers ascending events inside a partial gap, and ends at its end (P25)', async () => {
    const { connection, log } = await subscribed();
    connection.send(
      {
        type: 'gap',
        channel: 'rooms.1',
        epoch: 'e1',
        payload: { from: 1, to: 9, reason: 'conflated', partial: true, recoverable: true },
      },
      event(4),
      event(9),
      event(10),
    );
    await connection.sync();
    expect(log.slice(1)).toEqual([
      ['gap', { epoch: 'e1', from: 1, to: 9, reason: 'conflated', partial: true, recoverable: true }],
      4,
      9,
      10,
    ]);
  });

  it('emits reset, with the snapshot, before the first event of the new epoch (G6)', async () => {
    const { connection, room, log } = await subscribed(at(5));
    connection.send(
      {
        type: 'reset',
        channel: 'rooms.1',
        payload: { ...at(3, 'e2'), recovery: 'lost', reason: 'epoch_changed', snapshot: { s: 1 } },
      },
      event(4, { epoch: 'e2' }),
    );
    await connection.sync();
    expect(names(log).slice(1)).toEqual(['reset', 'snapshot', 4]);
    expect(room.position).toEqual({ epoch: 'e2', seq: 4 });
  });

  it('delivers an event to all handlers although one of them throws or rejects', async () => {
    const { h, connection, room } = await subscribed();
    const seen: unknown[] = [];
    room.on('tick', () => {
      throw new Error('broken');
    });
    room.on('tick', async () => {
      throw new Error('broken later');
    });
    room.on('tick', (_, { seq }) => seen.push(seq));
    connection.send(event(1), event(2));
    await connection.sync();
    expect(seen).toEqual([1, 2]);
    expect(h.errors).toHaveLength(4);
    expect(h.errors[0]).toMatchObject({ context: { source: 'handler', channel: 'rooms.1', event: 'tick' } });
    expect(room.position?.seq).toBe(2);
  });

  it('delivers nothing after a handler unsubscribes, and keeps the position of the last event', async () => {
    const { connection, room, log } = await subscribed();
    room.on('tick', (_, { seq }) => {
      if (seq === 2) void room.unsubscribe();
    });
    connection.send(event(1), event(2), event(3));
    await connection.expectCommand('unsubscribe');
    await connection.sync();
    expect(names(log).slice(1)).toEqual([1, 'unsubscribed', 2]);
    expect(room.position?.seq).toBe(2);
  });

  it('ignores events without a position, and events of channels that are not subscribed', async () => {
    const { h, connection, log } = await subscribed();
    connection.send(
      { type: 'event', channel: 'rooms.1', event: 'tick' },
      eventMessage('rooms.2', 1),
      event(1),
    );
    await connection.sync();
    expect(log.slice(1)).toEqual([1]);
    expect(h.errors).toEqual([]);
  });
});

describe('event names', () => {
  it('receives application events and signals with reserved names through `onEvent` and `onSignal`', async () => {
    const { connection, room, log } = await subscribed();
    const seen: unknown[] = [];
    const off = room.onEvent('gap', (payload) => seen.push(['event', payload]));
    room.onSignal('snapshot', (payload, signal) => seen.push(['signal', payload, signal.user]));
    connection.send(event(1, { event: 'gap', payload: 'mine' }), {
      type: 'signal',
      channel: 'rooms.1',
      event: 'snapshot',
      user: 'u2',
      payload: 'typing',
    });
    await connection.sync();
    expect(seen).toEqual([
      ['event', 'mine'],
      ['signal', 'typing', 'u2'],
    ]);
    expect(names(log)).toEqual(['subscribed', 1, 'signal']);
    off();
    off();
    connection.send(event(2, { event: 'gap' }));
    await connection.sync();
    expect(seen).toHaveLength(2);
  });

  it('removes a listener with `off`', async () => {
    const { connection, room } = await subscribed();
    const seen: unknown[] = [];
    const listener = (payload: unknown): unknown => seen.push(payload);
    room.on('tick', listener);
    room.off('tick', listener);
    connection.send(event(1));
    await connection.sync();
    expect(seen).toEqual([]);
  });
});

describe('reconnecting', () => {
  it('subscribes every channel again in the frame of hello, with the position of the last delivered event (P13, P14)', async () => {
    const { h, connection, log } = await subscribed();
    void h.client.channel('rooms.2').subscribe();
    await connection.subscribed(at(40, 'f1'));
    connection.send(event(1), event(2));
    await connection.sync();
    connection.terminate();
    const second = await h.back();
    const first = await second.expectCommand('subscribe');
    expect(first).toMatchObject({ channel: 'rooms.1', payload: at(2) });
    expect(await second.expectCommand('subscribe')).toMatchObject({
      channel: 'rooms.2',
      payload: at(40, 'f1'),
    });
    expect(second.frames).toHaveLength(1);
    second.reply(first, { ...at(3), recovery: 'complete' });
    second.send(event(2), event(3), { type: 'resumed', channel: 'rooms.1', epoch: 'e1', seq: 3 });
    await second.sync();
    expect(names(log)).toEqual(['subscribed', 1, 2, 'subscribed', 3, 'resumed']);
  });

  it('emits `unsubscribed` for a channel that may no longer be read', async () => {
    const { h, connection, room, log } = await subscribed();
    connection.terminate();
    const second = await h.back();
    second.error(await second.expectCommand('subscribe'), 'forbidden');
    await second.sync();
    expect(log.at(-1)).toEqual([
      'unsubscribed',
      { code: 'forbidden', message: 'forbidden', willRetry: false },
    ]);
    expect(room.state).toBe('unsubscribed');
  });

  it('resumes channels after `connect` when the server closed the client, but not after `close`', async () => {
    const { h, connection, room } = await subscribed(at(6));
    connection.close(4811, 'kicked|0');
    await h.state('closed');
    expect(room.state).toBe('waiting');
    expect(await codeOf(room.subscribe())).toBe('forbidden');
    const second = await h.live();
    expect((await second.subscribed({ ...at(6), recovery: 'complete' })).payload).toMatchObject(at(6));
    await second.sync();
    expect(room.state).toBe('subscribed');
    await h.client.close();
    expect(room.state).toBe('unsubscribed');
    const third = await h.live();
    await third.sync();
    expect(third.unread).toEqual([]);
  });
});

describe('unsubscribing', () => {
  it('takes nothing of the channel until the next successful subscribe (P24)', async () => {
    const { connection, room, log } = await subscribed();
    const gone = room.unsubscribe();
    expect(room.state).toBe('unsubscribed');
    const command = await connection.expectCommand('unsubscribe');
    const again = room.subscribe();
    const subscribe = await connection.expectCommand('subscribe');
    expect(subscribe.payload).toEqual({});
    connection.send(event(1));
    connection.reply(command, {});
    connection.reply(subscribe, { ...at(1), recovery: 'new' });
    connection.send(event(2));
    await Promise.all([gone, again]);
    await connection.sync();
    expect(names(log)).toEqual(['subscribed', 'unsubscribed', 'subscribed', 2]);
  });

  it('rejects the subscribe when it comes before the answer', async () => {
    const h = (harness = await Harness.start());
    const room = h.client.channel('rooms.1');
    const refused = codeOf(room.subscribe());
    await room.unsubscribe();
    expect(await refused).toBe('not_subscribed');
    const connection = await h.live();
    await connection.sync();
    expect(connection.unread).toEqual([]);
  });

  it('ends the subscription permanently on a revoke (P24)', async () => {
    const { connection, room, log } = await subscribed();
    connection.send(
      {
        type: 'unsubscribed',
        channel: 'rooms.1',
        payload: { code: 'forbidden', message: 'Revoked', retryable: false },
      },
      event(1),
    );
    await connection.sync();
    expect(log.slice(1)).toEqual([
      ['unsubscribed', { code: 'forbidden', message: 'Revoked', willRetry: false }],
    ]);
    expect(room.state).toBe('unsubscribed');
  });

  it('waits for the end of a short ban from the channel, also where it is refused again (P32)', async () => {
    const { h, connection, room, log } = await subscribed(at(3));
    const ban = (retryAfterMs: number) => ({
      code: 'banned',
      message: 'Out',
      retryable: false,
      retryAfterMs,
    });
    connection.send({ type: 'unsubscribed', channel: 'rooms.1', payload: ban(2_000) });
    await connection.sync();
    expect(log.at(-1)).toMatchObject(['unsubscribed', { code: 'banned', willRetry: true }]);
    expect(room.state).toBe('waiting');
    const [, cause] = log.at(-1) as [string, { delayMs: number }];
    expect(cause.delayMs).toBeGreaterThanOrEqual(2_000);
    h.clock.advance(1_999);
    await connection.sync();
    expect(connection.unread).toEqual([]);
    h.clock.advance(cause.delayMs - 1_999);
    const again = await connection.expectCommand('subscribe');
    expect(again.payload).toMatchObject(at(3));
    connection.send({ type: 'error', ref: again.id ?? '', payload: ban(600_000) });
    await connection.sync();
    expect(room.state).toBe('waiting');
    expect(log.at(-1)).toMatchObject(['unsubscribed', { code: 'banned', willRetry: true }]);
  });

  it.each([undefined, 0, 600_001])(
    'tells the application of a ban from the channel for %s ms, and does not come back (P32)',
    async (retryAfterMs) => {
      const { connection, room, log } = await subscribed();
      const payload = { code: 'banned', message: 'Out', retryable: false, retryAfterMs };
      connection.send({ type: 'unsubscribed', channel: 'rooms.1', payload });
      await connection.sync();
      expect(log.at(-1)).toEqual(['unsubscribed', { code: 'banned', message: 'Out', willRetry: false }]);
      expect(room.state).toBe('unsubscribed');
    },
  );

  it('subscribes again with its position, as advised, on a retryable unsubscribed', async () => {
    const { h, connection, room, log } = await subscribed(at(3));
    connection.send({
      type: 'unsubscribed',
      channel: 'rooms.1',
      payload: { code: 'unavailable', message: 'Soon', retryable: true, retryAfterMs: 1_000, spreadMs: 500 },
    });
    await connection.sync();
    expect(log.at(-1)).toEqual([
      'unsubscribed',
      { code: 'unavailable', message: 'Soon', willRetry: true, delayMs: 1_250 },
    ]);
    expect(room.state).toBe('waiting');
    h.clock.advance(1_250);
    expect((await connection.expectCommand('subscribe')).payload).toMatchObject(at(3));
  });

  it('does not trust the answer to a subscribe that a revoke overtook (P24)', async () => {
    const h = (harness = await Harness.start());
    const connection = await h.live();
    const answer = codeOf(h.client.channel('rooms.1').subscribe());
    const first = await connection.expectCommand('subscribe');
    connection.send({
      type: 'unsubscribed',
      channel: 'rooms.1',
      payload: { code: 'forbidden', retryable: false },
    });
    connection.reply(first, { ...at(1), recovery: 'new' });
    await connection.expectCommand('unsubscribe');
    connection.error(await connection.expectCommand('subscribe'), 'forbidden');
    expect(await answer).toBe('forbidden');
  });
});

describe('client.me', () => {
  it('is the channel of the user that welcome names', async () => {
    const h = (harness = await Harness.start());
    const me = h.client.me;
    await h.live({ user: 'auth0|7' });
    expect(await me).toBe(h.client.channel('$user.auth0~7C7'));
    expect(await h.client.me).toBe(await me);
    expect(h.client.user).toBe('auth0|7');
  });

  it('rejects for an anonymous client, and for a closed one', async () => {
    const h = (harness = await Harness.start());
    await h.live({ user: undefined });
    await expect(h.client.me).rejects.toThrow(/anonymous/);
    void h.client.close();
    await expect(h.client.me).rejects.toThrow(/closed/);
  });
});
