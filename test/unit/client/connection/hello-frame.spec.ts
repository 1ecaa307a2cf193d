import { afterEach, describe, expect, it } from '@jest/globals';
import { MIN_ENVELOPES_PER_FRAME } from '../../../../lib/protocol/envelope.js';
import { msgpackCodec } from '../../../../lib/protocol/codecs/msgpack.js';
import type { Codec } from '../../../../lib/protocol/codecs/codec.js';
import type { RealtimeClientOptions } from '../../../../lib/client/options.js';
import { until, WELCOME, type ScriptedConnection } from '../../../support/wire/scripted-server.js';
import { codeOf, Harness } from '../harness.js';

let harness: Harness;
afterEach(() => harness.stop());

async function start(options: RealtimeClientOptions = {}, codec?: Codec): Promise<Harness> {
  return (harness = await Harness.start(options, codec));
}

const ANSWER = { position: { epoch: 'e1', seq: 0 }, recovery: 'new' };

/** Answers `hello` without waiting for the client to be live. */
function welcome(connection: ScriptedConnection, hello: { id: string }, more: object = {}): void {
  connection.send({ type: 'welcome', ref: hello.id, payload: { ...WELCOME, ...more } });
}

describe('subscribes sent with hello (P3)', () => {
  it('subscribes are in the frame of hello, become live with their answer, and are not sent again', async () => {
    const { client, server } = await start();
    const room = client.channel('rooms.1');
    const seen: unknown[] = [];
    room.on('tick', (payload) => seen.push(payload));
    const result = room.subscribe();
    const connection = await server.accept();
    const hello = await connection.expectCommand('hello');
    const subscribe = await connection.expectCommand('subscribe');
    expect(connection.frames).toHaveLength(1);
    expect(client.state).toBe('connecting');
    expect(room.state).toBe('subscribing');
    connection.send(
      { type: 'welcome', ref: hello.id, payload: WELCOME },
      { type: 'reply', ref: subscribe.id, payload: ANSWER },
      { type: 'event', channel: 'rooms.1', event: 'tick', id: 'e', epoch: 'e1', seq: 1, payload: 'first' },
    );
    await expect(result).resolves.toMatchObject({ recovery: 'new' });
    await connection.sync();
    expect(seen).toEqual(['first']);
    expect(connection.unread).toEqual([]);
  });

  it('subscribes are in one frame with hello over MessagePack too', async () => {
    const { client, server } = await start({}, msgpackCodec);
    void client.channel('rooms.1').subscribe();
    const connection = await server.accept();
    await connection.expectCommand('hello');
    await connection.expectCommand('subscribe');
    expect(connection.frames).toHaveLength(1);
  });

  it('as many subscribes as every server accepts go with hello; the others follow welcome in order', async () => {
    const { client, server } = await start();
    const names = Array.from({ length: MIN_ENVELOPES_PER_FRAME + 3 }, (_, index) => `rooms.${index}`);
    for (const name of names) void client.channel(name).subscribe();
    const connection = await server.accept();
    const hello = await connection.expectCommand('hello');
    const early: unknown[] = [];
    for (let index = 1; index < MIN_ENVELOPES_PER_FRAME; index++)
      early.push((await connection.expectCommand('subscribe'))['channel']);
    expect(connection.unread).toEqual([]);
    welcome(connection, hello);
    const late: unknown[] = [];
    while (early.length + late.length < names.length)
      late.push((await connection.expectCommand('subscribe'))['channel']);
    expect([...early, ...late]).toEqual(names);
    expect(connection.frames).toHaveLength(2);
  });

  it('as many subscribes go with hello as the server stated in its last welcome', async () => {
    const h = await start();
    const { limits } = WELCOME;
    const first = await h.live({ limits: { ...limits, maxEnvelopesPerFrame: 3 } });
    for (const name of ['a', 'b', 'c', 'd']) {
      void h.client.channel(name).subscribe();
      await first.subscribed();
    }
    first.terminate();
    const second = await h.again();
    const hello = await second.expectCommand('hello');
    await second.expectCommand('subscribe');
    await second.expectCommand('subscribe');
    expect(second.unread).toEqual([]);
    welcome(second, hello);
    await second.expectCommand('subscribe');
    await second.expectCommand('subscribe');
  });

  it('a large subscribe waits for welcome, and so do those after it', async () => {
    const { client, server } = await start();
    void client.channel('rooms.1').subscribe({ params: { filter: 'x'.repeat(10_000) } });
    void client.channel('rooms.2').subscribe();
    const connection = await server.accept();
    const hello = await connection.expectCommand('hello');
    await until(() => connection.frames.length === 1, 'the frame');
    expect(connection.unread).toEqual([]);
    welcome(connection, hello);
    expect(await connection.expectCommand('subscribe')).toMatchObject({ channel: 'rooms.1' });
    expect(await connection.expectCommand('subscribe')).toMatchObject({ channel: 'rooms.2' });
  });

  it('a subscribe that cannot be encoded fails alone', async () => {
    const h = await start();
    const failed = codeOf(h.client.channel('rooms.1').subscribe({ params: { big: 1n } }));
    const connection = await h.server.accept();
    welcome(connection, await connection.expectCommand('hello'));
    expect(await failed).toBe('bad_request');
    await until(() => h.client.state === 'live', 'the welcome');
  });

  it('subscribes are the only commands before welcome', async () => {
    const { client, server } = await start();
    const room = client.channel('rooms.1');
    void room.subscribe();
    void room.publish('said', 'hello');
    void client.request('rooms.list');
    const connection = await server.accept();
    const hello = await connection.expectCommand('hello');
    await connection.expectCommand('subscribe');
    await expect(room.signal('typing')).resolves.toBe(false);
    await connection.settle();
    expect(connection.frames).toHaveLength(1);
    expect(connection.unread).toEqual([]);
    welcome(connection, hello);
    await connection.expectCommand('publish');
    await connection.expectCommand('request');
  });

  it('an unsubscribe and a subscribe before welcome keep their order', async () => {
    const { client, server } = await start();
    const room = client.channel('rooms.1');
    const given = codeOf(room.subscribe());
    const connection = await server.accept();
    const hello = await connection.expectCommand('hello');
    const first = await connection.expectCommand('subscribe');
    const left = room.unsubscribe();
    expect(await given).toBe('not_subscribed');
    const again = room.subscribe();
    const leave = await connection.expectCommand('unsubscribe');
    const second = await connection.expectCommand('subscribe');
    welcome(connection, hello);
    connection.reply(first, ANSWER);
    connection.reply(leave, {});
    connection.reply(second, ANSWER);
    await left;
    await expect(again).resolves.toMatchObject(ANSWER);
    expect(room.state).toBe('subscribed');
  });

  it('subscribes that do not fit keep their order after welcome', async () => {
    const h = await start();
    const { limits } = WELCOME;
    const before = await h.live({ limits: { ...limits, maxEnvelopesPerFrame: 2 } });
    const room = h.client.channel('rooms.1');
    void room.subscribe();
    await before.subscribed();
    before.terminate();
    const connection = await h.again();
    const hello = await connection.expectCommand('hello');
    const first = await connection.expectCommand('subscribe');
    const left = room.unsubscribe();
    const again = room.subscribe();
    expect(connection.unread).toEqual([]);
    welcome(connection, hello);
    const leave = await connection.expectCommand('unsubscribe');
    const second = await connection.expectCommand('subscribe');
    connection.reply(first, ANSWER);
    connection.reply(leave, {});
    connection.reply(second, ANSWER);
    await left;
    await again;
    expect(connection.unread).toEqual([]);
  });

  it('subscribes are sent again, after welcome, when the connection ends before welcome', async () => {
    const h = await start();
    const room = h.client.channel('rooms.1');
    const result = room.subscribe();
    const first = await h.server.accept();
    await first.expectCommand('hello');
    await first.expectCommand('subscribe');
    first.close(4805, 'protocol_error');
    await until(() => h.client.state !== 'connecting', 'the end');
    expect(h.client.status).toMatchObject({ state: 'waiting' });
    expect(room.state).toBe('waiting');
    const second = await h.again();
    const hello = await second.expectCommand('hello');
    // Too much in the frame of `hello` ends so; the second attempt is sure to get through.
    expect(second.unread).toEqual([]);
    welcome(second, hello);
    await second.subscribed();
    await expect(result).resolves.toMatchObject({ recovery: 'new' });
    second.terminate();
    const third = await h.again();
    await third.expectCommand('hello');
    await third.expectCommand('subscribe');
    expect(third.frames).toHaveLength(1);
  });

  it('subscribes count for the new user when welcome names another, while waiting requests fail', async () => {
    const h = await start();
    const room = h.client.channel('rooms.1');
    const first = await h.live({ user: 'ada' });
    void room.subscribe();
    await first.subscribed();
    first.terminate();
    await h.state('waiting');
    const asked = codeOf(h.client.request('mine'));
    const second = await h.again();
    const hello = await second.expectCommand('hello');
    const subscribe = await second.expectCommand('subscribe');
    welcome(second, hello, { user: 'bob' });
    second.reply(subscribe, ANSWER);
    expect(await asked).toBe('unauthorized');
    await second.sync();
    expect(room.state).toBe('subscribed');
    expect(second.unread).toEqual([]);
  });

  it('`close` before welcome ends the subscribes', async () => {
    const { client, server } = await start();
    const given = codeOf(client.channel('rooms.1').subscribe());
    const connection = await server.accept();
    await connection.expectCommand('hello');
    await client.close();
    expect(await given).toBe('unavailable');
    await until(() => connection.ended !== undefined, 'the close');
    expect(client.channel('rooms.1').state).toBe('unsubscribed');
  });

  it('subscribes that did not fit are not sent on a later connection, and do not delay `unsubscribe`', async () => {
    const h = await start();
    const large = h.client.channel('rooms.1');
    const given = codeOf(large.subscribe({ params: { filter: 'x'.repeat(10_000) } }));
    const room = h.client.channel('rooms.2');
    const first = await h.server.accept();
    await first.expectCommand('hello');
    const unsent = codeOf(room.subscribe());
    const left = room.unsubscribe();
    expect(await unsent).toBe('not_subscribed');
    first.terminate();
    await left;
    await h.state('waiting');
    void large.unsubscribe();
    expect(await given).toBe('not_subscribed');
    const again = room.subscribe();
    const second = await h.again();
    const hello = await second.expectCommand('hello');
    const subscribe = await second.expectCommand('subscribe');
    expect(subscribe).toMatchObject({ channel: 'rooms.2' });
    welcome(second, hello);
    second.reply(subscribe, ANSWER);
    await again;
    await second.sync();
    expect(second.unread).toEqual([]);
    expect(room.state).toBe('subscribed');
  });

  it('each channel is subscribed once when the connection is cut before welcome', async () => {
    const h = await start();
    const names = Array.from({ length: MIN_ENVELOPES_PER_FRAME + 3 }, (_, index) => `rooms.${index}`);
    for (const name of names) void h.client.channel(name).subscribe();
    const first = await h.server.accept();
    await first.expectCommand('hello');
    first.terminate();
    const second = await h.again();
    welcome(second, await second.expectCommand('hello'));
    const asked: unknown[] = [];
    while (asked.length < names.length) asked.push((await second.expectCommand('subscribe'))['channel']);
    expect(asked.sort()).toEqual([...names].sort());
    await second.sync();
    expect(second.unread).toEqual([]);
  });

  it('a subscribe that is refused before welcome is rejected, without ending the connection', async () => {
    const h = await start();
    const refused = codeOf(h.client.channel('rooms.1').subscribe());
    const connection = await h.server.accept();
    const hello = await connection.expectCommand('hello');
    connection.error(await connection.expectCommand('subscribe'), 'bad_request');
    expect(await refused).toBe('bad_request');
    welcome(connection, hello);
    await h.state('live');
    connection.close(4001, 'drain|0');
    await h.state('waiting');
    expect(h.client.status.reason).not.toContain('bad_request');
  });

  it('after a bye in answer to hello, the client follows its advice and sends subscribes with the next hello', async () => {
    const h = await start();
    const result = h.client.channel('rooms.1').subscribe();
    const first = await h.server.accept();
    await first.expectCommand('hello');
    await first.expectCommand('subscribe');
    first.send({ type: 'bye', payload: { code: 4001, retryAfterMs: 300, spreadMs: 8_000 } });
    first.close(4001, 'drain|300');
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ name: 'drain', delayMs: 300 + 0.5 * 8_000 });
    const second = await h.again();
    const hello = await second.expectCommand('hello');
    const subscribe = await second.expectCommand('subscribe');
    expect(second.frames).toHaveLength(1);
    welcome(second, hello);
    second.reply(subscribe, ANSWER);
    await expect(result).resolves.toMatchObject(ANSWER);
  });

  it('a subscribe whose time-out passes before welcome is cancelled and sent again, once', async () => {
    const h = await start({ requestTimeoutMs: 1_000, connectTimeoutMs: 10_000 });
    const room = h.client.channel('rooms.1');
    const result = room.subscribe();
    const asked = codeOf(h.client.request('rooms.list'));
    const connection = await h.server.accept();
    const hello = await connection.expectCommand('hello');
    const late = await connection.expectCommand('subscribe');
    h.clock.advance(1_000);
    expect(await asked).toBe('timeout');
    const left = await connection.expectCommand('unsubscribe');
    const anew = await connection.expectCommand('subscribe');
    await connection.settle();
    expect(connection.unread).toEqual([]);
    welcome(connection, hello);
    // The server may have acted on the first one, whose answer counts for nothing any more.
    connection.reply(late, { position: { epoch: 'e0', seq: 7 }, recovery: 'new' });
    connection.reply(left, {});
    connection.reply(anew, ANSWER);
    await expect(result).resolves.toMatchObject(ANSWER);
    await connection.sync();
    expect(connection.unread).toEqual([]);
    expect(room.state).toBe('subscribed');
  });

  it('a hello that the server refuses with an error is not retried', async () => {
    const h = await start();
    const given = codeOf(h.client.channel('rooms.1').subscribe());
    const connection = await h.server.accept();
    const hello = await connection.expectCommand('hello');
    connection.error(hello, 'bad_request');
    connection.close(4805, 'protocol_error');
    expect(await given).toBe('bad_request');
    expect(h.client.state).toBe('closed');
  });

  it.each([
    [4805, false],
    [4806, false],
    [1006, false],
    [4008, true],
    [4006, true],
  ])('after %i before welcome, subscribes go with the next hello: %s', async (code, early) => {
    const h = await start({ token: () => 'token' });
    void h.client.channel('rooms.1').subscribe();
    const first = await h.server.accept();
    await first.expectCommand('hello');
    await first.expectCommand('subscribe');
    if (code === 1006) first.terminate();
    else first.close(code);
    const second = await h.again();
    const hello = await second.expectCommand('hello');
    if (!early) welcome(second, hello);
    await second.expectCommand('subscribe');
    expect(second.frames).toHaveLength(early ? 1 : 2);
  });

  it('4805 after welcome is not retried', async () => {
    const h = await start();
    const room = h.client.channel('rooms.1');
    void room.subscribe();
    const connection = await h.server.accept();
    welcome(connection, await connection.expectCommand('hello'));
    await connection.subscribed();
    connection.close(4805, 'protocol_error');
    await h.state('closed');
  });
});
