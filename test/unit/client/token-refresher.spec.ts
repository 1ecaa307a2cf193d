import { afterEach, describe, expect, it } from '@jest/globals';
import type { RealtimeClientOptions } from '../../../lib/client/options.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { until } from '../../support/wire/scripted-server.js';
import { codeOf, Harness } from './harness.js';

let harness: Harness | undefined;
let given = 0;

/** A client whose provider gives `t1`, `t2` … */
const start = async (options: RealtimeClientOptions = {}): Promise<Harness> => {
  given = 0;
  return (harness = await Harness.start({ token: () => `t${++given}`, ...options }));
};
afterEach(() => harness?.stop());

describe('the token of a new connection', () => {
  it('the token is sent in hello by default, not in the upgrade (P2)', async () => {
    const { client, server } = await start();
    void client.connect();
    const connection = await server.accept();
    expect((await connection.expectCommand('hello')).payload).toMatchObject({ token: 't1' });
    expect(connection.protocols).toEqual(['realtime.v1.json']);
    expect(connection.request.url).toBe('/realtime');
  });

  it('the token is sent as a subprotocol if so configured, and then not in hello (P2)', async () => {
    const { client, server } = await start({ tokenIn: 'subprotocol' });
    void client.connect();
    const connection = await server.accept();
    expect(connection.protocols).toEqual(['realtime.v1.json', 'bearer.t1']);
    expect((await connection.expectCommand('hello')).payload).not.toHaveProperty('token');
  });

  it('a proof for the cookie of the page is sent as a subprotocol, at each connect (P2e)', async () => {
    const h = (harness = await Harness.start({ csrf: 'proof' }));
    void h.client.connect();
    expect((await h.server.accept()).protocols).toEqual(['realtime.v1.json', 'csrf.proof']);
  });

  it('a token that a subprotocol cannot carry is refused with an explanation (P2)', async () => {
    const { client } = await start({ tokenIn: 'subprotocol', token: () => 'a b=' });
    expect(await codeOf(client.connect())).toBe('bad_request');
    expect(client.status.reason).toContain('tokenIn: "hello"');
  });

  it('without a provider no token is sent, as cookies authenticate', async () => {
    const h = (harness = await Harness.start());
    void h.client.connect();
    expect((await (await h.server.accept()).expectCommand('hello')).payload).not.toHaveProperty('token');
  });

  it('the token is reused while the server reports it as valid, and fetched again when it is stale', async () => {
    const h = await start();
    const tokens: unknown[] = [];
    const reconnect = async (): Promise<void> => {
      const connection = await h.again();
      const hello = await connection.welcome({ tokenExpiresInMs: 60_000 });
      tokens.push((hello.payload as { token?: string }).token);
      await h.state('live');
      connection.terminate();
    };
    (await h.live({ tokenExpiresInMs: 60_000 })).terminate();
    await reconnect();
    await reconnect();
    await h.state('waiting');
    h.clock.advance(1);
    h.clock.sleep(60_000);
    await reconnect();
    expect(tokens).toEqual(['t1', 't1', 't2']);
  });
});

describe('a stale token', () => {
  it('a token that would be expired on arrival is stale', async () => {
    const h = await start();
    const connection = await h.live({ tokenExpiresInMs: 600_000 });
    h.clock.sleep(597_000);
    connection.terminate();
    expect((await (await h.again()).expectCommand('hello')).payload).toMatchObject({ token: 't2' });
  });
});

describe('refusals of a token', () => {
  it('a fresh token that is refused with 4801 stops the client (protocol §7)', async () => {
    const h = await start();
    const connected = codeOf(h.client.connect());
    const connection = await h.server.accept();
    const hello = await connection.expectCommand('hello');
    connection.error(hello, 'unauthorized', { message: 'Unknown key' });
    connection.close(4801, 'unauthorized|0');
    expect(await connected).toBe('unauthorized');
    expect(h.client.status).toMatchObject({
      state: 'closed',
      code: 4801,
      name: 'unauthorized',
      reason: 'Unknown key',
    });
  });

  it('an older token that is refused with 4801 is replaced, once (protocol §7)', async () => {
    const h = await start();
    (await h.live()).terminate();
    await h.state('waiting');
    h.clock.advance(5_000);
    const second = await h.server.accept();
    expect((await second.expectCommand('hello')).payload).toMatchObject({ token: 't1' });
    second.close(4801, 'unauthorized|0');
    const third = await h.again();
    expect((await third.expectCommand('hello')).payload).toMatchObject({ token: 't2' });
    third.close(4801, 'unauthorized|0');
    await h.state('closed');
  });

  it('a new token is fetched after 4008 before the next attempt (protocol §7)', async () => {
    const h = await start();
    (await h.live({ tokenExpiresInMs: 600_000 })).close(4008, 'token_expired|0');
    expect((await (await h.again()).expectCommand('hello')).payload).toMatchObject({ token: 't2' });
  });

  it('a fresh token that is refused with 401 before the upgrade stops the client, and the probe carries it (P18)', async () => {
    const h = await start({ tokenIn: 'subprotocol' });
    h.server.refuse = () => ({ status: 401 });
    h.server.answer = () => ({ status: 401, body: '{"statusCode":401,"code":"unauthorized"}' });
    expect(await codeOf(h.client.connect())).toBe('unauthorized');
    expect(h.server.requests[0]?.headers.authorization).toBe('Bearer t1');
  });
});

describe('the token provider', () => {
  it('a provider that fails is called again later', async () => {
    let calls = 0;
    const h = await start({
      token: async () => {
        if (++calls === 1) throw new Error('offline');
        return 'good';
      },
    });
    void h.client.connect();
    await h.state('waiting');
    expect(h.client.status.reason).toBe('No token: offline');
    expect(h.errors[0]?.context.source).toBe('token');
    h.clock.advance(h.client.status.delayMs ?? 0);
    expect((await (await h.server.accept()).expectCommand('hello')).payload).toMatchObject({ token: 'good' });
  });

  it('a provider that throws a final error stops the client', async () => {
    const h = await start({
      token: () => {
        throw new RealtimeError('unauthorized', 'Signed out');
      },
    });
    expect(await codeOf(h.client.connect())).toBe('unauthorized');
    expect(h.client.status).toMatchObject({
      state: 'closed',
      name: 'unauthorized',
      reason: 'No token: Signed out',
    });
  });

  it.each([undefined, '', null, 7])('a provider that gives %j once is asked again later', async (none) => {
    let calls = 0;
    const h = await start({ token: () => (++calls === 1 ? (none as string) : 'good') });
    void h.client.connect();
    await h.state('waiting');
    expect(h.server.upgrades).toBe(0);
    expect(h.errors[0]?.context.source).toBe('token');
    h.clock.advance(h.client.status.delayMs ?? 0);
    expect((await (await h.server.accept()).expectCommand('hello')).payload).toMatchObject({ token: 'good' });
  });

  it('a provider that never answers is abandoned, and called again', async () => {
    const h = await start({ token: () => new Promise<string>(() => undefined), connectTimeoutMs: 4_000 });
    void h.client.connect();
    h.clock.advance(4_000);
    await h.state('waiting');
    expect(h.client.status.reason).toContain('4000 ms');
  });
});

describe('refreshing the token (G12)', () => {
  it('the token is refreshed ahead of its expiry, in place, repeatedly (G12)', async () => {
    const h = await start();
    const heartbeat = { intervalMs: 1_000_000, timeoutMs: 1_000_000 };
    const connection = await h.live({ tokenExpiresInMs: 100_000, heartbeat });
    // A fifth of its life, and jitter: 100 − 20 × 1.5.
    h.clock.advance(69_999);
    await connection.sync();
    expect(given).toBe(1);
    for (const token of ['t2', 't3']) {
      h.clock.advance(1);
      const auth = await connection.expectCommand('auth');
      expect(auth.payload).toEqual({ token });
      connection.reply(auth, { expiresInMs: 100_000 });
      await connection.sync();
      h.clock.advance(69_999);
      await connection.sync();
      expect(connection.unread).toEqual([]);
    }
    expect(h.states.map(({ state }) => state)).toEqual(['connecting', 'live']);
  });

  it('auth_required is answered once while the provider runs (G12)', async () => {
    const h = await start();
    const connection = await h.live();
    connection.send({ type: 'auth_required', payload: { withinMs: 30_000 } });
    connection.send({ type: 'auth_required', payload: { withinMs: 30_000 } });
    const auth = await connection.expectCommand('auth');
    expect(auth.payload).toEqual({ token: 't2' });
    connection.reply(auth, { expiresInMs: 60_000 });
    await connection.sync();
    expect(connection.unread).toEqual([]);
    expect(given).toBe(2);
  });

  it('a refresh is retried before the deadline when the provider or the server fails (G12)', async () => {
    let fail = false;
    const h = await start({
      token: () => {
        if (fail) throw new Error('offline');
        return `t${++given}`;
      },
    });
    const connection = await h.live();
    fail = true;
    connection.send({ type: 'auth_required', payload: { withinMs: 10_000 } });
    await until(() => h.errors.length === 1, 'the error');
    fail = false;
    h.clock.advance(5_000);
    const refused = await connection.expectCommand('auth');
    connection.error(refused, 'unauthorized');
    await connection.sync();
    h.clock.advance(2_500);
    const auth = await connection.expectCommand('auth');
    connection.reply(auth, { expiresInMs: 60_000 });
    await connection.sync();
    expect(h.errors).toHaveLength(2);
    expect(h.client.state).toBe('live');
  });

  it('the old token stays when the new one has another user (G12)', async () => {
    const h = await start();
    const connection = await h.live({ tokenExpiresInMs: 100_000 });
    connection.send({ type: 'auth_required', payload: { withinMs: 60_000 } });
    connection.error(await connection.expectCommand('auth'), 'forbidden');
    await connection.sync();
    for (let n = 0; n < 3; n++) {
      h.clock.advance(15_000);
      await connection.sync();
    }
    expect(connection.unread).toEqual([]);
    expect(h.errors).toHaveLength(1);
  });

  it('auth_required without a provider reports the missing option (G12)', async () => {
    const h = (harness = await Harness.start());
    const connection = await h.live();
    connection.send({ type: 'auth_required', payload: { withinMs: 1_000 } });
    await connection.sync();
    expect(String(h.errors[0]?.error)).toContain('option "token"');
  });

  it('a refresh for an old connection does not affect the new one', async () => {
    let release: (token: string) => void = () => undefined;
    const h = await start({
      token: () => (++given === 2 ? new Promise<string>((resolve) => (release = resolve)) : `t${given}`),
    });
    const first = await h.live({ tokenExpiresInMs: 600_000 });
    first.send({ type: 'auth_required', payload: { withinMs: 30_000 } });
    await first.sync();
    first.terminate();
    const second = await h.back({ tokenExpiresInMs: 600_000 });
    release('late');
    await second.sync();
    await second.sync();
    expect(second.unread).toEqual([]);
    second.send({ type: 'auth_required', payload: { withinMs: 30_000 } });
    await second.sync();
    await second.sync();
    expect(second.unread).toMatchObject([{ type: 'auth', payload: { token: 't3' } }]);
  });
});

describe('who logs out', () => {
  it('is forgotten by close(): token, ticket and user, also what the provider is about to give', async () => {
    const answers: ((token: string) => void)[] = [];
    const h = await start({ token: () => new Promise((resolve) => answers.push(resolve)) });
    void h.client.connect();
    answers[0]?.('alice');
    const first = await h.server.accept();
    await first.welcome({ session: 'ticket-of-alice', user: 'alice', tokenExpiresInMs: 3_600_000 });
    await h.state('live');
    const renewed = h.client.refreshToken();
    void h.client.close();
    expect(h.client.user).toBeUndefined();
    void h.client.connect();
    await until(() => answers.length === 3, 'the second question');
    answers[2]?.('bob');
    const second = await h.server.accept();
    expect((await second.welcome({ user: 'bob' })).payload).toMatchObject({ token: 'bob' });
    expect(second.protocols).toEqual(['realtime.v1.json']);
    await h.state('live');
    answers[1]?.('alice again');
    await renewed;
    expect(h.client.user).toBe('bob');
    await second.sync();
    expect(second.unread).toEqual([]);
    // A reconnect is made with what the server accepted.
    second.terminate();
    expect((await (await h.again()).expectCommand('hello')).payload).toMatchObject({ token: 'bob' });
  });

  it('is forgotten too when the server had closed the client before, with the channels', async () => {
    const h = await start();
    const connection = await h.live({ user: 'alice', tokenExpiresInMs: 3_600_000 });
    const subscribed = h.client.channel('rooms.alice').subscribe();
    await connection.subscribed();
    await subscribed;
    connection.close(4811, 'kicked');
    await h.state('closed');
    const closes = (): number => h.states.filter(({ state }) => state === 'closed').length;
    await h.client.close();
    expect(h.client.status).toEqual({ state: 'closed', code: 1000, name: 'normal' });
    expect(closes()).toBe(2);
    await h.client.close();
    expect(closes()).toBe(2);
    expect(h.client.channel('rooms.alice').state).toBe('unsubscribed');
    void h.client.connect();
    const next = await h.server.accept();
    expect((await next.welcome({ user: 'bob' })).payload).toMatchObject({ token: 't2' });
    await next.sync();
    expect(next.unread).toEqual([]);
  });
});

describe('a token that no server has seen', () => {
  it('is not asked for again while the server is away, up to a minute, and may be refused without an end', async () => {
    const h = await start();
    h.server.refuse = () => ({ status: 503 });
    h.server.answer = () => ({ status: 503 });
    void h.client.connect().catch(() => undefined);
    for (let attempt = 0; attempt < 5; attempt++) {
      await h.state('waiting');
      h.clock.advance(h.client.status.delayMs ?? 0);
    }
    expect(given).toBe(1);
    await h.state('waiting');
    h.clock.sleep(60_000);
    h.clock.advance(0);
    await h.state('waiting');
    expect(given).toBe(2);
    h.server.refuse = undefined;
    const used = await h.again();
    expect((await used.expectCommand('hello')).payload).toMatchObject({ token: 't2' });
    used.close(4801, 'unauthorized');
    expect((await (await h.again()).welcome()).payload).toMatchObject({ token: 't3' });
    await h.state('live');
  });

  it('that was accepted is not used beyond its end as one that nobody has seen', async () => {
    const h = await start();
    const connection = await h.live({ tokenExpiresInMs: 30_000 });
    h.clock.sleep(26_000);
    connection.terminate();
    expect((await (await h.again()).expectCommand('hello')).payload).toMatchObject({ token: 't2' });
  });
});

describe('refreshToken()', () => {
  it('gives the live server a new token at once, and plans by its end', async () => {
    const h = await start();
    const connection = await h.live({ tokenExpiresInMs: 3_600_000 });
    const refreshed = h.client.refreshToken();
    const auth = await connection.expectCommand('auth');
    expect(auth.payload).toEqual({ token: 't2' });
    connection.reply(auth, { expiresInMs: 40_000 });
    await refreshed;
    h.clock.advance(28_000);
    const planned = await connection.expectCommand('auth');
    expect(planned.payload).toEqual({ token: 't3' });
    connection.terminate();
    expect((await (await h.again()).expectCommand('hello')).payload).toMatchObject({ token: 't2' });
  });

  it('rejects with what the server says, and the next connection asks again', async () => {
    const h = await start();
    const connection = await h.live({ tokenExpiresInMs: 3_600_000 });
    const refreshed = codeOf(h.client.refreshToken());
    connection.error(await connection.expectCommand('auth'), 'forbidden');
    expect(await refreshed).toBe('forbidden');
    expect(h.errors).toEqual([]);
    connection.terminate();
    expect((await (await h.again()).expectCommand('hello')).payload).toMatchObject({ token: 't3' });
  });

  it('without a connection asks once, for the next attempt', async () => {
    const h = await start();
    await h.client.refreshToken();
    expect([given, h.client.state]).toEqual([1, 'idle']);
    void h.client.connect();
    expect((await (await h.server.accept()).expectCommand('hello')).payload).toMatchObject({ token: 't1' });
  });

  it('resolves when the connection is lost before the answer', async () => {
    const h = await start();
    const connection = await h.live();
    const refreshed = h.client.refreshToken();
    await connection.expectCommand('auth');
    connection.terminate();
    await refreshed;
    expect((await (await h.again()).expectCommand('hello')).payload).toMatchObject({ token: 't2' });
  });

  it('rejects with what the provider throws, and without a provider', async () => {
    const failing = await start({ token: () => Promise.reject(new Error('log-in is away')) });
    await expect(failing.client.refreshToken()).rejects.toThrow('log-in is away');
    await failing.stop();
    const none = (harness = await Harness.start());
    expect(await codeOf(none.client.refreshToken())).toBe('bad_request');
  });
});
