import { afterEach, describe, expect, it } from '@jest/globals';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';
import { ask, hello, openStream, StreamSession, subscribe } from './raw.js';

let server: WireServer;
const sessions: StreamSession[] = [];
/** Ends the handler that is slow. */
let release: () => void = () => undefined;

async function start(options: WireServerOptions = {}): Promise<void> {
  server = await startWireServer({
    channels: [
      wireChannel('rooms.:room', { publish: ['said'], signals: ['typing'], presence: true }),
      wireChannel('slow.:x', {
        behaviour: {
          publish: new Map([['said', () => new Promise<void>((resolve) => (release = resolve))]]),
        },
      }),
    ],
    ...options,
    settings: { anonymous: true, ...options.settings },
  });
}

async function open(body?: unknown, headers?: Readonly<Record<string, string>>): Promise<StreamSession> {
  const session = await StreamSession.open(server.httpUrl, body, headers);
  sessions.push(session);
  return session;
}

const publishOf = (id: string, payload: unknown = id) => ({
  type: 'publish',
  id,
  channel: 'rooms.1',
  event: 'said',
  payload,
});

afterEach(async () => {
  for (const { reader } of sessions.splice(0)) reader.close();
  await server.close();
});

describe('a session by POST', () => {
  it('is welcomed on the stream that answers, with the name that its requests carry (P21a)', async () => {
    await start();
    const { id, reader } = await open();
    expect(reader.status).toBe(200);
    expect(reader.headers['content-type']).toBe('text/event-stream');
    expect(id).toMatch(/^[\w-]{11}\..+/);
    expect(server.engine.status.sessions).toBe(1);
  });

  it('runs what comes with its hello, as one envelope or as several (P3)', async () => {
    await start();
    const several = await open([hello(), subscribe('rooms.1'), publishOf('p1')]);
    const refs = [(await several.reader.next('reply')).ref, (await several.reader.next('reply')).ref];
    expect(refs.sort()).toEqual(['p1', 's-rooms.1']);
    const one = await open(hello());
    expect(one.id).not.toBe(several.id);
  });

  it('takes each numbered body once, in order, and answers on the stream (P21d)', async () => {
    await start();
    const session = await open();
    expect(await session.send(1, [subscribe('rooms.1')])).toMatchObject({ status: 202, text: '' });
    expect(await session.reader.next('reply')).toMatchObject({ ref: 's-rooms.1' });
    expect((await session.send(2, publishOf('a'))).status).toBe(202);
    expect((await session.send(3, [publishOf('b'), publishOf('c')])).status).toBe(202);
    const payloads = [];
    for (let index = 0; index < 3; index++) payloads.push(await session.reader.payload());
    expect(payloads).toEqual(['a', 'b', 'c']);
  });

  it('ends with its stream, as a socket does (P21g)', async () => {
    await start();
    const session = await open();
    session.reader.close();
    await until('the end', () => server.engine.status.sessions === 0);
    const answer = await session.send(1, [subscribe('rooms.1')]);
    expect(answer.status).toBe(410);
    expect(JSON.parse(answer.text)).not.toHaveProperty('close');
  });

  it('answers the ping of the engine, and lives (P21g)', async () => {
    const clock = new ManualClock();
    await start({ clock, settings: { heartbeat: { intervalMs: 1_000, timeoutMs: 500 } } });
    const session = await open();
    clock.advance(1_000);
    const ping = await session.reader.next('ping');
    expect((await session.send(1, { type: 'pong', ref: ping.id })).status).toBe(202);
    clock.advance(900);
    expect(server.engine.status.sessions).toBe(1);
    clock.advance(3_000);
    expect((await session.reader.next('bye')).payload).toMatchObject({ code: 4004 });
    await session.reader.ended();
    expect(session.reader.isComplete).toBe(true);
    expect(JSON.parse((await session.send(2, publishOf('late'))).text)).toMatchObject({
      statusCode: 410,
      close: 4004,
    });
  });

  it('learns from a last message why it ends (P21h)', async () => {
    await start();
    const kicked = await open([hello({ token: 'alice' })]);
    await server.engine.disconnect('alice');
    expect((await kicked.reader.next('error')).payload).toMatchObject({ code: 'kicked', close: 4811 });
    await kicked.reader.ended();
    const drained = await open();
    await server.engine.drain(1_000);
    expect((await drained.reader.next('bye')).payload).toMatchObject({ code: 4001 });
    await drained.reader.ended();
    expect(drained.reader.received.at(-1)).toMatchObject({ type: 'bye', payload: { code: 4001 } });
  });

  it('that says bye learns that it ended normally', async () => {
    await start();
    const session = await open();
    expect((await session.send(1, { type: 'bye', id: 'b' })).status).toBe(202);
    // Its answer was lost, or a proxy sent it twice.
    expect((await session.send(1, { type: 'bye', id: 'b' })).status).toBe(202);
    expect((await session.send(2, { type: 'bye', id: 'b' })).status).toBe(410);
    expect((await session.send(0, { type: 'bye', id: 'b' })).status).toBe(410);
    await session.reader.ended();
    expect(session.reader.received.at(-1)).toMatchObject({ type: 'bye', payload: { code: 1000 } });
  });
});

describe('the number of a body', () => {
  it('that comes again is answered again, and the body is not run again (P21d)', async () => {
    await start();
    const session = await open([hello(), subscribe('rooms.1')]);
    for (let time = 0; time < 3; time++)
      expect((await session.send(1, publishOf(`p${time}`))).status).toBe(202);
    await session.send(2, publishOf('last'));
    expect([await session.reader.payload(), await session.reader.payload()]).toEqual(['p0', 'last']);
  });

  it('is not used up by a body that was cut before its end (P21d)', async () => {
    await start();
    const session = await open([hello(), subscribe('rooms.1')]);
    const text = JSON.stringify(publishOf('cut'));
    const cut = session.send(1, '', {
      headers: { 'Content-Length': String(text.length) },
      onRequest: (sent) => {
        sent.write(text.slice(0, 10));
        setImmediate(() => sent.destroy());
      },
    });
    await expect(cut).rejects.toThrow();
    expect((await session.send(1, publishOf('whole'))).status).toBe(202);
    expect(await session.reader.payload()).toBe('whole');
  });

  it.each([0, 3, 'x'])('%s instead of 2 ends nothing or all, and never runs the body', async (n) => {
    await start();
    const session = await open([hello(), subscribe('rooms.1')]);
    await session.send(1, publishOf('one'));
    const answer = await session.send(n as number, publishOf('wrong'));
    expect(answer.status).toBe(409);
    if (n === 0) {
      expect((await session.send(2, publishOf('two'))).status).toBe(202);
      expect([await session.reader.payload(), await session.reader.payload()]).toEqual(['one', 'two']);
    } else {
      expect(JSON.parse(answer.text)).toMatchObject({ statusCode: 409, close: 4805 });
      expect((await session.reader.next('error')).payload).toMatchObject({ close: 4805 });
      await session.reader.ended();
      expect((await session.send(2, publishOf('two'))).status).toBe(410);
    }
    expect(session.reader.body).not.toContain('wrong');
  });

  it('that two requests carry at the same time is taken once', async () => {
    await start();
    const session = await open([hello(), subscribe('rooms.1')]);
    const answers = await Promise.all([session.send(1, publishOf('a')), session.send(1, publishOf('b'))]);
    expect(answers.map(({ status }) => status)).toEqual([202, 202]);
    await session.send(2, publishOf('end'));
    await session.reader.until('the last event', ({ body }) => body.includes('"end"'));
    expect(session.reader.received.filter(({ type }) => type === 'event')).toHaveLength(2);
  });
});

describe('a body that comes late', () => {
  /** A request whose body is held back. */
  function held(session: StreamSession, n: number, payload: string) {
    const text = JSON.stringify(publishOf(payload));
    let finish: (() => void) | undefined;
    const answer = session.send(n, '', {
      headers: { 'Content-Length': String(text.length) },
      onRequest: (sent) => {
        sent.write(text.slice(0, 10));
        const end = sent.end.bind(sent) as () => void;
        Object.assign(sent, { end: () => sent });
        finish = () => {
          sent.write(text.slice(10));
          end();
        };
      },
    });
    return { answer, finish: () => finish?.() };
  }

  it.each([0, 1])(
    'is not run where its number was taken before (%i newer ones), and ends nothing',
    async (newer) => {
      await start();
      const session = await open([hello(), subscribe('rooms.1')]);
      const late = held(session, 1, 'late');
      const { bodies } = server.http as unknown as { bodies: { reading: Set<unknown> } };
      await until('the first body', () => bodies.reading.size === 1);
      expect((await session.send(1, publishOf('again'))).status).toBe(202);
      if (newer > 0) await session.send(2, publishOf('newer'));
      late.finish();
      expect((await late.answer).status).toBe(newer > 0 ? 409 : 202);
      await session.send(2 + newer, publishOf('end'));
      await session.reader.until('the end', ({ body }) => body.includes('"end"'));
      expect(session.reader.body).not.toContain('late');
    },
  );
});

describe('a body', () => {
  it.each(['', ' ', '{', '[', '[{}', '[,]', '[{},]', '[{}]]', '{}]', '[}', 'x', '"x"', '\uFEFF[]', '[{}] x'])(
    'of %j is refused with 400, and ends the session (P21c)',
    async (body) => {
      await start();
      const session = await open();
      const answer = await session.send(1, body);
      expect(answer.status).toBe(400);
      expect(JSON.parse(answer.text)).toMatchObject({ statusCode: 400, close: 4805 });
      expect((await session.reader.next('error')).payload).toMatchObject({ close: 4805 });
      expect((await session.send(1, publishOf('late'))).status).toBe(410);
    },
  );

  it('may have white space, line ends and nested arrays wherever JSON has them, and none at all', async () => {
    await start();
    const session = await open([hello(), subscribe('rooms.1')]);
    const text = `\r\n[ ${JSON.stringify(publishOf('a', ['[', ']', '"', ',', { b: [1, [2]] }]), null, 2)}\n,\t${JSON.stringify(publishOf('b', '\\"'))} ]\n`;
    expect((await session.send(1, text)).status).toBe(202);
    expect(await session.reader.payload()).toEqual(['[', ']', '"', ',', { b: [1, [2]] }]);
    expect(await session.reader.payload()).toBe('\\"');
    expect((await session.send(2, JSON.stringify(publishOf('c'), null, 2))).status).toBe(202);
    expect(await session.reader.payload()).toBe('c');
    expect((await session.send(3, '[]')).status).toBe(202);
  });

  it.each([
    ['another type', { 'Content-Type': 'text/plain' }],
    ['none', { 'Content-Type': '' }],
    ['a compressed one', { 'Content-Encoding': 'gzip' }],
  ])('of %s is refused with 415, and nothing else happens (P21c)', async (_what, headers) => {
    await start();
    const session = await open([hello(), subscribe('rooms.1')]);
    expect((await session.send(1, publishOf('a'), { headers })).status).toBe(415);
    const charset = { 'Content-Type': 'application/json; charset=utf-8' };
    expect((await session.send(1, publishOf('b'), { headers: charset })).status).toBe(202);
    expect(await session.reader.payload()).toBe('b');
  });

  it.each([true, false])(
    'larger than a frame is refused with 413 (its length said ahead: %s)',
    async (isSaid) => {
      await start({ settings: { limits: { maxFrameBytes: 1_000, maxMessageBytes: 1_000 } } });
      const session = await open();
      const headers: Record<string, string> = isSaid ? {} : { 'Transfer-Encoding': 'chunked' };
      const answer = await session.send(1, publishOf('x'.repeat(1_000)), { headers });
      expect(answer.status).toBe(413);
      expect(JSON.parse(answer.text)).toMatchObject({ close: 4806 });
      expect((await session.reader.next('error')).payload).toMatchObject({ close: 4806 });
    },
  );

  it('with an envelope that is no command is answered on the stream, as on a socket', async () => {
    await start();
    const session = await open();
    expect((await session.send(1, { type: 'nonsense', id: 'n' })).status).toBe(202);
    expect(await session.reader.next('error')).toMatchObject({ ref: 'n', payload: { code: 'bad_request' } });
  });
});

describe('while the engine does not read', () => {
  const busy = {
    settings: {
      limits: { maxInFlight: 1 },
      handlerTimeoutMs: 60_000,
      heartbeat: { intervalMs: 3_600_000, timeoutMs: 3_600_000 },
    },
  };

  it('the body that is too much is taken, and the next waits, for five seconds (P21d)', async () => {
    const clock = new ManualClock();
    await start({ ...busy, clock });
    const session = await open();
    const slow = { type: 'publish', id: 'x', channel: 'slow.1', event: 'said', payload: 1 };
    expect((await session.send(1, slow)).status).toBe(202);
    let answered = false;
    const { pending } = clock;
    const second = session.send(2, slow).finally(() => (answered = true));
    await until('the wait', () => clock.pending > pending);
    await clock.advanceAsync(4_999);
    expect(answered).toBe(false);
    clock.advance(1);
    const { status, headers } = await second;
    expect([status, headers['retry-after']]).toEqual([429, '1']);
    // It was not used up.
    expect((await session.send(1, slow)).status).toBe(202);
    const third = session.send(2, [subscribe('rooms.1')]);
    await until('the wait', () => clock.pending > pending);
    release();
    expect((await third).status).toBe(202);
    expect((await session.reader.next('reply')).ref).toBe('x');
    expect((await session.reader.next('reply')).ref).toBe('s-rooms.1');
  });
});

describe('before the session', () => {
  const opening = (body: string, headers: Record<string, string> = {}, path = 'sse') =>
    ask(`${server.httpUrl}/${path}`, body, { headers });

  it.each([
    [415, '[]', { 'Content-Type': 'text/plain' }],
    [400, 'x', {}],
    [401, JSON.stringify([hello()]), { Authorization: 'Bearer bad' }],
    [403, JSON.stringify([hello()]), { 'Sec-Fetch-Site': 'cross-site' }],
    [413, 'x'.repeat(300_000), {}],
  ])(
    '%i is an answer with the body of a refusal, for both kinds (P18, P21b)',
    async (status, body, headers) => {
      await start();
      for (const path of ['sse', 'poll']) {
        const answer = await opening(body, headers, path);
        expect(answer.status).toBe(status);
        expect(JSON.parse(answer.text)).toMatchObject({ statusCode: status });
      }
      expect(server.engine.status.sessions).toBe(0);
    },
  );

  it('an empty array tries a stream: a comment at once, another with the end, eight at a time, no session (P21k)', async () => {
    await start();
    const first = await openStream(server.httpUrl, []);
    expect([first.status, first.headers['content-type']]).toEqual([200, 'text/event-stream']);
    await until('the first bytes', () => first.body === ':\n\n');
    const more = await Promise.all(Array.from({ length: 7 }, () => openStream(server.httpUrl, [])));
    const refused = await opening('[]');
    expect([refused.status, JSON.parse(refused.text)]).toEqual([
      429,
      expect.objectContaining({ statusCode: 429, retryAfterMs: 2_000 }),
    ]);
    expect(server.engine.status.sessions).toBe(0);
    for (const trial of [first, ...more]) {
      await trial.ended();
      expect(trial.body).toBe(':\n\n:\n\n');
    }
    const again = await openStream(server.httpUrl, []);
    expect(again.status).toBe(200);
    again.close();
  });

  it('another method is refused, and the plain stream keeps its own', async () => {
    await start();
    for (const [path, allow] of [
      ['sse', 'GET, HEAD, POST, OPTIONS'],
      ['poll', 'POST, OPTIONS'],
      ['send', 'POST, OPTIONS'],
    ]) {
      const answer = await ask(`${server.httpUrl}/${path}`, undefined, { method: 'PUT' });
      expect([answer.status, answer.headers.allow]).toEqual([405, allow]);
    }
    expect((await ask(`${server.httpUrl}/sse`, undefined, { method: 'GET' })).status).toBe(400);
  });

  it('a drain, and an address with too many connections, are refused with when to come back', async () => {
    await start({ settings: { limits: { maxConnectionsPerAddress: 1 } } });
    await open();
    const full = await opening(JSON.stringify([hello()]));
    expect([full.status, full.headers['retry-after']]).toEqual([429, '2']);
    server.engine.beginDrain();
    expect((await opening(JSON.stringify([hello()]))).status).toBe(503);
  });

  it('a hello that is refused is answered on the stream: what began cannot have another status', async () => {
    await start({ settings: { anonymous: false } });
    for (const body of [[hello()], [hello({ token: 'bad' })]]) {
      const reader = await openStream(server.httpUrl, body);
      expect(reader.status).toBe(200);
      await reader.ended();
      expect(reader.received.map(({ type, payload }) => [type, payload['code'], payload['close']])).toEqual([
        ['error', 'unauthorized', undefined],
        ['error', 'unauthorized', 4801],
      ]);
    }
  });

  it('a first envelope that is no hello ends it with 4805', async () => {
    await start();
    const reader = await openStream(server.httpUrl, [subscribe('rooms.1')]);
    await reader.ended();
    expect(reader.received.map(({ payload }) => payload['close'])).toEqual([4805]);
  });
});

describe('pages', () => {
  const origin = 'https://app.example.com';
  const allowed = { transport: { allowedOrigins: origin, cookie: { name: 'session' } } };

  it('of an allowed origin may send a cookie, and read every answer (P21i)', async () => {
    await start({ ...allowed, settings: { anonymous: false } });
    const headers = { origin, cookie: 'session=alice' };
    const session = await open([hello()], headers);
    expect(session.reader.headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'Realtime-Answer, Realtime-End, Retry-After',
    });
    const sent = await session.send(1, [subscribe('rooms.1')]);
    expect([sent.status, sent.headers['access-control-allow-origin']]).toEqual([202, origin]);
    const refused = await ask(`${server.httpUrl}/sse`, JSON.stringify([hello()]), {
      headers: { origin: 'https://evil.example', cookie: 'session=alice' },
    });
    expect(refused.status).toBe(403);
    expect(refused.headers['access-control-allow-origin']).toBeUndefined();
    const bare = await ask(`${server.httpUrl}/sse`, JSON.stringify([hello()]), {
      headers: { cookie: 'session=alice' },
    });
    expect(bare.status).toBe(403);
  });

  it('of another origin cannot use a session, which lives on (P21a)', async () => {
    await start();
    const session = await open([hello()], { origin });
    const foreign = await session.send(1, publishOf('a'), { headers: { origin: 'https://evil.example' } });
    expect(foreign.status).toBe(403);
    expect((await session.send(1, [subscribe('rooms.1')])).status).toBe(202);
    const none = await open();
    expect((await none.send(1, publishOf('a'), { headers: { origin } })).status).toBe(403);
  });

  it('learn from a preflight what they may send', async () => {
    await start(allowed);
    for (const path of ['sse', 'poll', 'send']) {
      const { status, headers } = await ask(`${server.httpUrl}/${path}`, undefined, {
        method: 'OPTIONS',
        headers: { origin, 'Access-Control-Request-Method': 'POST' },
      });
      expect(status).toBe(204);
      expect(headers).toMatchObject({
        'access-control-allow-methods': 'POST',
        'access-control-allow-headers':
          'Authorization, Content-Type, Realtime-Session, Realtime-Send, Realtime-Ack, Realtime-Resume',
        'access-control-max-age': '600',
        'access-control-allow-origin': origin,
      });
    }
    const plain = await ask(`${server.httpUrl}/sse`, undefined, {
      method: 'OPTIONS',
      headers: { origin, 'Access-Control-Request-Method': 'GET' },
    });
    expect(plain.headers['access-control-allow-methods']).toBe('GET');
  });

  it('learn nothing by a guessed name, and a session ignores the cookies of its requests (P21a)', async () => {
    await start({ ...allowed, settings: { anonymous: true } });
    const guess = await ask(`${server.httpUrl}/send`, JSON.stringify(publishOf('a')), {
      headers: { 'Realtime-Session': 'x', 'Realtime-Send': '1' },
    });
    expect(guess.status).toBe(410);
    const session = await open();
    const answer = await session.send(1, [subscribe('rooms.1')], {
      headers: { cookie: 'session=bad', Authorization: 'Bearer bad' },
    });
    expect(answer.status).toBe(202);
  });
});

describe('an engine that fails', () => {
  it('ends the session with its code, and the process lives', async () => {
    await start({
      onConnect: () => {
        throw new RealtimeError('refused', 'Not today');
      },
    });
    const reader = await openStream(server.httpUrl, [hello()]);
    await reader.ended();
    expect(reader.received.at(-1)?.payload).toMatchObject({ close: 4802 });
  });
});
