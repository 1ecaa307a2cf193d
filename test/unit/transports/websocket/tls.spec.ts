import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { WebSocketTransport } from '../../../../lib/transports/websocket/transport.js';
import { FakeHost } from '../support/fake-host.js';
import { pair } from '../support/pair.js';
import { secureClient, secureServer } from '../support/secure.js';
import { closeServers, listen } from '../support/test-server.js';

afterEach(closeServers);

const MIB = 1024 * 1024;

async function secure() {
  const host = new FakeHost();
  const transport = new WebSocketTransport(host, { cookie: { name: 'session' } });
  const server = secureServer();
  transport.attach(server);
  const { port } = await listen(server);
  const open = (origin: string): Promise<WebSocket> => {
    const client = new WebSocket(`wss://localhost:${port}/realtime`, ['realtime.v1.json'], {
      ...secureClient,
      origin,
      headers: { Cookie: 'session=abc' },
    });
    return new Promise((resolve, reject) => client.on('open', () => resolve(client)).on('error', reject));
  };
  return { host, port, open };
}

describe('TLS that ends in this process', () => {
  it('TLS is visible in the handshake, and carries frames both ways', async () => {
    const { host, port, open } = await secure();
    const client = await open(`https://localhost:${port}`);
    const session = await host.next();
    expect(session.connection.handshake.secure).toBe(true);

    const message = new Promise((resolve) =>
      client.on('message', (data: Buffer) => resolve(data.toString())),
    );
    session.send('x'.repeat(70_000));
    expect(await message).toBe('x'.repeat(70_000));
    client.send('hello');
    await session.until(({ frames }) => frames.length === 1);
    session.connection.close(4001, 'drain|0');
    await session.until(({ closes }) => closes.length === 1);
    expect(session.closes).toEqual([4001]);
  });

  it('a frame that is shared costs a copy for each socket that holds it back, unlike without TLS', async () => {
    const { host, port, open } = await secure();
    const client = await open(`https://localhost:${port}`);
    const { connection } = await host.next();
    const plain = await pair();
    expect([connection.copiesFrames, plain.session.connection.copiesFrames]).toEqual([true, false]);
    client.pause();
    const frame = connection.variant.frame([Buffer.alloc(MIB, 'x')]);
    let written = 0;
    while (connection.write(frame) || connection.bufferedBytes < 4 * MIB) written++;
    // What is held back is counted in bytes of frames, and lies encrypted below: it is no smaller there.
    const { socket } = connection as unknown as {
      readonly socket: { readonly _handle: { writeQueueSize: number } };
    };
    await new Promise(setImmediate);
    expect(written).toBeLessThan(100);
    expect(socket._handle.writeQueueSize).toBeGreaterThan(MIB);
    client.terminate();
  });

  it('a page that was loaded without TLS is of another origin (G22)', async () => {
    const { host, port, open } = await secure();
    const client = await open(`http://localhost:${port}`);
    expect((await host.next()).connection.handshake.headers.cookie).toBeUndefined();
    expect(host.asked).toEqual([]);
    client.terminate();
  });
});
