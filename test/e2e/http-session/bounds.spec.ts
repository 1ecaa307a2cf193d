import { afterEach, describe, expect, it } from '@jest/globals';
import { Agent } from 'node:http';
import { connect as connectHttp2, createServer as createHttp2Server } from 'node:http2';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { Session } from '../../../lib/core/session/session.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';
import { ask, envelopesOf, hello, openStream, PollSession, StreamSession, subscribe } from './raw.js';

const LARGE = 'x'.repeat(60_000);

let server: WireServer;
const sockets: Socket[] = [];

async function start(options: WireServerOptions = {}): Promise<void> {
  server = await startWireServer({
    channels: [wireChannel('rooms.:room', { publish: ['said'], log: { size: 100_000 } })],
    ...options,
    settings: { anonymous: true, ...options.settings },
  });
}

/** A connection that sends a request, and reads nothing but by itself. */
function raw(text: string): { readonly socket: Socket; readonly read: () => string } {
  let seen = '';
  const socket = connect(Number(new URL(server.httpUrl).port), '127.0.0.1');
  sockets.push(socket);
  socket.on('error', () => undefined);
  socket.setEncoding('latin1').on('data', (part: string) => (seen += part));
  socket.write(text);
  return { socket, read: () => seen };
}

const post = (path: string, length: number | string, more = ''): string =>
  `POST /realtime/${path} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${length}\r\n${more}\r\n`;

const sendHeaders = (id: string, n: number): string => `Realtime-Session: ${id}\r\nRealtime-Send: ${n}\r\n`;

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
});

describe('bodies that do not end', () => {
  it('are given up after the time of a handshake, and use up no number', async () => {
    const clock = new ManualClock();
    await start({ clock, transport: { handshakeTimeoutMs: 3_000 } });
    const opening = raw(`${post('sse', 100)}[`);
    const session = await PollSession.open(server.httpUrl, [hello(), subscribe('rooms.1')]);
    const sending = raw(`${post('send', 100, sendHeaders(session.id, 1))}[`);
    await until('both', async () => {
      await clock.advanceAsync(100);
      return opening.read() !== '' && sending.read() !== '';
    });
    for (const { read } of [opening, sending]) expect(read()).toContain('HTTP/1.1 503');
    // What comes later is dropped for a while, and then the connection ends.
    await until('their end', async () => {
      await clock.advanceAsync(1_000);
      return opening.socket.closed && sending.socket.closed;
    });
  });

  it('are counted with everything else that is unfinished, and shed (G16)', async () => {
    const frame = { maxFrameBytes: 50_000, maxMessageBytes: 50_000, maxUnfinishedBytes: 120_000 };
    await start({ settings: { limits: frame } });
    const session = await StreamSession.open(server.httpUrl);
    const many = [1, 2, 3].map((part) =>
      raw(`${post('send', 49_000, sendHeaders(session.id, 1))}["${String(part).repeat(40_000)}`),
    );
    await until('one of them to be shed', () => many.some(({ socket }) => socket.closed));
    expect(many.filter(({ socket }) => socket.closed)).toHaveLength(1);
    expect(server.engine.status.sessions).toBe(1);
    session.reader.close();
  });

  it('are refused as too large without being read', async () => {
    await start();
    const { read } = raw(post('sse', 10_000_000));
    await until('the answer', () => read().includes('statusCode'));
    expect(read()).toContain('HTTP/1.1 413');
  });

  it('of a refused request are dropped, for as much as a body may be', async () => {
    await start({ settings: { limits: { maxFrameBytes: 10_000, maxMessageBytes: 10_000 } } });
    const head = `${post('sse', 1_000_000).replace(/Content-Length.*\r\n/, 'Transfer-Encoding: chunked\r\n')}`;
    const { socket } = raw(head);
    await until('the end', () => {
      if (!socket.closed) socket.write(`1000\r\n${'x'.repeat(0x1000)}\r\n`);
      return socket.closed;
    });
  });
});

describe('requests', () => {
  it('of unknown sessions are charged to their address, as connections are (G16)', async () => {
    await start({ settings: { limits: { connectsPerSecond: 1, maxConnectionsPerAddress: 3 } } });
    const statuses: number[] = [];
    for (let n = 0; n < 5; n++) {
      const headers = { 'Realtime-Session': `guess${n}`, 'Realtime-Send': '1', 'Realtime-Ack': '1' };
      statuses.push(
        (await ask(`${server.httpUrl}/${n % 2 === 0 ? 'send' : 'poll'}`, undefined, { headers })).status,
      );
    }
    expect(statuses).toEqual([410, 410, 410, 429, 429]);
  });

  it('count also where they come from another origin: who has the id cannot have them refused for nothing (G16)', async () => {
    await start({
      settings: { limits: { ratePerSecond: 1, burst: 1, framesPerCommand: 1, maxChannels: 1 } },
    });
    const session = await StreamSession.open(server.httpUrl);
    let last = 403;
    for (let count = 0; last === 403 && count < 100; count += 1)
      last = (await session.send(1, '[]', { headers: { origin: 'https://evil.example' } })).status;
    expect(last).toBe(410);
    await session.reader.ended();
    expect(session.reader.received.at(-1)?.payload).toMatchObject({ close: 4807 });
  });

  it('count as frames: a session that floods is ended with 4807 (G16)', async () => {
    await start({
      settings: { limits: { ratePerSecond: 1, burst: 1, framesPerCommand: 1, maxChannels: 1 } },
    });
    const session = await StreamSession.open(server.httpUrl);
    const statuses = new Set<number>();
    for (let n = 0; n < 40; n++) {
      const { status } = await session.send(0, []);
      statuses.add(status);
      if (status === 410) break;
    }
    expect(statuses).toEqual(new Set([202, 410]));
    await session.reader.ended();
    expect(session.reader.received.at(-1)?.payload).toMatchObject({ close: 4807 });
    expect(JSON.parse((await session.send(1, [])).text)).toMatchObject({ close: 4807 });
  });

  it('that are pipelined behind a poll that waits end the connection', async () => {
    await start();
    const session = await PollSession.open(server.httpUrl);
    const poll = post('poll', 0, `Realtime-Session: ${session.id}\r\nRealtime-Ack: 1\r\n`);
    const { socket, read } = raw(`${poll}GET /health/ready HTTP/1.1\r\nHost: a\r\n\r\n`);
    await until('the end', () => socket.closed);
    expect(read()).toBe('');
  });

  it('and polls follow one another on a connection that is kept', async () => {
    await start();
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const session = await PollSession.open(server.httpUrl, [hello()]);
    expect((await session.send(1, [subscribe('rooms.1')], { agent })).status).toBe(202);
    for (let n = 0; n < 3; n++) {
      await server.engine.application.publish('rooms.1', 'said', n);
      const answer = await session.ask(session.number, { agent });
      session.number = Number(answer.headers['realtime-answer']);
      expect(answer.headers.connection).toBe('keep-alive');
    }
    expect(Object.values(agent.sockets).length + Object.values(agent.freeSockets).length).toBe(1);
    agent.destroy();
  });
});

describe('a client that does not read', () => {
  it('its stream is ended as a slow consumer, like a socket (G13)', async () => {
    await start({ settings: { outbox: { maxBytes: 300_000 } } });
    const body = JSON.stringify([hello(), subscribe('rooms.1')]);
    const { socket, read } = raw(post('sse', body.length) + body);
    await until('the welcome', () => read().includes('s-rooms.1'));
    socket.pause();
    await until('the end', async () => {
      await server.engine.application.publish('rooms.1', 'said', LARGE);
      return server.engine.status.sessions === 0;
    });
  });

  it('its kept answer counts for what waits for it', async () => {
    await start();
    const session = await PollSession.open(server.httpUrl, [hello(), subscribe('rooms.1')]);
    if (!session.first.some(({ type }) => type === 'reply')) await session.until('reply');
    await server.engine.application.publish('rooms.1', 'said', LARGE);
    const kept = await session.ask(session.number);
    expect(kept.text.length).toBeGreaterThan(LARGE.length);
    const [open] = openSessions();
    // What comes now waits in the queue, under the policy of its channel.
    expect(open?.outbox.isBlocked).toBe(true);
    expect(open?.outbox.bufferedBytes).toBeGreaterThan(LARGE.length);
    const next = session.ask(session.number + 1);
    await until('the acknowledgement', () => open?.outbox.bufferedBytes === 0);
    await server.engine.application.publish('rooms.1', 'said', 'end');
    expect(envelopesOf(await next)).toMatchObject([{ payload: 'end' }]);
  });
});

/** Bodies that are being read. */
const reading = (): number =>
  (server.http as unknown as { bodies: { reading: Set<unknown> } }).bodies.reading.size;

function openSessions(): readonly Session[] {
  const { parts } = server.engine as unknown as { parts: { sessions: { list(): readonly Session[] } } };
  return parts.sessions.list();
}

describe('a transport that closes', () => {
  it('answers what it still reads, and takes no more', async () => {
    await start({ transport: { handshakeTimeoutMs: 3_600_000 } });
    const session = await PollSession.open(server.httpUrl);
    const { read } = raw(`${post('send', 100, sendHeaders(session.id, 1))}[`);
    const opening = raw(`${post('poll', 100)}[`);
    await until('both to be read', () => reading() === 2);
    server.http.close();
    server.http.close();
    await until('the answers', () => read().includes('503') && opening.read().includes('503'));
    expect(read()).toContain('Connection: close');
    expect(() => server.http.attach({} as never)).toThrow('closed');
    expect((await ask(`${server.httpUrl}/poll`, '[]')).status).toBe(503);
  });
});

describe('over HTTP/2', () => {
  it('streams, polls and bodies work as over HTTP/1.1', async () => {
    await start();
    const http2 = createHttp2Server();
    server.http.attach(http2 as never);
    await new Promise<void>((resolve) => http2.listen(0, '127.0.0.1', resolve));
    const client = connectHttp2(`http://127.0.0.1:${(http2.address() as AddressInfo).port}`);
    const request = (path: string, body: unknown, headers: Record<string, string> = {}) => {
      const stream = client.request({
        ':method': 'POST',
        ':path': `/realtime/${path}`,
        'content-type': 'application/json',
        ...headers,
      });
      const answer = { text: '', status: 0, number: '', over: false, stream };
      stream.setEncoding('utf8');
      stream.on('response', (head) => {
        answer.status = Number(head[':status']);
        answer.number = String(head['realtime-answer']);
      });
      stream.on('data', (text: string) => (answer.text += text));
      stream.on('end', () => (answer.over = true));
      stream.end(body === undefined ? undefined : JSON.stringify(body));
      return answer;
    };
    const idIn = (text: string): string => /"connection":"([^"]+)"/.exec(text)?.[1] ?? '';
    const stream = request('sse', [hello()]);
    const polled = request('poll', [hello()]);
    await until('both', () => idIn(stream.text) !== '' && polled.over);
    for (const { text } of [stream, polled]) {
      const sent = request('send', [subscribe('rooms.1')], {
        'realtime-session': idIn(text),
        'realtime-send': '1',
      });
      await until('the answer', () => sent.over);
      expect(sent.status).toBe(202);
    }
    await until('the reply', () => stream.text.includes('"recovery":"new"'));
    const id = idIn(polled.text);
    const first = request('poll', undefined, { 'realtime-session': id, 'realtime-ack': '1' });
    await until('the answer', () => first.over);
    expect([first.status, first.number]).toEqual([200, '2']);
    const cut = request('poll', undefined, { 'realtime-session': id, 'realtime-ack': '2' });
    cut.stream.close();
    const next = request('poll', undefined, { 'realtime-session': id, 'realtime-ack': '2' });
    await server.engine.application.publish('rooms.1', 'said', 'shared');
    await until('the event', () => next.text.includes('shared') && stream.text.includes('shared'));
    const cutBody = client.request({
      ':method': 'POST',
      ':path': '/realtime/send',
      'content-type': 'application/json',
      'realtime-session': idIn(stream.text),
      'realtime-send': '2',
      'content-length': '100',
    });
    cutBody.on('error', () => undefined);
    cutBody.write('[{"type":');
    await until('the body to be read', () => reading() === 1);
    cutBody.close(8);
    await until('the cut', () => reading() === 0);
    expect(server.engine.status.sessions).toBe(2);
    client.destroy();
    await until('the end of the stream', () => server.engine.status.sessions === 1);
    http2.close();
  });
});

describe('ids of sessions', () => {
  it('are those of the node, unlike each other, and unlike what the application sees', async () => {
    await start();
    const [a, b] = [await StreamSession.open(server.httpUrl), await PollSession.open(server.httpUrl)];
    expect(a.id.slice(0, 12)).toBe(b.id.slice(0, 12));
    expect(a.id).not.toBe(b.id);
    const known = openSessions().map(({ id }) => id);
    expect(known.some((id) => a.id.includes(id) || b.id.includes(id))).toBe(false);
    a.reader.close();
    const reader = await openStream(server.httpUrl, hello());
    reader.close();
  });
});
