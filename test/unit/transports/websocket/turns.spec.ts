import { afterEach, describe, expect, it } from '@jest/globals';
import { FakeHost, type FakeSession } from '../support/fake-host.js';
import { clientFrame, RawClient } from '../support/raw-client.js';
import { closeServers } from '../support/test-server.js';
import { closed, pair, received, turn } from '../support/pair.js';

afterEach(closeServers);

const KB = 1_024;
/** Of a frame of the tests: header, mask and payload. */
const FRAME_BYTES = 128;
const PIECE_FRAMES = (4 * KB) / FRAME_BYTES;

const textOf = (index: number): string => String(index).padEnd(FRAME_BYTES - 6, '.');
const frames = (count: number, from = 0): Buffer =>
  Buffer.concat(
    Array.from({ length: count }, (_, index) => clientFrame(1, Buffer.from(textOf(from + index)))),
  );
const texts = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => textOf(from + index));

/** What a stream does in its next ticks, and the engine in a turn. */
async function settle(): Promise<void> {
  for (let turns = 0; turns < 3; turns++) await turn();
}

/** A client of a busy node whose socket has received so many frames at once. */
async function sent(count: number, host = new FakeHost()) {
  const all = await pair({ host });
  all.session.isBusy = true;
  expect(frames(1)).toHaveLength(FRAME_BYTES);
  all.serverSocket.push(frames(count));
  await settle();
  return all;
}

/** The client has its turn. */
async function serve(session: FakeSession): Promise<void> {
  session.reads.shift()?.();
  await settle();
}

describe('much that comes at once (G16)', () => {
  it('is parsed at once while nobody is kept waiting', async () => {
    const { session, serverSocket } = await pair();
    serverSocket.push(frames(100));
    expect(session.frames).toEqual(texts(100));
    expect(session.asked).toEqual([100 * FRAME_BYTES]);
  });

  it('a kibibyte waits for nobody, and a byte more does', async () => {
    const { session, serverSocket } = await pair();
    session.isBusy = true;
    const kibibyte = frames(8);
    expect(kibibyte).toHaveLength(KB);
    serverSocket.push(kibibyte);
    expect(session.frames).toEqual(texts(8));
    expect(session.asked).toEqual([]);
    serverSocket.push(Buffer.concat([kibibyte, Buffer.from([0x81])]));
    expect(session.frames).toEqual(texts(8));
    expect(session.asked).toEqual([KB + 1]);
  });

  it('waits for its turn, and each turn takes four kibibytes of it, in order', async () => {
    const { session } = await sent(100);
    expect(session.frames).toEqual([]);
    for (const [count, left] of [
      [PIECE_FRAMES, 100 - PIECE_FRAMES],
      [2 * PIECE_FRAMES, 100 - 2 * PIECE_FRAMES],
      [3 * PIECE_FRAMES, 100 - 3 * PIECE_FRAMES],
      [100, 0],
    ] as const) {
      expect(session.reads).toHaveLength(1);
      await serve(session);
      expect(session.frames).toEqual(texts(count));
      expect(session.reads).toHaveLength(left > 0 ? 1 : 0);
    }
    expect(session.asked).toEqual([100, 100, 68, 36].map((count) => count * FRAME_BYTES));
  });

  it('exactly one piece is done in one turn', async () => {
    const { session } = await sent(PIECE_FRAMES);
    await serve(session);
    expect(session.frames).toEqual(texts(PIECE_FRAMES));
    expect(session.reads).toEqual([]);
  });

  it('a frame that is cut by the end of a piece arrives whole', async () => {
    const { session, serverSocket } = await pair();
    session.isBusy = true;
    serverSocket.push(Buffer.concat([clientFrame(1, Buffer.from('cut')), frames(64)]));
    await settle();
    for (let turns = 0; turns < 3; turns++) await serve(session);
    expect(session.frames).toEqual(['cut', ...texts(64)]);
  });

  it('the rest comes without further turns once nobody is kept waiting', async () => {
    const { session } = await sent(100);
    session.isBusy = false;
    await serve(session);
    expect(session.frames).toEqual(texts(100));
    expect(session.reads).toEqual([]);
  });

  it('what comes behind it keeps its place, small or not', async () => {
    const { session, serverSocket } = await sent(100);
    serverSocket.push(frames(1, 100));
    serverSocket.push(frames(20, 101));
    await settle();
    expect(session.frames).toEqual([]);
    for (let turns = 0; turns < 8 && session.frames.length < 121; turns++) await serve(session);
    expect(session.frames).toEqual(texts(121));
    expect(session.reads).toEqual([]);
  });

  it('the client is read from no further, so what it sends stays with it', async () => {
    const { client, session, serverSocket } = await sent(100);
    const flood = frames(200_000, 100);
    client.socket.write(flood);
    await settle();
    await settle();
    expect(serverSocket.isPaused()).toBe(true);
    // It is read from until its mark is reached, 64 KiB at a time.
    expect(serverSocket.readableLength).toBeLessThan(serverSocket.readableHighWaterMark + 64 * KB);
    expect(client.socket.writableLength).toBeGreaterThan(0);
    session.isBusy = false;
    await serve(session);
    await received(session, 200_100);
    expect(session.frames[200_099]).toBe(textOf(200_099));
  });

  it('a turn that comes while the engine has paused reading is taken when it reads on', async () => {
    const { session } = await sent(100);
    session.connection.pause();
    await serve(session);
    expect(session.frames).toEqual([]);
    session.connection.resume();
    await settle();
    expect(session.frames).toEqual(texts(PIECE_FRAMES));
    expect(session.reads).toHaveLength(1);
  });

  it('an engine that reads on does not give it a turn', async () => {
    const { session } = await sent(100);
    session.connection.pause();
    session.connection.resume();
    await settle();
    expect(session.frames).toEqual([]);
    expect(session.reads).toHaveLength(1);
    await serve(session);
    expect(session.frames).toEqual(texts(PIECE_FRAMES));
  });

  it('an engine that reads on does not give a turn to what is left, however little that is', async () => {
    const { session, serverSocket } = await sent(PIECE_FRAMES + 1);
    await serve(session);
    expect(session.frames).toEqual(texts(PIECE_FRAMES));
    session.connection.pause();
    session.connection.resume();
    await settle();
    expect(session.frames).toEqual(texts(PIECE_FRAMES));
    expect(session.reads).toHaveLength(1);
    await serve(session);
    expect(session.frames).toEqual(texts(PIECE_FRAMES + 1));
    expect(session.reads).toEqual([]);
    // That used up its turn.
    serverSocket.push(frames(16, PIECE_FRAMES + 1));
    await settle();
    expect(session.frames).toEqual(texts(PIECE_FRAMES + 1));
    expect(session.reads).toHaveLength(1);
  });

  it('a turn is used up by what it was for: what comes behind it waits for the next', async () => {
    const { session, serverSocket } = await sent(PIECE_FRAMES);
    await serve(session);
    expect(session.frames).toEqual(texts(PIECE_FRAMES));
    serverSocket.push(frames(16, PIECE_FRAMES));
    await settle();
    expect(session.frames).toEqual(texts(PIECE_FRAMES));
    expect(session.asked.at(-1)).toBe(2 * KB);
    await serve(session);
    expect(session.frames).toEqual(texts(PIECE_FRAMES + 16));
  });

  it.each([1, 2, 3, 4, 5, 7, 8])(
    'a frame that the end of a piece cuts after %d bytes of its header arrives whole',
    async (cut) => {
      const { session, serverSocket } = await pair();
      session.isBusy = true;
      const long = Array.from({ length: 40 }, (_, index) => String(index).padEnd(292, '.'));
      const longFrames = long.map((text) => clientFrame(1, Buffer.from(text)));
      // Header and mask take eight bytes, and 13 frames of 300 bytes precede the one that is cut.
      const first = 'f'.repeat(4 * KB - 13 * 300 - cut - 8);
      serverSocket.push(Buffer.concat([clientFrame(1, Buffer.from(first)), ...longFrames]));
      await settle();
      await serve(session);
      expect(session.frames).toEqual([first, ...long.slice(0, 13)]);
      while (session.reads.length > 0) await serve(session);
      expect(session.frames).toEqual([first, ...long]);
    },
  );

  it('what begins within the header of a frame waits, as it may be anything', async () => {
    const { session, serverSocket } = await pair();
    session.isBusy = true;
    const all = frames(20);
    serverSocket.push(all.subarray(0, 1));
    serverSocket.push(all.subarray(1));
    await settle();
    expect(session.frames).toEqual([]);
    expect(session.asked).toEqual([20 * FRAME_BYTES - 1]);
    await serve(session);
    expect(session.frames).toEqual(texts(20));
  });

  it('an engine that pauses within a piece gets the rest of the piece, and no more', async () => {
    const { session } = await sent(100);
    session.onEachFrame = () => session.connection.pause();
    await serve(session);
    expect(session.frames).toEqual(texts(PIECE_FRAMES));
    await serve(session);
    expect(session.frames).toEqual(texts(PIECE_FRAMES));
    session.onEachFrame = () => undefined;
    session.connection.resume();
    await settle();
    expect(session.frames).toEqual(texts(2 * PIECE_FRAMES));
  });

  it('is counted once, when it is parsed', async () => {
    const host = new FakeHost();
    host.frames = { perSecond: 1, burst: 100, control: 1 };
    const { session, serverSocket } = await sent(100, host);
    expect(session.excess).toEqual([]);
    while (session.reads.length > 0) await serve(session);
    expect(session.frames).toHaveLength(100);
    expect(session.excess).toEqual([]);
    serverSocket.push(frames(1));
    expect(session.excess).toEqual([1_000]);
  });

  it('counts like a message that has not ended: the node ends the client that fills the bound, and not one byte sooner', async () => {
    const host = new FakeHost();
    host.maxUnfinishedBytes = 100 * FRAME_BYTES;
    const { session } = await sent(100, host);
    expect(host.shed).toEqual([]);
    while (session.reads.length > 0) await serve(session);
    expect(session.frames).toEqual(texts(100));

    const full = new FakeHost();
    full.maxUnfinishedBytes = 100 * FRAME_BYTES - 1;
    const ended = await sent(100, full);
    await closed(ended.session);
    expect((await ended.client.close()).code).toBe(4006);
    expect(full.shed).toEqual(['127.0.0.1']);
    await serve(ended.session);
    expect(ended.session.frames).toEqual([]);
    expect(ended.serverSocket.destroyed).toBe(true);
  });

  it.each([
    ['leaves as much room as was parsed of it', 4 * KB, 0],
    ['leaves no more room than was parsed of it', 4 * KB + 1, 1],
  ])('counts for what is left of it after a turn: %s', async (_, bytes, shed) => {
    const host = new FakeHost();
    host.maxUnfinishedBytes = 100 * FRAME_BYTES;
    const { session, port } = await sent(100, host);
    const other = await RawClient.open(port);
    await serve(session);
    expect(session.frames).toEqual(texts(PIECE_FRAMES));
    other.send(1, Buffer.alloc(bytes), { fin: false });
    other.send(9, Buffer.alloc(0));
    await other.until(() => other.frames.length > 0);
    expect(host.shed).toHaveLength(shed);
  });

  it('is not what lies in a socket from which the engine does not read: nothing of it waits for a turn', async () => {
    const host = new FakeHost();
    host.maxUnfinishedBytes = 4 * KB;
    const { session, serverSocket } = await pair({ host });
    session.connection.pause();
    serverSocket.push(frames(40));
    serverSocket.push(frames(40, 40));
    await settle();
    expect(session.frames).toEqual([]);
    session.connection.resume();
    await settle();
    expect(session.frames).toEqual(texts(80));
    expect(host.shed).toEqual([]);
  });

  it('counts no longer than it waits', async () => {
    const host = new FakeHost();
    host.maxUnfinishedBytes = 100 * FRAME_BYTES;
    const { session, port } = await sent(100, host);
    while (session.reads.length > 0) await serve(session);
    const other = await RawClient.open(port);
    other.send(1, Buffer.alloc(100 * FRAME_BYTES), { fin: false });
    other.send(9, Buffer.alloc(0));
    await other.until(() => other.frames.length > 0);
    expect(host.shed).toEqual([]);
  });

  it('takes at most twice the memory of what is left, and is copied at most once for each half', async () => {
    const host = new FakeHost();
    const all = await pair({ host });
    const { session, serverSocket } = all;
    session.isBusy = true;
    const left: number[] = [];
    const memories = new Set<ArrayBufferLike>();
    const unshift = serverSocket.unshift.bind(serverSocket);
    serverSocket.unshift = (chunk: Buffer) => {
      left.push(chunk.length);
      memories.add(chunk.buffer);
      expect(chunk.buffer.byteLength).toBeLessThanOrEqual(2 * chunk.length);
      unshift(chunk);
    };
    // As a socket reads it: in memory of its own.
    serverSocket.push(Buffer.from(new Uint8Array(frames(512)).buffer));
    await settle();
    while (session.reads.length > 0) await serve(session);
    expect(session.frames).toEqual(texts(512));
    expect(left).toEqual(Array.from({ length: 16 }, (_, index) => (64 - 4 * index) * KB));
    // 64 KiB, and what was left of it at 28, 12 and 4.
    expect(memories.size).toBe(4);
  });

  it('is no large message that waits for its parts', async () => {
    const { session } = await sent(400);
    while (session.reads.length > 0) await serve(session);
    expect(session.frames).toEqual(texts(400));
    expect(session.parts).toBe(0);
  });

  it('of a client that is gone it comes in order before the end, without a turn', async () => {
    const { client, session } = await sent(100);
    client.socket.resetAndDestroy();
    await closed(session);
    expect(session.frames).toEqual(texts(100));
    expect(session.closes).toEqual([1006]);
    await serve(session);
    expect(session.frames).toHaveLength(100);
  });

  it('of a client that ends its side all of it is served before the end', async () => {
    const { client, session } = await sent(100);
    client.socket.end();
    await settle();
    expect(session.closes).toEqual([]);
    while (session.reads.length > 0) await serve(session);
    await closed(session);
    expect(session.frames).toEqual(texts(100));
  });

  it('a connection that the engine ends while it waits reads nothing of it', async () => {
    const { client, session } = await sent(100);
    session.connection.close(4001, 'going_away|0');
    await serve(session);
    expect(session.frames).toEqual([]);
    expect(await client.close()).toEqual({ code: 4001, reason: 'going_away|0' });
    client.sendClose(4001);
    client.socket.end();
    await closed(session);
    expect(session.closes).toEqual([4001]);
  });

  it('one large message does not wait here, nor do its parts: it has turns of its own', async () => {
    const { session, serverSocket } = await pair();
    session.isBusy = true;
    const frame = clientFrame(1, Buffer.alloc(100 * KB, 'x'));
    for (const [from, to] of [
      [0, 40 * KB],
      [40 * KB, 41 * KB],
      [41 * KB, frame.length],
    ] as const)
      serverSocket.push(frame.subarray(from, to));
    serverSocket.push(clientFrame(1, Buffer.alloc(2 * KB, 'y')));
    serverSocket.push(clientFrame(1, Buffer.alloc(2 * KB, 'z'), { fin: false }));
    serverSocket.push(clientFrame(0, Buffer.alloc(2 * KB, 'z')));
    expect(session.asked).toEqual([]);
    expect(session.frames.map(({ length }) => length)).toEqual([100 * KB, 2 * KB, 4 * KB]);
  });

  it('the end of a large message with much behind it waits', async () => {
    const { session, serverSocket } = await pair();
    session.isBusy = true;
    const frame = clientFrame(1, Buffer.alloc(3 * KB, 'x'));
    serverSocket.push(frame.subarray(0, 2 * KB));
    serverSocket.push(Buffer.concat([frame.subarray(2 * KB), frames(1)]));
    await settle();
    expect(session.frames).toEqual([]);
    expect(session.asked).toEqual([frame.length + FRAME_BYTES - 2 * KB]);
    await serve(session);
    expect(session.frames.map(({ length }) => length)).toEqual([3 * KB, textOf(0).length]);
  });

  it('an engine that fails to say whether it must wait ends the connection', async () => {
    const { client, session, serverSocket, errors } = await pair();
    session.onMuch = () => {
      throw new Error('no turns');
    };
    serverSocket.push(frames(100));
    expect((await client.close()).code).toBe(4005);
    expect(errors).toHaveLength(1);
    expect(session.frames).toEqual([]);
  });
});
