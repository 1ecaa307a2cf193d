import { afterEach, describe, expect, it } from '@jest/globals';
import { Controller, Post } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import type { AuditSink } from '../../../lib/audit/index.js';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import { makeCertificate } from '../../support/certificate.js';
import { elapse, patience, stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { PLATFORMS, startApp, type Platform, type TestApp } from './support/nest-app.js';

@Controller('uploads')
class Uploads {
  @Post()
  take() {
    return 'taken';
  }

  @Post('slow')
  async takeSlowly() {
    await new Promise<void>((resolve) => (held.release = resolve));
    return 'taken slowly';
  }
}

/** Ends the handler that is slow. */
/** Lets the handler that waits answer. */
const letGo = (): void => held.release?.();
const held: { release?: () => void } = {};

let server: TestApp;
let ended: string[];
const sockets: Socket[] = [];

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server.close();
});

/** What ends behind the HTTP server notes it in {@link ended}. */
async function start(platform: Platform, drainMs = 0): Promise<void> {
  ended = [];
  const broker = memoryBroker();
  const close = broker.close.bind(broker);
  Object.assign(broker, {
    close: async () => {
      ended.push('broker');
      await close();
    },
  });
  const sink: AuditSink = { write: () => undefined, close: () => void ended.push('audit') };
  server = await startApp(platform, {
    controllers: [Uploads],
    // Bodies have two seconds more from the beginning of the shutdown.
    realtime: { broker, audit: { sinks: [sink] }, drain: { deadline: drainMs, spread: 0 } },
  });
}

async function open(): Promise<{ readonly socket: Socket; readonly text: () => string }> {
  const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
  sockets.push(socket);
  await once(socket, 'connect');
  let text = '';
  socket.setEncoding('utf8').on('data', (part: string) => (text += part));
  return { socket, text: () => text };
}

/** Once the server has read all that was sent before. */
async function arrived(): Promise<void> {
  await (await fetch(`http://127.0.0.1:${server.port}/nothing`)).text();
}

async function closed(): Promise<void> {
  let isClosed = false;
  const closing = server.app.close().then(() => (isClosed = true));
  await until('the end', () => isClosed, patience(8_000));
  await closing;
  expect(ended).toEqual(['broker', 'audit']);
}

const PATHS = ['/nothing', '/uploads', '/realtime', '/realtime/stream', '/realtime/poll', '/realtime/send'];

describe.each(PLATFORMS)('half of a request on %s', (_name, platform) => {
  it.each(PATHS)('POST %s whose body does not come does not keep app.close() waiting (G18)', async (path) => {
    await start(platform);
    const head = `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`;
    const half = await open();
    half.socket.write(`${head}Content-Length: 500\r\n\r\n{"a"`);
    const chunked = await open();
    chunked.socket.write(`${head}Transfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n`);
    const expecting = await open();
    expecting.socket.write(`${head}Content-Length: 500\r\nExpect: 100-continue\r\n\r\n`);
    await arrived();
    await closed();
  });

  it('a body that comes while the clients leave is taken (G18)', async () => {
    await start(platform, stretched(2_000));
    const upload = await open();
    upload.socket.write(
      `POST /uploads HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a"`,
    );
    await arrived();
    const closing = server.app.close();
    const http = server.app.getHttpServer() as { readonly listening: boolean };
    await until('the server', () => !http.listening);
    // Twice as long as half a head is given.
    await elapse(500);
    upload.socket.write(': 1}');
    await until('the answer', () => upload.text().includes('taken'));
    await closing;
    expect(ended).toEqual(['broker', 'audit']);
  });

  it('a request that has come whole is the application’s, and is answered however late (G18)', async () => {
    await start(platform);
    delete held.release;
    const upload = await open();
    upload.socket.write(
      'POST /uploads/slow HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{"a": 1}',
    );
    await until('the handler', () => held.release !== undefined);
    const half = await open();
    half.socket.write('POST /uploads HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n{"a"');
    await arrived();
    const closing = server.app.close();
    // Half a body has no time left: then nor would this one have.
    await until('the end of half a body', () => half.socket.destroyed, patience(8_000));
    await elapse(300);
    expect(upload.text()).toBe('');
    letGo();
    await until('the answer', () => upload.text().includes('taken slowly'));
    await closing;
  });
});

describe('half of a request of HTTP/2', () => {
  it('whose body does not come does not keep app.close() waiting (G18)', async () => {
    const certificate = makeCertificate('localhost');
    const adapter = () =>
      new FastifyAdapter({ http2: true, https: { ...certificate, allowHTTP1: true } } as never);
    await start(adapter);
    const session = connectHttp2(`https://127.0.0.1:${server.port}`, {
      ca: certificate.cert,
      servername: 'localhost',
    }).on('error', () => undefined);
    await once(session, 'connect');
    const stream = session.request({
      ':method': 'POST',
      ':path': '/uploads',
      'content-type': 'application/json',
    });
    stream.on('error', () => undefined).write('{"a"');
    await new Promise<void>((resolve, reject) =>
      session.ping((error) => (error ? reject(error) : resolve())),
    );
    await closed();
    session.destroy();
  });
});
