import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  DirectWriter,
  isPlainTcp,
  NOT_WRITTEN,
  WRITE_FAILED,
  type DirectSocket,
} from '../../../../lib/transports/http/direct-writer.js';
import { until } from '../../../support/until.js';

let server: Server | undefined;
let client: Socket | undefined;
afterEach(() => {
  client?.destroy();
  server?.close();
});

/** Both ends of a TCP connection, and what the client received. */
async function pair(): Promise<{ socket: DirectSocket; received: () => number; client: Socket }> {
  const accepted = new Promise<Socket>((resolve) => {
    server = createServer(resolve).listen(0, '127.0.0.1', () => {
      client = connect((server?.address() as AddressInfo).port, '127.0.0.1');
      client.on('error', () => undefined);
      client.on('data', (chunk) => (bytes += chunk.length));
    });
  });
  let bytes = 0;
  const socket = await accepted;
  socket.on('error', () => undefined);
  return { socket: socket, received: () => bytes, client: client as Socket };
}

const owner = () => {
  const results: boolean[] = [];
  return { results, onWritten: (failed: boolean) => void results.push(failed) };
};

describe('the direct writer', () => {
  it('learns from a first write through the stream, and then writes to a plain socket itself', async () => {
    const { socket, received } = await pair();
    const writer = new DirectWriter();
    expect(isPlainTcp(socket)).toBe(true);
    expect(writer.write(socket, Buffer.from('first'), owner())).toBe(NOT_WRITTEN);
    socket.write(Buffer.from('first'));
    await until('the first to leave', () => socket.writableLength === 0);
    expect(writer.write(socket, Buffer.from('second'), owner())).toBe(0);
    await until('both to arrive', () => received() === 11);
    expect(socket.bytesWritten).toBe(11);
  });

  it('returns what the kernel did not take, and reports when it is written', async () => {
    const { socket, received, client: peer } = await pair();
    const writer = new DirectWriter();
    writer.write(socket, Buffer.from('x'), owner());
    socket.write(Buffer.from('x'));
    await until('the first to leave', () => socket.writableLength === 0);
    peer.pause();
    const mine = owner();
    const chunk = Buffer.alloc(64 * 1024, 7);
    let sent = 1;
    let waiting = 0;
    while (waiting === 0) {
      waiting = writer.write(socket, chunk, mine);
      sent += chunk.length;
    }
    expect(waiting).toBeGreaterThan(0);
    expect(mine.results).toEqual([]);
    // Behind it, in order.
    socket.write(Buffer.from('tail'));
    peer.resume();
    await until('all of it to arrive', () => received() === sent + 4);
    await until('the owner to be told', () => mine.results.length === 1);
    expect(mine.results).toEqual([false]);
    await until('the tail to have left', () => socket.writableLength === 0);
    expect(writer.write(socket, Buffer.from('on'), mine)).toBe(0);
    await until('what follows', () => received() === sent + 6);
  });

  it('does not write to a socket that is destroyed or has queued data', async () => {
    const { socket } = await pair();
    const writer = new DirectWriter();
    writer.write(socket, Buffer.from('x'), owner());
    socket.write(Buffer.from('x'));
    await until('the first to leave', () => socket.writableLength === 0);
    socket.cork();
    socket.write(Buffer.from('queued'));
    expect(writer.write(socket, Buffer.from('no'), owner())).toBe(NOT_WRITTEN);
    socket.uncork();
    socket.destroy();
    expect(writer.write(socket, Buffer.from('no'), owner())).toBe(NOT_WRITTEN);
  });

  it('reports a reset connection, at once or when the rest cannot be written', async () => {
    const { socket, client: peer } = await pair();
    const writer = new DirectWriter();
    writer.write(socket, Buffer.from('x'), owner());
    socket.write(Buffer.from('x'));
    await until('the first to leave', () => socket.writableLength === 0);
    peer.resetAndDestroy();
    const results = new Set<number>();
    await until('the reset to show', () => {
      results.add(writer.write(socket, Buffer.alloc(1024), owner()));
      return results.has(WRITE_FAILED) || results.has(NOT_WRITTEN);
    });
    expect(socket.destroyed || results.has(WRITE_FAILED)).toBe(true);
  });

  it('leaves a request to libuv when the kernel already took its rest (G14)', () => {
    /** Node's request: it has an async id while it is under way. */
    class WriteWrap {
      asyncId = -1;
      getAsyncId(): number {
        return this.asyncId;
      }
    }
    const used: WriteWrap[] = [];
    let asynchronous = false;
    class Handle {
      writeQueueSize = 0;
      writeBuffer(request: WriteWrap): number {
        used.push(request);
        if (asynchronous) request.asyncId = used.length;
        return 0;
      }
    }
    const handle = new Handle();
    const socket = { _handle: handle, writableLength: 0 } as unknown as DirectSocket;
    const writer = new DirectWriter();
    expect(writer.write(socket, Buffer.from('first'), owner())).toBe(NOT_WRITTEN);
    handle.writeBuffer(new WriteWrap());
    used.length = 0;
    writer.write(socket, Buffer.from('at once'), owner());
    asynchronous = true;
    expect(writer.write(socket, Buffer.from('in two parts'), owner())).toBe(0);
    asynchronous = false;
    writer.write(socket, Buffer.from('after it'), owner());
    expect(used[1]).toBe(used[0]);
    expect(used[2]).not.toBe(used[1]);
  });

  it('is not used where the internals are not as expected', async () => {
    const writer = new DirectWriter();
    const strange = { _handle: {}, writableLength: 0 } as unknown as DirectSocket;
    expect(writer.write(strange, Buffer.from('no'), owner())).toBe(NOT_WRITTEN);
    const { socket } = await pair();
    expect(writer.write(socket, Buffer.from('no'), owner())).toBe(NOT_WRITTEN);
    socket.write(Buffer.from('x'));
    expect(writer.write(socket, Buffer.from('no'), owner())).toBe(NOT_WRITTEN);
  });
});
