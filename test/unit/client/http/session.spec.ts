import { afterEach, describe, expect, it } from '@jest/globals';
import type { HttpFallbackOptions } from '../../../../lib/client/http.js';
import { msgpackCodec } from '../../../../lib/client/msgpack.js';
import type { RealtimeClientOptions } from '../../../../lib/client/options.js';
import { settle } from '../../../support/engine/manual-clock.js';
import { eventMessage, until } from '../../../support/wire/scripted-server.js';
import { codeOf } from '../harness.js';
import { FallbackHarness } from './harness.js';

let h: FallbackHarness;

/** A client that has one transport over HTTP alone. */
function start(
  transport: 'sse' | 'polling',
  options: RealtimeClientOptions = {},
  more: HttpFallbackOptions = {},
): FallbackHarness {
  return (h = new FallbackHarness(options, { transports: [transport], ...more }));
}

afterEach(() => void h.client.close());

describe('a session over an event stream', () => {
  it('opens with a POST whose body is hello and the early subscribes (P3c, P21)', async () => {
    start('sse', { token: () => 'secret' });
    const subscribed = h.client.channel('rooms.1').subscribe();
    const call = await h.http.next('sse');
    expect(call.url).toBe('https://a.example/rt/sse');
    expect(call.request).toMatchObject({
      method: 'POST',
      credentials: 'include',
      cache: 'no-store',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    });
    const [hello, subscribe] = call.commands;
    expect(hello?.payload).toMatchObject({ token: 'secret' });
    expect(subscribe).toMatchObject({ type: 'subscribe', channel: 'rooms.1' });
    const stream = call.stream();
    stream.send({ type: 'welcome', ref: hello?.id, payload: { connection: 'n.secret' } });
    stream.send({
      type: 'reply',
      ref: subscribe?.id,
      payload: { position: { epoch: 'e1', seq: 0 }, recovery: 'new' },
    });
    expect((await subscribed).recovery).toBe('new');
    expect(h.client.status).toEqual({ state: 'live', transport: 'sse' });
  });

  it('keeps the query of the address behind its own names', async () => {
    h = new FallbackHarness({}, { transports: ['sse'] });
    const { below } = await import('../../../../lib/client/http/request.js');
    expect(below('wss://a.example/rt?t=1/2', 'send')).toBe('https://a.example/rt/send?t=1/2');
    expect(below('ws://a.example/rt/', 'sse')).toBe('http://a.example/rt/sse');
  });

  it('carries the token of tokenIn: "subprotocol" as Authorization, and nowhere else (P2)', async () => {
    start('sse', { token: () => 'secret', tokenIn: 'subprotocol' });
    void h.client.connect();
    const call = await h.http.next('sse');
    expect(call.headers['authorization']).toBe('Bearer secret');
    expect(call.request.body).not.toContain('secret');
    const stream = call.stream();
    stream.send({ type: 'welcome', ref: call.commands[0]?.id, payload: { connection: 'n.1' } });
    await h.state('live');
    void h.client.request('a').catch(() => undefined);
    expect((await h.http.next('send')).headers['authorization']).toBeUndefined();
  });

  it('speaks JSON, whatever the codec of its WebSockets is, bytes included (P29a)', async () => {
    start('sse', { codec: msgpackCodec });
    const stream = await h.overStream();
    const seen: unknown[] = [];
    const room = h.client.channel('rooms.1');
    room.on('tick', (payload) => seen.push(payload));
    void room.subscribe();
    const call = await h.http.next('send');
    stream.send({
      type: 'reply',
      ref: call.commands[0]?.id,
      payload: { position: { epoch: 'e1', seq: 0 }, recovery: 'new' },
    });
    stream.send(eventMessage('rooms.1', 1, { payload: { $bytes: 'AQI=' } }));
    await until(() => seen.length === 1, 'the event');
    expect(seen).toEqual([Uint8Array.of(1, 2)]);
    call.answer(202);
    void h.client.request('a', Uint8Array.of(3)).catch(() => undefined);
    expect((await h.http.next('send')).commands[0]?.payload).toEqual({ $bytes: 'Aw==' });
  });

  it('answers the pings of the server by /send (P8)', async () => {
    start('sse');
    const stream = await h.overStream();
    stream.send({ type: 'ping', id: 'p1' });
    expect((await h.http.next('send')).commands).toEqual([{ type: 'pong', ref: 'p1' }]);
  });

  it('sends what was asked before welcome behind it, in order', async () => {
    start('sse');
    const answers = [h.client.request('a'), h.client.request('b')];
    const stream = await h.http.stream();
    const call = await h.http.next('send');
    expect(call.commands.map(({ event }) => event)).toEqual(['a', 'b']);
    for (const { id, event } of call.commands) stream.send({ type: 'reply', ref: id, payload: event });
    expect(await Promise.all(answers)).toEqual(['a', 'b']);
  });

  it.each([
    [
      { close: 4811, code: 'kicked', message: 'Kicked' },
      { state: 'closed', code: 4811, reason: 'Kicked' },
    ],
    [
      { close: 4803, code: 'banned', message: 'Banned' },
      { state: 'closed', name: 'banned' },
    ],
    // Numbers that did not fit: of a proxy that repeats requests.
    [
      { close: 4805, code: 'protocol_error', message: 'x' },
      { state: 'waiting', code: 1006 },
    ],
  ])('ends as the last error says: %j (P21)', async (payload, status) => {
    start('sse');
    const stream = await h.overStream();
    stream.send({ type: 'error', payload });
    await until(() => h.client.state !== 'live', 'the end');
    expect(h.client.status).toMatchObject(status);
    await until(() => stream.isAborted, 'the end of the stream');
  });

  it('follows the advice of a bye, and comes back with its ticket (P19)', async () => {
    start('sse');
    const stream = await h.overStream();
    stream.send({ type: 'bye', payload: { code: 4001, retryAfterMs: 3_000, spreadMs: 1_000 } });
    stream.end();
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ code: 4001, delayMs: 3_500 });
    await h.again();
    expect((await h.http.next('sse')).commands[0]?.payload).toMatchObject({ session: 'ticket-1' });
  });

  it.each([
    ['ends', (s: Awaited<ReturnType<FallbackHarness['overStream']>>) => s.end()],
    ['breaks', (s: Awaited<ReturnType<FallbackHarness['overStream']>>) => s.fail()],
  ])('comes back when its stream %s', async (_what, end) => {
    start('sse');
    end(await h.overStream());
    await h.state('waiting');
    expect(h.client.status.code).toBe(1006);
  });

  it('says bye before it leaves, with a request that outlives the page (P19d)', async () => {
    start('sse');
    const stream = await h.overStream();
    const closed = h.client.close();
    const call = await h.http.next('send');
    expect(call.commands.map(({ type }) => type)).toEqual(['bye']);
    expect(call.request.keepalive).toBe(true);
    expect(stream.isAborted).toBe(false);
    call.answer(202);
    await closed;
    expect(stream.isAborted).toBe(true);
  });

  it.each([
    [401, { code: 'unauthorized' }, { state: 'closed', name: 'unauthorized' }],
    [403, { code: 'banned' }, { state: 'closed', name: 'banned' }],
    [403, { code: 'forbidden' }, { state: 'closed', name: 'forbidden' }],
    [429, { retryAfterMs: 4_000 }, { state: 'waiting', code: 1006, delayMs: 5_000 }],
    [503, { retryAfterMs: 4_000 }, { state: 'waiting', code: 1006, delayMs: 5_000 }],
    [500, {}, { state: 'waiting', code: 1006 }],
  ])('that is refused with %i %j ends as an upgrade would (P18)', async (status, body, expected) => {
    start('sse');
    void h.client.connect().catch(() => undefined);
    (await h.http.next('sse')).refuse(status, body);
    await until(() => h.client.state !== 'connecting', 'the end');
    expect(h.client.status).toMatchObject(expected);
  });

  it('fetches a new token when the one that it had is refused, and stops when that is refused too (P19a)', async () => {
    let tokens = 0;
    start('sse', { token: () => `t${++tokens}` });
    const connected = codeOf(h.client.connect());
    (await h.http.next('sse')).refuse(401, { code: 'unauthorized' });
    expect(await connected).toBe('unauthorized');
  });

  it('ends when a listener closes the client in the middle of what came', async () => {
    start('sse');
    const stream = await h.overStream();
    h.client.on('error', () => void h.client.close());
    stream.write(
      'data: {"type":"error","payload":{"code":"internal"}}\n\ndata: {"type":"ping","id":"p"}\n\n',
    );
    await h.state('closed');
    expect((await h.http.next('send')).commands.map(({ type }) => type)).toEqual(['bye']);
  });
});

describe('a session over polls', () => {
  it('opens with hello, then confirms each answer with the next poll (P21)', async () => {
    start('polling');
    void h.client.connect();
    const first = await h.http.polls();
    expect(first.url).toBe('https://a.example/rt/poll');
    expect(first.headers['realtime-session']).toBeUndefined();
    await h.state('live');
    expect(h.client.status.transport).toBe('polling');
    const second = await h.http.next('poll');
    expect(second.request.body).toBeUndefined();
    expect(second.headers).toEqual({ 'realtime-session': 'n.secret', 'realtime-ack': '1' });
    second.messages(2, { type: 'ping', id: 'p' });
    expect((await h.http.next('poll')).headers['realtime-ack']).toBe('2');
    expect((await h.http.next('send')).commands).toEqual([{ type: 'pong', ref: 'p' }]);
  });

  it('lives on answers without messages, and dies without any (P9)', async () => {
    start('polling');
    void h.client.connect();
    await h.http.polls({ heartbeat: { intervalMs: 20_000, timeoutMs: 5_000 } });
    for (let answer = 2; answer < 5; answer++) {
      const poll = await h.http.next('poll');
      await h.pass(20_000);
      poll.messages(answer);
      await settle();
    }
    expect(h.client.state).toBe('live');
    await h.http.next('poll');
    await h.pass(24_999);
    expect(h.client.state).toBe('live');
    await h.pass(1);
    expect(h.client.state).toBe('waiting');
  });

  it.each([
    [
      'was cut',
      (call: Awaited<ReturnType<FallbackHarness['http']['next']>>) =>
        call.cut(200, { 'realtime-answer': '2' }),
    ],
    ['was lost', (call: Awaited<ReturnType<FallbackHarness['http']['next']>>) => call.fail()],
    ['has no number', (call: Awaited<ReturnType<FallbackHarness['http']['next']>>) => call.answer(200, '[]')],
    [
      'is the page of a proxy',
      (call: Awaited<ReturnType<FallbackHarness['http']['next']>>) =>
        call.answer(200, '<p>', { 'realtime-answer': '2' }),
    ],
    [
      'went to another poll',
      (call: Awaited<ReturnType<FallbackHarness['http']['next']>>) => call.answer(204),
    ],
    ['is 502', (call: Awaited<ReturnType<FallbackHarness['http']['next']>>) => call.answer(502)],
    [
      'was given before',
      (call: Awaited<ReturnType<FallbackHarness['http']['next']>>) =>
        call.messages(1, { type: 'ping', id: 'old' }),
    ],
  ])('asks again for an answer that %s, and gives each message once (P21)', async (_what, spoil) => {
    start('polling');
    void h.client.connect();
    await h.http.polls();
    const poll = await h.http.next('poll');
    spoil(poll);
    await h.pass(5_000);
    const again = await h.http.next('poll');
    expect(again.headers['realtime-ack']).toBe('1');
    again.messages(2, { type: 'ping', id: 'p' });
    expect((await h.http.next('send')).commands).toEqual([{ type: 'pong', ref: 'p' }]);
    expect((await h.http.next('poll')).headers['realtime-ack']).toBe('2');
  });

  it('resumes after 410, as one that does not know the session answers (P21)', async () => {
    start('polling');
    void h.client.connect();
    await h.http.polls();
    (await h.http.next('poll')).refuse(410);
    await h.state('waiting');
    await h.again();
    expect((await h.http.polls()).commands[0]?.payload).toMatchObject({ session: 'ticket-1' });
  });

  it.each([
    [404, { statusCode: 404, message: 'Cannot POST /rt/poll', error: 'Not Found' }],
    [410, { statusCode: 410, message: 'Gone', error: 'Gone' }],
    [410, 'Gone'],
    [409, { message: 'Conflict' }],
    [410, { statusCode: 400, message: 'Gone' }],
    [410, { statusCode: 410 }],
    [403, { statusCode: 403 }],
    [404, 'Not Found'],
  ])('is not ended by the %i of the application or a proxy: %j (P21h)', async (status, body) => {
    start('polling');
    void h.client.connect();
    await h.http.polls();
    (await h.http.next('poll')).answer(status, body);
    await h.pass(5_000);
    const again = await h.http.next('poll');
    expect([h.client.state, again.headers['realtime-ack']]).toEqual(['live', '1']);
  });

  it('ends as the last answer says', async () => {
    start('polling');
    void h.client.connect();
    await h.http.polls();
    (await h.http.next('poll')).messages(2, {
      type: 'error',
      payload: { code: 'kicked', message: 'Kicked', retryable: false, close: 4811 },
    });
    await h.state('closed');
    expect(h.client.status).toMatchObject({ code: 4811, name: 'kicked' });
    await settle();
    expect(h.http.count('poll')).toBe(2);
  });

  it('ends at once with the answer that is marked as the last one, and follows its advice (P21h)', async () => {
    start('polling');
    void h.client.connect();
    await h.http.polls();
    const bye = { type: 'bye', payload: { code: 4001, retryAfterMs: 3_000, spreadMs: 1_000 } };
    // An announcement looks the same.
    (await h.http.next('poll')).messages(2, bye);
    (await h.http.next('poll')).answer(200, [bye], { 'realtime-answer': '3', 'realtime-end': '4001' });
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ code: 4001, delayMs: 3_500 });
    await settle();
    expect(h.http.count('poll')).toBe(3);
    await h.again();
    expect((await h.http.next('poll')).commands[0]?.payload).toMatchObject({ session: 'ticket-1' });
  });

  it.each(['', '0', '999', '5000', 'x', '1.5e3.'])('is not ended by the mark %j (P21h)', async (mark) => {
    start('polling');
    void h.client.connect();
    await h.http.polls();
    (await h.http.next('poll')).answer(200, [], { 'realtime-answer': '2', 'realtime-end': mark });
    expect((await h.http.next('poll')).headers['realtime-ack']).toBe('2');
    expect(h.client.state).toBe('live');
  });

  it('ends with the code of the mark where the answer says nothing else (P21h)', async () => {
    start('polling');
    void h.client.connect();
    await h.http.polls();
    (await h.http.next('poll')).answer(200, [], { 'realtime-answer': '2', 'realtime-end': '4004' });
    await h.state('waiting');
    expect(h.client.status).toMatchObject({ code: 4004 });
  });

  it('opens no other poll after it left', async () => {
    start('polling');
    void h.client.connect();
    await h.http.polls();
    const poll = await h.http.next('poll');
    const closed = h.client.close();
    (await h.http.next('send')).answer(202);
    await closed;
    expect(poll.isAborted).toBe(true);
    expect(h.clock.pending).toBe(0);
    expect(h.http.count('poll')).toBe(2);
  });
});

describe('a session over polls whose server does not answer', () => {
  it('is given up when the server has given it up, too', async () => {
    start('polling');
    void h.client.connect();
    await h.http.polls({ heartbeat: { intervalMs: 20_000, timeoutMs: 5_000 } });
    (await h.http.next('poll')).fail();
    for (let ms = 0; ms < 2_000; ms += 100) {
      await h.pass(100);
      for (const call of h.http.calls.slice(2)) call.fail();
      await settle();
    }
    expect(h.client.state).toBe('live');
    await h.pass(5_000);
    for (const call of h.http.calls) call.fail();
    await h.state('waiting');
    expect(h.client.status.reason).toBe('The server does not answer');
  });
});
