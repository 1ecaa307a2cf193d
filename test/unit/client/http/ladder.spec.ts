import { afterEach, describe, expect, it } from '@jest/globals';
import { httpFallback } from '../../../../lib/client/http.js';
import { settle } from '../../../support/engine/manual-clock.js';
import { until } from '../../../support/wire/scripted-server.js';
import type { FakeSocket } from '../fake-socket.js';
import { welcoming } from '../fake-socket.js';
import { is, restoreGlobals, setGlobals } from '../globals.js';
import { FallbackHarness, refused } from './harness.js';

let h: FallbackHarness;

const start = (...args: ConstructorParameters<typeof FallbackHarness>): FallbackHarness =>
  (h = new FallbackHarness(...args));

afterEach(() => {
  void h.client.close();
  restoreGlobals();
});

/** Two refused upgrades, with what the probe says about each; then whatever comes next. */
async function twoFailures(): Promise<void> {
  h.plan = refused;
  void h.client.connect();
  await h.state('waiting');
  await h.again();
  await h.again();
}

/** The session is over an event stream, since upgrades are refused. */
async function fallen(): Promise<Awaited<ReturnType<FallbackHarness['overStream']>>> {
  await twoFailures();
  const stream = await h.http.stream(PATIENT);
  await h.state('live');
  expect(h.client.status.transport).toBe('sse');
  return stream;
}

/** A server that nobody takes for dead while time passes. */
const PATIENT = { heartbeat: { intervalMs: 36_000_000, timeoutMs: 10_000 } };

const opened = (socket: FakeSocket | undefined): boolean => (socket?.sent.length ?? 0) > 0;

describe('the way down', () => {
  it('begins with a WebSocket, and asks for nothing else while that works', async () => {
    start();
    h.plan = welcoming;
    await h.client.connect();
    expect(h.client.status).toEqual({ state: 'live', transport: 'websocket' });
    await h.pass(3_600_000);
    expect(h.http.calls).toEqual([]);
    expect(h.http.probes).toBe(0);
  });

  it('is taken after two upgrades that failed while the server was there (P21k)', async () => {
    start();
    h.plan = refused;
    void h.client.connect();
    await h.state('waiting');
    expect(h.http.calls).toEqual([]);
    await h.again();
    await h.state('waiting');
    expect(h.sockets).toHaveLength(2);
    await h.again();
    await h.http.stream();
    await h.state('live');
    expect(h.sockets).toHaveLength(2);
    expect(h.client.status.transport).toBe('sse');
  });

  it.each(['unreachable', 500, 503, 404, 200] as const)(
    'is not taken in an outage: the probe says %s (P21k)',
    async (there) => {
      start();
      h.http.there = there;
      h.plan = refused;
      void h.client.connect();
      for (let attempt = 0; attempt < 6; attempt++) await h.again();
      expect(h.http.calls).toEqual([]);
      // A failure from before the outage proves nothing about the network behind it.
      h.http.there = 426;
      await h.again();
      h.http.there = 503;
      await h.again();
      h.http.there = 426;
      await h.again();
      h.http.there = 503;
      await h.again();
      await h.state('waiting');
      expect(h.http.calls).toEqual([]);
    },
  );

  it('is not taken when the server itself ends the attempt', async () => {
    start();
    h.plan = (socket) => {
      socket.open();
      socket.fire('close', { code: 4006, reason: 'overloaded|100' });
    };
    void h.client.connect();
    for (let attempt = 0; attempt < 4; attempt++) await h.again();
    await h.state('waiting');
    expect(h.http.calls).toEqual([]);
  });

  it('is taken when sockets open and are cut before a word, twice (P21k)', async () => {
    start();
    h.plan = (socket) => {
      socket.open();
      socket.fire('close', { code: 1006, reason: '' });
    };
    void h.client.connect();
    await h.again();
    await h.again();
    await h.http.stream();
    await h.state('live');
  });

  it('does not wait for the whole time-out of an attempt where upgrades are never answered', async () => {
    start();
    void h.client.connect();
    for (let attempt = 0; attempt < 2; attempt++) {
      await until(() => h.sockets.length === attempt + 1, 'a socket');
      await h.pass(5_000);
      expect(h.sockets[attempt]?.closes).toBeGreaterThan(0);
      await h.again();
    }
    await h.http.stream();
    await h.state('live');
  });

  it('is taken where sockets open and pass nothing on, before the attempt is over', async () => {
    start();
    h.plan = (socket) => socket.open();
    void h.client.connect();
    for (let attempt = 0; attempt < 2; attempt++) {
      await until(() => h.sockets.length === attempt + 1, 'a socket');
      await h.pass(3_500);
      await h.again();
    }
    await h.http.stream();
    await h.state('live');
  });

  it('is taken at once where the policy of the page forbids WebSockets, also without a probe', async () => {
    const document = new EventTarget();
    setGlobals({ document: is(document) });
    start({ fetch: false });
    h.plan = (socket) => {
      socket.fire('error');
      const blocked = { blockedURI: 'wss://a.example', disposition: 'enforce' };
      document.dispatchEvent(Object.assign(new Event('securitypolicyviolation'), blocked));
    };
    void h.client.connect();
    await h.again();
    await h.http.stream();
    await h.state('live');
    // It is no use to try it later.
    await h.pass(3_600_000);
    expect(h.sockets).toHaveLength(1);
  });

  it.each([
    { blockedURI: 'wss://b.example', disposition: 'enforce' },
    { blockedURI: 'wss://a.example', disposition: 'report' },
  ])('is not taken for %j', async (blocked) => {
    const document = new EventTarget();
    setGlobals({ document: is(document) });
    start({ fetch: false });
    h.plan = (socket) => {
      document.dispatchEvent(Object.assign(new Event('securitypolicyviolation'), blocked));
      socket.fire('error');
    };
    void h.client.connect();
    await h.again();
    await h.again();
    expect(h.http.calls).toEqual([]);
  });

  it('continues with polls where a proxy gathers the stream (P21k)', async () => {
    start();
    await twoFailures();
    const call = await h.http.next('sse');
    call.stream();
    await h.pass(5_000);
    expect(call.isAborted).toBe(true);
    await h.again();
    await h.http.polls();
    await h.state('live');
    expect(h.client.status.transport).toBe('polling');
  });

  it('stays with the stream when that is late in an outage', async () => {
    start();
    await twoFailures();
    (await h.http.next('sse')).stream();
    h.http.there = 'unreachable';
    await h.pass(5_000);
    await h.again();
    await h.http.stream();
    await h.state('live');
    expect(h.client.status.transport).toBe('sse');
  });

  it('continues with polls at once where the platform reads no streams, and never tries one again', async () => {
    start();
    await twoFailures();
    (await h.http.next('sse')).bodiless();
    await h.again();
    await h.http.polls();
    await h.state('live');
    await h.pass(3_600_000);
    expect(h.http.count('sse')).toBe(1);
  });

  it.each([404, 405, 501])(
    'is used again after one %i: the server may be replaced right now (P21k)',
    async (status) => {
      start();
      await twoFailures();
      (await h.http.next('sse')).answer(status, {
        statusCode: status,
        message: 'Cannot POST',
        error: 'Not Found',
      });
      await h.again();
      await h.http.stream();
      await h.state('live');
      expect(h.http.count('poll')).toBe(0);
    },
  );

  it('begins with the WebSocket again behind the last transport', async () => {
    start();
    await twoFailures();
    for (const name of ['sse', 'sse', 'poll'] as const) {
      (await h.http.next(name)).refuse(404);
      await h.again();
    }
    (await h.http.next('poll')).refuse(404);
    await h.state('waiting');
    h.plan = welcoming;
    await h.again();
    await h.state('live');
    expect(h.client.status.transport).toBe('websocket');
  });

  it('begins with the stream where there is no WebSocket', async () => {
    start({ webSocket: undefined });
    setGlobals({ WebSocket: is(undefined) });
    Reflect.deleteProperty(globalThis, 'WebSocket');
    await h.overStream();
  });

  it('is remembered: the next attempt after a cut is over the stream', async () => {
    start();
    (await fallen()).fail();
    await h.again();
    await h.http.stream();
    await h.state('live');
    expect(h.sockets).toHaveLength(2);
  });

  it('is forgotten with the network in which it was needed (P21k)', async () => {
    const page = new EventTarget();
    const navigator = { onLine: true };
    setGlobals({
      navigator: is(navigator),
      addEventListener: is(page.addEventListener.bind(page)),
      removeEventListener: is(page.removeEventListener.bind(page)),
    });
    start();
    const stream = await fallen();
    navigator.onLine = false;
    page.dispatchEvent(new Event('offline'));
    stream.fail();
    await h.state('waiting');
    navigator.onLine = true;
    h.plan = welcoming;
    page.dispatchEvent(new Event('online'));
    await h.state('live');
    expect(h.client.status.transport).toBe('websocket');
  });
});

describe('one transport alone', () => {
  it.each([
    ['sse', 'sse'],
    ['polling', 'poll'],
  ] as const)('is used from the first attempt, and always: %s', async (transport, name) => {
    start({}, { transports: [transport] });
    void h.client.connect();
    (await h.http.next(name)).fail();
    await h.again();
    (await h.http.next(name)).fail();
    await h.again();
    await (name === 'sse' ? h.http.stream() : h.http.polls());
    await h.state('live');
    await h.pass(3_600_000);
    expect(h.sockets).toEqual([]);
  });

  it('may be the WebSocket', async () => {
    start({}, { transports: ['websocket'] });
    h.plan = refused;
    void h.client.connect();
    for (let attempt = 0; attempt < 5; attempt++) await h.again();
    expect(h.http.calls).toEqual([]);
  });

  it('has to be one that there is', () => {
    start();
    expect(() => httpFallback({ transports: [] })).toThrow(TypeError);
    expect(() => httpFallback({ transports: ['carrier-pigeon' as never] })).toThrow('carrier-pigeon');
    expect(() => httpFallback({ climbAfterMs: 0 })).toThrow(RangeError);
    expect(() => httpFallback({ hiddenAfterMs: -1 })).toThrow('hiddenAfterMs');
  });
});

describe('the way up', () => {
  it('is tried beside the session, and taken when no command is under way (P21k)', async () => {
    start();
    const stream = await fallen();
    h.plan = (socket) => socket.open();
    await h.pass(44_999);
    const answer = h.client.request('slow');
    const call = await h.http.next('send');
    call.answer(202);
    expect(h.sockets).toHaveLength(2);
    await h.pass(1);
    expect(h.sockets).toHaveLength(3);
    const socket = h.sockets[2];
    expect(opened(socket)).toBe(false);
    expect(h.client.state).toBe('live');
    await h.pass(1_000);
    expect(h.client.state).toBe('live');
    stream.send({ type: 'reply', ref: call.commands[0]?.id, payload: 'done' });
    expect(await answer).toBe('done');
    await h.pass(100);
    await until(() => opened(socket), 'hello');
    expect(stream.isAborted).toBe(true);
    const hello = JSON.parse((socket?.sent[0] ?? '').split('\n')[0] ?? '') as { id: string; payload: object };
    expect(hello.payload).toMatchObject({ session: 'ticket-1' });
    // What is asked now waits for the welcome.
    const next = h.client.request('next');
    socket?.message({ type: 'welcome', ref: hello.id, payload: { user: 'u1' } });
    await h.state('live');
    expect(h.client.status.transport).toBe('websocket');
    await until(() => socket?.sent.length === 2, 'the request');
    const request = JSON.parse(socket?.sent[1] ?? '') as { id: string; event: string };
    expect(request.event).toBe('next');
    socket?.message({ type: 'reply', ref: request.id, payload: 1 });
    expect(await next).toBe(1);
    expect(h.http.count('sse')).toBe(1);
  });

  it('never holds a command back: where one is under way for long the socket is dropped, and tried later (P21k)', async () => {
    start();
    const stream = await fallen();
    h.plan = (socket) => socket.open();
    await h.pass(44_000);
    const slow = h.client.request('slow', undefined, { timeoutMs: 300_000 });
    const call = await h.http.next('send');
    call.answer(202);
    await h.pass(1_000);
    expect(h.sockets).toHaveLength(3);
    await h.pass(2_999);
    expect(h.sockets[2]?.closes).toBe(0);
    const quick = h.client.request('quick');
    const asked = await h.http.next('send');
    asked.answer(202);
    stream.send({ type: 'reply', ref: asked.commands[0]?.id, payload: 2 });
    expect(await quick).toBe(2);
    await h.pass(1);
    expect(h.sockets[2]?.closes).toBe(1);
    await h.pass(60_000);
    expect(h.client.status).toEqual({ state: 'live', transport: 'sse' });
    stream.send({ type: 'reply', ref: call.commands[0]?.id, payload: 1 });
    expect(await slow).toBe(1);
    // Twice the wait.
    expect(h.sockets).toHaveLength(3);
    await h.pass(30_000);
    await until(() => opened(h.sockets[3]), 'hello');
  });

  it('is tried more and more rarely while it is closed, and the session stands (P21k)', async () => {
    start();
    const stream = await fallen();
    const tries: number[] = [];
    const from = h.clock.monotonic();
    h.plan = (socket) => {
      tries.push(Math.round((h.clock.monotonic() - from) / 1_000));
      refused(socket);
    };
    const beat = async (): Promise<void> => {
      await h.pass(20_000);
      stream.send({ type: 'ping', id: 'p' });
      await settle();
      for (const call of h.http.calls) if (call.name === 'send') call.answer(202);
      await settle();
    };
    for (let minute = 0; minute < 60 * 3; minute++) await beat();
    expect(tries).toEqual([45, 135, 315, 675, 1_395, 2_115, 2_835, 3_555]);
    expect(stream.isAborted).toBe(false);
    expect(h.states.filter(({ state }) => state === 'live')).toHaveLength(1);
  });

  it('leads back at once when the socket opened and is not welcomed', async () => {
    start();
    await fallen();
    h.plan = (socket) => socket.open();
    await h.pass(45_000);
    await h.pass(100);
    await until(() => opened(h.sockets[2]), 'hello');
    await h.pass(3_500);
    await h.again();
    await h.http.stream();
    await h.state('live');
    expect(h.client.status.transport).toBe('sse');
    expect(h.sockets).toHaveLength(3);
  });

  it.each([
    ['the close frame comes back: it is taken', 1000],
    ['the close frame comes back as a cut: it is not', 1006],
    ['no close frame comes back: it is not', undefined],
  ])(
    'has to be proven beside the session where sockets passed nothing on: %s (P21k)',
    async (_what, code) => {
      start();
      h.plan = (socket) => socket.open();
      void h.client.connect();
      for (let attempt = 0; attempt < 2; attempt++) {
        await until(() => h.sockets.length === attempt + 1, 'a socket');
        await h.pass(3_500);
        await h.again();
      }
      const stream = await h.http.stream(PATIENT);
      await h.state('live');
      await h.pass(45_000);
      expect(h.sockets).toHaveLength(3);
      expect(h.sockets[2]?.closes).toBe(1);
      expect(opened(h.sockets[2])).toBe(false);
      h.plan = welcoming;
      if (code === undefined) await h.pass(5_000);
      else h.sockets[2]?.fire('close', { code, reason: '' });
      await h.pass(100);
      expect(stream.isAborted).toBe(code === 1000);
      if (code === 1000) await until(() => h.client.status.transport === 'websocket', 'the WebSocket');
      else expect(h.client.status).toEqual({ state: 'live', transport: 'sse' });
      expect(h.sockets).toHaveLength(code === 1000 ? 4 : 3);
    },
  );

  it('does not use a socket that closed while it waited', async () => {
    start();
    const stream = await fallen();
    h.plan = (socket) => socket.open();
    await h.pass(44_000);
    void h.client.request('slow').catch(() => undefined);
    const call = await h.http.next('send');
    call.answer(202);
    await h.pass(2_000);
    h.sockets[2]?.fire('close', { code: 4005, reason: '' });
    stream.send({ type: 'reply', ref: call.commands[0]?.id, payload: 1 });
    await h.pass(1_000);
    expect(h.client.status).toEqual({ state: 'live', transport: 'sse' });
    expect(stream.isAborted).toBe(false);
    await h.pass(90_000);
    await until(() => opened(h.sockets[3]), 'hello');
  });

  it('closes a socket whose session ended first, and one under way when the client is closed', async () => {
    start();
    const stream = await fallen();
    h.plan = (socket) => socket.open();
    await h.pass(44_000);
    void h.client.request('slow').catch(() => undefined);
    (await h.http.next('send')).answer(202);
    await h.pass(1_000);
    stream.fail();
    await h.state('waiting');
    expect(h.sockets[2]?.closes).toBe(1);
    h.plan = () => undefined;
    await h.again();
    await h.http.stream(PATIENT);
    await h.state('live');
    await h.pass(100_000);
    expect(h.sockets).toHaveLength(4);
    void h.client.close();
    await settle();
    (await h.http.next('send')).answer(202);
    await settle();
    expect(h.sockets[3]?.closes).toBe(1);
    expect(h.clock.pending).toBe(0);
  });

  it('asks for a token for the socket where the upgrade carries it (P2)', async () => {
    let tokens = 0;
    start({ token: () => `t${++tokens}`, tokenIn: 'subprotocol' });
    await fallen();
    h.plan = welcoming;
    await h.pass(46_000);
    await h.state('live');
    expect(h.sockets[2]?.protocols).toEqual(['realtime.v1.json', expect.stringMatching(/^bearer\.t/)]);
    expect(h.client.status.transport).toBe('websocket');
  });
});

describe('a hidden page on HTTP/1.1', () => {
  const document = Object.assign(new EventTarget(), { visibilityState: 'visible' });
  const show = (visibilityState: string): void => {
    document.visibilityState = visibilityState;
    document.dispatchEvent(new Event('visibilitychange'));
  };

  function page(nextHopProtocol: string): void {
    const getEntriesByType = (): object[] => [{ name: 'https://a.example/rt/sse', nextHopProtocol }];
    setGlobals({ document: is(document), performance: is({ now: () => 0, getEntriesByType }) });
  }

  it('leaves its connection to other tabs after a while, and resumes when it is shown (P21l)', async () => {
    page('http/1.1');
    start({}, { transports: ['sse'] });
    const stream = await h.overStream();
    show('hidden');
    await h.pass(29_999);
    expect(h.client.state).toBe('live');
    await h.pass(1);
    expect(h.client.status).toMatchObject({ state: 'waiting', delayMs: 3_600_000 });
    expect(h.client.status.reason).toContain('hidden');
    expect(stream.isAborted).toBe(true);
    await h.pass(600_000);
    expect(h.http.count('sse')).toBe(1);
    show('visible');
    expect((await h.http.next('sse')).commands[0]?.payload).toMatchObject({ session: 'ticket-1' });
  });

  it('takes it again when the application sends something, and leaves it again', async () => {
    page('http/1.1');
    start({}, { transports: ['sse'] });
    await h.overStream();
    show('hidden');
    await h.pass(30_000);
    await h.state('waiting');
    const answer = h.client.request('a');
    const stream = await h.http.stream();
    const call = await h.http.next('send');
    stream.send({ type: 'reply', ref: call.commands[0]?.id, payload: 1 });
    expect(await answer).toBe(1);
    call.answer(202);
    await h.pass(30_000);
    await h.state('waiting');
    show('visible');
    await h.http.stream();
  });

  it('keeps it while a command is under way, and looks again later (P21l)', async () => {
    page('http/1.1');
    start({}, { transports: ['sse'] });
    void h.client.connect();
    const stream = await h.http.stream(PATIENT);
    await h.state('live');
    const slow = h.client.request('slow', undefined, { timeoutMs: 300_000 });
    const call = await h.http.next('send');
    call.answer(202);
    show('hidden');
    await h.pass(33_000);
    const quick = h.client.request('quick');
    const asked = await h.http.next('send');
    asked.answer(202);
    stream.send({ type: 'reply', ref: asked.commands[0]?.id, payload: 2 });
    expect(await quick).toBe(2);
    stream.send({ type: 'reply', ref: call.commands[0]?.id, payload: 1 });
    expect(await slow).toBe(1);
    expect(h.client.state).toBe('live');
    await h.pass(29_999);
    expect(h.client.state).toBe('live');
    await h.pass(1);
    expect(h.client.status).toMatchObject({ state: 'waiting', delayMs: 3_600_000 });
    show('visible');
    await h.http.stream();
  });

  it('keeps it when it is shown in time, on HTTP/2, and with Infinity', async () => {
    page('http/1.1');
    start({}, { transports: ['sse'] });
    const stream = await h.overStream();
    show('hidden');
    await h.pass(20_000);
    show('visible');
    const ping = await h.http.next('send');
    ping.answer(202);
    stream.send({ type: 'pong', ref: ping.commands[0]?.id });
    await h.pass(14_000);
    expect(h.client.state).toBe('live');
    void h.client.close();

    page('h2');
    start({}, { transports: ['sse'] });
    await h.overStream();
    show('hidden');
    await h.pass(34_000);
    expect(h.client.state).toBe('live');
    show('visible');
  });
});
