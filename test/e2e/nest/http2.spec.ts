import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Get, Req, Res } from '@nestjs/common';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { once } from 'node:events';
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { Channel, PublicChannel, RealtimeService } from '../../../lib/nest/index.js';
import { makeCertificate } from '../../support/certificate.js';
import { until } from '../../support/until.js';
import { EventReader } from '../../support/wire/event-reader.js';
import { startApp, type TestApp } from './support/nest-app.js';

const certificate = makeCertificate('localhost');
const tls = { ca: certificate.cert, servername: 'localhost' };

@PublicChannel()
@Channel('prices.:currency')
class Prices {}

@Controller('feeds')
class Feeds {
  constructor(private readonly realtime: RealtimeService) {}

  @Get('open')
  open(@Req() req: object, @Res() res: object) {
    return this.realtime.serveFeed(req, res, { channels: ['prices.eur', 'prices.usd'] });
  }
}

let server: TestApp;
let session: ClientHttp2Session | undefined;
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  session?.destroy();
  await server.close();
});

async function connected(): Promise<ClientHttp2Session> {
  const made = connectHttp2(`https://127.0.0.1:${server.port}`, tls);
  made.on('error', () => undefined);
  await once(made, 'connect');
  return made;
}

async function start(): Promise<RealtimeService> {
  const adapter = () =>
    new FastifyAdapter({ http2: true, https: { ...certificate, allowHTTP1: true } } as never);
  server = await startApp(adapter, {
    providers: [Prices],
    controllers: [Feeds],
    realtime: { auth: { anonymous: true }, requireTls: true, drain: { deadline: 500, spread: 100 } },
  });
  session = await connected();
  return server.app.get(RealtimeService);
}

function ask(path: string) {
  const stream = (session as ClientHttp2Session).request({ ':path': path });
  const asked = { text: '', closed: false, stream };
  stream.setEncoding('utf8').on('data', (text: string) => (asked.text += text));
  stream.on('close', () => (asked.closed = true)).on('error', () => undefined);
  return asked;
}

/** Resolves when the application has closed, and not only when the test gives up its connections. */
async function closed(): Promise<void> {
  let isClosed = false;
  const closing = server.app.close().then(() => (isClosed = true));
  await until('the end', () => isClosed);
  await closing;
}

describe('an application on Fastify that speaks HTTP/2 itself', () => {
  it.each(['/realtime/sse?channels=prices.eur', '/feeds/open'])(
    'serves plain streams at %s, over HTTP/2 and HTTP/1.1 (P20)',
    async (path) => {
      const realtime = await start();
      const asked = ask(path);
      const old = await EventReader.open(`https://127.0.0.1:${server.port}${path}`, { tls });
      await until('both', () => asked.text.includes('subscribed') && old.body.includes('subscribed'));
      await realtime.channel('prices.eur').publish('price', 1.1);
      await until(
        'the event',
        () => asked.text.includes('"payload":1.1') && old.body.includes('"payload":1.1'),
      );
      old.close();
    },
  );

  it('does not keep app.close() waiting: open streams, a connection without one, and one that has not begun TLS', async () => {
    await start();
    const streams = [ask('/realtime/sse?channels=prices.eur'), ask('/feeds/open')];
    await until('both', () => streams.every(({ text }) => text.includes('subscribed')));
    const deaf = ask('/realtime/sse?channels=prices.usd');
    deaf.stream.pause();
    const idle = await connected();
    const half = connect(server.port, '127.0.0.1');
    half.on('error', () => undefined);
    sockets.push(half);
    await once(half, 'connect');
    const cut = new Promise((resolve) => half.once('close', resolve));
    half.resume();
    await closed();
    await cut;
    expect(streams.every(({ text }) => text.includes('"type":"bye"'))).toBe(true);
    idle.destroy();
  });
});

describe('an application on Express that ends TLS itself', () => {
  it('does not keep app.close() waiting for a client that has not begun it', async () => {
    server = await startApp(() => new ExpressAdapter(), {
      providers: [Prices],
      application: { httpsOptions: certificate },
      realtime: { auth: { anonymous: true }, drain: { deadline: 500, spread: 100 } },
    });
    const half = connect(server.port, '127.0.0.1').on('error', () => undefined);
    sockets.push(half);
    await once(half, 'connect');
    const reader = await EventReader.open(
      `https://127.0.0.1:${server.port}/realtime/sse?channels=prices.eur`,
      {
        tls,
      },
    );
    await reader.next('subscribed');
    const cut = new Promise((resolve) => half.once('close', resolve));
    half.resume();
    await closed();
    await cut;
    await reader.ended();
    expect(reader.types).toContain('bye');
  });
});
