import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import {
  connect as connectHttp2,
  createSecureServer,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type Http2SecureServer,
  type IncomingHttpHeaders,
  type SecureClientSessionOptions,
  type ServerHttp2Session,
} from 'node:http2';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { ENGINE_DEFAULTS } from '../../../lib/core/ports/settings-defaults.js';
import { makeCertificate } from '../../support/certificate.js';
import { settle } from '../../support/engine/manual-clock.js';
import { stretched } from '../../support/patience.js';
import { watchUncaught } from '../../support/real-process.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { EventReader } from '../../support/wire/event-reader.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

const certificate = makeCertificate('localhost');
/** Time-out of inactivity that an application gives its connections. */
const IDLE_MS = 300;
const LARGE = 'x'.repeat(200_000);

let server: WireServer;
let http2: Http2SecureServer;
let url: string;
let uncaught: ReturnType<typeof watchUncaught>;
const sessions: ClientHttp2Session[] = [];
/** As the server has them. */
const connections = new Set<ServerHttp2Session>();
/** Of ways that are {@link stallable}. */
const ends: Socket[] = [];

beforeEach(() => {
  uncaught = watchUncaught();
});

afterEach(async () => {
  for (const end of ends.splice(0)) end.destroy();
  for (const session of sessions.splice(0)) session.destroy();
  await server.close();
  await new Promise<void>((resolve) => http2.close(() => resolve()));
  expect(await uncaught.settled()).toEqual([]);
});

/** A server of HTTP/2 over TLS that takes HTTP/1.1 too, as Fastify is given one. */
async function start(options: WireServerOptions = {}): Promise<void> {
  server = await startWireServer({
    channels: [
      wireChannel('rooms.:room'),
      wireChannel('oldest.:name', { policy: { overflow: 'drop-oldest' } }),
    ],
    ...options,
    settings: {
      anonymous: true,
      ...options.settings,
      limits: { connectsPerSecond: 100_000, ...options.settings?.limits },
    },
  });
  http2 = createSecureServer({ ...certificate, allowHTTP1: true });
  server.sse.attach(http2 as never);
  connections.clear();
  http2.on('session', (session) => {
    connections.add(session);
    session.on('close', () => connections.delete(session));
  });
  http2.listen(0, '127.0.0.1');
  await once(http2, 'listening');
  url = `https://127.0.0.1:${(http2.address() as AddressInfo).port}`;
}

async function connected(options: SecureClientSessionOptions = {}, to = url): Promise<ClientHttp2Session> {
  const session = connectHttp2(to, { ca: certificate.cert, servername: 'localhost', ...options });
  session.on('error', () => undefined);
  sessions.push(session);
  await once(session, 'connect');
  return session;
}

/** A way to a port on which bytes can come to a standstill, so that they fill the buffers behind them. */
async function stallable(port: number) {
  const way = createServer((client) => {
    const target = connect(port, '127.0.0.1');
    ends.push(client, target);
    client.pipe(target);
    target.pipe(client);
    for (const end of [client, target]) end.on('error', () => undefined);
  });
  way.listen(0, '127.0.0.1');
  await once(way, 'listening');
  return {
    url: `https://127.0.0.1:${(way.address() as AddressInfo).port}`,
    stall: () => ends.forEach((end) => end.unpipe().pause()),
    close: () => way.close(),
  };
}

/** One stream, and what came of it. */
class Asked {
  text = '';
  headers: IncomingHttpHeaders & { ':status'?: number } = {};
  closed = false;
  readonly stream: ClientHttp2Stream;

  constructor(session: ClientHttp2Session, target: string, headers: Record<string, string> = {}) {
    this.stream = session.request({ ':path': target, ...headers });
    this.stream.setEncoding('utf8');
    this.stream.on('response', (came) => (this.headers = came));
    this.stream.on('data', (text: string) => (this.text += text));
    this.stream.on('close', () => (this.closed = true));
    this.stream.on('error', () => undefined);
  }

  has(part: string): Promise<void> {
    return until(`${part} to come, not ${this.text.slice(-200)}`, () => this.text.includes(part));
  }
}

const feed = (session: ClientHttp2Session, channels: string, headers?: Record<string, string>) =>
  new Asked(session, `/realtime/sse?channels=${channels}`, headers);
const publish = (channel: string, payload: unknown) =>
  server.engine.application.publish(channel, 'said', payload);
const open = (): number => server.engine.status.sessions;
const endOf = (asked: Asked) => until('the end of a stream', () => asked.closed);

describe('plain streams over HTTP/2 and TLS', () => {
  it('are many on one connection, and beside those of HTTP/1.1 on the same port', async () => {
    await start();
    const session = await connected();
    expect(session.alpnProtocol).toBe('h2');
    const all = Array.from({ length: 100 }, (_, index) =>
      feed(session, index % 2 === 0 ? 'rooms.1' : `rooms.1,rooms.${index + 2}`),
    );
    const old = await EventReader.open(`${url}/realtime/sse?channels=rooms.1`, {
      tls: { ca: certificate.cert, servername: 'localhost' },
    });
    for (const asked of all) await asked.has('"channel":"rooms.1"');
    await old.next('subscribed');
    expect(old.headers['transfer-encoding']).toBe('chunked');
    expect(open()).toBe(101);
    await publish('rooms.1', 'to all');
    for (const asked of all) await asked.has('"payload":"to all"');
    expect(await old.payload()).toBe('to all');
    expect(all[0]?.headers).toMatchObject({ ':status': 200, 'content-type': 'text/event-stream' });
    expect(all[0]?.headers).not.toHaveProperty('connection');
    session.destroy();
    old.close();
    await until('the end of all', () => open() === 0);
  });

  it('end one by one: a stream that its client resets leaves its neighbours on the connection alone', async () => {
    await start();
    const session = await connected();
    const [first, second] = [feed(session, 'rooms.1'), feed(session, 'rooms.1')];
    await first.has('subscribed');
    await second.has('subscribed');
    first.stream.close();
    await until('the end of the first', () => open() === 1);
    await publish('rooms.1', 'to the other');
    await second.has('"payload":"to the other"');
    expect(first.text).not.toContain('to the other');
  });

  it('that are reset as fast as they are asked for leave nothing behind, and harm nobody (rapid reset)', async () => {
    await start();
    const neighbour = feed(await connected(), 'rooms.1');
    await neighbour.has('subscribed');
    const session = await connected();
    // Node itself ends a connection that does this more often.
    for (let round = 0; round < 500 && !session.destroyed; round++) {
      const { stream } = feed(session, 'rooms.1');
      stream.close(8);
      if (round % 50 === 0) await settle();
    }
    await until('the end of all but the neighbour', () => open() === 1);
    await publish('rooms.1', 'after the flood');
    await neighbour.has('"payload":"after the flood"');
  });

  it('of a client whose window is shut are ended like those of any other that does not read', async () => {
    await start({ sse: { heartbeatMs: stretched(300) } });
    const neighbour = feed(await connected(), 'oldest.1');
    const shut = feed(await connected({ settings: { initialWindowSize: 0 } }), 'oldest.1');
    await neighbour.has('subscribed');
    await endOf(shut);
    expect(shut.text).toBe('');
    expect(shut.headers[':status']).toBe(200);
    await until('its end here', () => open() === 1);
    await publish('oldest.1', 'still here');
    await neighbour.has('still here');
  });

  it('that are not read are bounded and ended, while the others on the same connection are served', async () => {
    const outbox = { ...ENGINE_DEFAULTS.outbox, maxBytes: 1024 * 1024 };
    await start({ sse: { heartbeatMs: stretched(1_000) }, settings: { outbox } });
    const session = await connected();
    const [deaf, reads] = [feed(session, 'oldest.1'), feed(session, 'oldest.1')];
    await deaf.has('subscribed');
    await reads.has('subscribed');
    deaf.stream.pause();
    for (let round = 0; round < 40; round++) await publish('oldest.1', LARGE);
    await publish('oldest.1', 'the last');
    await reads.has('the last');
    await until('the deaf one to be ended', () => open() === 1);
    await publish('oldest.1', 'behind it');
    await reads.has('behind it');
    // It answers pings, and is asked once for both ends.
    expect(connections.size).toBe(1);
  });

  it('of a connection that reads nothing at all are ended, all of them', async () => {
    await start({ sse: { heartbeatMs: stretched(500) } });
    const session = await connected();
    const all = Array.from({ length: 5 }, () => feed(session, 'oldest.1'));
    for (const asked of all) await asked.has('subscribed');
    for (const { stream } of all) stream.pause();
    for (let round = 0; round < 20; round++) await publish('oldest.1', LARGE);
    await until('their end', () => open() === 0);
  });

  it('of a connection whose bytes nobody takes are bounded and ended, whatever window its client opened', async () => {
    await start({ sse: { heartbeatMs: stretched(500), closeTimeoutMs: 500 } });
    const passing = await stallable(Number(new URL(url).port));
    const wide = { settings: { initialWindowSize: 2 ** 30 } };
    const session = await connected(wide, passing.url);
    session.setLocalWindowSize(2 ** 30);
    const neighbour = feed(await connected(), 'oldest.1');
    const all = Array.from({ length: 5 }, () => feed(session, 'oldest.1'));
    for (const asked of [...all, neighbour]) await asked.has('subscribed');
    passing.stall();
    // More than the buffers of the sockets between hold.
    for (let round = 0; round < 40; round++) await publish('oldest.1', LARGE);
    await until('their end', () => open() === 1);
    await publish('oldest.1', 'still here');
    await neighbour.has('still here');
    // Node itself would keep the connection for ever.
    await until('the end of the connection', () => connections.size === 1);
    passing.close();
  });

  it('whose head is asked for have no body and no session', async () => {
    await start();
    const session = await connected();
    const asked = new Asked(session, '/realtime/sse?channels=rooms.1', { ':method': 'HEAD' });
    await endOf(asked);
    expect(asked.headers).toMatchObject({ ':status': 200, 'content-type': 'text/event-stream' });
    expect([asked.text, open()]).toEqual(['', 0]);
  });

  it('are refused, and ended, as over HTTP/1.1', async () => {
    await start({ settings: { anonymous: false } });
    const session = await connected();
    const stranger = feed(session, 'rooms.1');
    await endOf(stranger);
    expect(stranger.headers[':status']).toBe(401);
    const wrong = feed(session, '%20', { authorization: 'Bearer ada' });
    await endOf(wrong);
    expect(wrong.headers[':status']).toBe(400);
    const stopped = feed(session, 'rooms.1', { 'last-event-id': 'stop' });
    await endOf(stopped);
    expect(stopped.headers[':status']).toBe(204);
    const ada = feed(session, 'rooms.1', { authorization: 'Bearer ada' });
    await ada.has('subscribed');
    await server.engine.drain(1_000);
    await endOf(ada);
    expect(ada.text).toContain('"type":"bye"');
    expect(ada.text).toMatch(/\nretry: \d+\n/);
    const late = feed(session, 'rooms.1', { authorization: 'Bearer ada' });
    await endOf(late);
    expect(late.headers[':status']).toBe(200);
    expect(late.text).toContain('"code":"unavailable"');
  });

  it.each(['stream', 'connection'])(
    'of a client that leaves while it is verified are never opened (its %s ends)',
    async (what) => {
      const verifying: ((user: { user: { id: string } }) => void)[] = [];
      await start({
        authenticator: { authenticate: () => new Promise((resolve) => verifying.push(resolve)) },
      });
      const session = await connected();
      const neighbour = feed(session, 'rooms.1', { authorization: 'Bearer bob' });
      await until('the first to be verified', () => verifying.length === 1);
      const leaves = feed(session, 'rooms.1', { authorization: 'Bearer ada' });
      await until('both to be verified', () => verifying.length === 2);
      if (what === 'stream') leaves.stream.close(8);
      else session.destroy();
      await endOf(leaves);
      await settle();
      for (const settled of verifying) settled({ user: { id: 'ada' } });
      if (what === 'stream') await neighbour.has('subscribed');
      await settle();
      expect(open()).toBe(what === 'stream' ? 1 : 0);
    },
  );

  it('leave the time-out of inactivity that the application gives a connection as it is', async () => {
    await start();
    http2.on('session', (connection) => connection.setTimeout(IDLE_MS, () => connection.close()));
    const session = await connected();
    const asked = feed(session, 'rooms.1');
    await asked.has('subscribed');
    asked.stream.close();
    await until('the end of the connection', () => session.destroyed);
  });

  it('have no more listeners than others after a verification that had to be waited for', async () => {
    let isLater = false;
    await start({
      authenticator: {
        authenticate: () => {
          const verified = { user: { id: 'ada' } };
          return isLater ? settle().then(() => verified) : verified;
        },
      },
    });
    const streams: { listenerCount(event: string): number }[] = [];
    http2.on('stream', (stream) => streams.push(stream));
    const session = await connected();
    for (const later of [false, true]) {
      isLater = later;
      await feed(session, 'rooms.1', { authorization: 'Bearer ada' }).has('subscribed');
    }
    const [atOnce, later] = streams.map((stream) => stream.listenerCount('close'));
    expect(later).toBe(atOnce);
  });
});
