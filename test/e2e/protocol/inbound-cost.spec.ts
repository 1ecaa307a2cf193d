import { afterEach, describe, expect, it } from '@jest/globals';
import type { Authentication, Authenticator } from '../../../lib/core/ports/identity.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { wireChannel } from '../../support/wire/channel.js';
import { WireClient } from '../../support/wire/client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

let server: WireServer;
let clock: ManualClock;
afterEach(() => server.close());

/** A server whose time stands still: a rate is a number then. */
async function start(options: Omit<WireServerOptions, 'clock'> = {}): Promise<void> {
  clock = new ManualClock();
  server = await startWireServer({ ...options, clock });
}

/** Calls of the application that a test ends one by one. */
class Calls {
  started = 0;
  readonly names: string[] = [];
  private readonly open: ((value: unknown) => void)[] = [];

  readonly handle = (call: { readonly id: string }): Promise<unknown> => {
    this.started++;
    this.names.push(call.id);
    return new Promise((resolve) => this.open.push(resolve));
  };

  get running(): number {
    return this.open.length;
  }

  end(count = 1): void {
    for (const resolve of this.open.splice(0, count)) resolve(null);
  }
}

const requests = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => ({ type: 'request', id: `r${from + index}`, event: 'wait' }));

const warnings = () => server.records.filter(({ level }) => level === 'warn').map(({ message }) => message);

describe('commands under way (G16)', () => {
  const wide = { ratePerSecond: 1e6, burst: 1e6, userRatePerSecond: 1e6 };
  let calls: Calls;

  async function startCalls(limits: object, handlerTimeoutMs = 10_000): Promise<void> {
    calls = new Calls();
    await start({
      requests: new Map([['wait', { authorize: 'public', handle: calls.handle }]]),
      channels: [
        wireChannel('rooms.:room', { behaviour: { publish: new Map([['said', calls.handle]]) } }),
        wireChannel('slow.:room', {
          behaviour: { authorize: { subscribe: (call) => calls.handle(call) as Promise<true> } },
        }),
      ],
      settings: { handlerTimeoutMs, limits: { ...wide, ...limits } },
    });
  }

  it('no more than maxInFlight handlers of one frame run; the others start in their order as those end', async () => {
    await startCalls({ maxInFlight: 4 });
    const client = await server.connect('ada');
    client.sendAll(requests(250));
    await until('the handlers', () => calls.started === 4);
    await server.rest(await server.connect('bob'));
    for (let ended = 0; ended < 250; ended++) {
      expect(calls.running).toBeLessThanOrEqual(4);
      calls.end();
      await client.next('reply');
    }
    expect(calls.names).toEqual(requests(250).map(({ id }) => id));
  });

  it('one at a time is possible', async () => {
    await startCalls({ maxInFlight: 1 });
    const client = await server.connect('ada');
    client.sendAll(requests(3));
    for (const name of ['r0', 'r1', 'r2']) {
      await until('the handler', () => calls.names.at(-1) === name);
      expect(calls.running).toBe(1);
      calls.end();
      expect((await client.next('reply')).ref).toBe(name);
    }
  });

  it('ping is answered while others wait', async () => {
    await startCalls({ maxInFlight: 1 });
    const client = await server.connect('ada');
    client.sendAll([...requests(2), { type: 'ping', id: 'p1' }]);
    expect((await client.next()).ref).toBe('p1');
    calls.end(2);
  });

  it('bye waits for the commands before it', async () => {
    await startCalls({ maxInFlight: 1 });
    const client = await server.connect('ada');
    client.sendAll([...requests(2), { type: 'bye', id: 'b1' }]);
    await until('the first handler', () => calls.started === 1);
    calls.end();
    await until('the second handler', () => calls.started === 2);
    calls.end();
    await until('the end of the connection', () => client.ended !== undefined);
    expect(client.ended).toMatchObject({ code: 1000 });
  });

  it('what waits is bounded in number: further commands are refused with a delay, and did not run', async () => {
    await startCalls({ maxInFlight: 1, maxQueuedCommands: 2 });
    const client = await server.connect('ada');
    client.sendAll(requests(5));
    const refused = await client.nextAll(2, 'error');
    expect(refused.map(({ ref }) => ref)).toEqual(['r3', 'r4']);
    expect(refused[0]?.payload).toMatchObject({ code: 'rate_limited', retryAfterMs: 1_000 });
    for (let ended = 0; ended < 3; ended++) {
      calls.end();
      await client.next('reply');
    }
    expect(calls.started).toBe(3);
  });

  it('what waits is bounded in bytes', async () => {
    await startCalls({ maxInFlight: 1, maxQueuedBytes: 4_096, bytesPerSecond: 1e9 });
    const client = await server.connect('ada');
    client.sendAll([
      ...requests(1),
      ...requests(3, 1).map((request) => ({ ...request, payload: 'x'.repeat(2_000) })),
    ]);
    expect((await client.next('error')).ref).toBe('r3');
    calls.end();
  });

  it('a handler that timed out counts until it ends; what waits behind it is answered in time, and the log names it', async () => {
    await startCalls({ maxInFlight: 1 }, 300);
    const client = await server.connect('ada');
    client.sendAll(requests(3));
    await until('the handler', () => calls.started === 1);
    clock.advance(300);
    // Those that wait share a coarse timer.
    clock.advance(1_000);
    const answers = await client.nextAll(3, 'error');
    // Only what ran has an unknown outcome.
    expect(answers.map(({ ref, payload }) => [ref, payload['code']]).sort()).toEqual([
      ['r0', 'outcome_unknown'],
      ['r1', 'timeout'],
      ['r2', 'timeout'],
    ]);
    expect(calls.started).toBe(1);
    client.sendAll(requests(1, 10));
    await server.rest(client);
    expect(calls.started).toBe(1);
    calls.end();
    await until('the next handler', () => calls.names.at(-1) === 'r10');
    expect(warnings()).toEqual([
      'The handler of the request "wait" without a channel took longer than 300 ms (handlerTimeout), which counts as ' +
        'outcome_unknown; it still runs, and counts for its connection until it ends. Give its own calls a shorter time-out',
    ]);
  });

  it('publishes behind one that hangs are answered at handlerTimeout, and none of them is appended', async () => {
    await startCalls({ maxInFlight: 64 }, 300);
    const client = await server.connect('ada');
    client.sendAll(
      Array.from({ length: 20 }, (_, n) => ({
        type: 'publish',
        id: `m${n}`,
        channel: 'rooms.1',
        event: 'said',
      })),
    );
    await until('the handler', () => calls.started === 1);
    clock.advance(300);
    const answers = await client.nextAll(20, 'error');
    expect(new Set(answers.map(({ payload }) => payload['code']))).toEqual(new Set(['timeout']));
    calls.end();
    await server.rest(client);
    expect((await server.engine.application.history('rooms.1')).events).toEqual([]);
    expect(warnings()[0]).toContain('The handler of the publish "said" of rooms.:room');
  });

  it('a publish that waited has the rest of its time, and is appended when its handler is in time', async () => {
    await startCalls({}, 300);
    const client = await server.connect('ada');
    client.sendAll([1, 2].map((n) => ({ type: 'publish', id: `m${n}`, channel: 'rooms.1', event: 'said' })));
    await until('the handler', () => calls.started === 1);
    clock.advance(200);
    calls.end();
    await client.next('reply');
    await until('the second handler', () => calls.started === 2);
    clock.advance(99);
    calls.end();
    expect((await client.next()).ref).toBe('m2');
    expect(calls.names).toEqual(['m1', 'm2']);
    clock.advance(1_000);
    await server.rest(client);
    expect(client.pending).toEqual([]);
  });

  it('an authorization that hangs is named in the log, by the pattern of its channel', async () => {
    await startCalls({}, 300);
    const client = await server.connect('ada');
    client.send({ type: 'subscribe', id: 's1', channel: 'slow.secret-name' });
    await until('the authorizer', () => calls.started === 1);
    clock.advance(300);
    expect((await client.next('error')).payload['code']).toBe('timeout');
    expect(warnings()[0]).toContain('The authorization of subscribe of slow.:room took longer');
    expect(warnings().join()).not.toContain('secret-name');
  });

  it('the end of the connection drops what waits', async () => {
    await startCalls({ maxInFlight: 1 });
    const client = await server.connect('ada');
    client.sendAll(requests(5));
    await until('the handler', () => calls.started === 1);
    client.terminate();
    await until('the end', () => server.engine.status.sessions === 0);
    calls.end();
    clock.advance(60_000);
    await server.rest(await server.connect('bob'));
    expect(calls.started).toBe(1);
  });
});

describe('answers (G16)', () => {
  const limits = { answerBytesPerSecond: 1_000, userAnswerBytesPerSecond: 2_000 };

  async function startAnswers(): Promise<void> {
    await start({
      channels: [
        wireChannel('rooms.:room', { publish: ['said'], behaviour: { authorize: { history: 'public' } } }),
      ],
      requests: new Map([['big', { authorize: 'public', handle: () => 'x'.repeat(9_000) }]]),
      settings: { limits },
    });
  }

  it('an error is an answer too: a large one is charged, whatever command it answers', async () => {
    await start({
      channels: [wireChannel('rooms.:room', { publish: ['said'] })],
      requests: new Map([
        [
          'fails',
          {
            authorize: 'public',
            handle: () => {
              throw new RealtimeError('x', { message: 'x'.repeat(9_000) });
            },
          },
        ],
      ]),
      settings: { limits },
    });
    const client = await server.connect('ada');
    expect((await client.error({ type: 'request', event: 'fails' })).code).toBe('refused');
    const refused = await client.error({ type: 'request', event: 'fails' });
    expect(refused).toMatchObject({ code: 'rate_limited', retryable: true });
    expect(refused.retryAfterMs).toBeGreaterThan(1_000);
  });

  it('a client whose answers were too many bytes is refused further ones until they are paid, without a violation', async () => {
    await startAnswers();
    const client = await server.connect('ada');
    expect((await client.call({ type: 'request', event: 'big' })).type).toBe('reply');
    for (const command of [
      { type: 'request', event: 'big' },
      { type: 'history', channel: 'rooms.1', payload: {} },
      { type: 'presence', channel: 'rooms.1', payload: {} },
      { type: 'subscribe', channel: 'rooms.1' },
    ]) {
      const refused = await client.error(command);
      expect(refused).toMatchObject({ code: 'rate_limited', retryable: true });
      // 8 seconds' worth may come at once; the answer was a little more than 9.
      expect(refused.retryAfterMs).toBeGreaterThan(1_000);
      expect(refused.retryAfterMs).toBeLessThan(1_200);
    }
    expect((await client.call({ type: 'publish', channel: 'rooms.1', event: 'said' })).type).toBe('reply');
    clock.advance(1_200);
    expect((await client.call({ type: 'request', event: 'big' })).type).toBe('reply');
  });

  it('other connections of the user pay too, and those of others do not', async () => {
    await startAnswers();
    for (const expected of ['reply', 'reply', 'error']) {
      const client = await server.connect('ada');
      expect((await client.call({ type: 'request', event: 'big' })).type).toBe(
        expected === 'error' ? 'error' : 'reply',
      );
    }
    expect((await (await server.connect('bob')).call({ type: 'request', event: 'big' })).type).toBe('reply');
  });

  it('pages of history are charged, and replayed events are not', async () => {
    await startAnswers();
    for (let n = 0; n < 20; n++) await server.engine.application.publish('rooms.1', 'said', 'x'.repeat(500));
    const client = await server.connect('ada');
    const { position } = (await client.reply({ type: 'subscribe', id: 's0', channel: 'rooms.1' })) as {
      position: { epoch: string };
    };
    await client.call({ type: 'unsubscribe', channel: 'rooms.1' });
    for (let round = 0; round < 3; round++) {
      await client.reply({
        type: 'subscribe',
        channel: 'rooms.1',
        payload: { position: { epoch: position.epoch, seq: 0 } },
      });
      await client.nextAll(21);
      await client.call({ type: 'unsubscribe', channel: 'rooms.1' });
    }
    expect((await client.call({ type: 'history', channel: 'rooms.1', payload: {} })).type).toBe('reply');
    expect((await client.error({ type: 'history', channel: 'rooms.1', payload: {} })).code).toBe(
      'rate_limited',
    );
  });
});

describe('verifications (G17)', () => {
  let pending: ((authentication: Authentication) => void)[] = [];
  const hanging: Authenticator = {
    authenticate: () => new Promise((resolve) => pending.push(resolve)),
  };
  const hello = (token: string) => ({ type: 'hello', id: 'h1', payload: { versions: [1], token } });

  it('one bound holds for the tokens of the handshake and of hello together', async () => {
    pending = [];
    await start({
      authenticator: hanging,
      settings: { limits: { maxVerifications: 3, admissionWaitMs: 0 } },
    });
    const upgrade = server.open({
      headers: { authorization: 'x' },
      protocols: ['realtime.v1.json', 'bearer.t'],
    });
    upgrade.catch(() => undefined);
    const early = await Promise.all(Array.from({ length: 60 }, () => server.open()));
    for (const client of early) client.send(hello('t'));
    await until('the refusals', () => early.filter(({ ended }) => ended?.code === 4006).length >= 57);
    expect(pending.length).toBe(3);
    for (const resolve of pending.splice(0)) resolve({ user: { id: 'ada' } });
    await until('the welcomes', () =>
      early.some(({ received }) => received.some(({ type }) => type === 'welcome')),
    );
    const next = await server.open();
    next.send(hello('t'));
    await until('the verification', () => pending.length === 1);
  });

  it('one address may not take all of the room', async () => {
    pending = [];
    await start({
      authenticator: hanging,
      settings: { limits: { maxVerificationsPerAddress: 2, admissionWaitMs: 0 } },
    });
    const clients = await Promise.all([1, 2, 3].map(() => server.open()));
    for (const client of clients) client.send(hello('t'));
    await until('the refusal', () => clients.some(({ ended }) => ended?.code === 4006));
    expect(pending.length).toBe(2);
  });

  it('a verification that is given up counts until it ends, also where its client is gone', async () => {
    pending = [];
    await start({
      authenticator: hanging,
      settings: { handlerTimeoutMs: 300, limits: { maxVerifications: 2, admissionWaitMs: 0 } },
    });
    const [slow, gone] = [await server.open(), await server.open()];
    slow.send(hello('t'));
    gone.send(hello('t'));
    await until('the verifications', () => pending.length === 2);
    gone.terminate();
    clock.advance(300);
    await slow.expectClose(4005);
    const refused = await server.open();
    refused.send(hello('t'));
    await refused.expectClose(4006);
    pending.shift()?.({ user: { id: 'ada' } });
    const next = await server.open();
    next.send(hello('t'));
    await until('the next verification', () => pending.length === 2);
    const third = await server.open();
    third.send(hello('t'));
    await third.expectClose(4006);
  });

  it('one that never ends is taken for lost after ten times handlerTimeout', async () => {
    pending = [];
    await start({
      authenticator: hanging,
      settings: { handlerTimeoutMs: 300, limits: { maxVerificationsPerAddress: 1, admissionWaitMs: 0 } },
    });
    const first = await server.open();
    first.send(hello('t'));
    await until('the verification', () => pending.length === 1);
    clock.advance(2_999);
    const refused = await server.open();
    refused.send(hello('t'));
    await refused.expectClose(4006);
    clock.advance(1);
    const second = await server.open();
    second.send(hello('t'));
    await until('the next verification', () => pending.length === 2);
    // What ends after all gives no second place back.
    pending.shift()?.({ user: { id: 'ada' } });
    const third = await server.open();
    third.send(hello('t'));
    await third.expectClose(4006);
  });

  it('tokens of one connection are verified one at a time, in their order, and the last counts', async () => {
    pending = [];
    const tokens: (string | undefined)[] = [];
    const known: Authentication = { user: { id: 'ada' } };
    await start({
      authenticator: {
        authenticate: ({ token, via }) => {
          if (via !== 'auth') return known;
          tokens.push(token);
          return new Promise((resolve) => pending.push(resolve));
        },
      },
    });
    const client = await server.connect('ada');
    client.sendAll(['a', 'b', 'c'].map((token) => ({ type: 'auth', id: token, payload: { token } })));
    for (const token of ['a', 'b', 'c']) {
      await until('the verification', () => pending.length === 1 && tokens.at(-1) === token);
      expect(client.pending).toEqual([]);
      pending.shift()?.(known);
      expect((await client.next()).ref).toBe(token);
    }
  });

  it('above the bound of refused credentials an address has to wait, and a valid one is still admitted', async () => {
    await start({
      settings: { abuse: { authFailures: 3, authFailureWindowMs: 60_000, authHoldMs: 20_000 } },
    });
    for (let n = 0; n < 3; n++) expect((await refusedHello('bad')).code).toBe('unauthorized');
    for (let n = 0; n < 3; n++) {
      const refused = await refusedHello('bad');
      expect(refused).toMatchObject({ code: 'rate_limited', retryable: true });
      // What is left of the hold, and as long again by chance: who was refused together does not come back together.
      expect(refused.retryAfterMs).toBeGreaterThan(18_000);
      expect(refused.retryAfterMs).toBeLessThanOrEqual(40_000);
    }
    expect(warnings().filter((line) => line.includes('abuse.authFailures'))).toHaveLength(1);
    const client = await server.connect('ada');
    expect((await client.error({ type: 'auth', payload: { token: 'bad' } })).code).toBe('rate_limited');
    expect((await client.call({ type: 'auth', payload: { token: 'ada' } })).type).toBe('reply');
    // The three guesses in that time counted, too: a minute pays them, and 20 s another one.
    clock.advance(80_000);
    expect((await refusedHello('bad')).code).toBe('unauthorized');
    expect((await refusedHello('bad')).code).toBe('rate_limited');
  });

  it('refused credentials of the handshake and of auth count as well, with 429', async () => {
    await start({ settings: { abuse: { authFailures: 2 } } });
    const client = await server.connect('ada');
    expect((await client.error({ type: 'auth', payload: { token: 'bad' } })).code).toBe('unauthorized');
    const bearer = { protocols: ['realtime.v1.json', 'bearer.bad'] };
    expect((await WireClient.refused(server.url, bearer)).status).toBe(401);
    const refusal = await WireClient.refused(server.url, bearer);
    expect(refusal.status).toBe(429);
    expect(Number(refusal.headers['retry-after'])).toBeGreaterThan(0);
  });

  it('why a token was refused is a debug line, once in ten seconds, without the token (G23)', async () => {
    const hints = () => server.records.filter(({ level }) => level === 'debug').map(({ message }) => message);
    await start({
      authenticator: {
        authenticate: async ({ token = '' }) => {
          if (token === 'hunter2')
            throw new RealtimeError('unauthorized', `No session "${token}"`, {
              cause: new Error(`${token}: signature`),
            });
          if (token === 'old') throw new RealtimeError('token_expired');
          if (token === 'bug') throw new Error('the database is away');
          return { user: { id: token } };
        },
      },
    });
    for (let n = 0; n < 3; n++) expect((await refusedHello('hunter2')).code).toBe('unauthorized');
    await refusedHello('old');
    await refusedHello('bug');
    await server.connect('ada');
    expect(hints().filter((line) => line.includes('was refused'))).toEqual([
      'A token of the address 127.0.0.1 was refused with unauthorized: No session "…" (…: signature)',
      expect.stringContaining('was refused with token_expired: '),
    ]);
    expect(JSON.stringify(hints())).not.toContain('hunter2');
    clock.advance(10_000);
    await refusedHello('hunter2');
    expect(hints().at(-1)).toContain('(2 more of this kind');
  });

  it('a token that has expired is no guess', async () => {
    await start({ settings: { abuse: { authFailures: 1 } } });
    for (let n = 0; n < 3; n++) expect((await refusedHello('old')).code).toBe('token_expired');
  });

  async function refusedHello(token: string) {
    const client = await server.open();
    return client.error({ type: 'hello', payload: { versions: [1], token } });
  }
});

describe('after a stall of the node (G16)', () => {
  const pings = (count: number, name: string) =>
    Array.from({ length: count }, (_, index) => ({ type: 'ping', id: `${name}${index}` }));
  const heartbeat = { intervalMs: 3_600_000, timeoutMs: 3_600_000 };
  const limits = { ratePerSecond: 10, burst: 5, userRatePerSecond: 20 };

  /** The node stands still: timers are late by so much. */
  function stall(ms: number): void {
    clock.sleep(ms);
    clock.advance(0);
  }

  it('what a client sent in time is not taken for a flood, and what is beyond its rate still is', async () => {
    await start({ settings: { limits, heartbeat } });
    const client = await server.connect('ada');
    client.sendAll(pings(5, 'a'));
    await client.nextAll(5, 'pong');
    clock.advance(250);
    stall(4_000);
    // 5 of the burst, 2 of the time before, and 10 for each second of the stall, which was due in up to 250 ms.
    client.sendAll(pings(60, 'b'));
    await client.take({ type: 'error' });
    const answered = client.received.filter(({ type, ref }) => type === 'pong' && ref?.startsWith('b'));
    expect(answered.length).toBeGreaterThanOrEqual(42);
    expect(answered.length).toBeLessThanOrEqual(48);
  });

  it('the credit is given once, ends, and is bounded', async () => {
    await start({ settings: { limits, heartbeat } });
    const client = await server.connect('ada');
    clock.advance(250);
    stall(60_000);
    clock.advance(10_000);
    client.sendAll(pings(6, 'a'));
    expect((await client.take({ type: 'error' })).ref).toBe('a5');
    stall(60_000);
    client.sendAll(pings(200, 'b'));
    await client.take({ type: 'error' });
    const answered = client.received.filter(({ type, ref }) => type === 'pong' && ref?.startsWith('b'));
    expect(answered.length).toBeGreaterThanOrEqual(100);
    expect(answered.length).toBeLessThanOrEqual(106);
  });

  it('a hello that came in time is welcomed, and who said nothing still ends', async () => {
    await start({ settings: { heartbeat, helloTimeoutMs: 2_000 } });
    const [late, silent] = [await server.open(), await server.open()];
    clock.advance(1_000);
    late.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'eve' } });
    stall(5_000);
    expect((await late.next()).type).toBe('welcome');
    clock.advance(250);
    await silent.expectClose(4805);
    expect(late.ended).toBeUndefined();
  });

  it('timers that are a little late credit nothing', async () => {
    await start({ settings: { limits, heartbeat } });
    const client = await server.connect('ada');
    clock.advance(250);
    stall(400);
    client.sendAll(pings(6, 'a'));
    expect((await client.take({ type: 'error' })).ref).toBe('a5');
  });

  it('bytes are credited too', async () => {
    await start({ settings: { heartbeat, limits: { ...limits, bytesPerSecond: 10_000 } } });
    const client = await server.connect('ada');
    clock.advance(250);
    const large = (id: string) => ({ type: 'ping', id, payload: 'x'.repeat(18_000) });
    stall(4_000);
    for (const id of ['a', 'b', 'c']) client.send(large(id));
    await client.nextAll(3, 'pong');
    client.sendAll([large('d')]);
    await server.rest(await server.connect('bob'));
    expect(client.pending).toEqual([]);
    clock.advance(2_000);
    expect((await client.next('pong')).ref).toBe('d');
  });
});

describe('new connections (G17)', () => {
  it('an address that connects more often than its rate gets the time to come back', async () => {
    const limits = { connectsPerSecond: 1, maxConnectionsPerAddress: 3, admissionWaitMs: 0 };
    await start({ settings: { limits } });
    for (let n = 0; n < 3; n++) {
      const client = await server.connect('ada');
      await client.close();
      await until('the end', () => server.engine.status.sessions === 0);
    }
    const refusal = await WireClient.refused(server.url);
    expect(refusal.status).toBe(429);
    expect(Number(refusal.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(warnings().filter((line) => line.includes('limits.connectsPerSecond'))).toHaveLength(1);
    clock.advance(1_000);
    expect((await server.connect('ada')).ended).toBeUndefined();
  });
});

describe('what others are sent (G16)', () => {
  it.each([
    ['a signal', { type: 'signal', channel: 'rooms.1', event: 'typing' }],
    ['a presence update', { type: 'presence_update', channel: 'rooms.1', payload: { data: 1 } }],
  ])('%s costs as many commands as it reaches groups of subscribers', async (_, command) => {
    await start({
      channels: [
        wireChannel('rooms.:room', {
          signals: ['typing'],
          presence: true,
          behaviour: { authorize: { signal: 'public' } },
        }),
      ],
      settings: { limits: { ratePerSecond: 1, burst: 8, deliveriesPerCommand: 2 } },
    });
    for (let n = 0; n < 5; n++) await (await server.connect(`u${n}`)).subscribe('rooms.1');
    const client = await server.connect('ada');
    await client.subscribe('rooms.1');
    // One for itself, and three for six subscribers.
    expect((await client.call(command)).type).toBe('reply');
    expect((await client.call(command)).type).toBe('reply');
    expect((await client.error(command)).code).toBe('rate_limited');
  });
});
