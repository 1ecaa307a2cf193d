import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { RealtimeClient } from '../../../lib/client/realtime-client.js';
import type { RealtimeClientOptions } from '../../../lib/client/client.options.js';
import { msgpackCodec } from '../../../lib/client/msgpack.js';
import type { WebSocketConstructor, WebSocketLike } from '../../../lib/client/transport/websocket.types.js';
import type { Codec } from '../../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../../lib/protocol/codecs/json.codec.js';
import { CLOSE_CODES } from '../../../lib/protocol/close-codes.js';
import { eventMessage, until } from '../../support/scripted-server.js';
import { codeOf, Harness } from './client.harness.js';

let harness: Harness | undefined;
const start = async (options?: RealtimeClientOptions, codec?: Codec): Promise<Harness> =>
  (harness = await Harness.start(options, codec));
afterEach(() => harness?.stop());

describe('opening', () => {
  it('P19 retryNow ends a wait at once, and does nothing otherwise', async () => {
    const h = await start();
    h.client.retryNow();
    expect(h.client.state).toBe('idle');
    const connection = await h.live();
    connection.terminate();
    await h.state('waiting');
    h.client.retryNow();
    expect(h.client.state).toBe('connecting');
    await (await h.server.accept()).welcome({});
    await h.state('live');
  });

  it('P1 P3 offers its codec and says hello first, alone', async () => {
    const { client, server } = await start();
    const room = client.channel('rooms.1');
    const subscribed = room.subscribe();
    const connection = await server.accept();
    const hello = await connection.expectCommand('hello');
    expect(connection.protocols).toEqual(['realtime.v1.json']);
    expect(hello.payload).toEqual({
      versions: [1],
      features: ['presence-count'],
      client: { name: 'nestjs-realtime' },
    });
    expect(connection.frames).toHaveLength(1);
    connection.send({ type: 'welcome', ref: hello.id, payload: {} });
    await connection.subscribed();
    expect((await subscribed).recovery).toBe('new');
  });

  it('P22 names no feature that it does not implement, and speaks none that the server names', async () => {
    const { client, server } = await start();
    void client.connect();
    const connection = await server.accept();
    const hello = await connection.welcome({ features: ['alias', 'delta', 'ack'] });
    expect(hello.payload).toMatchObject({ features: ['presence-count'] });
    connection.send({ type: 'subscribed', channel: 'rooms.1', payload: {} });
    await connection.sync();
    expect(connection.unread).toEqual([]);
  });

  it('P1 speaks MessagePack in binary frames when that codec is given', async () => {
    const { client, server } = await start({}, msgpackCodec);
    const room = client.channel('rooms.1');
    const seen: unknown[] = [];
    room.on('tick', (payload) => seen.push(payload));
    void room.subscribe();
    const connection = await server.accept();
    await connection.welcome();
    await connection.subscribed();
    connection.send(eventMessage('rooms.1', 1), eventMessage('rooms.1', 2));
    await connection.sync();
    expect(seen).toEqual([{ n: 1 }, { n: 2 }]);
    void room.publish('a', { big: 1 });
    void room.publish('b');
    expect((await connection.expectCommand('publish')).payload).toEqual({ big: 1 });
    await connection.expectCommand('publish');
    expect(connection.frames.at(-1)).toBeInstanceOf(Uint8Array);
  });

  it.each([
    [msgpackCodec, ''],
    [jsonCodec, 'realtime.v1.msgpack'],
  ])('stops with 4804 when the server chose another subprotocol than its codec', async (codec, chosen) => {
    const h = await start({ codec, webSocket: openingWith(chosen) });
    expect(await codeOf(h.client.connect())).toBe('bad_request');
    expect(h.client.status).toMatchObject({ state: 'closed', name: 'unsupported_version' });
    expect(h.client.status.reason).toContain('"codec"');
  });

  it('opens with the first request, and answers it', async () => {
    const { client, server } = await start();
    const answer = client.request('rooms.list', { page: 1 });
    const connection = await server.accept();
    await connection.welcome();
    const command = await connection.expectCommand('request');
    expect(command).toMatchObject({ event: 'rooms.list', payload: { page: 1 } });
    expect(command.channel).toBeUndefined();
    connection.reply(command, ['a']);
    await expect(answer).resolves.toEqual(['a']);
  });

  it('names the remedy when the platform has no WebSocket', () => {
    const { WebSocket: own } = globalThis as { WebSocket?: unknown };
    Object.defineProperty(globalThis, 'WebSocket', { value: undefined, configurable: true, writable: true });
    try {
      expect(() => new RealtimeClient('http://localhost/realtime')).toThrow(/webSocket: WebSocket/);
    } finally {
      Object.defineProperty(globalThis, 'WebSocket', { value: own, configurable: true, writable: true });
    }
  });

  it('gives up an attempt that is not welcomed in time', async () => {
    const { clock, server, client } = await start({ connectTimeoutMs: 3_000 });
    void client.connect();
    const connection = await server.accept();
    await connection.expectCommand('hello');
    clock.advance(3_000);
    expect(client.status).toMatchObject({ state: 'waiting', reason: 'No welcome within 3000 ms' });
    await until(() => connection.ended !== undefined, 'the close');
  });

  it('passes webSocketOptions on, e.g. headers with a cookie', async () => {
    const { client, server } = await start({ webSocketOptions: { headers: { cookie: 'sid=1' } } });
    void client.connect();
    expect((await server.accept()).request.headers.cookie).toBe('sid=1');
  });
});

describe('frames', () => {
  it('P4 sends what is sent in one turn as one frame', async () => {
    const h = await start();
    const connection = await h.live();
    const before = connection.frames.length;
    void h.client.request('a');
    void h.client.request('b');
    void h.client.channel('rooms.1').publish('c');
    await connection.expectCommand('request');
    await connection.expectCommand('request');
    await connection.expectCommand('publish');
    expect(connection.frames).toHaveLength(before + 1);
  });

  it('P4 keeps to maxEnvelopesPerFrame and maxFrameBytes', async () => {
    const h = await start();
    const connection = await h.live({
      limits: { maxEnvelopesPerFrame: 3, maxFrameBytes: 400, maxMessageBytes: 400, ratePerSecond: 1_000 },
    });
    const before = connection.frames.length;
    for (let n = 0; n < 7; n++) void h.client.request('small');
    for (let n = 0; n < 4; n++) void h.client.request('big', 'ü'.repeat(80));
    for (let n = 0; n < 11; n++) await connection.expectCommand('request');
    const frames = connection.frames.slice(before).map(String);
    for (const frame of frames) {
      expect(frame.split('\n').length).toBeLessThanOrEqual(3);
      expect(Buffer.byteLength(frame)).toBeLessThanOrEqual(400);
    }
    expect(frames.length).toBeLessThan(11);
  });

  it('P4 reads several messages, and empty lines, from one frame', async () => {
    const h = await start();
    const connection = await h.live();
    connection.sendRaw('\n{"type":"ping","id":"p1"}\n\n{"type":"ping","id":"p2"}\n');
    expect((await connection.expectCommand('pong')).ref).toBe('p1');
    expect((await connection.expectCommand('pong')).ref).toBe('p2');
  });

  it('P6 ignores unknown types, unknown fields and what is no envelope', async () => {
    const h = await start();
    const connection = await h.live();
    connection.sendRaw('{"type":"brand_new","channel":"rooms.1"}\n17\nnull\n[]\n{"no":"type"}\n{"type":5}');
    connection.send({ type: 'ping', id: 'p', alias: 3, payload: { more: true } });
    expect((await connection.expectCommand('pong')).ref).toBe('p');
    expect(h.errors).toEqual([]);
    expect(h.client.state).toBe('live');
  });

  it('G3 reconnects after a frame that cannot be read, rather than skip it', async () => {
    const h = await start();
    const connection = await h.live();
    connection.sendRaw('{"type":"event", oops');
    await h.state('waiting');
    expect(h.errors[0]?.context.source).toBe('protocol');
    await until(() => connection.ended !== undefined, 'the close');
    expect(connection.ended?.code).toBe(CLOSE_CODES.protocol_error.code);
  });
});

describe('liveness', () => {
  it('P8 answers every ping of the server with a pong', async () => {
    const h = await start();
    const connection = await h.live();
    for (const id of ['a', 'b', 'c']) {
      connection.send({ type: 'ping', id });
      expect(await connection.expectCommand('pong')).toEqual({ type: 'pong', ref: id });
    }
  });

  it('P9 treats a connection as dead on which nothing is heard for intervalMs + timeoutMs', async () => {
    const h = await start();
    const connection = await h.live({ heartbeat: { intervalMs: 20_000, timeoutMs: 5_000 } });
    h.clock.advance(24_999);
    expect(h.client.state).toBe('live');
    await connection.sync();
    h.clock.advance(24_999);
    expect(h.client.state).toBe('live');
    h.clock.advance(1);
    // At once: a half-open connection never closes by itself.
    expect(h.client.status).toMatchObject({ state: 'waiting', reason: 'Nothing was heard from the server' });
    await until(() => connection.ended !== undefined, 'the close');
  });

  it('P9 asks first when its timer came late: the frames of a sleeping page were not read yet', async () => {
    const h = await start();
    const connection = await h.live({ heartbeat: { intervalMs: 20_000, timeoutMs: 5_000 } });
    h.clock.jump(3_600_000);
    h.clock.advance(25_000);
    const ping = await connection.expectCommand('ping');
    connection.send({ type: 'pong', ref: ping.id });
    await connection.sync();
    h.clock.advance(5_000);
    expect(h.client.state).toBe('live');
    h.clock.advance(20_000);
    expect(h.client.state).toBe('waiting');
  });

  it('P9 asks once: a timer that is late again finds a dead connection', async () => {
    const h = await start();
    const connection = await h.live({ heartbeat: { intervalMs: 20_000, timeoutMs: 5_000 } });
    h.clock.jump(3_600_000);
    h.clock.advance(25_000);
    await connection.expectCommand('ping');
    h.clock.jump(3_600_000);
    h.clock.advance(5_000);
    expect(h.client.state).not.toBe('live');
  });
});

describe('reconnecting', () => {
  it('P19 spreads the first attempt after an unannounced loss, then backs off, until a connection is stable', async () => {
    const h = await start();
    (await h.live()).terminate();
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ code: 1006, attempt: 1, delayMs: 0.5 * 2_000 });
    h.clock.advance(1_000);
    const second = await h.server.accept();
    await second.welcome();
    await h.state('live');
    h.clock.advance(9_999);
    second.terminate();
    await h.state('waiting');
    // Live, but not for stableMs: still the second attempt.
    expect(h.client.status).toMatchObject({ attempt: 2, delayMs: 0.5 * 2_000 });
    const third = await h.back();
    third.terminate();
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ attempt: 3, delayMs: 0.5 * 4_000 });
    const fourth = await h.back();
    h.clock.advance(10_000);
    fourth.terminate();
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ attempt: 1, delayMs: 0.5 * 2_000 });
  });

  it('P19 follows the advice of bye, and of a close reason', async () => {
    const h = await start();
    const first = await h.live();
    h.clock.advance(10_000);
    first.send({ type: 'bye', payload: { code: 4001, retryAfterMs: 300, spreadMs: 8_000 } });
    first.close(4001, 'drain|300');
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ code: 4001, name: 'drain', delayMs: 300 + 0.5 * 8_000 });
    const second = await h.back();
    h.clock.advance(10_000);
    second.close(4006, 'overloaded|7000');
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ name: 'overloaded', delayMs: 7_000 + 0.5 * 2_000 });
  });

  it('P19 a drain does not reset the backoff', async () => {
    const h = await start();
    const drain = { type: 'bye', payload: { code: 4001, retryAfterMs: 0, spreadMs: 0 } };
    const delays: (number | undefined)[] = [];
    let connection = await h.live();
    for (let round = 0; round < 4; round++) {
      connection.send(drain);
      connection.close(4001, 'drain|0');
      await h.state('waiting');
      delays.push(h.client.status.delayMs);
      connection = await h.back();
    }
    expect(delays).toEqual([0, 1_000, 2_000, 4_000]);
  });

  it('sends no command after bye, but keeps it for the next connection', async () => {
    const h = await start();
    const first = await h.live();
    first.send({ type: 'bye', payload: { code: 4001, retryAfterMs: 0, spreadMs: 0 } });
    await first.sync();
    const answer = h.client.request('late');
    await first.sync();
    expect(first.unread).toEqual([]);
    first.close(4001, 'drain|0');
    const second = await h.back();
    second.reply(await second.expectCommand('request'), 1);
    await expect(answer).resolves.toBe(1);
  });

  it('leaves a connection whose server said bye and never closed', async () => {
    const h = await start();
    const first = await h.live();
    first.send({ type: 'bye', payload: { code: 4001, retryAfterMs: 100, spreadMs: 0 } });
    await first.sync();
    h.clock.advance(30_000);
    await first.sync();
    h.clock.advance(5_000);
    expect(h.client.state).toBe('waiting');
  });

  it.each([1001, 1011, 1012, 4002, 4003, 4004, 4005, 4007, 4008, 4009, 4321])(
    'protocol §7: comes back after %i',
    async (code) => {
      const h = await start();
      (await h.live()).close(code);
      await h.state('waiting');
      expect(h.client.status.code).toBe(code);
    },
  );

  it.each([4801, 4802, 4803, 4804, 4805, 4806, 4807, 4810, 4811, 4899])(
    'protocol §7: stops after %i',
    async (code) => {
      const h = await start();
      (await h.live()).close(code, 'because');
      await h.state('closed');
      expect(h.client.status).toMatchObject({ code, reason: 'because' });
      expect(h.clock.pending).toBe(0);
    },
  );

  it('protocol §7: stays closed after 1000', async () => {
    const h = await start();
    (await h.live()).close(1000);
    await h.state('closed');
    expect(h.client.status.code).toBe(1000);
  });

  it('takes the code of bye when the close frame was lost', async () => {
    const h = await start();
    const connection = await h.live();
    connection.send({ type: 'bye', payload: { code: 4811, retryAfterMs: 0, spreadMs: 0 } });
    await connection.sync();
    connection.terminate();
    await h.state('closed');
    expect(h.client.status.name).toBe('kicked');
  });

  it('P28 hands over the last ticket, in hello and for admission, and forgets it when it leaves', async () => {
    const h = await start();
    (await h.live({ session: 'ticket-7' })).terminate();
    await h.state('waiting');
    h.clock.advance(5_000);
    const second = await h.server.accept();
    const hello = await second.welcome({ session: 'ticket-8' });
    expect(hello.payload).toMatchObject({ session: 'ticket-7' });
    expect(second.protocols).toEqual(['realtime.v1.json', 'resume.ticket-7']);
    await h.state('live');
    await h.client.close();
    void h.client.connect();
    const third = await h.server.accept();
    expect((await third.expectCommand('hello')).payload).not.toHaveProperty('session');
  });

  it('P28 does not take a superseded session back by itself, nor with its ticket', async () => {
    const h = await start();
    (await h.live()).close(4810, 'superseded|0');
    await h.state('closed');
    void h.client.connect();
    expect((await (await h.server.accept()).expectCommand('hello')).payload).not.toHaveProperty('session');
  });
});

describe('closing', () => {
  it('says bye, then closes with 1000', async () => {
    const h = await start();
    const connection = await h.live();
    const closed = h.client.close();
    expect(h.client.status).toEqual({ state: 'closed', code: 1000, name: 'normal' });
    await connection.expectCommand('bye');
    await closed;
    expect(connection.ended?.code).toBe(1000);
    expect(h.clock.pending).toBe(0);
  });

  it('gives up waiting, connecting and what waits for them', async () => {
    const h = await start();
    h.server.refuse = () => ({ status: 503 });
    const connected = codeOf(h.client.connect());
    const requested = codeOf(h.client.request('a'));
    const published = codeOf(h.client.channel('rooms.1').publish('b'));
    const subscribed = codeOf(h.client.channel('rooms.1').subscribe());
    await h.state('waiting');
    await h.client.close();
    expect(await Promise.all([connected, requested, published, subscribed])).toEqual(
      Array(4).fill('unavailable'),
    );
    expect(h.clock.pending).toBe(0);
    expect(await codeOf(h.client.request('c'))).toBe('unavailable');
  });

  it('an attempt that is given up does not come to life later', async () => {
    const h = await start();
    void h.client.connect().catch(() => undefined);
    void h.client.close();
    await h.live();
    expect(h.states.map(({ state }) => state)).toEqual(['connecting', 'closed', 'connecting', 'live']);
  });

  it('may be closed from a listener of any state, and opened again from any listener', async () => {
    const h = await start();
    const off = h.client.on('state', ({ state }) => {
      if (state === 'connecting') void h.client.close();
    });
    void h.client.connect();
    expect(h.client.state).toBe('closed');
    off();
    const room = h.client.channel('rooms.1');
    const connection = await h.live();
    const refused = codeOf(room.subscribe());
    await connection.expectCommand('subscribe');
    const once = room.on('state', (state) => {
      if (state !== 'unsubscribed') return;
      once();
      void h.client.connect();
    });
    connection.close(4811, 'kicked|0');
    expect(await refused).toBe('forbidden');
    await (await h.server.accept()).welcome();
    await h.state('live');
    expect(h.server.upgrades).toBe(2);
    expect(h.states.at(-1)?.state).toBe('live');
  });

  it('may be opened again from a state listener', async () => {
    const h = await start();
    h.client.on('state', ({ state }) => {
      if (state === 'closed' && h.states.length < 5) void h.client.connect();
    });
    (await h.live()).close(4811, 'kicked|0');
    await (await h.server.accept()).welcome();
    await h.state('live');
  });
});

describe('P18 a WebSocket that never opened', () => {
  const refused = async (
    status: number,
    headers: Record<string, string> = {},
    body = '',
  ): Promise<Harness> => {
    const h = await start();
    h.server.refuse = () => ({ status });
    h.server.answer = () => ({ status, headers, body });
    h.client.connect().catch(() => undefined);
    await until(() => h.client.state === 'waiting' || h.client.state === 'closed', 'a verdict');
    expect(h.server.requests).toHaveLength(1);
    expect(h.server.requests[0]).toMatchObject({ method: 'GET', url: '/realtime' });
    return h;
  };

  it('P18 asks GET {path} once; 401 without a token to renew stops', async () => {
    expect((await refused(401)).client.status).toMatchObject({
      state: 'closed',
      code: 4801,
      name: 'unauthorized',
    });
  });

  it('P18 403 stops', async () => {
    expect((await refused(403)).client.status).toMatchObject({
      state: 'closed',
      code: 4802,
      name: 'forbidden',
    });
  });

  it('P18 403 of a ban says so', async () => {
    const body = JSON.stringify({ code: 'banned', message: 'Until Friday' });
    const h = await refused(403, { 'content-type': 'application/json' }, body);
    expect(h.client.status).toMatchObject({
      state: 'closed',
      code: 4803,
      name: 'banned',
      reason: 'Until Friday',
    });
  });

  it.each([429, 503])('P18 %i waits for Retry-After, spread', async (status) => {
    const h = await refused(status, { 'retry-after': '12' });
    expect(h.client.status).toMatchObject({ state: 'waiting', delayMs: 12_000 + 0.5 * 2_000 });
  });

  it('P18 takes the delay of the body, and believes no more than an hour', async () => {
    const h = await refused(503, { 'retry-after': '1' }, '{"statusCode":503,"retryAfterMs":650}');
    expect(h.client.status.delayMs).toBe(650 + 0.5 * 2_000);
    await h.stop();
    const dated = await refused(503, { 'retry-after': 'Thu, 01 Jan 2026 00:00:30 GMT' });
    expect(dated.client.status.delayMs).toBe(30_000 + 0.5 * 2_000);
    await dated.stop();
    const long = await refused(503, { 'retry-after': '999999' });
    expect(long.client.status.delayMs).toBe(3_600_000 + 0.5 * 2_000);
  });

  it('P18 426 is an ordinary failure: the upgrade would succeed', async () => {
    expect((await refused(426)).client.status).toMatchObject({
      state: 'waiting',
      code: 1006,
      delayMs: 0.5 * 500,
    });
  });

  it('P18 an answer that is none of these waits, and is reported', async () => {
    const h = await refused(404);
    expect(h.client.state).toBe('waiting');
    expect(h.errors[0]?.context.source).toBe('connection');
  });

  it('P18 no answer at all waits', async () => {
    const h = await start();
    await h.server.stop();
    void h.client.connect().catch(() => undefined);
    await h.state('waiting');
    expect(h.client.status.reason).toBe('The server cannot be reached');
  });

  it('P18 asks with cookies, and is given up with the client', async () => {
    const fetch = jest.fn<NonNullable<Exclude<RealtimeClientOptions['fetch'], false>>>(
      (_url, { signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
    );
    const h = await start({ fetch });
    h.server.refuse = () => ({ status: 503 });
    void h.client.connect().catch(() => undefined);
    await until(() => fetch.mock.calls.length > 0, 'the question');
    expect(fetch.mock.calls[0]?.[1]).toMatchObject({
      method: 'GET',
      credentials: 'include',
      cache: 'no-store',
    });
    await h.client.close();
    expect(fetch.mock.calls[0]?.[1].signal.aborted).toBe(true);
  });
});

/** A WebSocket that opens by itself, with this subprotocol. */
function openingWith(protocol: string): WebSocketConstructor {
  return class implements WebSocketLike {
    binaryType = '';
    readonly protocol = protocol;
    onopen: WebSocketLike['onopen'] = null;
    onmessage: WebSocketLike['onmessage'] = null;
    onclose: WebSocketLike['onclose'] = null;
    onerror: WebSocketLike['onerror'] = null;

    constructor() {
      queueMicrotask(() => this.onopen?.(undefined as never));
    }

    send(): void {}
    close(): void {}
  };
}
