import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { RealtimeClientOptions } from '../../../../lib/client/options.js';
import type { Codec } from '../../../../lib/protocol/codecs/codec.js';
import { until } from '../../../support/wire/scripted-server.js';
import { Harness } from '../harness.js';

let harness: Harness | undefined;

const start = async (options?: RealtimeClientOptions, codec?: Codec): Promise<Harness> =>
  (harness = await Harness.start(options, codec));

afterEach(() => harness?.stop());

describe('reconnecting', () => {
  it('spreads the first attempt after an unannounced loss, then backs off until a connection is stable (P19)', async () => {
    const h = await start();
    (await h.live()).terminate();
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ code: 1006, attempt: 1, delayMs: 0.5 * 2_000 });
    h.clock.advance(1_000);
    const second = await h.server.accept();
    await second.welcome();
    await h.state('live');
    h.clock.advance(9_999);
    second.terminate();
    await h.state('waiting');
    // Live, but not for stableMs: still the second attempt.
    expect(h.client.status).toMatchObject({ attempt: 2, delayMs: 0.5 * 2_000 });
    const third = await h.back();
    third.terminate();
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ attempt: 3, delayMs: 0.5 * 4_000 });
    const fourth = await h.back();
    h.clock.advance(10_000);
    fourth.terminate();
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ attempt: 1, delayMs: 0.5 * 2_000 });
  });

  it('follows the advice of bye, and of a close reason (P19)', async () => {
    const h = await start();
    const first = await h.live();
    h.clock.advance(10_000);
    first.send({ type: 'bye', payload: { code: 4001, retryAfterMs: 300, spreadMs: 8_000 } });
    first.close(4001, 'drain|300');
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ code: 4001, name: 'drain', delayMs: 300 + 0.5 * 8_000 });
    const second = await h.back();
    h.clock.advance(10_000);
    second.close(4006, 'overloaded|7000');
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ name: 'overloaded', delayMs: 7_000 + 0.5 * 2_000 });
  });

  it('does not reset the backoff on a drain (P19)', async () => {
    const h = await start();
    const drain = { type: 'bye', payload: { code: 4001, retryAfterMs: 0, spreadMs: 0 } };
    const delays: (number | undefined)[] = [];
    let connection = await h.live();
    for (let round = 0; round < 4; round++) {
      connection.send(drain);
      connection.close(4001, 'drain|0');
      await h.state('waiting');
      delays.push(h.client.status.delayMs);
      connection = await h.back();
    }
    expect(delays).toEqual([0, 1_000, 2_000, 4_000]);
  });

  it('sends no command after bye, and keeps it for the next connection', async () => {
    const h = await start();
    const first = await h.live();
    first.send({ type: 'bye', payload: { code: 4001, retryAfterMs: 0, spreadMs: 0 } });
    await first.sync();
    const answer = h.client.request('late');
    await first.sync();
    expect(first.unread).toEqual([]);
    first.close(4001, 'drain|0');
    const second = await h.back();
    second.reply(await second.expectCommand('request'), 1);
    await expect(answer).resolves.toBe(1);
  });

  it('leaves a connection that the server never closes after bye', async () => {
    const h = await start();
    const first = await h.live();
    first.send({ type: 'bye', payload: { code: 4001, retryAfterMs: 100, spreadMs: 0 } });
    await first.sync();
    h.clock.advance(30_000);
    await first.sync();
    h.clock.advance(5_000);
    expect(h.client.state).toBe('waiting');
  });

  it.each([1001, 1011, 1012, 4002, 4003, 4004, 4005, 4007, 4008, 4009, 4321])(
    'reconnects after close code %i (protocol §7)',
    async (code) => {
      const h = await start();
      (await h.live()).close(code);
      await h.state('waiting');
      expect(h.client.status.code).toBe(code);
    },
  );

  it.each([4801, 4802, 4803, 4804, 4805, 4806, 4807, 4810, 4811, 4812, 4899])(
    'stops after close code %i (protocol §7)',
    async (code) => {
      const h = await start();
      (await h.live()).close(code, 'because');
      await h.state('closed');
      expect(h.client.status).toMatchObject({ code, reason: 'because' });
      expect(h.clock.pending).toBe(0);
    },
  );

  it('stays closed after close code 1000 (protocol §7)', async () => {
    const h = await start();
    (await h.live()).close(1000);
    await h.state('closed');
    expect(h.client.status.code).toBe(1000);
  });

  it('takes the close code of bye when the close frame was lost', async () => {
    const h = await start();
    const connection = await h.live();
    connection.send({ type: 'bye', payload: { code: 4811, retryAfterMs: 0, spreadMs: 0 } });
    await connection.sync();
    connection.terminate();
    await h.state('closed');
    expect(h.client.status.name).toBe('kicked');
  });

  it('sends the last ticket in hello and to the probe, and forgets it on `close` (P28)', async () => {
    const h = await start();
    (await h.live({ session: 'ticket-7' })).terminate();
    await h.state('waiting');
    h.clock.advance(5_000);
    const second = await h.server.accept();
    const hello = await second.welcome({ session: 'ticket-8' });
    expect(hello.payload).toMatchObject({ session: 'ticket-7' });
    expect(second.protocols).toEqual(['realtime.v1.json', 'resume.ticket-7']);
    await h.state('live');
    await h.client.close();
    void h.client.connect();
    const third = await h.server.accept();
    expect((await third.expectCommand('hello')).payload).not.toHaveProperty('session');
  });

  it('does not take a superseded session back, neither by itself nor with its ticket (P28)', async () => {
    const h = await start();
    (await h.live()).close(4810, 'superseded|0');
    await h.state('closed');
    void h.client.connect();
    expect((await (await h.server.accept()).expectCommand('hello')).payload).not.toHaveProperty('session');
  });
});

describe('a WebSocket that never opened (P18)', () => {
  const refused = async (
    status: number,
    headers: Record<string, string> = {},
    body = '',
  ): Promise<Harness> => {
    const h = await start();
    h.server.refuse = () => ({ status });
    h.server.answer = () => ({ status, headers, body });
    h.client.connect().catch(() => undefined);
    await until(() => h.client.state === 'waiting' || h.client.state === 'closed', 'a verdict');
    expect(h.server.requests).toHaveLength(1);
    expect(h.server.requests[0]).toMatchObject({ method: 'GET', url: '/realtime' });
    return h;
  };

  const JSON_TYPE = { 'content-type': 'application/json' };
  /** The form of this server. */
  const own = (statusCode: number, code: string, message = code) =>
    refused(statusCode, JSON_TYPE, JSON.stringify({ statusCode, code, message }));

  it('sends GET {path} once, and stops on 401 without a token provider (P18)', async () => {
    expect((await own(401, 'unauthorized')).client.status).toMatchObject({
      state: 'closed',
      code: 4801,
      name: 'unauthorized',
    });
  });

  it('stops on 403 (P18)', async () => {
    expect((await own(403, 'forbidden')).client.status).toMatchObject({
      state: 'closed',
      code: 4802,
      name: 'forbidden',
    });
  });

  it('stops on 403 of a ban, and reports the ban (P18)', async () => {
    const h = await own(403, 'banned', 'Until Friday');
    expect(h.client.status).toMatchObject({
      state: 'closed',
      code: 4803,
      name: 'banned',
      reason: 'Until Friday',
    });
  });

  it.each([
    [401, 'text/html', '<h1>401 Authorization Required</h1>'],
    [403, 'text/html', '<h1>403 Forbidden</h1>'],
    [401, 'application/json', ''],
    [403, 'application/json', '{"message":"Forbidden"}'],
    [401, 'application/json', '{"statusCode":401,"message":"Access denied due to missing subscription key"}'],
    [403, 'application/json', '{"statusCode":403,"message":"Forbidden resource","error":"Forbidden"}'],
    [403, 'application/json', '{"statusCode":401,"code":"unauthorized"}'],
    [403, 'application/json', '{"statusCode":403,"code":"toString"}'],
    [403, 'application/json', 'null'],
    [429, 'text/html', '<h1>Too Many Requests</h1>'],
    [502, 'text/html', '<h1>Bad Gateway</h1>'],
    [503, 'text/html', '<h1>Service Unavailable</h1>'],
    [504, 'text/html', '<h1>Gateway Timeout</h1>'],
  ])(
    '%i with %s %j is a word of a proxy: the client comes back, the second time too (P18)',
    async (status, type, body) => {
      const h = await refused(status, { 'content-type': type }, body);
      expect(h.client.status.state).toBe('waiting');
      h.clock.advance(h.client.status.delayMs ?? 0);
      await until(() => h.server.requests.length === 2 && h.client.state === 'waiting', 'the second verdict');
      h.server.refuse = () => undefined;
      await h.again();
    },
  );

  it.each([429, 503])('waits for Retry-After, spread, on %i (P18)', async (status) => {
    const h = await refused(status, { 'retry-after': '12' });
    expect(h.client.status).toMatchObject({ state: 'waiting', delayMs: 12_000 + 0.5 * 2_000 });
  });

  it('takes the delay from the body, and waits for at most an hour (P18)', async () => {
    const h = await refused(503, { 'retry-after': '1' }, '{"statusCode":503,"retryAfterMs":650}');
    expect(h.client.status.delayMs).toBe(650 + 0.5 * 2_000);
    await h.stop();
    const dated = await refused(503, {
      date: 'Thu, 01 Jan 2015 00:00:00 GMT',
      'retry-after': 'Thu, 01 Jan 2015 00:00:30 GMT',
    });
    expect(dated.client.status.delayMs).toBe(30_000 + 0.5 * 2_000);
    await dated.stop();
    const long = await refused(503, { 'retry-after': '999999' });
    expect(long.client.status.delayMs).toBe(3_600_000 + 0.5 * 2_000);
  });

  it('treats 426 as an ordinary failure, as the upgrade would succeed (P18)', async () => {
    expect((await refused(426)).client.status).toMatchObject({
      state: 'waiting',
      code: 1006,
      delayMs: 0.5 * 500,
    });
  });

  it('waits after any other answer, and reports it (P18)', async () => {
    const h = await refused(404);
    expect(h.client.state).toBe('waiting');
    expect(h.errors[0]?.context.source).toBe('connection');
  });

  it('waits when there is no answer (P18)', async () => {
    const h = await start();
    await h.server.stop();
    void h.client.connect().catch(() => undefined);
    await h.state('waiting');
    expect(h.client.status.reason).toMatch(/\/realtime cannot be reached: connect ECONNREFUSED/);
  });

  it('sends cookies, and aborts when the client closes (P18)', async () => {
    const fetch = jest.fn<NonNullable<Exclude<RealtimeClientOptions['fetch'], false>>>(
      (_url, { signal }) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted')))),
    );
    const h = await start({ fetch });
    h.server.refuse = () => ({ status: 503 });
    void h.client.connect().catch(() => undefined);
    await until(() => fetch.mock.calls.length > 0, 'the question');
    expect(fetch.mock.calls[0]?.[1]).toMatchObject({
      method: 'GET',
      credentials: 'include',
      cache: 'no-store',
    });
    await h.client.close();
    expect(fetch.mock.calls[0]?.[1].signal.aborted).toBe(true);
  });
});
