import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import type { RealtimeClientOptions } from '../../../lib/client/options.js';
import { RealtimeClient } from '../../../lib/client/realtime-client.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { until } from '../../support/wire/scripted-server.js';
import { codeOf, Harness } from './harness.js';

let harness: Harness | undefined;
const start = async (options?: RealtimeClientOptions): Promise<Harness> =>
  (harness = await Harness.start(options));
afterEach(() => harness?.stop());

describe('the option trace', () => {
  it('is asked for each command and publish, and sent as it was when these were called', async () => {
    let calls = 0;
    const h = await start({ trace: () => (++calls < 4 ? `trace-${calls}` : undefined) });
    void h.client
      .channel('rooms.1')
      .publish('a')
      .catch(() => undefined);
    void h.client.request('b').catch(() => undefined);
    void h.client
      .channel('rooms.2')
      .publish('c')
      .catch(() => undefined);
    void h.client.request('d').catch(() => undefined);
    const connection = await h.live();
    const publishes = [await connection.expectCommand('publish'), await connection.expectCommand('publish')];
    const requests = [await connection.expectCommand('request'), await connection.expectCommand('request')];
    expect(publishes.map(({ event, trace }) => [event, trace])).toEqual([
      ['a', 'trace-1'],
      ['c', 'trace-3'],
    ]);
    expect(requests.map(({ trace }) => trace)).toEqual(['trace-2', undefined]);
    expect(requests.map((command) => 'trace' in command)).toEqual([true, false]);
    // A publish that is sent again is the same.
    connection.terminate();
    const again = await (await h.back()).expectCommand('publish');
    expect([again.event, again.trace]).toEqual(['a', 'trace-1']);
    expect(calls).toBe(4);
  });
});

describe('request', () => {
  it('takes the one answer with the ref of each command, in any order of answers (P7)', async () => {
    const h = await start();
    const connection = await h.live();
    const [first, second] = [h.client.request('a'), h.client.request('b')];
    const commands = [await connection.expectCommand('request'), await connection.expectCommand('request')];
    for (const command of commands.reverse()) connection.reply(command, command.event);
    expect(await Promise.all([first, second])).toEqual(['a', 'b']);
  });

  it('rejects with the error of the server, its details and its advice', async () => {
    const h = await start();
    const connection = await h.live();
    const result = h.client.request('a').catch((error: unknown) => error);
    const details = [{ path: 'title', message: 'is empty' }];
    connection.error(await connection.expectCommand('request'), 'validation_failed', {
      details,
      retryAfterMs: 7,
    });
    const error = await result;
    expect(error).toBeInstanceOf(RealtimeError);
    expect(error).toMatchObject({ code: 'validation_failed', retryable: false, details, retryAfterMs: 7 });
  });

  it('keeps the name of an error code that a later server adds (P6)', async () => {
    const h = await start();
    const connection = await h.live();
    const results = [h.client.request('a'), h.client.request('b')].map((result) =>
      result.catch(({ code, message }: RealtimeError) => [code, message]),
    );
    connection.error(await connection.expectCommand('request'), 'out_of_tea', {
      message: 'Later',
      retryable: true,
    });
    connection.error(await connection.expectCommand('request'), 'no_tea', {
      message: 'Never',
      retryable: false,
    });
    expect(await Promise.all(results)).toEqual([
      ['unavailable', 'out_of_tea: Later'],
      ['internal', 'no_tea: Never'],
    ]);
  });

  it('fails an interrupted request with outcome_unknown, and never sends it again (P17)', async () => {
    const h = await start();
    const connection = await h.live();
    const sent = codeOf(h.client.request('a'));
    await connection.expectCommand('request');
    connection.terminate();
    expect(await sent).toBe('outcome_unknown');
    await h.state('waiting');
    const waiting = h.client.request('b');
    const second = await h.back();
    const command = await second.expectCommand('request');
    expect(command.event).toBe('b');
    second.reply(command, 1);
    expect(await waiting).toBe(1);
  });

  it('fails after its time-out with timeout if it was not sent, and with outcome_unknown if it was', async () => {
    const h = await start({ requestTimeoutMs: 9_000 });
    const unsent = codeOf(h.client.request('a'));
    h.clock.advance(9_000);
    expect(await unsent).toBe('timeout');
    await h.stop();
    const other = await start();
    const connection = await other.live();
    const sent = codeOf(other.client.request('a', 1, { timeoutMs: 2_000 }));
    await connection.expectCommand('request');
    other.clock.advance(2_000);
    expect(await sent).toBe('outcome_unknown');
  });

  it('queues a bounded number of requests', async () => {
    const h = await start({ maxPendingCommands: 2 });
    const kept = [codeOf(h.client.request('a')), codeOf(h.client.request('b'))];
    expect(await codeOf(h.client.request('c'))).toBe('rate_limited');
    await h.client.close();
    expect(await Promise.all(kept)).toEqual(['unavailable', 'unavailable']);
  });

  it('refuses no subscribe and no unsubscribe, however many there are, nor anything else for their sake', async () => {
    const h = await start({ maxPendingCommands: 2 });
    const connection = await h.live();
    const rooms = Array.from({ length: 20 }, (_, number) => h.client.channel(`rooms.${number}`));
    const ended = rooms.map((room) => codeOf(room.subscribe()));
    const kept = [h.client.request('a'), h.client.request('b')];
    expect(await codeOf(h.client.request('c'))).toBe('rate_limited');
    const left = Promise.all(rooms.map((room) => room.unsubscribe()));
    for (const type of ['subscribe', 'request', 'unsubscribe']) {
      for (let count = type === 'request' ? 2 : rooms.length; count > 0; count--)
        connection.reply(await connection.expectCommand(type), {});
    }
    await Promise.all([...kept, left]);
    expect(new Set(await Promise.all(ended))).toEqual(new Set(['not_subscribed']));
    // What was answered has given its place back.
    const more = h.client.request('d');
    connection.reply(await connection.expectCommand('request'), 1);
    expect(await more).toBe(1);
  });

  it('sends what waited for a connection in its order, also behind what a lost connection left unanswered', async () => {
    const h = await start();
    const connection = await h.live();
    void codeOf(h.client.channel('rooms.1').history());
    void codeOf(h.client.channel('rooms.2').history());
    await connection.expectCommand('history');
    await connection.expectCommand('history');
    connection.terminate();
    await h.state('waiting');
    void codeOf(h.client.request('a'));
    void codeOf(h.client.channel('rooms.3').history());
    let last = connection;
    for (let round = 0; round < 2; round++) {
      last = await h.back();
      await last.sync();
      const expected = ['rooms.1', 'rooms.2', ...(round === 0 ? ['a'] : []), 'rooms.3'];
      expect(last.unread.map(({ channel, event }) => channel ?? event)).toEqual(expected);
      last.terminate();
    }
  });

  it('sends a read that a lost connection left unanswered before one that came later and waited for its channel', async () => {
    const h = await start();
    const connection = await h.live();
    const room = h.client.channel('rooms.9');
    void codeOf(room.subscribe());
    await connection.expectCommand('subscribe');
    void codeOf(h.client.channel('rooms.1').history());
    void codeOf(room.history());
    await connection.expectCommand('history');
    connection.terminate();
    await h.state('waiting');
    await room.unsubscribe();
    const next = await h.back();
    await next.sync();
    expect(next.unread.map(({ channel }) => channel)).toEqual(['rooms.1', 'rooms.9']);
  });

  it('fails locally if it is too large or cannot be encoded (P4)', async () => {
    const h = await start();
    await h.live({ limits: { maxMessageBytes: 500 } });
    expect(await codeOf(h.client.request('a', 'x'.repeat(500)))).toBe('message_too_large');
    expect(await codeOf(h.client.request('a', 1n))).toBe('bad_request');
  });

  it('reports an error without a pending command, but not a late answer to one', async () => {
    const h = await start();
    const connection = await h.live();
    connection.send({ type: 'error', payload: { code: 'rate_limited', message: 'Slow down' } });
    connection.error({ id: 'given-up' }, 'timeout');
    await connection.sync();
    expect(h.errors).toHaveLength(1);
    expect(h.errors[0]).toMatchObject({ error: { code: 'rate_limited' }, context: { source: 'server' } });
  });

  it('waits until the channel is subscribed (G10)', async () => {
    const h = await start();
    const connection = await h.live();
    const room = h.client.channel('rooms.1');
    void room.subscribe();
    const result = room.request('rename', { title: 'Tea' });
    const subscribe = await connection.expectCommand('subscribe');
    await connection.sync();
    expect(connection.unread).toEqual([]);
    connection.reply(subscribe, { position: { epoch: 'e1', seq: 0 }, recovery: 'new' });
    const command = await connection.expectCommand('request');
    expect(command).toMatchObject({ channel: 'rooms.1', event: 'rename', payload: { title: 'Tea' } });
    connection.reply(command, { ok: true });
    expect(await result).toEqual({ ok: true });
  });

  it('sends a channel request although its subscribe was refused, as it has its own authorization', async () => {
    const h = await start();
    const connection = await h.live();
    const room = h.client.channel('rooms.1');
    const refused = codeOf(room.subscribe());
    const result = codeOf(room.request('join'));
    connection.error(await connection.expectCommand('subscribe'), 'forbidden');
    connection.error(await connection.expectCommand('request'), 'not_subscribed');
    expect([await refused, await result]).toEqual(['forbidden', 'not_subscribed']);
  });
});

describe('history', () => {
  const page = {
    events: [{ id: 'a', ts: 1, seq: 3, event: 'tick', payload: 1 }],
    position: { epoch: 'e1', seq: 9 },
    more: true,
  };

  it('sends its bounds with the epoch of the client’s position', async () => {
    const h = await start();
    const connection = await h.live();
    const room = h.client.channel('rooms.1');
    const subscribed = room.subscribe();
    await connection.subscribed({ position: { epoch: 'e1', seq: 9 } });
    await subscribed;
    const result = room.history({ from: 3, until: 5, limit: 1, reverse: true });
    const command = await connection.expectCommand('history');
    expect(command.payload).toEqual({ epoch: 'e1', from: 3, until: 5, limit: 1, reverse: true });
    connection.reply(command, page);
    expect(await result).toEqual(page);
    const all = room.history({ limit: 10 });
    const unbounded = await connection.expectCommand('history');
    expect(unbounded.payload).toEqual({ limit: 10 });
    connection.reply(unbounded, {});
    expect(await codeOf(all)).toBe('internal');
  });

  it('is requested again after a reconnect', async () => {
    const h = await start();
    const connection = await h.live();
    const result = h.client.channel('rooms.1').history();
    await connection.expectCommand('history');
    connection.terminate();
    const second = await h.back();
    second.reply(await second.expectCommand('history'), page);
    expect((await result).more).toBe(true);
  });
});

describe('signal', () => {
  it('returns whether a connection took it, and does not wait for one', async () => {
    const h = await start();
    const room = h.client.channel('rooms.1');
    expect(await room.signal('typing')).toBe(false);
    const connection = await h.live();
    await connection.sync();
    expect(connection.unread).toEqual([]);
    const taken = room.signal('typing', { on: true });
    const command = await connection.expectCommand('signal');
    expect(command).toMatchObject({ channel: 'rooms.1', event: 'typing', payload: { on: true } });
    connection.reply(command, {});
    expect(await taken).toBe(true);
    const refused = codeOf(room.signal('typing'));
    connection.error(await connection.expectCommand('signal'), 'forbidden');
    expect(await refused).toBe('forbidden');
    const lost = room.signal('typing');
    await connection.expectCommand('signal');
    connection.terminate();
    expect(await lost).toBe(false);
  });
});

describe('listeners', () => {
  it('pass an error that one of them throws to the error listeners; without one it is an uncaught error', async () => {
    const thrown: unknown[] = [];
    const original = globalThis.queueMicrotask;
    // Caught here, or it would end the test run.
    globalThis.queueMicrotask = (task) =>
      original(() => {
        try {
          task();
        } catch (error) {
          thrown.push(String(error));
        }
      });
    try {
      const h = await start();
      h.client.on('state', ({ state }) => {
        throw new Error(`in ${state}`);
      });
      h.client.on('error', () => {
        throw new Error('in error');
      });
      await h.live();
      expect(h.errors.map(({ error, context }) => [String(error), context.source])).toEqual([
        ['Error: in connecting', 'handler'],
        ['Error: in live', 'handler'],
      ]);
      expect(thrown).toEqual(['Error: in error', 'Error: in error']);

      const bare = new RealtimeClient(h.server.url, { webSocket: WebSocket });
      bare.on('state', ({ state }) => {
        throw new Error(`bare ${state}`);
      });
      await bare.close();
      await until(() => thrown.length === 3, 'the error');
      expect(thrown[2]).toBe('Error: bare closed');
      await h.stop();
    } finally {
      globalThis.queueMicrotask = original;
    }
  });
});
