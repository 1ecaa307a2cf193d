import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { type FakeSession } from '../support/fake-host.js';
import { clientFrame, RawClient } from '../support/raw-client.js';
import { closeServers, serve } from '../support/test-server.js';
import { MSGPACK, pair, closed, received, turn } from '../support/pair.js';

afterEach(closeServers);

describe('frames to the client', () => {
  it.each([0, 1, 125, 126, 127, 65_535, 65_536, 100_000])(
    'a frame of %i bytes arrives completely (P4)',
    async (length) => {
      const { client, session } = await pair();
      const payload = 'x'.repeat(length);
      session.send(payload);
      const frame = await client.frame();
      expect(frame).toMatchObject({ fin: true, rsv1: false, opcode: 1, masked: false });
      expect(frame.payload.toString()).toBe(payload);
    },
  );

  it('MessagePack frames are binary without separator (P4)', async () => {
    const { client, session } = await pair({ headers: MSGPACK });
    session.send('a', 'b');
    expect(await client.frame()).toMatchObject({ opcode: 2, payload: Buffer.from('ab') });
  });

  it('many sockets share one buffer, keep the order of writes, and can be read by ws (P22)', async () => {
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

  it('frames leave at once, as Nagle’s algorithm is off', async () => {
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

  it('detects a client that stops reading, and measures its queue (G13)', async () => {
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

  it('serves another client at the same time (G14)', async () => {
    const { client, session, port, host } = await pair();
    client.socket.pause();
    await fill(session);
    const other = await RawClient.open(port);
    (await host.next()).send('hello');
    expect((await other.frame()).payload.toString()).toBe('hello');
  });

  it('destroys the socket of a closing client that neither reads nor answers (G13)', async () => {
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

  it('destroys the socket of a client that ends its side without a close frame and does not read (G13)', async () => {
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

  it('pauses and resumes reading', async () => {
    const { client, session } = await pair();
    session.connection.pause();
    client.text('held');
    // What is sent behind it, on another connection, is read.
    const other = await pair();
    other.client.text('read');
    await received(other.session, 1);
    expect(session.frames).toEqual([]);
    session.connection.resume();
    await received(session, 1);
    expect(session.frames).toEqual(['held']);
  });
});

describe('the end of a connection (protocol §7)', () => {
  it('sends code and reason when the server closes, and calls onClose once', async () => {
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

  it('reports the server’s code even if the client answers with another', async () => {
    const { client, session } = await pair();
    session.connection.close(4001, '');
    await client.close();
    client.sendClose(1000);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4001]);
  });

  it('sends what was written before the close frame first', async () => {
    const { client, session } = await pair();
    session.send('bye');
    session.connection.close(4001, '');
    expect((await client.frame()).payload.toString()).toBe('bye');
    expect((await client.frame()).opcode).toBe(8);
  });

  it('destroys the socket of a client that does not answer after closeTimeoutMs', async () => {
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

  it('cuts a client that has not answered its close, and no other, where there is no time (G18)', async () => {
    const { client, session, transport, clock, serverSocket } = await pair();
    expect(transport.cut()).toBe(0);
    let hasLeft = false;
    await transport.whenLeft();
    session.connection.close(4001, '');
    await client.close();
    void transport.whenLeft().then(() => (hasLeft = true));
    await turn();
    expect([session.closes, hasLeft]).toEqual([[], false]);
    expect(serverSocket.destroyed).toBe(false);
    expect(transport.cut()).toBe(1);
    // At once: nothing else would, as the clock of this test stands still.
    expect(serverSocket.destroyed).toBe(true);
    await closed(session);
    expect([session.closes, hasLeft]).toEqual([[4001], true]);
    expect(transport.cut()).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('destroys the socket of a client that answers but keeps its side open', async () => {
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

  it('answers a close of the client, and reports its code', async () => {
    const { client, session, clock } = await pair();
    client.sendClose(1000, 'done');
    expect(await client.close()).toEqual({ code: 1000, reason: 'done' });
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([1000]);
    expect(clock.pending).toBe(0);
  });

  it('reports a 1007, 1008 or 1009 of the client as the client’s code', async () => {
    for (const code of [1007, 1008, 1009]) {
      const { client, session } = await pair();
      client.sendClose(code);
      expect((await client.close()).code).toBe(code);
      client.socket.end();
      await closed(session);
      expect(session.closes).toEqual([code]);
    }
  });

  it('reports 1005 for a close frame without a code', async () => {
    const { client, session } = await pair();
    client.send(8, Buffer.alloc(0));
    expect(await client.frame()).toMatchObject({ opcode: 8, payload: Buffer.alloc(0) });
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([1005]);
  });

  it('reports 1006 for an end without a close frame', async () => {
    const { client, session } = await pair();
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([1006]);
  });

  it('reports 1006 for a reset, without ending the process', async () => {
    const { client, session } = await pair();
    client.socket.resetAndDestroy();
    await closed(session);
    expect(session.closes).toEqual([1006]);
    expect(session.connection.write(Buffer.from([0x81, 0]))).toBe(false);
  });

  it('sends no close frame on terminate', async () => {
    const { client, session } = await pair();
    session.connection.terminate();
    await client.until(() => client.ended || client.closed);
    await closed(session);
    expect(client.frames).toEqual([]);
    expect(session.closes).toEqual([1006]);
  });

  it('ignores writes after the close, and what the client still sends', async () => {
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

  it('reads the answer to a close on a paused connection', async () => {
    const { client, session } = await pair();
    session.connection.pause();
    session.connection.close(4003, '');
    await client.close();
    client.sendClose(4003);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4003]);
  });

  it('cuts a long reason at 123 bytes, between characters (RFC 6455 §5.5)', async () => {
    const { client, session } = await pair();
    session.connection.close(4811, `${'x'.repeat(122)}é and more`);
    expect(await client.close()).toEqual({ code: 4811, reason: 'x'.repeat(122) });
    const second = await pair();
    second.session.connection.close(4811, `${'x'.repeat(121)}é`);
    expect((await second.client.close()).reason).toBe(`${'x'.repeat(121)}é`);
  });

  it('ends the connection on a code that must not be sent, and reports it', async () => {
    const { session, errors } = await pair();
    session.connection.close(1006, '');
    await closed(session);
    expect(session.closes).toEqual([1006]);
    expect(errors).toHaveLength(1);
  });
});

describe('failures of the engine', () => {
  it('a failure of the engine in open closes with 4005', async () => {
    const { host, port, errors } = await serve();
    const failure = new Error('open');
    host.onOpen = () => {
      throw failure;
    };
    const client = await RawClient.open(port);
    expect(await client.close()).toEqual({ code: 4005, reason: 'internal|0' });
    expect(errors).toEqual([failure]);
  });

  it('a failure of the engine in onFrame closes with 4005, once', async () => {
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

  it('a close by the engine inside open is sent unchanged', async () => {
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
