import { afterEach, describe, expect, it } from '@jest/globals';
import { httpFallback } from '../../../../lib/client/http.js';
import { RealtimeClient } from '../../../../lib/client/realtime-client.js';
import { until } from '../../../support/wire/scripted-server.js';
import { is, restoreGlobals, setGlobals } from '../globals.js';
import { FallbackHarness, refused } from './harness.js';

let h: FallbackHarness;
let errors: string[];

const start = (...args: ConstructorParameters<typeof FallbackHarness>): void => {
  h = new FallbackHarness(...args);
  errors = [];
  h.client.on('error', (error) => errors.push((error as Error).message));
};

afterEach(() => {
  void h.client.close();
  restoreGlobals();
});

/** One round through all transports, none of which works. */
async function round(): Promise<void> {
  await h.again();
  await h.again();
  // The first failure of each proves nothing: the server may be replaced right now.
  for (const [name, status] of [
    ['sse', 405],
    ['sse', 405],
    ['poll', 404],
  ] as const) {
    (await h.http.next(name)).refuse(status);
    await h.again();
  }
  (await h.http.next('poll')).refuse(404);
  await h.state('waiting');
}

describe('a network in which no transport works', () => {
  it('is reported: each missing path with its remedy, and once per outage why each transport failed', async () => {
    start();
    h.plan = refused;
    void h.client.connect();
    await round();
    const missing = (what: string) =>
      `https://a.example/rt/${what}: no sessions over HTTP here: check the URL, the proxies, and the server's transports.httpSessions`;
    expect(errors).toEqual([
      missing('sse answered 405'),
      missing('poll answered 404'),
      `No transport works here: websocket (The server is there, but no WebSocket opens: let the proxy pass Upgrade on), sse (${missing('sse answered 405')}), polling (${missing('poll answered 404')})`,
    ]);
    await h.again();
    await round();
    expect(errors.filter((message) => message.startsWith('No transport'))).toHaveLength(1);
  });

  it('is reported again after a transport worked', async () => {
    start({}, { transports: ['polling'] });
    void h.client.connect();
    (await h.http.next('poll')).refuse(404);
    await h.again();
    (await h.http.next('poll')).refuse(404);
    await h.again();
    await h.http.polls();
    await h.state('live');
    (await h.http.next('poll')).refuse(410);
    await h.again();
    (await h.http.next('poll')).refuse(404);
    await h.again();
    (await h.http.next('poll')).refuse(404);
    await h.state('waiting');
    expect(errors.filter((message) => message.startsWith('No transport works here: polling'))).toHaveLength(
      2,
    );
  });
});

describe('a page of another origin', () => {
  const page = (origin: string): void => setGlobals({ location: is({ origin, href: `${origin}/` }) });

  it.each([
    ['sse', 'sse'],
    ['polling', 'poll'],
  ] as const)('with a token sends no cookies once they were refused: %s', async (transport, name) => {
    page('https://b.example');
    start({ token: () => 't' }, { transports: [transport] });
    void h.client.connect();
    const first = await h.http.next(name);
    expect(first.request.credentials).toBe('include');
    first.fail('Failed to fetch');
    await h.state('waiting');
    expect(h.client.status.reason).toBe(
      `https://a.example/rt/${name} cannot be read from this page: the next attempt sends no cookies`,
    );
    await h.again();
    const second = await h.http.next(name);
    expect(second.request.credentials).toBe('omit');
    second.fail('Failed to fetch');
    await h.state('waiting');
    expect(h.client.status.reason).toBe(`https://a.example/rt/${name} cannot be reached: Failed to fetch`);
  });

  it.each([
    ['has no token', {}, {}],
    ['was told to send cookies', { token: () => 't' }, { credentials: 'include' }],
  ] as const)('that %s learns what to list', async (_what, options, fallback) => {
    page('https://b.example');
    start(options, { transports: ['sse'], ...fallback });
    void h.client.connect();
    (await h.http.next('sse')).fail('Failed to fetch');
    await h.state('waiting');
    expect(h.client.status.reason).toBe(
      "https://a.example/rt/sse cannot be read from this page: list its origin in the server's allowedOrigins, or set httpFallback({ credentials: 'omit' })",
    );
    await h.again();
    expect((await h.http.next('sse')).request.credentials).toBe('include');
  });

  it.each([
    ['of the same origin', 'https://a.example', 426],
    ['while the server is away', 'https://b.example', 'unreachable'],
  ] as const)('is not blamed %s', async (_what, origin, there) => {
    page(origin);
    start({ token: () => 't' }, { transports: ['sse'] });
    h.http.there = there;
    void h.client.connect();
    (await h.http.next('sse')).fail('Failed to fetch');
    await h.state('waiting');
    expect(h.client.status.reason).toBe('https://a.example/rt/sse cannot be reached: Failed to fetch');
    await h.again();
    expect((await h.http.next('sse')).request.credentials).toBe('include');
  });
});

describe('a platform without fetch', () => {
  const without = (): void => setGlobals({ fetch: is(undefined) });

  it('closes the client with the remedy where only sessions over HTTP are left', async () => {
    without();
    start({}, { transports: ['polling'], fetch: undefined as never });
    await expect(h.client.connect()).rejects.toThrow(
      'There is no fetch here: pass one, httpFallback({ fetch })',
    );
    expect(h.client.state).toBe('closed');
  });

  it('is reported once where WebSockets fail', async () => {
    without();
    start({ fetch: false }, { fetch: undefined as never });
    h.plan = refused;
    void h.client.connect();
    await h.again();
    await h.again();
    await h.state('waiting');
    expect(errors).toEqual(['There is no fetch here: pass one, httpFallback({ fetch })']);
  });
});

describe('the reason of a lost session over HTTP', () => {
  it.each([
    [4008, 'token expired'],
    [4001, 'drain'],
  ])('is the meaning of the code %i, not how the stream ended', async (code, reason) => {
    start({}, { transports: ['sse'] });
    const stream = await h.overStream();
    stream.send({ type: 'bye', payload: { code, retryAfterMs: 0, spreadMs: 0 } });
    stream.end();
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ code, reason });
  });

  it.each([
    ['ended', (stream: { end(): void; fail(): void }) => stream.end(), 'ended'],
    ['broke', (stream: { end(): void; fail(): void }) => stream.fail(), 'broke: reset'],
  ])('without a code names the URL of the stream that %s', async (_what, spoil, reason) => {
    start({}, { transports: ['sse'] });
    spoil(await h.overStream());
    await h.state('waiting');
    expect(h.client.status.reason).toBe(`The event stream of https://a.example/rt/sse ${reason}`);
  });

  it('is the cause that Node has', async () => {
    const fetch = () =>
      Promise.reject(new TypeError('fetch failed', { cause: new Error('connect ECONNREFUSED 127.0.0.1:1') }));
    start({}, { transports: ['polling'], fetch });
    void h.client.connect();
    await h.state('waiting');
    expect(h.client.status.reason).toBe(
      'https://a.example/rt/poll cannot be reached: connect ECONNREFUSED 127.0.0.1:1',
    );
  });
});

describe('the log of a client with the fallback', () => {
  it('says that there is no WebSocket, where there is none', async () => {
    Reflect.deleteProperty(globalThis, 'WebSocket');
    setGlobals({ WebSocket: is(undefined) });
    Reflect.deleteProperty(globalThis, 'WebSocket');
    start({ webSocket: undefined });
    await h.overStream();
    expect(h.lines).toContain('The next attempt uses sse: there is no WebSocket here');
  });

  it('has a better transport as information, not as a warning', async () => {
    const levels: string[] = [];
    start(
      {
        log: (level, message) => {
          if (message.startsWith('waiting')) levels.push(level);
        },
      },
      { transports: ['websocket', 'sse'] },
    );
    h.plan = refused;
    void h.client.connect();
    await h.again();
    await h.again();
    await h.http.stream({ heartbeat: { intervalMs: 36_000_000, timeoutMs: 10_000 } });
    await h.state('live');
    h.plan = (socket) => socket.open();
    await h.pass(45_000);
    await until(() => levels.length === 3, 'the climb');
    expect(levels).toEqual(['warn', 'warn', 'info']);
  });
});

describe('wrong uses of the fallback', () => {
  const wrong = (options: unknown) => () => httpFallback(options as never);

  it.each([
    [{ transport: ['sse'] }, 'There is no option "transport": did you mean "transports"?'],
    [{ transports: 'polling' }, 'The option "transports" must be a list'],
    [{ credentials: 'yes' }, 'The option "credentials" must be include, same-origin or omit'],
    [{ fetch: 3 }, 'The option "fetch" must be a function'],
    [{ colour: 1 }, 'There is no option "colour"'],
  ])('%j is refused at once', (options, message) => {
    start();
    expect(wrong(options)).toThrow(new TypeError(message));
  });

  it.each([
    ['true', true],
    ['a name', 'sse'],
    ['an object', {}],
    ['the function that was not called', httpFallback],
  ])('%s as the option of a client is refused by its constructor', (_what, fallback) => {
    start();
    expect(() => new RealtimeClient('https://a.example/rt', { fallback: fallback as never })).toThrow(
      'The option "fallback" must be httpFallback()',
    );
  });

  it('null is refused at once', () => {
    start();
    expect(wrong(null)).toThrow(TypeError);
  });

  it('options with their defaults spelled out are taken', () => {
    start();
    expect(() =>
      httpFallback({
        transports: ['websocket', 'sse', 'polling'],
        credentials: 'same-origin',
        fetch: h.http.fetch,
        climbAfterMs: 1,
        hiddenAfterMs: Infinity,
      }),
    ).not.toThrow();
    expect(() => httpFallback()).not.toThrow();
  });
});
