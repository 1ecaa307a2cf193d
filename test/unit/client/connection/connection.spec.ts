import { afterEach, describe, expect, it } from '@jest/globals';
import type { RealtimeClientOptions } from '../../../../lib/client/options.js';
import { msgpackCodec } from '../../../../lib/client/msgpack.js';
import type { WebSocketConstructor, WebSocketLike } from '../../../../lib/client/transport/websocket.js';
import type { Codec } from '../../../../lib/protocol/codecs/codec.js';
import { jsonCodec } from '../../../../lib/protocol/codecs/json.js';
import { CLOSE_CODES } from '../../../../lib/protocol/close-codes.js';
import { eventMessage, until } from '../../../support/wire/scripted-server.js';
import { codeOf, Harness } from '../harness.js';

let harness: Harness | undefined;

const start = async (options?: RealtimeClientOptions, codec?: Codec): Promise<Harness> =>
  (harness = await Harness.start(options, codec));

afterEach(() => harness?.stop());

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

describe('opening a connection', () => {
  it('ends a wait with `retryNow`, which does nothing otherwise (P19)', async () => {
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

  it('offers its codec, and sends hello first and alone (P1, P3)', async () => {
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

  it('names no feature that it does not implement, and uses none that only the server names (P22)', async () => {
    const { client, server } = await start();
    void client.connect();
    const connection = await server.accept();
    const hello = await connection.welcome({ features: ['alias', 'delta', 'ack'] });
    expect(hello.payload).toMatchObject({ features: ['presence-count'] });
    connection.send({ type: 'subscribed', channel: 'rooms.1', payload: {} });
    await connection.sync();
    expect(connection.unread).toEqual([]);
  });

  it('speaks MessagePack in binary frames with that codec (P1)', async () => {
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

  it('ends an attempt that is not welcomed in time', async () => {
    const { clock, server, client } = await start({ connectTimeoutMs: 3_000 });
    void client.connect();
    const connection = await server.accept();
    await connection.expectCommand('hello');
    clock.advance(3_000);
    expect(client.status).toMatchObject({ state: 'waiting', reason: 'No welcome within 3000 ms' });
    await until(() => connection.ended !== undefined, 'the close');
  });

  it('passes webSocketOptions to the WebSocket, for example headers with a cookie', async () => {
    const { client, server } = await start({ webSocketOptions: { headers: { cookie: 'sid=1' } } });
    void client.connect();
    expect((await server.accept()).request.headers.cookie).toBe('sid=1');
  });
});

describe('frames', () => {
  it('sends the commands of one turn in one frame (P4)', async () => {
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

  it('stays within maxEnvelopesPerFrame and maxFrameBytes (P4)', async () => {
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

  it('reads several messages, and empty lines, from one frame (P4)', async () => {
    const h = await start();
    const connection = await h.live();
    connection.sendRaw('\n{"type":"ping","id":"p1"}\n\n{"type":"ping","id":"p2"}\n');
    expect((await connection.expectCommand('pong')).ref).toBe('p1');
    expect((await connection.expectCommand('pong')).ref).toBe('p2');
  });

  it('ignores unknown types, unknown fields and envelopes that are not objects (P6)', async () => {
    const h = await start();
    const connection = await h.live();
    connection.sendRaw('{"type":"brand_new","channel":"rooms.1"}\n17\nnull\n[]\n{"no":"type"}\n{"type":5}');
    connection.send({ type: 'ping', id: 'p', alias: 3, payload: { more: true } });
    expect((await connection.expectCommand('pong')).ref).toBe('p');
    expect(h.errors).toEqual([]);
    expect(h.client.state).toBe('live');
  });

  it('reconnects after a frame that cannot be read, as it may not skip it (G3)', async () => {
    const h = await start();
    const connection = await h.live();
    connection.sendRaw('{"type":"event", oops');
    await h.state('waiting');
    expect(h.errors[0]?.context.source).toBe('protocol');
    await until(() => connection.ended !== undefined, 'the close');
    expect(connection.ended?.code).toBe(CLOSE_CODES.protocol_error.code);
  });
});

describe('liveness of the connection', () => {
  it('answers every ping of the server with a pong (P8)', async () => {
    const h = await start();
    const connection = await h.live();
    for (const id of ['a', 'b', 'c']) {
      connection.send({ type: 'ping', id });
      expect(await connection.expectCommand('pong')).toEqual({ type: 'pong', ref: id });
    }
  });

  it('treats a connection without traffic for intervalMs + timeoutMs as dead (P9)', async () => {
    const h = await start();
    const connection = await h.live({ heartbeat: { intervalMs: 20_000, timeoutMs: 5_000 } });
    h.clock.advance(24_999);
    expect(h.client.state).toBe('live');
    await connection.sync();
    h.clock.advance(24_999);
    expect(h.client.state).toBe('live');
    h.clock.advance(1);
    // At once: a half-open connection never closes by itself.
    expect(h.client.status).toMatchObject({ state: 'waiting', reason: 'The server is silent' });
    await until(() => connection.ended !== undefined, 'the close');
  });

  it('sends a ping first when its timer was late, as the frames of a suspended page are still unread (P9)', async () => {
    const h = await start();
    const connection = await h.live({ heartbeat: { intervalMs: 20_000, timeoutMs: 5_000 } });
    h.clock.sleep(3_600_000);
    h.clock.advance(0);
    const ping = await connection.expectCommand('ping');
    connection.send({ type: 'pong', ref: ping.id });
    await connection.sync();
    h.clock.advance(5_000);
    expect(h.client.state).toBe('live');
    h.clock.advance(20_000);
    expect(h.client.state).toBe('waiting');
  });

  it('pings only once: if the timer is late again, the connection is dead (P9)', async () => {
    const h = await start();
    const connection = await h.live({ heartbeat: { intervalMs: 20_000, timeoutMs: 5_000 } });
    h.clock.sleep(3_600_000);
    h.clock.advance(0);
    await connection.expectCommand('ping');
    h.clock.sleep(3_600_000);
    h.clock.advance(0);
    expect(h.client.state).not.toBe('live');
  });
});

describe('closing the client', () => {
  it('sends bye, then closes with 1000', async () => {
    const h = await start();
    const connection = await h.live();
    const closed = h.client.close();
    expect(h.client.status).toEqual({ state: 'closed', code: 1000, name: 'normal' });
    await connection.expectCommand('bye');
    await closed;
    expect(connection.ended?.code).toBe(1000);
    expect(h.clock.pending).toBe(0);
  });

  it('ends a wait, an attempt to connect, and everything that waits for them', async () => {
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

  it('never opens an attempt that was ended', async () => {
    const h = await start();
    void h.client.connect().catch(() => undefined);
    void h.client.close();
    await h.live();
    expect(h.states.map(({ state }) => state)).toEqual(['connecting', 'closed', 'connecting', 'live']);
  });

  it('the client may be closed in a listener of any state, and connected again in any listener', async () => {
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

  it('the client may be connected again in a state listener', async () => {
    const h = await start();
    h.client.on('state', ({ state }) => {
      if (state === 'closed' && h.states.length < 5) void h.client.connect();
    });
    (await h.live()).close(4811, 'kicked|0');
    await (await h.server.accept()).welcome();
    await h.state('live');
  });
});
