import { connect, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { until } from '../../support/until.js';
import { startWireServer, type WireServer } from '../../support/wire/server.js';
import { ask, hello, PollSession } from './raw.js';

let server: WireServer;
const sockets: Socket[] = [];

beforeEach(async () => {
  const limits = { maxFrameBytes: 40_000, maxMessageBytes: 20_000 };
  server = await startWireServer({ settings: { anonymous: true, limits } });
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
});

/** A request whose body has no length. */
function chunked(path: string, more = ''): { readonly socket: Socket; readonly read: () => string } {
  let seen = '';
  const socket = connect(Number(new URL(server.httpUrl).port), '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.setEncoding('latin1').on('data', (part: string) => (seen += part));
  const head = `POST /realtime/${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n`;
  socket.write(`${head}Transfer-Encoding: chunked\r\n${more}\r\n`);
  return { socket, read: () => seen };
}

const pollOf = (session: PollSession): string => `Realtime-Session: ${session.id}\r\nRealtime-Ack: 1\r\n`;
const open = (body: string, type = 'application/json') =>
  ask(`${server.httpUrl}/poll`, body, { headers: { 'Content-Type': type } });

describe('a body in chunks of one byte (G16)', () => {
  it('ends its connection, whether it is read or dropped', async () => {
    const session = await PollSession.open(server.httpUrl);
    const known = `Realtime-Session: ${session.id}\r\n`;
    const all = [
      chunked('poll'),
      chunked('send', `${known}Realtime-Send: 1\r\n`),
      // Needs no body.
      chunked('send', `${known}Realtime-Send: 0\r\n`),
      chunked('send', `${known}Realtime-Send: 1\r\nContent-Encoding: br\r\n`),
      chunked('sse', 'Content-Encoding: br\r\n'),
    ];
    for (const { socket } of all) socket.write('1\r\n \r\n'.repeat(1_100));
    await until('their ends', () => all.every(({ socket }) => socket.closed));
    expect(server.engine.status.sessions).toBe(1);
  });

  it('is taken where it is small, and each chunk counts as a frame', async () => {
    const session = await PollSession.open(server.httpUrl);
    const { socket, read } = chunked('send', `Realtime-Session: ${session.id}\r\nRealtime-Send: 1\r\n`);
    socket.write('1\r\n[\r\n1\r\n]\r\n0\r\n\r\n');
    await until('the answer', () => read() !== '');
    expect(read()).toContain('HTTP/1.1 202');
  });
});

describe('the body that opens a session', () => {
  it('has no more than the engine takes of a client that it does not know: one message (P3c)', async () => {
    const text = JSON.stringify(hello());
    expect((await open(text.padEnd(20_000))).status).toBe(200);
    const { status, text: said } = await open(text.padEnd(20_001));
    expect(status).toBe(413);
    expect(said).toContain('maxMessageBytes');
  });

  it.each([
    ['application/json; charset=utf-16', 415],
    ['application/json;charset="iso-8859-1"', 415],
    ['application/json; charset=utf-8', 200],
    ['application/json ; Charset="UTF-8"', 200],
    ['application/json; profile=a', 200],
  ])('is in UTF-8: %s is %d (P21c)', async (type, status) => {
    expect((await open(JSON.stringify([hello()]), type)).status).toBe(status);
  });
});

describe('a poll of a session', () => {
  it('has no body: one is refused with 400, and the session continues', async () => {
    const session = await PollSession.open(server.httpUrl);
    const headers = { 'Realtime-Session': session.id, 'Realtime-Ack': '1' };
    expect((await ask(`${server.httpUrl}/poll`, '[]', { headers })).status).toBe(400);
    const { socket, read } = chunked('poll', pollOf(session));
    socket.write('2\r\n[]\r\n');
    await until('the answer', () => read() !== '');
    expect(read()).toContain('HTTP/1.1 400');
    expect((await session.send(1, [])).status).toBe(202);
  });

  it('may say nothing of a body that it has not, as proxies do', async () => {
    const session = await PollSession.open(server.httpUrl);
    const { socket, read } = chunked('poll', pollOf(session));
    socket.write('0\r\n\r\n');
    await session.send(1, [{ type: 'ping', id: 'p' }]);
    await until('the answer', () => read() !== '');
    expect(read()).toContain('HTTP/1.1 200');
  });
});
