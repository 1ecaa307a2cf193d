import { randomBytes } from 'node:crypto';
import { constants, deflateRawSync, inflateRawSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { WebSocket } from 'ws';
import { FakeHost } from '../support/fake-host.js';
import { RawClient, refusalOf } from '../support/raw-client.js';
import { closeServers, serve } from '../support/test-server.js';

afterEach(closeServers);

const OFFER = { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' };
const RSV1 = 0x40;
const LONG = 'abcdefgh'.repeat(500);

const deflated = (data: Buffer): Buffer =>
  deflateRawSync(data, { finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4);
const inflated = (data: Buffer): string =>
  inflateRawSync(Buffer.concat([data, Buffer.from([0, 0, 0xff, 0xff])]), {
    finishFlush: constants.Z_SYNC_FLUSH,
  }).toString();

async function negotiated(headers: Record<string, string> = OFFER, host = new FakeHost()) {
  const context = await serve({ compression: {} }, host);
  const client = await RawClient.open(context.port, '/realtime', headers);
  return { ...context, client, session: await host.next() };
}

describe('compression (G24, RFC 7692)', () => {
  it('compression is off by default, whatever a client offers (G24)', async () => {
    const { host, port } = await serve();
    const client = await RawClient.open(port, '/realtime', OFFER);
    expect(client.response.headers['sec-websocket-extensions']).toBeUndefined();
    (await host.next()).send(LONG);
    expect((await client.frame()).rsv1).toBe(false);
  });

  it('compression carries no context from one message to the next', async () => {
    const { client } = await negotiated();
    expect(client.response.headers['sec-websocket-extensions']).toBe(
      'permessage-deflate; server_no_context_takeover; client_no_context_takeover',
    );
  });

  it('long messages are compressed, and short ones are not', async () => {
    const { client, session } = await negotiated();
    session.send(LONG, LONG);
    const long = await client.frame();
    expect(long.rsv1).toBe(true);
    expect(long.payload.length).toBeLessThan(200);
    expect(inflated(long.payload)).toBe(`${LONG}\n${LONG}`);

    session.send('x'.repeat(1_023));
    expect((await client.frame()).rsv1).toBe(false);
    session.send(randomBytes(2_000).toString('latin1').slice(0, 1_024));
    expect((await client.frame()).fin).toBe(true);
  });

  it('messages that would not become smaller are not compressed', async () => {
    const { client, session } = await negotiated();
    const noise = randomBytes(4_000);
    session.connection.write(session.connection.variant.frame([noise]));
    const frame = await client.frame();
    expect(frame.rsv1).toBe(false);
    expect(frame.payload.equals(noise)).toBe(true);
  });

  it('compressed frames are shared among all clients of a variant (P22)', async () => {
    const { host, port } = await serve({ compression: {} });
    const clients = Array.from(
      { length: 3 },
      () =>
        new WebSocket(`ws://127.0.0.1:${port}/realtime`, ['realtime.v1.json'], { perMessageDeflate: true }),
    );
    const messages = clients.map(
      (client) =>
        new Promise<string[]>((resolve) => {
          const got: string[] = [];
          client.on('message', (data: Buffer) => got.push(data.toString()) === 3 && resolve(got));
        }),
    );
    await Promise.all(clients.map((client) => new Promise((resolve) => client.on('open', resolve))));
    const [first, ...others] = host.sessions.map(({ connection }) => connection.variant);
    expect(others.every((variant) => variant === first)).toBe(true);
    for (const text of [LONG, 'short', LONG]) {
      const frame = first?.frame([Buffer.from(text)]) as Buffer;
      for (const { connection } of host.sessions) connection.write(frame);
    }
    expect(await Promise.all(messages)).toEqual([1, 2, 3].map(() => [LONG, 'short', LONG]));
    for (const client of clients) client.terminate();
  });

  it('a client with a small window or without the extension gets uncompressed frames', async () => {
    const small = await negotiated({
      'Sec-WebSocket-Extensions': 'permessage-deflate; server_max_window_bits=9',
    });
    small.session.send(LONG);
    expect((await small.client.frame()).rsv1).toBe(false);
    const none = await negotiated({});
    expect(none.client.response.headers['sec-websocket-extensions']).toBeUndefined();
    none.session.send(LONG);
    expect((await none.client.frame()).rsv1).toBe(false);
  });

  it('compressed client frames are read', async () => {
    const { client, session } = await negotiated();
    client.send(1, deflated(Buffer.from(LONG)), { rsv: RSV1 });
    client.text('plain');
    await session.until(({ frames }) => frames.length === 2);
    expect(session.frames).toEqual([LONG, 'plain']);
  });

  it('the size limit applies after inflating: a bomb closes with 4806 (G24)', async () => {
    const { client, session } = await negotiated(OFFER, new FakeHost(64 * 1024));
    const bomb = deflated(Buffer.alloc(50 * 1024 * 1024));
    expect(bomb.length).toBeLessThan(64 * 1024);
    client.send(1, bomb, { rsv: RSV1 });
    expect(await client.close()).toEqual({ code: 4806, reason: 'message_too_large|0' });
    expect(session.frames).toEqual([]);
  });

  it('the fragments of a bomb are counted together (G24)', async () => {
    const { client } = await negotiated(OFFER, new FakeHost(64 * 1024));
    const bomb = deflated(Buffer.alloc(1024 * 1024));
    for (let at = 0; at < bomb.length; at += 100) {
      client.send(at === 0 ? 1 : 0, bomb.subarray(at, at + 100), { rsv: at === 0 ? RSV1 : 0, fin: false });
    }
    expect((await client.close()).code).toBe(4806);
  });

  it('a message that does not inflate closes with 4805 (P6)', async () => {
    const { client } = await negotiated();
    client.send(1, Buffer.alloc(50, 0xff), { rsv: RSV1 });
    expect((await client.close()).code).toBe(4805);
  });

  it.each([
    'permessage-deflate; server_max_window_bits=7',
    'permessage-deflate; unknown',
    'permessage-deflate; client_no_context_takeover=1',
    'permessage-deflate;',
    ', ,',
    'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
    '\u00e9',
  ])('the malformed offer %j is refused with 400 (P18)', async (offer) => {
    const { port } = await serve({ compression: {} });
    const response = await refusalOf(port, '/realtime', { 'Sec-WebSocket-Extensions': offer });
    expect(response.statusLine).toBe('HTTP/1.1 400 Bad Request');
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(response.headers['connection']).toBe('close');
  });
});
