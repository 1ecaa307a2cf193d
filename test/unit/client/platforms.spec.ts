import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { WebSocket as WsSocket } from 'ws';
import { RealtimeClient } from '../../../lib/client/realtime-client.js';
import { ManualClock, settle } from '../../support/engine/manual-clock.js';
import { ScriptedServer, until } from '../../support/wire/scripted-server.js';
import { FakeSocket, fakeSockets, welcoming, type SocketPlan } from './fake-socket.js';
import { is, missing, restoreGlobals, setGlobals, type Globals } from './globals.js';
import { codeOf } from './harness.js';

afterEach(() => {
  restoreGlobals();
  jest.restoreAllMocks();
});

/** Reading it is a fault. */
const forbidden = (name: string): PropertyDescriptor => ({
  get: () => {
    throw new Error(`${name} was touched`);
  },
});

const NAMES = [
  'WebSocket',
  'fetch',
  'crypto',
  'performance',
  'location',
  'document',
  'navigator',
  'addEventListener',
  'FinalizationRegistry',
  'setTimeout',
];

/** Like React Native's: it holds the text, and throws for every part of it. */
class TextUrl {
  constructor(readonly href: string) {}
  get protocol(): string {
    throw new Error('URL.protocol is not implemented');
  }
  get hash(): string {
    throw new Error('URL.hash is not implemented');
  }
}

const quiet = { fetch: false as const };

describe('making a client', () => {
  it('touches nothing of the platform, so a server may render the module', () => {
    setGlobals({
      ...Object.fromEntries(NAMES.map((name) => [name, forbidden(name)])),
      Date: is({ now: forbidden('Date.now').get }),
    });
    const client = new RealtimeClient('/realtime', { token: () => 't' });
    const room = client.channel('rooms.1');
    room.on('message', () => undefined)();
    expect([client.state, client.user, room.state]).toEqual(['idle', undefined, 'unsubscribed']);
  });

  it('refuses a wrong scheme, and an option that it does not know, by name', () => {
    expect(() => new RealtimeClient('ftp://example.com/realtime')).toThrow(/"ftp:\/\/example.com/);
    expect(() => new RealtimeClient('localhost:3000/realtime')).toThrow(/http, https, ws or wss/);
    expect(() => new RealtimeClient('/realtime', { tokn: () => 't' } as never)).toThrow(
      new TypeError('There is no option "tokn"'),
    );
  });

  it.each([
    [
      'a path without a page',
      { WebSocket: is(FakeSocket), location: missing },
      '/realtime',
      /in a page a path/,
    ],
    ['no WebSocket', { WebSocket: missing }, 'http://a.test/realtime', /webSocket: WebSocket/],
  ])('tells everybody who waits why this platform cannot connect: %s', async (_, globals, url, why) => {
    setGlobals(globals);
    const client = new RealtimeClient(url, quiet);
    const told = await client
      .channel('rooms.1')
      .subscribe()
      .catch((error: Error) => error.message);
    expect(told).toMatch(why);
    expect(client.status).toMatchObject({ state: 'closed', name: 'protocol_error' });
    // The second time, and each other command, too.
    await expect(client.connect()).rejects.toThrow(why);
    await expect(client.request('a')).rejects.toThrow(why);
    await expect(client.channel('rooms.1').publish('a')).rejects.toThrow(why);
  });

  it('tells everybody who waits when the WebSocket class throws, as for ws:// on an https page', async () => {
    const webSocket = class extends FakeSocket {
      constructor(url: string, protocols: string[]) {
        super(url, protocols);
        throw new Error(
          'An insecure WebSocket connection may not be initiated from a page loaded over HTTPS',
        );
      }
    };
    const client = new RealtimeClient('ws://a.test/realtime', { ...quiet, webSocket });
    await expect(client.channel('rooms.1').subscribe()).rejects.toThrow(/insecure WebSocket/);
    await expect(client.connect()).rejects.toThrow(/insecure WebSocket/);
    const late = new RealtimeClient('ws://a.test/realtime', { ...quiet, webSocket, token: async () => 't' });
    await expect(late.channel('rooms.1').subscribe()).rejects.toThrow(/insecure WebSocket/);
  });
});

describe('connecting on', () => {
  const pages: [string, Globals, string, string][] = [
    ['a page', { location: is({ href: 'https://a.test/chat?x#y' }) }, '/realtime', 'wss://a.test/realtime'],
    ['a worker of a blob', { location: is({ href: 'blob:https://a.test/4f-2' }) }, '/rt', 'wss://a.test/rt'],
    [
      'React Native',
      {
        URL: is(TextUrl),
        crypto: missing,
        FinalizationRegistry: missing,
        location: missing,
        addEventListener: missing,
        document: missing,
      },
      'https://a.test/realtime#x',
      'wss://a.test/realtime',
    ],
    [
      'Deno and Bun',
      { location: missing, document: missing, navigator: is({ userAgent: 'Deno/2' }) },
      'http://a.test/realtime',
      'ws://a.test/realtime',
    ],
    [
      'a Cloudflare Worker',
      { location: missing, document: missing, navigator: missing, addEventListener: missing },
      'wss://a.test/realtime?x=1',
      'wss://a.test/realtime?x=1',
    ],
    [
      'a service worker',
      {
        location: is({ href: 'https://a.test/sw.js' }),
        document: missing,
        addEventListener: is(() => undefined),
      },
      'realtime',
      'wss://a.test/realtime',
    ],
  ];

  it.each(pages)('%s', async (_, globals, url, socketUrl) => {
    const { webSocket, made } = fakeSockets(welcoming);
    setGlobals({ ...globals, WebSocket: is(webSocket) });
    const client = new RealtimeClient(url);
    await client.connect();
    expect(made[0]?.url).toBe(socketUrl);
    const subscribed = client.channel('rooms.1').subscribe();
    await settle();
    const { id } = JSON.parse(made[0]?.sent.at(-1) ?? '') as { id: string };
    made[0]?.message({
      type: 'reply',
      ref: id,
      payload: { position: { epoch: 'e', seq: 0 }, recovery: 'new' },
    });
    expect((await subscribed).recovery).toBe('new');
    const closed = client.close();
    made[0]?.fire('close', { code: 1000 });
    await closed;
  });
});

describe('an attempt that fails', () => {
  const failing = (plan: SocketPlan, fetch?: () => Promise<never>) => {
    const clock = new ManualClock();
    const { webSocket, made } = fakeSockets(plan);
    const client = new RealtimeClient('https://a.test/realtime', { webSocket, clock, fetch: fetch ?? false });
    const waiting = new Promise((resolve) =>
      client.on('state', ({ state }) => state === 'waiting' && resolve(0)),
    );
    void client.connect();
    return { client, clock, made, waiting };
  };

  it('ends at once where only `error` is fired, with its message, and nothing of it comes later', async () => {
    const { client, made, waiting } = failing((socket) => socket.fire('error', { message: 'refused' }));
    await waiting;
    expect(client.status).toMatchObject({ code: 1006, reason: 'refused', attempt: 1 });
    made[0]?.open();
    made[0]?.fire('close', { code: 1006 });
    expect(client.state).toBe('waiting');
    expect(made[0]?.sent).toEqual([]);
    void client.close();
  });

  it('says why where neither the socket nor the page knows, as under a policy (CSP)', async () => {
    const { client, waiting } = failing(
      (socket) => socket.fire('error'),
      () => Promise.reject(new TypeError('Failed to fetch')),
    );
    await waiting;
    expect(client.status.reason).toBe(
      'https://a.test/realtime cannot be reached: Failed to fetch (or CORS or the page’s policy forbids it: see the console)',
    );
    void client.close();
  });

  it('ends a live connection whose class fires only `error`', async () => {
    const { client, made } = failing(welcoming);
    await client.connect();
    made[0]?.fire('error', { message: 'broken' });
    expect(client.status).toMatchObject({ state: 'waiting', code: 1006, reason: 'broken' });
    void client.close();
  });

  it('reads a close event without a code', async () => {
    const { client, waiting } = failing((socket) => socket.fire('close', {}));
    await waiting;
    expect(client.status).toMatchObject({
      code: 1006,
      reason: 'https://a.test/realtime opened no WebSocket',
    });
    void client.close();
  });

  it('of the package ws ends at once with the cause', async () => {
    const server = await ScriptedServer.start();
    const { url } = server;
    await server.stop();
    const client = new RealtimeClient(url, { webSocket: WsSocket });
    void client.connect();
    await until(() => client.state === 'waiting', 'the end of the attempt');
    expect(client.status.reason).toMatch(/^http:.*\/realtime cannot be reached: connect ECONNREFUSED/);
    expect(await codeOf(client.close())).toEqual({ resolved: undefined });
  });
});
