import { connect, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import type { WebSocketTransportOptions } from '../../../../lib/transports/websocket/websocket.options.js';
import { FakeHost, type FakeSession } from './support/fake-host.js';
import { clientFrame, RawClient, upgradeRequest, type HeaderLines } from './support/raw-client.js';
import { closeServers, serve } from './support/test-server.js';

afterEach(closeServers);

const MSGPACK = { 'Sec-WebSocket-Protocol': 'realtime.v1.msgpack' };

/** A raw client and what the engine holds of it. */
async function pair(options: WebSocketTransportOptions & { host?: FakeHost; headers?: HeaderLines } = {}) {
  const { host = new FakeHost(), headers, ...rest } = options;
  const context = await serve(rest, host);
  const accepted = new Promise<Socket>((resolve) => context.server.once('connection', resolve));
  const client = await RawClient.open(context.port, '/realtime', headers);
  return { ...context, client, session: await host.next(), serverSocket: await accepted };
}

const closed = (session: FakeSession): Promise<void> => session.until(({ closes }) => closes.length > 0);
const received = (session: FakeSession, count: number): Promise<void> =>
  session.until(({ frames }) => frames.length >= count);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('frames from the client', () => {
  it('text arrives as a string, binary as bytes', async () => {
    const { client, session } = await pair();
    client.text('{"type":"ping"} ✓');
    client.send(2, Buffer.from([0x81, 0xff]));
    await received(session, 2);
    expect(session.frames[0]).toBe('{"type":"ping"} ✓');
    expect(session.frames[1]).toBeInstanceOf(Uint8Array);
    expect([...(session.frames[1] as Uint8Array)]).toEqual([0x81, 0xff]);
  });

  it('an empty message is a message', async () => {
    const { client, session } = await pair();
    client.text('');
    client.send(2, Buffer.alloc(0));
    await received(session, 2);
    expect(session.frames[0]).toBe('');
    expect((session.frames[1] as Uint8Array).byteLength).toBe(0);
  });

  it('fragments are joined, with control frames in between (RFC 6455 §5.4)', async () => {
    const { client, session } = await pair();
    const bytes = Buffer.from('é✓');
    client.send(1, bytes.subarray(0, 1), { fin: false });
    client.send(9, Buffer.from('are you there'));
    client.send(0, bytes.subarray(1, 3), { fin: false });
    client.send(0, Buffer.alloc(0), { fin: false });
    client.send(0, bytes.subarray(3));
    await received(session, 1);
    expect(session.frames).toEqual(['é✓']);
    expect(await client.frame()).toMatchObject({ opcode: 10, payload: Buffer.from('are you there') });
  });

  it('may be split anywhere and merged into one segment', async () => {
    const { client, session } = await pair();
    const bytes = Buffer.concat(['one', 'two', 'three'].map((text) => clientFrame(1, Buffer.from(text))));
    for (const byte of bytes) {
      client.socket.write(Buffer.from([byte]));
      await turn();
    }
    client.socket.write(bytes);
    await received(session, 6);
    expect(session.frames).toEqual(['one', 'two', 'three', 'one', 'two', 'three']);
  });

  it('those in the same segment as the upgrade are not lost', async () => {
    const { host, port } = await serve();
    connect(port, '127.0.0.1').write(
      Buffer.concat([Buffer.from(upgradeRequest()), clientFrame(1, Buffer.from('early'))]),
    );
    const session = await host.next();
    await received(session, 1);
    expect(session.frames).toEqual(['early']);
  });

  it('those that come while the credentials are verified wait', async () => {
    const { host, port } = await serve();
    let finish: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      host.verify = () => (resolve(), new Promise((settle) => (finish = () => settle({}))));
    });
    const socket = connect(port, '127.0.0.1');
    socket.write(upgradeRequest('/realtime', { 'Sec-WebSocket-Protocol': 'realtime.v1.json, bearer.a' }));
    await asked;
    socket.write(clientFrame(1, Buffer.from('early')));
    await new Promise((resolve) => setTimeout(resolve, 20));
    finish();
    const session = await host.next();
    await received(session, 1);
    expect(session.frames).toEqual(['early']);
  });
});

describe('frames that break a rule (P4, P6, RFC 6455)', () => {
  const host = (): FakeHost => new FakeHost(1_000);

  it('P4, G24: one of exactly maxFrameBytes is taken', async () => {
    const { client, session } = await pair({ host: host() });
    client.text('x'.repeat(1_000));
    await received(session, 1);
    expect(session.frames[0]).toHaveLength(1_000);
  });

  it('P4, G24: a larger one is refused with 4806 by its header, before a byte of it is kept', async () => {
    const { client, session } = await pair({ host: host() });
    client.send(1, Buffer.alloc(0), { claim: 1_001 });
    expect(await client.close()).toEqual({ code: 4806, reason: 'message_too_large|0' });
    client.sendClose(4806);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4806]);
    expect(session.frames).toEqual([]);
  });

  it('P4, G24: one whose length no machine can hold is 4806 too', async () => {
    const { client } = await pair({ host: host() });
    client.socket.write(Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]));
    expect((await client.close()).code).toBe(4806);
  });

  it('P4, G24: fragments count together', async () => {
    const { client, session } = await pair({ host: host() });
    client.send(1, Buffer.alloc(600, 'x'), { fin: false });
    client.send(0, Buffer.alloc(600, 'x'));
    expect((await client.close()).code).toBe(4806);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4806]);
  });

  it('P4: more fragments than a message can need are 4805 (CVE-2026-42786)', async () => {
    const { client, session } = await pair({ host: host() });
    client.send(1, Buffer.alloc(0), { fin: false });
    client.socket.write(
      Buffer.concat(Array.from({ length: 1_100 }, () => clientFrame(0, Buffer.alloc(0), { fin: false }))),
    );
    expect(await client.close()).toEqual({ code: 4805, reason: 'protocol_error|0' });
    expect(session.frames).toEqual([]);
  });

  it('P4: and so are more pieces of one frame than its bytes can need (ws 8.21)', async () => {
    const { client, serverSocket } = await pair({ host: host() });
    client.send(1, Buffer.alloc(0), { claim: 1_000 });
    await turn();
    // What one-byte TCP segments look like, without the mercy of the kernel that merges them.
    for (let piece = 0; piece < 1_100; piece++) serverSocket.emit('data', Buffer.alloc(0));
    expect((await client.close()).code).toBe(4805);
  });

  it.each<[string, Buffer]>([
    ['a cut sequence', Buffer.from([0x61, 0xc3])],
    ['a surrogate', Buffer.from([0xed, 0xa0, 0x80])],
    ['a long form', Buffer.from([0xc0, 0xaf])],
    ['a byte that is never UTF-8', Buffer.from([0xff])],
  ])('P6: text that is not UTF-8 (%s) cannot be parsed: 4805', async (_name, payload) => {
    const { client, session } = await pair();
    client.send(1, payload);
    expect(await client.close()).toEqual({ code: 4805, reason: 'protocol_error|0' });
    expect(session.frames).toEqual([]);
  });

  it.each<[string, Buffer]>([
    ['no mask', clientFrame(1, Buffer.from('a'), { mask: false })],
    ['RSV1 without compression', clientFrame(1, Buffer.from('a'), { rsv: 0x40 })],
    ['RSV2', clientFrame(1, Buffer.from('a'), { rsv: 0x20 })],
    ['RSV3', clientFrame(1, Buffer.from('a'), { rsv: 0x10 })],
    ['a reserved opcode', clientFrame(3, Buffer.from('a'))],
    ['a reserved control opcode', clientFrame(11, Buffer.alloc(0))],
    ['a continuation of nothing', clientFrame(0, Buffer.from('a'))],
    [
      'a new message inside one',
      Buffer.concat([clientFrame(1, Buffer.from('a'), { fin: false }), clientFrame(1, Buffer.from('b'))]),
    ],
    ['a fragmented ping', clientFrame(9, Buffer.alloc(0), { fin: false })],
    ['a ping of 126 bytes', clientFrame(9, Buffer.alloc(126))],
    ['a close of one byte', clientFrame(8, Buffer.alloc(1))],
    ['a close with a code that is never sent', clientFrame(8, Buffer.from([0x03, 0xee]))],
    ['another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n')],
  ])('%s keeps RFC 6455’s 1002', async (_name, bytes) => {
    const { client, session } = await pair();
    client.socket.write(bytes);
    expect((await client.close()).code).toBe(1002);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([1002]);
    expect(session.frames).toEqual([]);
  });

  it('nothing behind the broken frame is read', async () => {
    const { client, session } = await pair();
    client.socket.write(
      Buffer.concat([
        clientFrame(1, Buffer.from('good')),
        clientFrame(3, Buffer.alloc(0)),
        clientFrame(1, Buffer.from('bad')),
      ]),
    );
    await client.close();
    client.text('bad');
    client.socket.end();
    await closed(session);
    expect(session.frames).toEqual(['good']);
  });
});

describe('control frames', () => {
  it('a ping is answered with its own payload', async () => {
    const { client } = await pair();
    client.send(9, Buffer.from('x'.repeat(125)));
    expect(await client.frame()).toMatchObject({
      opcode: 10,
      masked: false,
      payload: Buffer.from('x'.repeat(125)),
    });
  });

  it('G16: a flood of them is 4807, ordinary use is not', async () => {
    const { client, session, clock } = await pair();
    const pings = (count: number): Buffer =>
      Buffer.concat(Array.from({ length: count }, () => clientFrame(9, Buffer.alloc(0))));
    const pongs = (): number => client.frames.filter(({ opcode }) => opcode === 10).length;
    for (let window = 1; window <= 3; window++) {
      // In two halves, as ws answers at most 60 at a time.
      client.socket.write(pings(50));
      await client.until(() => pongs() === window * 100 - 50);
      client.socket.write(pings(50));
      await client.until(() => pongs() === window * 100);
      clock.advance(10_000);
    }
    client.socket.write(pings(50));
    await client.until(() => pongs() === 350);
    client.socket.write(pings(51));
    expect(await client.close()).toEqual({ code: 4807, reason: 'rate_abuse|0' });
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4807]);
  });
});

describe('frames to the client', () => {
  it.each([0, 1, 125, 126, 127, 65_535, 65_536, 100_000])('P4: %i bytes arrive whole', async (length) => {
    const { client, session } = await pair();
    const payload = 'x'.repeat(length);
    session.send(payload);
    const frame = await client.frame();
    expect(frame).toMatchObject({ fin: true, rsv1: false, opcode: 1, masked: false });
    expect(frame.payload.toString()).toBe(payload);
  });

  it('P4: MessagePack goes out in binary frames without separator', async () => {
    const { client, session } = await pair({ headers: MSGPACK });
    session.send('a', 'b');
    expect(await client.frame()).toMatchObject({ opcode: 2, payload: Buffer.from('ab') });
  });

  it('P22: one buffer serves many sockets, in the order of the writes, and the ws package reads it', async () => {
    const { host, port } = await serve();
    const clients = await Promise.all(
      Array.from({ length: 5 }, async () => {
        const client = new WebSocket(`ws://127.0.0.1:${port}/realtime`, ['realtime.v1.json']);
        const messages: string[] = [];
        client.on('message', (data: Buffer) => messages.push(data.toString()));
        await new Promise((resolve) => client.on('open', resolve));
        return { client, messages };
      }),
    );
    const variants = new Set(host.sessions.map(({ connection }) => connection.variant));
    expect(variants.size).toBe(1);
    const [variant] = variants;
    const frames = ['1', '2\n3', '4'].map((text) => variant?.frame([Buffer.from(text)]) as Buffer);
    const copies = frames.map((frame) => Buffer.from(frame));
    for (const frame of frames) for (const { connection } of host.sessions) connection.write(frame);
    for (const { connection } of host.sessions) connection.close(1000, '');
    await Promise.all(clients.map(({ client }) => new Promise((resolve) => client.on('close', resolve))));
    expect(clients.map(({ messages }) => messages)).toEqual(
      Array.from({ length: 5 }, () => ['1', '2\n3', '4']),
    );
    expect(frames).toEqual(copies);
  });

  it('leave at once: Nagle’s algorithm is off', async () => {
    const { serverSocket } = await pair();
    const kSetNoDelay = Object.getOwnPropertySymbols(serverSocket).find((key) =>
      String(key).includes('SetNoDelay'),
    );
    expect(kSetNoDelay === undefined || Reflect.get(serverSocket, kSetNoDelay)).toBe(true);
  });
});

describe('backpressure (G13, G14)', () => {
  const CHUNK = 'x'.repeat(256 * 1024);

  /** Writes until the kernel takes no more and 2 MB wait in the process. */
  async function fill(session: FakeSession): Promise<number> {
    let frames = 0;
    while (session.connection.bufferedBytes < 2 * 1024 * 1024) {
      session.send(CHUNK);
      frames++;
      await turn();
    }
    return frames;
  }

  it('G13: a client that stops reading is seen, and its queue measured', async () => {
    const { client, session } = await pair();
    client.socket.pause();
    expect(session.connection.bufferedBytes).toBe(0);
    const frames = await fill(session);
    expect(session.send('more')).toBe(false);
    expect(session.connection.bufferedBytes).toBeGreaterThan(1024 * 1024);
    expect(session.drains).toBe(0);

    client.socket.resume();
    await session.until(({ drains }) => drains > 0);
    expect(session.connection.bufferedBytes).toBe(0);
    await client.until(() => client.frames.length === frames + 1);
    expect(client.frames.at(-1)?.payload.toString()).toBe('more');
    expect(session.send('again')).toBe(true);
  });

  it('G14: another client is served meanwhile', async () => {
    const { client, session, port, host } = await pair();
    client.socket.pause();
    await fill(session);
    const other = await RawClient.open(port);
    (await host.next()).send('hello');
    expect((await other.frame()).payload.toString()).toBe('hello');
  });

  it('G13: a client that neither reads nor answers does not keep a closing socket', async () => {
    const { client, session, clock, serverSocket } = await pair();
    client.socket.pause();
    await fill(session);
    session.connection.close(4003, 'slow_consumer|0');
    clock.advance(4_999);
    await turn();
    expect(serverSocket.destroyed).toBe(false);
    clock.advance(1);
    expect(serverSocket.destroyed).toBe(true);
    await closed(session);
    expect(session.closes).toEqual([4003]);
    expect(session.drains).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('G13: neither does one that ends its side without a close frame', async () => {
    const { client, session, clock, serverSocket } = await pair();
    client.socket.pause();
    await fill(session);
    client.socket.end();
    while (clock.pending === 0) await turn();
    expect(serverSocket.destroyed).toBe(false);
    clock.advance(5_000);
    await closed(session);
    expect(session.closes).toEqual([1006]);
  });

  it('reading pauses and resumes', async () => {
    const { client, session } = await pair();
    session.connection.pause();
    client.text('held');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(session.frames).toEqual([]);
    session.connection.resume();
    await received(session, 1);
    expect(session.frames).toEqual(['held']);
  });
});

describe('the end of a connection (protocol §7)', () => {
  it('the server closes: code and reason go out, onClose is called once', async () => {
    const { client, session, clock } = await pair();
    session.connection.close(4001, 'drain|1500');
    session.connection.close(4003, 'slow_consumer|0');
    expect(await client.close()).toEqual({ code: 4001, reason: 'drain|1500' });
    client.sendClose(4001);
    await client.until(() => client.ended);
    client.socket.end();
    await closed(session);
    session.connection.close(4003, '');
    session.connection.terminate();
    await turn();
    expect(session.closes).toEqual([4001]);
    expect(client.frames).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('the server’s code counts even if the client answers with another', async () => {
    const { client, session } = await pair();
    session.connection.close(4001, '');
    await client.close();
    client.sendClose(1000);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4001]);
  });

  it('what was written before the close frame comes before it', async () => {
    const { client, session } = await pair();
    session.send('bye');
    session.connection.close(4001, '');
    expect((await client.frame()).payload.toString()).toBe('bye');
    expect((await client.frame()).opcode).toBe(8);
  });

  it('a client that does not answer is cut off after closeTimeoutMs', async () => {
    const { client, session, clock } = await pair({ closeTimeoutMs: 2_000 });
    session.connection.close(4002, 'rotate|0');
    await client.close();
    clock.advance(1_999);
    expect(session.closes).toEqual([]);
    clock.advance(1);
    await closed(session);
    expect(session.closes).toEqual([4002]);
    expect(clock.pending).toBe(0);
  });

  it('so is one that answers but keeps its side open', async () => {
    const { client, session, clock, serverSocket } = await pair();
    session.connection.close(4002, '');
    await client.close();
    client.sendClose(4002);
    await client.until(() => client.ended);
    expect(serverSocket.destroyed).toBe(false);
    clock.advance(5_000);
    await closed(session);
    expect(session.closes).toEqual([4002]);
  });

  it('the client closes: it is answered, and its code is told', async () => {
    const { client, session, clock } = await pair();
    client.sendClose(1000, 'done');
    expect(await client.close()).toEqual({ code: 1000, reason: 'done' });
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([1000]);
    expect(clock.pending).toBe(0);
  });

  it('a client’s own 1009 or 1007 is not taken for a failure of ours', async () => {
    for (const code of [1007, 1008, 1009]) {
      const { client, session } = await pair();
      client.sendClose(code);
      expect((await client.close()).code).toBe(code);
      client.socket.end();
      await closed(session);
      expect(session.closes).toEqual([code]);
    }
  });

  it('a close frame without a code is 1005', async () => {
    const { client, session } = await pair();
    client.send(8, Buffer.alloc(0));
    expect(await client.frame()).toMatchObject({ opcode: 8, payload: Buffer.alloc(0) });
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([1005]);
  });

  it('an end without a close frame is 1006', async () => {
    const { client, session } = await pair();
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([1006]);
  });

  it('a reset is 1006, and ends no process', async () => {
    const { client, session } = await pair();
    client.socket.resetAndDestroy();
    await closed(session);
    expect(session.closes).toEqual([1006]);
    expect(session.connection.write(Buffer.from([0x81, 0]))).toBe(false);
  });

  it('terminate sends no close frame', async () => {
    const { client, session } = await pair();
    session.connection.terminate();
    await client.until(() => client.ended || client.closed);
    await closed(session);
    expect(client.frames).toEqual([]);
    expect(session.closes).toEqual([1006]);
  });

  it('a write behind the close is ignored, and so is what the client still sends', async () => {
    const { client, session, errors } = await pair();
    session.connection.close(4001, '');
    expect(session.send('late')).toBe(false);
    client.text('late');
    await client.close();
    client.sendClose(4001);
    client.socket.end();
    await closed(session);
    expect(session.send('later')).toBe(false);
    await client.until(() => client.ended);
    expect(client.frames).toEqual([]);
    expect(session.frames).toEqual([]);
    expect(errors).toEqual([]);
  });

  it('a paused connection can be closed: the answer is read', async () => {
    const { client, session } = await pair();
    session.connection.pause();
    session.connection.close(4003, '');
    await client.close();
    client.sendClose(4003);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4003]);
  });

  it('RFC 6455 §5.5: a long reason is cut at 123 bytes, between characters', async () => {
    const { client, session } = await pair();
    session.connection.close(4811, `${'x'.repeat(122)}é and more`);
    expect(await client.close()).toEqual({ code: 4811, reason: 'x'.repeat(122) });
    const second = await pair();
    second.session.connection.close(4811, `${'x'.repeat(121)}é`);
    expect((await second.client.close()).reason).toBe(`${'x'.repeat(121)}é`);
  });

  it('a code that must not be sent ends the connection all the same, and is reported', async () => {
    const { session, errors } = await pair();
    session.connection.close(1006, '');
    await closed(session);
    expect(session.closes).toEqual([1006]);
    expect(errors).toHaveLength(1);
  });
});

describe('failures of the engine', () => {
  it('in open close with 4005', async () => {
    const { host, port, errors } = await serve();
    const failure = new Error('open');
    host.onOpen = () => {
      throw failure;
    };
    const client = await RawClient.open(port);
    expect(await client.close()).toEqual({ code: 4005, reason: 'internal|0' });
    expect(errors).toEqual([failure]);
  });

  it('in onFrame close with 4005, once', async () => {
    const { client, session, errors } = await pair();
    session.onEachFrame = () => {
      throw new Error('frame');
    };
    client.socket.write(Buffer.concat([clientFrame(1, Buffer.from('a')), clientFrame(1, Buffer.from('b'))]));
    expect((await client.close()).code).toBe(4005);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4005]);
    expect(errors).toHaveLength(1);
  });

  it('an engine that closes inside open is obeyed', async () => {
    const { host, port } = await serve();
    host.onOpen = (session) => session.connection.close(4006, 'overloaded|1000');
    const client = await RawClient.open(port);
    expect(await client.close()).toEqual({ code: 4006, reason: 'overloaded|1000' });
    client.sendClose(4006);
    client.socket.end();
    const session = await host.next();
    await closed(session);
    expect(session.closes).toEqual([4006]);
  });
});
