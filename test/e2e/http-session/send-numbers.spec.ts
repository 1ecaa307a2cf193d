import { afterEach, describe, expect, it } from '@jest/globals';
import { systemEntropy } from '../../../lib/core/ports/entropy.js';
import type { ConnectionRequest } from '../../../lib/core/ports/channel-definition.js';
import { gzipSync } from 'node:zlib';
import { stretched } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { envelopesIn, HttpExchange, numberOf } from '../../support/wire/http-exchange.js';
import { post, readReply, type PostOptions } from '../../support/wire/http-post.js';
import type { SentEnvelope } from '../../support/wire/session-client.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';

const ORIGIN = 'https://app.example.com';

let server: WireServer;
/** What the application was asked, in order. */
let asked: unknown[] = [];
const record: ConnectionRequest = {
  authorize: 'public',
  handle: ({ payload }) => (asked.push(payload), payload),
};
afterEach(async () => {
  asked = [];
  await server.close();
});

async function start(options: WireServerOptions = {}): Promise<void> {
  server = await startWireServer({
    channels: [wireChannel('rooms.:room', { publish: ['said'] })],
    requests: new Map([['ask', record]]),
    transport: { allowedOrigins: ORIGIN },
    ...options,
  });
}

const open = (options?: PostOptions) =>
  HttpExchange.open({ url: server.httpUrl }, { token: 'ada' }, [], options);
const ask = (payload: unknown): SentEnvelope => ({
  type: 'request',
  id: `r${String(payload)}`,
  event: 'ask',
  payload,
});
const sessions = () => server.engine.status.sessions;

describe('what a client sends over HTTP (P21)', () => {
  it('is taken with 202 and no body; the answer comes by the other way', async () => {
    await start();
    const exchange = await open();
    const reply = await exchange.send(1, [ask(1)]);
    expect([reply.status, reply.body]).toEqual([202, '']);
    expect(reply.headers['cache-control']).toBe('no-store');
    expect(envelopesIn(await exchange.poll(1))).toMatchObject([{ type: 'reply', ref: 'r1', payload: 1 }]);
  });

  it('runs once: the same number again is 202, whatever is in it', async () => {
    await start();
    const exchange = await open();
    for (let again = 0; again < 3; again++) expect((await exchange.send(1, [ask(1)])).status).toBe(202);
    expect((await exchange.send(1, [ask('other')])).status).toBe(202);
    expect((await exchange.send(2, [ask(2)])).status).toBe(202);
    expect((await exchange.send(2, '{ not even JSON')).status).toBe(202);
    await until('the requests', () => asked.length >= 2);
    expect((await exchange.send(3, [ask(3)])).status).toBe(202);
    await until('the last one', () => asked.includes(3));
    expect(asked).toEqual([1, 2, 3]);
  });

  it.each(['4', '-1', '3.0', '3e0', 'x', '', '9007199254740993'])(
    'under a number that no client of the protocol has is 409 or 400, and ends the session: %j behind 2',
    async (number) => {
      await start();
      const exchange = await open();
      await exchange.send(1, [ask(1)]);
      await exchange.send(2, [ask(2)]);
      const reply = await exchange.send(number, [ask(3)]);
      expect([400, 409]).toContain(reply.status);
      await until('the session to end', () => sessions() === 0);
      const next = await exchange.send(3, [ask(3)]);
      expect(next.status).toBe(410);
      expect(JSON.parse(next.body)).toMatchObject({ statusCode: 410 });
      expect(asked).toEqual([1, 2]);
    },
  );

  it('that comes late, when a later one was answered, is 409 and not run, and the session continues', async () => {
    await start();
    const exchange = await open();
    for (const number of [1, 2, 3]) await exchange.send(number, [ask(number)]);
    for (const number of [2, 1]) expect((await exchange.send(number, [ask('late')])).status).toBe(409);
    expect((await exchange.send(4, [ask(4)])).status).toBe(202);
    await until('the last one', () => asked.includes(4));
    expect(asked).toEqual([1, 2, 3, 4]);
  });

  it('consumes nothing where it is cut before its end, at any byte, and runs once then', async () => {
    await start();
    const exchange = await open();
    const body = JSON.stringify([ask(1), ask(2)]);
    for (let cutAfter = 0; cutAfter < body.length; cutAfter += 7)
      await exchange.beginSend(1, body, { cutAfter }).response.catch(() => undefined);
    await until('the cut ones to be gone', () => server.unanswered === 0);
    expect(asked).toEqual([]);
    expect((await exchange.send(1, body)).status).toBe(202);
    expect((await exchange.send(2, [ask(3)])).status).toBe(202);
    await until('all of them', () => asked.length >= 3);
    expect(asked).toEqual([1, 2, 3]);
    expect(sessions()).toBe(1);
  });

  it('is not run twice where the same number comes on two connections at once', async () => {
    await start();
    const exchange = await open();
    for (let number = 1; number <= 10; number++) {
      const replies = await Promise.all([1, 2, 3].map(() => exchange.send(number, [ask(number)])));
      expect(replies.map(({ status }) => status).every((status) => status === 202 || status === 429)).toBe(
        true,
      );
      expect(replies.some(({ status }) => status === 202)).toBe(true);
    }
    await until('all of them', () => asked.length >= 10);
    expect(asked).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('is not run twice where all of its connections were under way before one had the whole body', async () => {
    await start();
    const exchange = await open();
    for (let number = 1; number <= 3; number++) {
      const body = JSON.stringify([ask(number)]);
      const all = [1, 2, 3].map(() => exchange.beginSend(number, body, { sends: 9 }));
      await until('all three', () => server.unanswered === 3);
      for (const one of all) one.finish();
      const replies = await Promise.all(all.map(async ({ response }) => readReply(await response)));
      expect(replies.map(({ status }) => status)).toEqual([202, 202, 202]);
    }
    await exchange.send(4, [ask('end')]);
    await until('the end', () => asked.includes('end'));
    expect(asked).toEqual([1, 2, 3, 'end']);
  });

  it('is taken by a second connection while the first one stands still in the middle of its body', async () => {
    await start();
    const exchange = await open();
    const body = JSON.stringify([ask(1)]);
    const stuck = exchange.beginSend(1, body, { sends: body.length - 1 });
    await until('the first one', () => server.unanswered === 1);
    const reply = await exchange.send(1, body);
    expect(reply.status).toBe(202);
    stuck.cancel();
    expect((await exchange.send(2, [ask(2)])).status).toBe(202);
    await until('both', () => asked.length >= 2);
    expect(asked).toEqual([1, 2]);
  });

  it.each([
    ['one envelope instead of a list', '{"type":"request","id":"r","event":"ask","payload":1}', [1]],
    [
      'white space and line ends everywhere',
      '\r\n[ \n{"type":"request",\n"id":"r",\t"event":"ask",\r\n"payload":1 }\n ,\n {"type":"request","id":"s","event":"ask","payload":[ 2 ,\n3]}\n]\n\n',
      [1, [2, 3]],
    ],
    [
      'brackets, commas and quotes inside of texts',
      '[{"type":"request","id":"r","event":"ask","payload":"],[{\\"\\\\"},{"type":"request","id":"s","event":"ask","payload":"\\\\\\""}]',
      ['],[{"\\', '\\"'],
    ],
    ['an empty list', '[]', []],
  ])('may be written as JSON may be written: %s', async (_, body, expected) => {
    await start();
    const exchange = await open();
    expect((await exchange.send(1, body)).status).toBe(202);
    expect((await exchange.send(2, [ask('end')])).status).toBe(202);
    await until('the end', () => asked.includes('end'));
    expect(asked).toEqual([...expected, 'end']);
  });

  it.each([
    '',
    ' ',
    '[',
    ']',
    '[{]',
    '[{}',
    '{}{}',
    '[{},]',
    '[,{}]',
    '[{}]]',
    '[{}{}]',
    '[{} , ,{}]',
    '"text"',
    '1',
    'null',
    '{"a":"\n',
    '[{"type":"ping","id":"p1"}]x',
    '\u0000',
  ])('that is no list of envelopes is 400 or ends the session, and none of it runs: %j', async (body) => {
    await start();
    const exchange = await open();
    const reply = await exchange.send(1, body);
    expect([202, 400]).toContain(reply.status);
    await until('the session to end', () => sessions() === 0);
    expect((await exchange.send(2, [ask(1)])).status).toBe(410);
    expect(asked).toEqual([]);
  });

  it.each(['[1]', '["x"]', '[[{}]]', '[{}]', '[{"type":"ping"}]'])(
    'that is a list of something else is taken, and answered as a malformed command: %j (P6b)',
    async (body) => {
      await start();
      const exchange = await open();
      expect((await exchange.send(1, body)).status).toBe(202);
      expect(envelopesIn(await exchange.poll(1))).toMatchObject([
        { type: 'error', payload: { code: 'bad_request' } },
      ]);
      expect((await exchange.send(2, [ask(1)])).status).toBe(202);
    },
  );

  it.each([
    ['text/plain', {}],
    ['application/x-ndjson', {}],
    ['application/x-www-form-urlencoded', {}],
    ['application/msgpack', {}],
    ['', {}],
    ['application/jsonp', {}],
    ['application/json', { 'Content-Encoding': 'gzip' }],
  ])('of another kind is 415, and the session continues: %s %j', async (type, more) => {
    await start();
    const exchange = await open();
    const body = 'Content-Encoding' in more ? gzipSync(JSON.stringify([ask(1)])) : JSON.stringify([ask(1)]);
    const reply = await post(`${server.httpUrl}/send`, {
      body,
      headers: { 'Content-Type': type, 'Realtime-Session': exchange.id, 'Realtime-Send': '1', ...more },
    });
    expect(reply.status).toBe(415);
    const headers = { 'Content-Type': 'Application/JSON; charset=utf-8' };
    expect((await exchange.send(1, [ask(2)], { headers })).status).toBe(202);
    await until('the request', () => asked.length === 1);
    expect(asked).toEqual([2]);
  });

  it('above the bound of a frame is 413 before all of it is read, and ends the session', async () => {
    await start({ settings: { limits: { maxFrameBytes: 10_000 } } });
    const exchange = await open();
    const reply = await exchange.send(1, [ask('x'.repeat(10_000))]);
    expect(reply.status).toBe(413);
    await until('the session to end', () => sessions() === 0);
    expect(asked).toEqual([]);
    const other = await open();
    const announced = { headers: { 'Content-Length': '1000000000' }, sends: 10 };
    expect((await readReply(await other.beginSend(1, '[{"type": …', announced).response)).status).toBe(413);
  });

  it('from another page than the one that opened the session is 403, and the session continues (G22)', async () => {
    await start();
    const exchange = await open({ headers: { Origin: ORIGIN } });
    for (const headers of [
      { Origin: 'https://evil.example' },
      { Origin: 'null' },
      { Origin: `${ORIGIN}.evil.example` },
    ])
      expect((await exchange.send(1, [ask(1)], { headers })).status).toBe(403);
    const reply = await exchange.send(1, [ask(2)], { headers: { Origin: ORIGIN } });
    expect(reply.status).toBe(202);
    expect(reply.headers['access-control-allow-origin']).toBe(ORIGIN);
    await until('the request', () => asked.length === 1);
    expect(asked).toEqual([2]);
  });

  it('is of the session alone: other credentials beside it are not looked at', async () => {
    await start();
    const exchange = await open();
    const headers = { Authorization: 'Bearer bad', Cookie: 'token=eve' };
    expect((await exchange.send(1, [ask(1)], { headers })).status).toBe(202);
    await until('the request', () => asked.length === 1);
  });

  it('needs POST; a preflight says what a page may send', async () => {
    await start();
    const url = `${server.httpUrl}/send`;
    expect((await post(url, { method: 'GET' })).status).toBe(405);
    const preflight = await post(url, { method: 'OPTIONS', headers: { Origin: ORIGIN } });
    expect(preflight.status).toBe(204);
    expect(preflight.headers).toMatchObject({
      'access-control-allow-origin': ORIGIN,
      'access-control-allow-methods': expect.stringContaining('POST'),
      'access-control-allow-headers':
        'Authorization, Content-Type, Realtime-Session, Realtime-Send, Realtime-Ack, Realtime-Resume',
      'access-control-max-age': '600',
    });
  });

  it('waits while the server does not read from the client, for five seconds at most, and is then 429 and not taken (G16)', async () => {
    await start({
      settings: { limits: { maxInFlight: 2 }, handlerTimeoutMs: stretched(60_000) },
      requests: new Map<string, ConnectionRequest>([
        ['ask', record],
        ['hang', { authorize: 'public', handle: () => new Promise(() => undefined) }],
      ]),
    });
    const exchange = await open();
    const hang = Array.from({ length: 6 }, (_, index) => ({
      type: 'request',
      id: `h${index}`,
      event: 'hang',
    }));
    expect((await exchange.send(1, hang)).status).toBe(202);
    const reply = await exchange.send(2, [ask(1)]);
    expect(reply.status).toBe(429);
    expect(Number(reply.headers['retry-after'])).toBeGreaterThan(0);
    expect((await exchange.send(2, [ask(1)])).status).toBe(429);
    expect(sessions()).toBe(1);
    expect(asked).toEqual([]);
  });

  it('is counted as frames are, so that empty ones are not free: too many end the session with 4807 (G16)', async () => {
    await start({
      settings: {
        limits: { ratePerSecond: 1, burst: 2 },
        abuse: { throttleAfter: 1_000, closeAfter: 20 },
      },
    });
    const exchange = await open();
    const statuses: number[] = [];
    for (let number = 1; number <= 300 && sessions() > 0; number++)
      statuses.push((await exchange.send(number, '[]')).status);
    expect(sessions()).toBe(0);
    expect(statuses.length).toBeLessThan(300);
    const last = await exchange.poll(1);
    expect(last.body).toContain('4807');
  });

  it('that repeats a number again and again ends the session with 4807, although nothing of it runs (G16)', async () => {
    await start({ settings: { limits: { ratePerSecond: 1, burst: 2, maxChannels: 1 } } });
    const exchange = await open();
    let sent = 0;
    while (sessions() > 0 && sent++ < 1_000) await exchange.send(1, [ask(1)]);
    expect(sent).toBeLessThan(1_000);
    expect(asked).toEqual([1]);
  });

  it('shows the id of its session to nobody: neither the log nor the application sees it (G23)', async () => {
    const seen: unknown[] = [];
    // Seeded ids could be guessed, and found anywhere.
    await start({ entropy: systemEntropy, onConnect: (connection) => void seen.push(connection) });
    const exchange = await open();
    await exchange.send(7, [ask(1)]);
    await exchange.poll('x');
    const shown = JSON.stringify([seen, server.records, server.engine.status], (_, value: unknown) =>
      typeof value === 'bigint' ? String(value) : value,
    );
    expect(shown).not.toContain(exchange.id);
    expect(shown).not.toContain(exchange.id.split('.')[1]);
    expect(numberOf(exchange.opening)).toBe(1);
    expect(exchange.id).toMatch(/^[\w-]{11}\.[\w-]{22,}$/);
  });
});
