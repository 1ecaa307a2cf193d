import { createHash } from 'node:crypto';
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import { connect } from 'node:tls';
import { constants, deflateRawSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { FakeHost, type FakeSession } from '../support/fake-host.js';
import { closed, turn } from '../support/pair.js';
import { clientFrame, RawClient } from '../support/raw-client.js';
import { secureClient, secureServer } from '../support/secure.js';
import { closeServers, serve } from '../support/test-server.js';

afterEach(closeServers);

const RSV1 = 0x40;
const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
const COUNT = 600;
const PIECE_BYTES = 4 * 1024;

interface Wire {
  readonly isSecure: boolean;
  readonly isCompressed: boolean;
}

/** A text that no compression makes much smaller, so that there are several pieces of them. */
const textOf = (index: number): string =>
  `${index} ${createHash('sha512').update(String(index)).digest('base64')}`;
const texts = (count: number): string[] => Array.from({ length: count }, (_, index) => textOf(index));

function flood({ isCompressed }: Wire): Buffer {
  const frames = texts(COUNT).map((text) => {
    if (!isCompressed) return clientFrame(1, Buffer.from(text));
    const deflated = deflateRawSync(text, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
    return clientFrame(1, deflated, { rsv: RSV1 });
  });
  return Buffer.concat(frames);
}

/** A client on a real socket, and what the engine holds of it. */
async function open({ isSecure, isCompressed }: Wire) {
  const host = new FakeHost();
  const server: Server | undefined = isSecure ? secureServer() : undefined;
  const context = await serve(isCompressed ? { compression: {} } : {}, host, server);
  const accepted = new Promise<Socket>((resolve) =>
    context.server.once(isSecure ? 'secureConnection' : 'connection', resolve),
  );
  const { port } = context;
  // `allowHalfOpen` is missing in the types.
  const secure = { ...secureClient, port, host: '127.0.0.1', allowHalfOpen: true };
  const socket = isSecure ? connect(secure) : undefined;
  const client = await RawClient.open(port, '/realtime', isCompressed ? OFFER : {}, socket);
  expect(client.response.headers['sec-websocket-extensions'] !== undefined).toBe(isCompressed);
  const session = await host.next();
  const serverSocket = await accepted;
  const gone = new Promise<void>((resolve) => serverSocket.once('close', () => resolve()));
  return { ...context, client, session, serverSocket, gone };
}

/** Gives turns for as long as something waits for one, until all is there. */
async function serveAll(session: FakeSession): Promise<number> {
  let turns = 0;
  while (session.frames.length < COUNT) {
    await session.until(({ reads, frames }) => reads.length > 0 || frames.length >= COUNT);
    const read = session.reads.shift();
    if (read === undefined) continue;
    turns++;
    read();
  }
  return turns;
}

describe.each([
  ['plain', { isSecure: false, isCompressed: false }],
  ['TLS', { isSecure: true, isCompressed: false }],
  ['compressed', { isSecure: false, isCompressed: true }],
  ['TLS and compressed', { isSecure: true, isCompressed: true }],
] as const)('a flood in one write (G16): %s', (_, wire) => {
  it('is put back and parsed in turns, whole and in order', async () => {
    const { client, session } = await open(wire);
    session.isBusy = true;
    const sent = flood(wire);
    client.socket.write(sent);
    await session.until(({ reads }) => reads.length > 0);
    await turn();
    expect(session.frames).toEqual([]);
    const turns = await serveAll(session);
    expect(session.frames).toEqual(texts(COUNT));
    // Besides the first piece of each chunk that came, all had a turn.
    expect(turns).toBeGreaterThanOrEqual(Math.floor(sent.length / PIECE_BYTES) - 1);
  });

  it('of a client that ends its side, all of it comes before the end', async () => {
    const { client, session, gone } = await open(wire);
    session.isBusy = true;
    client.socket.end(flood(wire));
    await session.until(({ reads }) => reads.length > 0);
    expect(session.closes).toEqual([]);
    await serveAll(session);
    await closed(session);
    await gone;
    expect(session.frames).toEqual(texts(COUNT));
    expect(session.closes).toEqual([1006]);
    expect(session.reads).toEqual([]);
  });

  it('what waits of a connection that the engine ends is not parsed, and its socket is destroyed', async () => {
    const { client, session, serverSocket, gone, clock } = await open(wire);
    session.isBusy = true;
    client.socket.write(flood(wire));
    await session.until(({ reads }) => reads.length > 0);
    session.connection.close(4001, 'going_away|0');
    expect(await client.close()).toEqual({ code: 4001, reason: 'going_away|0' });
    // The client answers nothing.
    clock.advance(60_000);
    await closed(session);
    await gone;
    expect(serverSocket.destroyed).toBe(true);
    expect(serverSocket.readableLength).toBe(0);
    // It waited once, and a turn that comes too late does nothing.
    expect(session.reads).toHaveLength(1);
    session.reads.shift()?.();
    await turn();
    expect(session.frames).toEqual([]);
    expect(session.closes).toEqual([4001]);
  });

  it('what waits of a connection that the engine ends is not parsed either when its client has ended its side', async () => {
    const { client, session, gone } = await open(wire);
    session.isBusy = true;
    client.socket.end(flood(wire));
    await session.until(({ reads }) => reads.length > 0);
    session.connection.close(4001, 'going_away|0');
    await closed(session);
    await gone;
    expect(session.frames).toEqual([]);
    expect(session.closes).toEqual([4001]);
  });

  it('comes whole and in order, however waits, pauses of the engine and pauses of ws itself alternate', async () => {
    const { client, session } = await open(wire);
    let asked = 0;
    const onMuch = session.onMuch.bind(session);
    // Two of three have to wait. What need not wait is so much that ws pauses until it is inflated.
    session.onMuch = (bytes, read) => {
      session.isBusy = ++asked % 3 !== 0;
      const waits = onMuch(bytes, () => {
        read();
        session.connection.resume();
      });
      // As the engine does.
      if (waits) session.connection.pause();
      return waits;
    };
    let frames = 0;
    session.onEachFrame = () => {
      if (++frames % 7 !== 0) return;
      session.connection.pause();
      setImmediate(() => session.connection.resume());
    };
    client.socket.write(flood(wire));
    await serveAll(session);
    expect(session.frames).toEqual(texts(COUNT));
    expect(asked).toBeGreaterThanOrEqual(3);
  });
});

it('what is still to be inflated of a client that ended its side ends with its connection (G16)', async () => {
  const wire = { isSecure: false, isCompressed: true };
  const { client, session, serverSocket } = await open(wire);
  let hasEnded = false;
  serverSocket.once('end', () => (hasEnded = true));
  let parsed = 0;
  session.onEachFrame = () => {
    if (!hasEnded || parsed > 0) return;
    parsed = session.frames.length;
    session.connection.terminate();
  };
  client.socket.end(flood(wire));
  await closed(session);
  expect(parsed).toBeGreaterThan(0);
  expect(parsed).toBeLessThan(COUNT);
  expect(session.frames).toEqual(texts(parsed));
});
