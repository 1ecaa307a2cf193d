import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import type { HttpAdapterHost } from '@nestjs/core';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { Refusal } from '../../../../lib/core/ports/transport-host.js';
import { ProbeRoute } from '../../../../lib/nest/lifecycle/probe-route.js';
import type { WebSocketTransport } from '../../../../lib/transports/websocket/index.js';
import { until } from '../../../support/until.js';

const OPEN_HERE: Refusal = { status: 426, message: 'Open a WebSocket here' };
const TOO_OFTEN: Refusal = { status: 429, message: 'Too often', retryAfterMs: 2_000 };

let server: Server;
let sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets = [];
  await new Promise((resolve) => server.close(resolve));
});

/** The route on a server of its own, whose transport answers when it is told to. */
async function route() {
  const asked: { answer(refusal: Refusal): void; fail(error: unknown): void }[] = [];
  const errors: unknown[] = [];
  const probe = (): Promise<Refusal> =>
    new Promise((answer, fail) => {
      asked.push({ answer, fail });
    });
  let handle: (request: IncomingMessage, response: ServerResponse) => void = () => undefined;
  const adapter = {
    get: (_path: string, handler: typeof handle) => (handle = handler),
    options: () => undefined,
  };
  new ProbeRoute(
    { path: '/realtime', probe } as unknown as WebSocketTransport,
    {
      debug: () => undefined,
      warn: () => undefined,
      error: (_message: string, error: unknown) => void errors.push(error),
    } as never,
  ).register(adapter as unknown as HttpAdapterHost['httpAdapter']);
  const responses: ServerResponse[] = [];
  server = createServer((request, response) => {
    responses.push(response);
    handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const client = () => {
    const socket = connect(port, '127.0.0.1');
    sockets.push(socket);
    let text = '';
    let isOver = false;
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    socket.on('close', () => (isOver = true));
    return {
      ask: (times: number, header = '') =>
        socket.write(`GET /realtime HTTP/1.1\r\nHost: a\r\n${header}\r\n`.repeat(times)),
      upgrades: () => [...text.matchAll(/\r\nUpgrade: (\S+)/g)].map(([, value]) => value),
      statuses: () => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status)),
      connection: () => [...text.matchAll(/\r\nConnection: (\S+)/g)].map(([, value]) => value),
      get isOver() {
        return isOver;
      },
    };
  };
  return { asked, errors, client, requests: () => responses.length, responses };
}

describe('requests that are pipelined (P18, G16)', () => {
  it('one is judged; the next is refused with 429, which ends the connection, and all behind it get no answer', async () => {
    const { asked, client, requests, responses } = await route();
    const one = client();
    one.ask(50);
    await until('the requests', () => requests() === 50);
    expect(asked).toHaveLength(1);
    asked[0]?.answer(OPEN_HERE);
    await until('the end', () => one.isOver);
    expect(one.statuses()).toEqual([426, 429]);
    expect(one.connection()).toEqual(['keep-alive', 'close']);
    expect(asked).toHaveLength(1);
    expect(responses.filter(({ writableEnded }) => writableEnded)).toHaveLength(2);
  });

  it('behind a refusal that ends the connection nothing is judged', async () => {
    const { asked, client, requests } = await route();
    const one = client();
    one.ask(1);
    await until('the request', () => requests() === 1);
    asked[0]?.answer(TOO_OFTEN);
    one.ask(1);
    await until('the end', () => one.isOver);
    expect(one.statuses()).toEqual([429]);
    expect(asked).toHaveLength(1);
  });
});

describe('the Upgrade header of an answer with 426 (P18)', () => {
  it('names the protocol to a client that asks this server itself', async () => {
    const { asked, client } = await route();
    const one = client();
    one.ask(1);
    await until('the request', () => asked.length === 1);
    asked[0]?.answer(OPEN_HERE);
    await until('the answer', () => one.statuses().length === 1);
    expect(one.upgrades()).toEqual(['websocket']);
  });

  it.each(['X-Forwarded-For: 9.9.9.9', 'Forwarded: for=9.9.9.9', 'X-Real-IP: 9.9.9.9'])(
    'is not there behind a proxy (%s), which may pass it on into HTTP/2',
    async (header) => {
      const { asked, client } = await route();
      const one = client();
      one.ask(1, `${header}\r\n`);
      await until('the request', () => asked.length === 1);
      asked[0]?.answer(OPEN_HERE);
      await until('the answer', () => one.statuses().length === 1);
      expect(one.statuses()).toEqual([426]);
      expect(one.upgrades()).toEqual([]);
    },
  );
});

describe('requests that come one after another', () => {
  it('are all judged, of each socket', async () => {
    const { asked, client } = await route();
    const clients = [client(), client()];
    for (let round = 1; round <= 2; round++) {
      for (const one of clients) one.ask(1);
      await until('the requests', () => asked.length === 2 * round);
      for (const { answer } of asked.slice(-2)) answer(OPEN_HERE);
      await until('the answers', () => clients.every((one) => one.statuses().length === round));
    }
    expect(clients.map((one) => one.isOver)).toEqual([false, false]);
    expect(clients[0]?.statuses()).toEqual([426, 426]);
  });

  it.each([
    [401, false],
    [403, false],
    [429, true],
    [503, true],
  ] as const)('%i ends the connection: %s', async (status, ends) => {
    const { asked, client } = await route();
    const one = client();
    one.ask(1);
    await until('the request', () => asked.length === 1);
    asked[0]?.answer({ ...TOO_OFTEN, status });
    await until('the answer', () => one.statuses().length === 1);
    expect(one.statuses()).toEqual([status]);
    expect(one.connection()).toEqual([ends ? 'close' : 'keep-alive']);
  });

  it('a failure is logged and answered with 503', async () => {
    const { asked, errors, client } = await route();
    const one = client();
    one.ask(1);
    await until('the request', () => asked.length === 1);
    asked[0]?.fail(new Error('broken'));
    await until('the end', () => one.isOver);
    expect(one.statuses()).toEqual([503]);
    expect(errors).toHaveLength(1);
  });
});
