import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ChannelHandle } from '../../../../lib/client/channel/handle.js';
import type { ChannelSubscribeOptions } from '../../../../lib/client/channel/types.js';
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

const event = (seq: number) => eventMessage('rooms.1', seq);
const at = (seq: number, epoch = 'e1') => ({ position: { epoch, seq } });

/** Subscribes, and answers. */
async function subscribed(options: ChannelSubscribeOptions = {}, result: Record<string, unknown> = {}) {
  const answer = room.subscribe(options);
  await connection.subscribed(result);
  return answer;
}

/** The answer that a caller got, written down beside the events. */
function journal(): unknown[] {
  const log: unknown[] = [];
  room.on('*', (_, { seq }) => log.push(seq));
  return log;
}

describe('shares of a subscription', () => {
  it('two callers before the answer cost one subscribe, and the last release unsubscribes', async () => {
    const both = Promise.all([room.subscribe(), room.subscribe()]);
    await connection.subscribed({ snapshot: 'state' });
    const [one, two] = await both;
    expect([one.snapshot, two.snapshot]).toEqual(['state', 'state']);
    one.release();
    one.release();
    expect(await connection.unreadTypes()).toEqual([]);
    expect(room.state).toBe('subscribed');
    two.release();
    await connection.expectCommand('unsubscribe');
    expect(room.state).toBe('unsubscribed');
    expect(await connection.unreadTypes()).toEqual([]);
  });

  it('a released share leaves the events to the others', async () => {
    const one = await subscribed();
    const two = await joined();
    const log = journal();
    one.release();
    connection.send(event(1));
    await connection.sync();
    expect(log).toEqual([1]);
    two.release();
    await connection.expectCommand('unsubscribe');
    connection.send(event(2));
    await connection.sync();
    expect(log).toEqual([1]);
  });

  it('an effect that runs twice in one turn costs one subscribe and no rejection', async () => {
    const first = new AbortController();
    void room.subscribe({ signal: first.signal });
    first.abort();
    const second = new AbortController();
    const answer = room.subscribe({ signal: second.signal });
    await connection.subscribed();
    await answer;
    expect(await connection.unreadTypes()).toEqual([]);
    // Hidden and shown again, while subscribed.
    second.abort();
    const third = await room.subscribe();
    expect(await connection.unreadTypes()).toEqual([]);
    expect(room.state).toBe('subscribed');
    third.release();
    expect(await connection.unreadTypes()).toEqual(['unsubscribe']);
  });

  it('an abort before the answer rejects with the reason, for who awaits, and unsubscribes', async () => {
    const { signal, abort } = controller();
    const answer = room.subscribe({ signal });
    await connection.expectCommand('subscribe');
    abort();
    await expect(answer).rejects.toBe(signal.reason);
    await connection.expectCommand('unsubscribe');
    expect(room.state).toBe('unsubscribed');
  });

  it('an abort of one that waits leaves the others waiting', async () => {
    const { signal, abort } = controller();
    const other = room.subscribe();
    void room.subscribe({ signal });
    abort();
    await connection.subscribed();
    expect((await other).recovery).toBe('new');
    expect(await connection.unreadTypes()).toEqual([]);
  });

  it('a signal that is aborted already sends nothing', async () => {
    const { signal, abort } = controller();
    abort();
    void room.subscribe({ signal });
    await expect(room.subscribe({ signal })).rejects.toBe(signal.reason);
    expect(await connection.unreadTypes()).toEqual([]);
    expect(room.state).toBe('unsubscribed');
  });

  it('an abort after the answer releases, quietly', async () => {
    const { signal, abort } = controller();
    await subscribed({ signal });
    abort();
    expect(await connection.unreadTypes()).toEqual(['unsubscribe']);
    expect(room.state).toBe('unsubscribed');
  });

  it('timeoutMs ends the wait of its caller, and of nobody else', async () => {
    const late = codeOf(room.subscribe({ timeoutMs: 500 }));
    const patient = room.subscribe();
    const command = await connection.expectCommand('subscribe');
    h.clock.advance(500);
    expect(await late).toBe('timeout');
    connection.reply(command, { ...at(0), recovery: 'new' });
    await patient;
    expect(await connection.unreadTypes()).toEqual([]);
    // After the answer it has no effect.
    const answer = h.client.channel('rooms.2').subscribe({ timeoutMs: 500 });
    await connection.subscribed();
    await answer;
    h.clock.advance(500);
    expect(await connection.unreadTypes()).toEqual([]);
    expect(h.client.channel('rooms.2').state).toBe('subscribed');
  });

  it('unsubscribe() ends all shares, and says so to all', async () => {
    const one = await subscribed();
    const told: unknown[] = [];
    room.on('unsubscribed', (cause) => told.push(cause));
    const gone = room.unsubscribe();
    connection.reply(await connection.expectCommand('unsubscribe'), {});
    await gone;
    expect(told).toEqual([{ code: 'not_subscribed', message: 'unsubscribe() was called', willRetry: false }]);
    await room.unsubscribe();
    // A share of the ended subscription is none of the next.
    await subscribed();
    one.release();
    expect(await connection.unreadTypes()).toEqual([]);
    expect(room.state).toBe('subscribed');
  });

  it('a refused unsubscribe is sent again, and unsubscribe() waits for that', async () => {
    await subscribed();
    let isGone = false;
    const gone = room.unsubscribe().then(() => (isGone = true));
    connection.error(await connection.expectCommand('unsubscribe'), 'rate_limited', {
      retryable: true,
      retryAfterMs: 700,
    });
    await connection.sync();
    h.clock.advance(699);
    expect([await connection.unreadTypes(), isGone]).toEqual([[], false]);
    h.clock.advance(1);
    const again = await connection.expectCommand('unsubscribe');
    connection.error(again, 'timeout', { retryable: true });
    await connection.sync();
    // Without advice too, ever more slowly.
    h.clock.advance(999);
    expect([await connection.unreadTypes(), isGone]).toEqual([[], false]);
    h.clock.advance(1);
    connection.reply(await connection.expectCommand('unsubscribe'), {});
    await gone;
  });

  it.each(['subscribes again', 'closes the client', 'loses the connection'])(
    'a refused unsubscribe is not sent again to a server of which the caller %s',
    async (how) => {
      await subscribed();
      const gone = room.unsubscribe();
      connection.error(await connection.expectCommand('unsubscribe'), 'rate_limited', {
        retryable: true,
        retryAfterMs: 700,
      });
      await connection.sync();
      if (how === 'subscribes again') await subscribed();
      else if (how === 'closes the client') void h.client.close();
      else connection.terminate();
      if (how === 'loses the connection') await h.state('waiting');
      h.clock.advance(700);
      await gone;
      if (how === 'subscribes again') {
        expect(await connection.unreadTypes()).toEqual([]);
        expect(room.state).toBe('subscribed');
      }
    },
  );

  it('a final refusal of an unsubscribe ends it', async () => {
    await subscribed();
    const gone = room.unsubscribe();
    connection.error(await connection.expectCommand('unsubscribe'), 'not_subscribed');
    await gone;
    h.clock.advance(10_000);
    expect(await connection.unreadTypes()).toEqual([]);
  });

  it('unsubscribe() and close() before the answer are no uncaught errors', async () => {
    void room.subscribe();
    void room.unsubscribe();
    void h.client.channel('rooms.2').subscribe();
    await h.client.close();
  });

  it('a channel of which only one that came later waits ends when the server closes the client', async () => {
    const one = await subscribed({}, { snapshot: 1 });
    const late = codeOf(room.subscribe());
    await connection.expectCommand('snapshot');
    one.release();
    connection.close(4811, 'kicked|0');
    expect(await late).toBe('forbidden');
    expect(room.state).toBe('unsubscribed');
  });
});

describe('one who comes later', () => {
  it('is given the state of now, with every later event behind it', async () => {
    await subscribed({}, { snapshot: 'old' });
    connection.send(event(1));
    const log = journal();
    const answer = room.subscribe().then(({ snapshot, position, recovery }) => {
      log.push([snapshot, position.seq, recovery]);
    });
    const ask = await connection.expectCommand('snapshot');
    connection.send(
      event(2),
      { type: 'reply', ref: ask.id, payload: { ...at(2), snapshot: 'new' } },
      event(3),
    );
    await answer;
    await connection.sync();
    expect(log).toEqual([1, 2, ['new', 2, 'new'], 3]);
  });

  it('asks once for all who come, and not where the channel has no state, or none is wanted', async () => {
    await subscribed({}, { snapshot: 'old' });
    const all = [room.subscribe(), room.subscribe(), room.snapshot()];
    connection.reply(await connection.expectCommand('snapshot'), { ...at(0), snapshot: 'new' });
    expect((await Promise.all(all)).map(({ snapshot }) => snapshot)).toEqual(['new', 'new', 'new']);
    expect((await room.subscribe({ snapshot: false })).snapshot).toBeUndefined();
    expect(await connection.unreadTypes()).toEqual([]);

    const plain = h.client.channel('rooms.3');
    const first = plain.subscribe();
    await connection.subscribed(at(4));
    await first;
    const { release: _, ...second } = await plain.subscribe();
    expect(second).toEqual({ ...at(4), recovery: 'new' });
    expect(await connection.unreadTypes()).toEqual([]);
  });

  it('asks again after a temporary refusal, and rejects with a final one', async () => {
    await subscribed({}, { snapshot: 'old' });
    const late = room.subscribe();
    connection.error(await connection.expectCommand('snapshot'), 'unavailable', { retryAfterMs: 3_000 });
    await connection.sync();
    h.clock.advance(2_999);
    expect(await connection.unreadTypes()).toEqual([]);
    h.clock.advance(1);
    connection.reply(await connection.expectCommand('snapshot'), { ...at(0), snapshot: 'new' });
    expect((await late).snapshot).toBe('new');
    const refused = codeOf(room.subscribe());
    connection.error(await connection.expectCommand('snapshot'), 'internal');
    expect(await refused).toBe('internal');
    expect(room.state).toBe('subscribed');
  });

  it('is answered after a reconnect: from the answer if it has the state, else the state is asked for', async () => {
    await subscribed({}, { snapshot: 'old' });
    const late = room.subscribe();
    await connection.expectCommand('snapshot');
    connection.terminate();
    await h.state('waiting');
    const meanwhile = room.subscribe();
    connection = await h.back();
    await connection.subscribed({ ...at(0), recovery: 'complete' });
    connection.reply(await connection.expectCommand('snapshot'), { ...at(0), snapshot: 'new' });
    expect([(await late).snapshot, (await meanwhile).snapshot]).toEqual(['new', 'new']);

    const again = room.subscribe();
    await connection.expectCommand('snapshot');
    connection.terminate();
    await h.state('waiting');
    const third = room.subscribe();
    connection = await h.back();
    await connection.subscribed({ ...at(7, 'e2'), recovery: 'lost', snapshot: 'newest' });
    expect([(await again).snapshot, (await third).snapshot]).toEqual(['newest', 'newest']);
    expect((await third).position).toEqual(at(7, 'e2').position);
    expect(await connection.unreadTypes()).toEqual([]);
  });
});

describe('code that awaits', () => {
  it('runs before the first event, in however many functions it is wrapped', async () => {
    const seen: unknown[] = [];
    let outer = async () => room.subscribe({ position: at(3).position });
    for (let n = 0; n < 50; n++) {
      const inner = outer;
      outer = async () => inner();
    }
    const done = outer().then(() => {
      room.on('*', (_, { seq }) => seen.push(seq));
      room.on('resumed', ({ seq }) => seen.push(`resumed ${seq}`));
    });
    const { id } = await connection.expectCommand('subscribe');
    connection.send(
      { type: 'reply', ref: id, payload: { ...at(5), recovery: 'complete' } },
      event(4),
      event(5),
      { type: 'resumed', channel: 'rooms.1', epoch: 'e1', seq: 5 },
      event(6),
    );
    await done;
    await connection.sync();
    expect(seen).toEqual([4, 5, 'resumed 5', 6]);
    expect(room.position?.seq).toBe(6);
  });

  it('of one that comes in the middle of a frame runs before the events behind', async () => {
    await subscribed();
    const log: unknown[] = [];
    const late: unknown[] = [];
    room.on('*', (_, { seq }) => {
      log.push(seq);
      if (seq === 1) void room.subscribe().then(() => room.on('*', (__, other) => late.push(other.seq)));
    });
    connection.send(event(1), event(2), event(3));
    await connection.sync();
    expect([log, late]).toEqual([
      [1, 2, 3],
      [2, 3],
    ]);
  });

  it('nothing that is held is given to listeners when one of them ended the subscription', async () => {
    const log = journal();
    room.on('subscribed', () => void room.unsubscribe());
    void room.subscribe();
    const { id } = await connection.expectCommand('subscribe');
    connection.send({ type: 'reply', ref: id, payload: { ...at(0), recovery: 'new' } }, event(1));
    await connection.expectCommand('unsubscribe');
    await connection.sync();
    expect(log).toEqual([]);
  });
});

describe('listeners of one answer', () => {
  it.each(['subscribed', 'reset'] as const)(
    'are notified of nothing more of it when a listener of %s ends the subscription',
    async (name) => {
      const told: string[] = [];
      for (const later of ['gap', 'snapshot', 'recovered'] as const) room.on(later, () => told.push(later));
      if (name === 'reset') await subscribed();
      room.on(name, () => void room.unsubscribe());
      const answer = { ...at(9), recovery: 'truncated', from: 8, to: 9, cause: 'trimmed', snapshot: 1 };
      if (name === 'reset') {
        connection.send({ type: 'reset', channel: 'rooms.1', payload: answer });
      } else {
        void room.subscribe({ position: at(2).position });
        await connection.subscribed(answer);
      }
      await connection.expectCommand('unsubscribe');
      expect(told).toEqual([]);
      expect(room.presence.count).toBe(0);
    },
  );
});

describe('what a resume did', () => {
  const recovered = (): unknown[] => {
    const told: unknown[] = [];
    room.on('recovered', (what) => told.push(what));
    return told;
  };

  it('is reported by one event: complete, what is missing, or lost, with the state (P11, P26)', async () => {
    const told = recovered();
    await subscribed(at(2), at(2));
    const answers = [
      { ...at(4), recovery: 'complete' },
      { ...at(9), recovery: 'truncated', from: 8, to: 9, cause: 'trimmed', snapshot: { n: 9 } },
      { ...at(3, 'e2'), recovery: 'lost', snapshot: null },
    ];
    for (const answer of answers) {
      connection.terminate();
      connection = await h.back();
      await connection.subscribed(answer);
      await connection.sync();
    }
    const gap = { epoch: 'e1', from: 3, to: 7, reason: 'trimmed', partial: false, recoverable: false };
    expect(told).toEqual([
      { outcome: 'complete', position: at(2).position },
      { outcome: 'missing', gap, snapshot: { n: 9 }, position: at(7).position },
      { outcome: 'lost', snapshot: null, position: at(3, 'e2').position },
    ]);
  });

  it('comes with a reset too, before the events of the new epoch (G6)', async () => {
    await subscribed({}, at(5));
    const log = journal();
    room.on('recovered', ({ outcome }) => log.push(outcome));
    connection.send(
      { type: 'reset', channel: 'rooms.1', payload: { ...at(5, 'e2'), recovery: 'complete' } },
      eventMessage('rooms.1', 6, { epoch: 'e2' }),
    );
    await connection.sync();
    expect(log).toEqual(['complete', 6]);
  });

  it('and a truncated answer names the range to who asked', async () => {
    const answer = await subscribed(at(2), {
      ...at(9),
      recovery: 'truncated',
      from: 8,
      to: 9,
      cause: 'limit',
    });
    expect(answer.gap).toMatchObject({ from: 3, to: 7, recoverable: true });
  });
});

describe('positions', () => {
  it('null is none, and what is no position is refused at once', async () => {
    const answer = room.subscribe({ position: null });
    expect((await connection.subscribed())['payload']).toEqual({});
    await answer;
    const other = h.client.channel('rooms.2');
    for (const position of [7, {}, { epoch: 'e1' }, { epoch: 'e1', seq: -1 }, { epoch: 1, seq: 1 }, 'e1/4'])
      expect(await codeOf(other.subscribe({ position: position as never }))).toBe('bad_request');
    expect(await connection.unreadTypes()).toEqual([]);
    expect(other.state).toBe('unsubscribed');
  });

  it('are loaded and saved: once for the events that come together, after their listeners (P13)', async () => {
    let stored: unknown = at(3).position;
    const log = journal();
    const persist = {
      load: () => stored as { epoch: string; seq: number },
      save: ({ seq }: { seq: number }) => void log.push(`saved ${seq}`),
    };
    const answer = room.subscribe({ persist });
    const command = await connection.expectCommand('subscribe');
    expect(command['payload']).toEqual(at(3));
    connection.reply(command, { ...at(5), recovery: 'complete' });
    expect((await answer).recovery).toBe('complete');
    connection.send(event(4), event(5));
    await connection.sync();
    connection.send({
      type: 'gap',
      channel: 'rooms.1',
      epoch: 'e1',
      payload: { from: 6, to: 8, reason: 'overflow', recoverable: false },
    });
    await connection.sync();
    expect(log).toEqual(['saved 3', 4, 5, 'saved 5', 'saved 8']);

    stored = null;
    void room.unsubscribe();
    await connection.expectCommand('unsubscribe');
    void room.subscribe({ persist });
    expect((await connection.expectCommand('subscribe'))['payload']).toEqual({});
  });

  it('a store that fails to load refuses the subscribe; one that fails to save is reported', async () => {
    const broken = {
      load: () => {
        throw new Error('no store');
      },
      save: () => undefined,
    };
    await expect(room.subscribe({ persist: broken })).rejects.toThrow('no store');
    await subscribed({
      persist: {
        load: () => null,
        save: () => {
          throw new Error('full');
        },
      },
    });
    await connection.sync();
    expect(h.errors).toMatchObject([{ error: { message: 'full' }, context: { source: 'handler' } }]);
  });
});

describe('a refused or interrupted subscribe', () => {
  it('is reported each time, with what the application said', async () => {
    const told: unknown[] = [];
    room.on('unsubscribed', (cause) => told.push(cause));
    const answer = codeOf(room.subscribe());
    connection.error(await connection.expectCommand('subscribe'), 'refused', {
      retryAfterMs: 1_000,
      retryable: true,
      reason: 'room_full',
      data: { max: 5 },
    });
    await connection.sync();
    h.clock.advance(1_000);
    connection.error(await connection.expectCommand('subscribe'), 'forbidden', { reason: 'closed' });
    expect(await answer).toBe('forbidden');
    expect(told).toEqual([
      {
        code: 'refused',
        message: 'refused',
        reason: 'room_full',
        data: { max: 5 },
        willRetry: true,
        delayMs: 1_000,
      },
      { code: 'forbidden', message: 'forbidden', reason: 'closed', willRetry: false },
    ]);
  });
});

/** A channel that is subscribed and has no state answers at once. */
const joined = (options: ChannelSubscribeOptions = {}) => room.subscribe(options);

function controller(): { signal: AbortSignal; abort: () => void } {
  const made = new AbortController();
  return { signal: made.signal, abort: () => made.abort(new Error('no longer wanted')) };
}
