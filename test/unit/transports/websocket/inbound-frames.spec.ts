import { connect } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import { FakeHost } from '../support/fake-host.js';
import { clientFrame, upgradeRequest } from '../support/raw-client.js';
import { closeServers, serve } from '../support/test-server.js';
import { pair, closed, received, turn } from '../support/pair.js';

afterEach(closeServers);

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

  it('an empty message arrives', async () => {
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

  it('frames may be split anywhere, and merged into one segment', async () => {
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

  it('part of a large message is reported as such, with every chunk of it; a small one, and the end, are not', async () => {
    const { client, session } = await pair();
    const frame = clientFrame(1, Buffer.alloc(40 * 1024, 'x'));
    client.socket.setNoDelay(true);
    const parts: number[] = [];
    for (const [from, to, count] of [
      [0, 16 * 1024, 0],
      [16 * 1024, 17 * 1024, 1],
      [17 * 1024, 30 * 1024, 2],
    ] as const) {
      client.socket.write(frame.subarray(from, to));
      for (let turns = 0; turns < 5_000 && session.parts < count; turns++) await turn();
      for (let turns = 0; turns < 3; turns++) await turn();
      parts.push(session.parts);
    }
    expect(parts).toEqual([0, 1, 2]);
    client.socket.write(frame.subarray(30 * 1024));
    await received(session, 1);
    client.text('small');
    await received(session, 2);
    expect(session.parts).toBe(2);
  });

  it('frames in the segment of the upgrade are not lost', async () => {
    const { host, port } = await serve();
    connect(port, '127.0.0.1').write(
      Buffer.concat([Buffer.from(upgradeRequest()), clientFrame(1, Buffer.from('early'))]),
    );
    const session = await host.next();
    await received(session, 1);
    expect(session.frames).toEqual(['early']);
  });

  it('frames wait while the credentials are verified', async () => {
    const { host, port } = await serve();
    let finish: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      host.verify = () => (resolve(), new Promise((settle) => (finish = () => settle({}))));
    });
    const socket = connect(port, '127.0.0.1');
    socket.write(upgradeRequest('/realtime', { 'Sec-WebSocket-Protocol': 'realtime.v1.json, bearer.a' }));
    await asked;
    await new Promise((resolve) => socket.write(clientFrame(1, Buffer.from('early')), resolve));
    // It has reached the server's side; were it read now, nobody would listen.
    await turn();
    await turn();
    finish();
    const session = await host.next();
    await received(session, 1);
    expect(session.frames).toEqual(['early']);
  });
});

describe('frames that break a rule (P4, P6, RFC 6455)', () => {
  const host = (): FakeHost => new FakeHost(1_000);

  it('a frame of maxFrameBytes is accepted (P4, G24)', async () => {
    const { client, session } = await pair({ host: host() });
    client.text('x'.repeat(1_000));
    await received(session, 1);
    expect(session.frames[0]).toHaveLength(1_000);
  });

  it('a larger frame is refused with 4806 by its header, before its payload is read (P4, G24)', async () => {
    const { client, session } = await pair({ host: host() });
    client.send(1, Buffer.alloc(0), { claim: 1_001 });
    expect(await client.close()).toEqual({ code: 4806, reason: 'message_too_large|0' });
    client.sendClose(4806);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4806]);
    expect(session.frames).toEqual([]);
  });

  it('a frame with an impossible length is refused with 4806 (P4, G24)', async () => {
    const { client } = await pair({ host: host() });
    client.socket.write(Buffer.from([0x81, 0xff, 0x7f, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]));
    expect((await client.close()).code).toBe(4806);
  });

  it('the fragments of a message are counted together (P4, G24)', async () => {
    const { client, session } = await pair({ host: host() });
    client.send(1, Buffer.alloc(600, 'x'), { fin: false });
    client.send(0, Buffer.alloc(600, 'x'));
    expect((await client.close()).code).toBe(4806);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4806]);
  });

  it('more fragments than a message can need are refused with 4805 (P4, CVE-2026-42786)', async () => {
    const { client, session } = await pair({ host: host() });
    client.send(1, Buffer.alloc(0), { fin: false });
    client.socket.write(
      Buffer.concat(Array.from({ length: 1_100 }, () => clientFrame(0, Buffer.alloc(0), { fin: false }))),
    );
    expect(await client.close()).toEqual({ code: 4805, reason: 'protocol_error|0' });
    expect(session.frames).toEqual([]);
  });

  it('more pieces of a frame than its bytes can need are refused with 4805 (P4, ws 8.21)', async () => {
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
  ])('text that is not UTF-8 (%s) is refused with 4805 (P6)', async (_name, payload) => {
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
  ])('%s is refused with 1002 of RFC 6455', async (_name, bytes) => {
    const { client, session } = await pair();
    client.socket.write(bytes);
    expect((await client.close()).code).toBe(1002);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([1002]);
    expect(session.frames).toEqual([]);
  });

  it('nothing after an invalid frame is read', async () => {
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
  it('a ping is answered with its payload', async () => {
    const { client } = await pair();
    client.send(9, Buffer.from('x'.repeat(125)));
    expect(await client.frame()).toMatchObject({
      opcode: 10,
      masked: false,
      payload: Buffer.from('x'.repeat(125)),
    });
  });

  it('a ping or pong counts as `control` frames, and the engine is notified of those above the rate (G16)', async () => {
    const host = new FakeHost();
    host.frames = { perSecond: 8, burst: 16, control: 8 };
    const { client, session } = await pair({ host });
    const pings = (count: number): Buffer =>
      Buffer.concat(Array.from({ length: count }, () => clientFrame(9, Buffer.alloc(0))));
    client.socket.write(pings(2));
    await client.until(() => client.frames.filter(({ opcode }) => opcode === 10).length === 2);
    expect(session.excess).toEqual([]);
    client.socket.write(clientFrame(10, Buffer.alloc(0)));
    await session.until(({ excess }) => excess.length > 0);
    expect(session.excess).toEqual([1_000]);
    client.socket.write(pings(3));
    expect(await client.close()).toEqual({ code: 4807, reason: 'rate_abuse|0' });
    expect(session.excess).toEqual([1_000, Infinity]);
  });
});
