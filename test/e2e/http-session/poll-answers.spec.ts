import { afterEach, describe, expect, it } from '@jest/globals';
import { stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { envelopesIn, HttpExchange, numberOf } from '../../support/wire/http-exchange.js';
import { post, readReply } from '../../support/wire/http-post.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';
import { hello, PollSession } from './raw.js';

const ROOM = 'rooms.1';
const SUBSCRIBE = { type: 'subscribe', id: 's1', channel: ROOM, payload: {} };

let server: WireServer;
afterEach(() => server.close());

async function start(options: WireServerOptions = {}): Promise<void> {
  server = await startWireServer({
    channels: [wireChannel('rooms.:room', { publish: ['said'] })],
    ...options,
  });
}

const open = (token = 'ada') => HttpExchange.open({ url: server.httpUrl }, { token }, [SUBSCRIBE]);
const publish = (payload: unknown) => server.engine.application.publish(ROOM, 'said', payload);
const session = () => server.engine.status.sessions;

/** Polls until something of this type is there. @returns the number of that answer. */
async function pollFor(exchange: HttpExchange, ack: number, type: string): Promise<number> {
  for (let last = ack; ;) {
    const reply = await exchange.poll(last);
    last = numberOf(reply);
    if (envelopesIn(reply).some((envelope) => envelope.type === type)) return last;
  }
}

/** A session that has everything up to the answer to its subscribe. @returns the last number. */
async function subscribed(token?: string): Promise<[exchange: HttpExchange, last: number]> {
  const exchange = await open(token);
  const isThere = envelopesIn(exchange.opening).some(({ type }) => type === 'reply');
  return [exchange, isThere ? 1 : await pollFor(exchange, 1, 'reply')];
}

/** The same with three more answers, each of which was acknowledged by the poll for the next. */
async function followed(): Promise<[exchange: HttpExchange, last: number]> {
  const [exchange, first] = await subscribed();
  let last = first;
  for (let count = 0; count < 3; count++) {
    await publish(count);
    last = numberOf(await exchange.poll(last));
  }
  return [exchange, last];
}

describe('answers to polls (P21)', () => {
  it('begin with the welcome, have a number, and may not be stored by anybody', async () => {
    await start();
    const { opening } = await open();
    expect(envelopesIn(opening)[0]).toMatchObject({ type: 'welcome', ref: 'h' });
    expect(opening.headers).toMatchObject({
      'content-type': 'application/json',
      'cache-control': 'no-store',
      'realtime-answer': '1',
    });
  });

  it('come when there is something, with the next number', async () => {
    await start();
    const [exchange, last] = await subscribed();
    const poll = exchange.poll(last);
    await publish('x');
    const reply = await poll;
    expect(envelopesIn(reply)).toMatchObject([{ type: 'event', seq: 1, payload: 'x' }]);
    expect(numberOf(reply)).toBe(last + 1);
    const next = exchange.poll(last + 1);
    await publish('y');
    expect(numberOf(await next)).toBe(last + 2);
  });

  it('are given again, the same bytes under the same number, until they are acknowledged', async () => {
    await start();
    const [exchange, last] = await subscribed();
    await publish('x');
    const first = await exchange.poll(last);
    await publish('y');
    for (let again = 0; again < 3; again++) {
      const repeat = await exchange.poll(last);
      expect([repeat.status, repeat.body, numberOf(repeat)]).toEqual([200, first.body, last + 1]);
    }
    const next = await exchange.poll(last + 1);
    expect(envelopesIn(next)).toMatchObject([{ seq: 2, payload: 'y' }]);
  });

  it.each([
    ['one that was never given', (last: number) => last + 1],
    ['no number', () => 'x'],
    ['a negative number', () => -1],
  ])('that a client cannot have end the session: %s', async (_, wrong) => {
    await start();
    const [exchange, last] = await followed();
    expect([400, 409]).toContain((await exchange.poll(wrong(last))).status);
    await until('the session to end', () => session() === 0);
    // What was kept for it says why; behind that there is nothing.
    const { body } = await exchange.poll(last);
    expect(body).toContain('4805');
    expect((await exchange.poll(last + 1)).status).toBe(410);
  });

  it('are not given to a poll that comes late, when a later one was answered: it is 409, and the session continues', async () => {
    await start();
    const [exchange, last] = await followed();
    for (const late of [last - 2, last - 3]) expect((await exchange.poll(late)).status).toBe(409);
    await publish('x');
    expect(envelopesIn(await exchange.poll(last))).toMatchObject([{ payload: 'x' }]);
  });

  it('are forgotten once they are acknowledged, although the poll that did so went away', async () => {
    await start();
    const [exchange, first] = await subscribed();
    await publish('x');
    const last = numberOf(await exchange.poll(first));
    const poll = exchange.beginPoll(last);
    await until('the poll to wait', () => server.unanswered === 1);
    poll.cancel();
    await until('it to be gone', () => server.unanswered === 0);
    expect((await exchange.poll(first)).status).toBe(409);
    await publish('y');
    expect(envelopesIn(await exchange.poll(last))).toMatchObject([{ payload: 'y' }]);
  });

  it('are counted: who asks again and again for the same one ends with 4807 (G16)', async () => {
    await start({ settings: { limits: { ratePerSecond: 1, burst: 2, maxChannels: 1 } } });
    const [exchange, last] = await subscribed();
    await publish('x');
    await exchange.poll(last);
    let asked = 0;
    while (session() > 0 && asked++ < 1_000) await exchange.poll(last);
    expect(asked).toBeLessThan(1_000);
    expect((await exchange.poll(last + 1)).body).toContain('4807');
  });

  it('cost what answers do when they are given again: who owes for them has to wait, and nothing is lost (G16)', async () => {
    await start({ settings: { limits: { answerBytesPerSecond: 1_000 } } });
    const [exchange, last] = await subscribed();
    await publish('x'.repeat(50_000));
    const first = await exchange.poll(last);
    expect((await exchange.poll(last)).body).toBe(first.body);
    const refused = await exchange.poll(last);
    expect([refused.status, Number(refused.headers['retry-after']) > 1]).toEqual([429, true]);
    await publish('y');
    expect(envelopesIn(await exchange.poll(last + 1))).toMatchObject([{ payload: 'y' }]);
  });

  it('go to the newest poll; the older one is answered with 204 and no number', async () => {
    await start();
    const [exchange, last] = await subscribed();
    const older = exchange.poll(last);
    await until('the first poll to wait', () => server.unanswered === 1);
    const newer = exchange.poll(last);
    const superseded = await older;
    expect([superseded.status, superseded.headers['realtime-answer'], superseded.body]).toEqual([
      204,
      undefined,
      '',
    ]);
    await publish('x');
    expect(envelopesIn(await newer)).toMatchObject([{ payload: 'x' }]);
  });

  it('lose nothing where a poll is cancelled, before and while it is answered', async () => {
    await start();
    const [exchange, first] = await subscribed();
    let last = first;
    const got: unknown[] = [];
    for (let round = 0; round < 20; round++) {
      const cancelled = exchange.beginPoll(last);
      const published = publish(round);
      for (let turn = 0; turn < round % 7; turn++) await new Promise((resolve) => setImmediate(resolve));
      cancelled.cancel();
      await published;
      const reply = await exchange.poll(last);
      last = numberOf(reply);
      got.push(...envelopesIn(reply).map(({ payload }) => payload as unknown));
    }
    while (got.length < 20) {
      const reply = await exchange.poll(last);
      last = numberOf(reply);
      got.push(...envelopesIn(reply).map(({ payload }) => payload as unknown));
    }
    expect(got).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  it('are an empty list when nothing came in the interval of the heartbeat, and count', async () => {
    const heartbeat = { intervalMs: stretched(100), timeoutMs: stretched(2_000) };
    await start({ settings: { heartbeat } });
    const [exchange, first] = await subscribed();
    for (let last = first; last < first + 3; last++) {
      const began = performance.now();
      const reply = await exchange.poll(last);
      expect([reply.body, numberOf(reply)]).toEqual(['[]', last + 1]);
      expect(performance.now() - began).toBeGreaterThan(heartbeat.intervalMs * 0.7);
    }
  });

  it('hold what came while nobody asked', async () => {
    await start();
    const [exchange, last] = await subscribed();
    for (let index = 0; index < 50; index++) await publish(index);
    const got: unknown[] = [];
    for (let ack = last; got.length < 50; ack++)
      got.push(...envelopesIn(await exchange.poll(ack)).map(({ payload }) => payload as unknown));
    expect(got).toEqual(Array.from({ length: 50 }, (_, index) => index));
  });

  it('that hold events of a channel are forgotten with a revoke: asked for again, the session ends, and nothing shows (G11, P24a)', async () => {
    await start();
    const [exchange, last] = await subscribed();
    await publish('secret');
    expect((await exchange.poll(last)).body).toContain('secret');
    await server.engine.revoke('ada', ROOM);
    const repeat = await exchange.poll(last);
    expect(repeat.status).toBe(410);
    expect(repeat.body).not.toContain('secret');
    await until('the session to end', () => session() === 0);
  });

  it('that were acknowledged are not touched by a revoke: the session continues (G11)', async () => {
    await start();
    const [exchange, last] = await subscribed();
    await publish('seen');
    const next = numberOf(await exchange.poll(last));
    const poll = exchange.poll(next);
    await server.engine.revoke('ada', ROOM);
    const reply = await poll;
    expect(envelopesIn(reply)).toMatchObject([{ type: 'unsubscribed', channel: ROOM }]);
    expect((await exchange.send(1, [{ type: 'ping', id: 'p' }])).status).toBe(202);
    expect(envelopesIn(await exchange.poll(numberOf(reply)))).toMatchObject([{ type: 'pong', ref: 'p' }]);
  });

  it('tell how the session ended to the next poll, once nobody waited for it', async () => {
    await start();
    const [exchange, last] = await subscribed();
    await server.engine.ban('ada', { forMs: 60_000 });
    await until('the session to end', () => session() === 0);
    const reply = await exchange.poll(last);
    expect(envelopesIn(reply)).toMatchObject([
      { type: 'error', payload: { code: 'banned', close: 4803, retryAfterMs: expect.any(Number) } },
    ]);
    const after = await exchange.poll(numberOf(reply));
    expect(after.status).toBe(410);
    expect(JSON.parse(after.body)).toMatchObject({ statusCode: 410, close: 4803 });
    expect((await exchange.send(1, [{ type: 'ping', id: 'p' }])).status).toBe(410);
  });

  it('stop where nobody polls for the time-out of the heartbeat, and not before (P8)', async () => {
    const heartbeat = { intervalMs: stretched(100), timeoutMs: stretched(400) };
    await start({ settings: { heartbeat } });
    const [exchange, first] = await subscribed();
    let last = first;
    const began = performance.now();
    while (performance.now() - began < 2 * heartbeat.timeoutMs) last = numberOf(await exchange.poll(last));
    expect(session()).toBe(1);
    await until('the session to end', () => session() === 0);
    const reply = await exchange.poll(last);
    expect([200, 410]).toContain(reply.status);
    expect(reply.body).toContain('4004');
  });

  it('are nothing to strangers: an unknown id is 410, and so is none', async () => {
    await start();
    const [exchange, last] = await subscribed();
    const poll = (id: string) =>
      post(`${server.httpUrl}/poll`, { headers: { 'Realtime-Session': id, 'Realtime-Ack': String(last) } });
    const [node] = exchange.id.split('.');
    for (const id of [
      'x',
      `${node}.`,
      `${node}.AAAAAAAAAAAAAAAAAAAAAAAAAAAA`,
      exchange.id.slice(0, -1),
      `${exchange.id}x`,
    ])
      expect([id, (await poll(id)).status]).toEqual([id, 410]);
    expect(session()).toBe(1);
  });
});

describe('the last words of a session (P21)', () => {
  it('come on the poll that waits', async () => {
    await start();
    const [exchange, last] = await subscribed();
    const poll = exchange.beginPoll(last);
    await until('the poll to wait', () => server.unanswered === 1);
    await server.engine.disconnect('ada', { reason: 'Out' });
    const reply = await readReply(await poll.response);
    expect(envelopesIn(reply)).toMatchObject([
      { type: 'error', payload: { code: 'kicked', retryable: false, close: 4811 } },
    ]);
  });

  it('are not given to another origin, which leaves them to the page whose session it was (P21h)', async () => {
    await start();
    const origin = server.httpUrl.replace('/realtime', '');
    const session = await PollSession.open(server.httpUrl, [hello({ token: 'ada' })], { origin });
    await server.engine.ban('ada', { forMs: 60_000 });
    await until('the session to end', () => server.engine.status.sessions === 0);
    const id = { 'Realtime-Session': session.id, 'Realtime-Ack': String(session.number) };
    const foreign = [
      await post(`${server.httpUrl}/poll`, { headers: id }),
      await post(`${server.httpUrl}/poll`, { headers: { ...id, origin: 'https://evil.example' } }),
    ];
    expect(foreign.map(({ status }) => status)).toEqual([403, 403]);
    expect(foreign.map(({ body }) => body).join()).not.toContain('banned');
    expect(await session.next()).toMatchObject([{ type: 'error', payload: { code: 'banned' } }]);
  });
});
