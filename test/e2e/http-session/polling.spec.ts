import { afterEach, describe, expect, it } from '@jest/globals';
import type { BrokerListener } from '../../../lib/brokers/broker.js';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import { alteredBroker } from '../../support/engine/altered-broker.js';
import { ManualClock } from '../../support/engine/manual-clock.js';
import { until } from '../../support/until.js';
import { wireChannel } from '../../support/wire/channel.js';
import { startWireServer, type WireServer, type WireServerOptions } from '../../support/wire/server.js';
import {
  ask,
  envelopesOf,
  hello,
  PollSession,
  StreamSession,
  subscribe,
  type RawAnswer,
  type RawRequest,
} from './raw.js';

const HEARTBEAT = { intervalMs: 10_000, timeoutMs: 4_000 };

let server: WireServer;
let clock: ManualClock;

async function start(options: WireServerOptions & { readonly clock?: ManualClock } = {}): Promise<void> {
  clock = options.clock ?? new ManualClock();
  server = await startWireServer({
    channels: [wireChannel('rooms.:room', { publish: ['said'] }), wireChannel('other.:x')],
    clock,
    ...options,
    settings: { anonymous: true, heartbeat: HEARTBEAT, ...options.settings },
  });
}

const open = (body: unknown = [hello(), subscribe('rooms.1')]) => PollSession.open(server.httpUrl, body);

const publish = (payload: unknown, channel = 'rooms.1') =>
  server.engine.application.publish(channel, 'said', payload);

/** A session that has read the answer of its subscribe. */
async function subscribed(body?: unknown): Promise<PollSession> {
  const session = await open(body);
  if (!session.first.some(({ type }) => type === 'reply')) await session.until('reply');
  return session;
}

const payloadsOf = (answer: RawAnswer): unknown[] =>
  envelopesOf(answer)
    .filter(({ type }) => type === 'event')
    .map(({ payload }) => payload);

/** The poll of a session that waits at the server. */
const heldOf = ({ id }: PollSession): unknown => {
  type Held = { readonly polls: { readonly waiting: unknown } };
  const { sessions } = server.http as unknown as {
    sessions: { table: { get(id: string): Held | undefined } };
  };
  return sessions.table.get(id)?.polls.waiting;
};

/** Sends a poll, and returns how it is answered once it waits at the server. */
async function waiting(session: PollSession, options: RawRequest = {}): Promise<() => Promise<RawAnswer>> {
  const before = heldOf(session);
  const poll = session.ask(session.number, options);
  poll.catch(() => undefined);
  await until('the poll', () => heldOf(session) !== before);
  return () => poll;
}

const numberOf = ({ headers }: RawAnswer): string | undefined =>
  headers['realtime-answer'] as string | undefined;

afterEach(() => server.close());

describe('a session by polls', () => {
  it('is welcomed by the first answer, whose number is 1 (P21e)', async () => {
    await start();
    const answer = await ask(`${server.httpUrl}/poll`, JSON.stringify(hello()));
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      'realtime-answer': '1',
      'content-type': 'application/json',
      'cache-control': 'no-store',
    });
    expect(envelopesOf(answer).map(({ type }) => type)).toEqual(['welcome']);
    expect(server.engine.sessionsOf('nobody')).toEqual([]);
  });

  it('is sent each message once, in order, by answers that follow one another', async () => {
    await start();
    const session = await subscribed();
    const seen: unknown[] = [];
    for (let n = 1; n <= 5; n++) {
      await publish(n);
      await publish(-n);
    }
    while (seen.length < 10) {
      const number = session.number + 1;
      for (const envelope of await session.next()) seen.push(envelope.payload);
      expect(session.number).toBe(number);
    }
    expect(seen).toEqual([1, -1, 2, -2, 3, -3, 4, -4, 5, -5]);
  });

  it('of several channels is answered with one array for what comes in one turn', async () => {
    await start();
    const session = await subscribed([hello(), subscribe('rooms.1'), subscribe('other.1')]);
    const poll = await waiting(session);
    await Promise.all([publish('a'), publish('b', 'other.1'), publish('c')]);
    const seen = payloadsOf(await poll());
    session.number++;
    while (seen.length < 3) seen.push(...(await session.next()).map(({ payload }) => payload));
    expect([...seen].sort()).toEqual(['a', 'b', 'c']);
  });

  it('sends by /send, and is answered by polls', async () => {
    await start();
    const session = await open([hello()]);
    expect((await session.send(1, [subscribe('rooms.1')])).status).toBe(202);
    expect(await session.until('reply')).toMatchObject({ ref: 's-rooms.1' });
  });

  it('is not pinged: a poll is the sign of life (P21g)', async () => {
    await start();
    const session = await open([hello()]);
    for (let round = 0; round < 5; round++) {
      const poll = await waiting(session);
      clock.advance(HEARTBEAT.intervalMs);
      expect((await poll()).text).toBe('[]');
      session.number++;
    }
    expect(server.engine.status.sessions).toBe(1);
  });

  it('that is refused learns so from the first answer', async () => {
    await start({ settings: { anonymous: false } });
    const answer = await ask(`${server.httpUrl}/poll`, JSON.stringify(hello({ token: 'bad' })));
    expect(answer.status).toBe(200);
    expect(envelopesOf(answer).map(({ type, payload }) => [type, payload['close']])).toEqual([
      ['error', undefined],
      ['error', 4801],
    ]);
    expect(server.engine.status.sessions).toBe(0);
  });

  it('whose client is gone before its first answer ends', async () => {
    let release: () => void = () => undefined;
    await start({ onConnect: () => new Promise<void>((resolve) => (release = resolve)) });
    const gone = ask(`${server.httpUrl}/poll`, JSON.stringify(hello()), {
      onRequest: (sent) =>
        void until('the session', () => server.engine.status.sessions === 1).then(() => sent.destroy()),
    });
    await expect(gone).rejects.toThrow();
    await until('the end', () => server.engine.status.sessions === 0);
    release();
  });
});

describe('an answer', () => {
  it('is given again, with its number, until a poll acknowledges it (P21e)', async () => {
    await start();
    const session = await subscribed();
    await publish('a');
    const first = await session.ask(session.number);
    for (let time = 0; time < 3; time++) {
      const again = await session.ask(session.number);
      expect([again.text, numberOf(again)]).toEqual([first.text, numberOf(first)]);
    }
    await publish('b');
    expect(payloadsOf(await session.ask(session.number + 1))).toEqual(['b']);
  });

  it('that nobody asks for any more is 409 for a delayed poll, and the session lives', async () => {
    await start();
    const session = await subscribed();
    await publish('a');
    await session.next();
    const poll = await waiting(session);
    for (const old of [session.number - 1, session.number - 2, 0])
      expect((await session.ask(old)).status).toBe(409);
    await publish('b');
    expect(payloadsOf(await poll())).toEqual(['b']);
  });

  it.each([7, 'x', ''])('acknowledged as %j ends the session', async (acknowledged) => {
    await start();
    const session = await open();
    const answer = await session.ask(acknowledged as number);
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([409, { statusCode: 409, close: 4805 }]);
    // The last word is for the poll that would have been right.
    const last = await session.ask(1);
    expect(envelopesOf(last)).toMatchObject([{ type: 'error', payload: { close: 4805 } }]);
    expect(JSON.parse((await session.ask(2)).text)).toMatchObject({ statusCode: 410, close: 4805 });
    expect(server.engine.status.sessions).toBe(0);
  });

  it('comes without a message where there is none for the interval, sooner for some than for others', async () => {
    await start();
    const waits: number[] = [];
    for (let round = 0; round < 6; round++) {
      const session = await open([hello()]);
      const poll = await waiting(session);
      const from = clock.monotonic();
      let answered = false;
      void poll().then(() => (answered = true));
      while (!answered) await clock.advanceAsync(100);
      waits.push(clock.monotonic() - from);
      expect([(await poll()).text, numberOf(await poll())]).toEqual(['[]', '2']);
      expect(await session.ask(1)).toMatchObject({ text: '[]', headers: { 'realtime-answer': '2' } });
    }
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(HEARTBEAT.intervalMs * 0.8);
    expect(Math.max(...waits)).toBeLessThanOrEqual(HEARTBEAT.intervalMs + 200);
    expect(new Set(waits).size).toBeGreaterThan(1);
  });

  it('misses nothing that came while no poll waited', async () => {
    await start();
    const session = await subscribed();
    const poll = await waiting(session);
    clock.advance(HEARTBEAT.intervalMs);
    expect((await poll()).text).toBe('[]');
    session.number++;
    await publish('between');
    await publish('the polls');
    const seen: unknown[] = [];
    while (seen.length < 2) seen.push(...(await session.next()).map(({ payload }) => payload));
    expect(seen).toEqual(['between', 'the polls']);
  });
});

describe('polls', () => {
  it('are one at a time: the newer one waits, the older is answered 204 without a number (P21e)', async () => {
    await start();
    const session = await subscribed();
    const older = await waiting(session);
    const newer = await waiting(session);
    const answer = await older();
    expect([answer.status, answer.text, numberOf(answer)]).toEqual([204, '', undefined]);
    await publish('a');
    expect(payloadsOf(await newer())).toEqual(['a']);
  });

  it('that are cut lose nothing, whether or not they were answered', async () => {
    await start();
    const session = await subscribed();
    for (let round = 0; round < 3; round++) {
      let cut: (() => void) | undefined;
      await waiting(session, { onRequest: (sent) => (cut = () => sent.destroy()) });
      cut?.();
      // The second is answered before the server sees the cut.
      if (round !== 1) await until('the cut', () => heldOf(session) === undefined);
      await publish(round);
      const seen: unknown[] = [];
      while (seen.length === 0) seen.push(...(await session.next()).map(({ payload }) => payload));
      expect(seen).toEqual([round]);
    }
  });

  it('of a session with a stream end it', async () => {
    await start();
    const stream = await StreamSession.open(server.httpUrl);
    const answer = await ask(`${server.httpUrl}/poll`, undefined, {
      headers: { 'Realtime-Session': stream.id, 'Realtime-Ack': '0' },
    });
    expect(answer.status).toBe(409);
    expect((await stream.reader.next('error')).payload).toMatchObject({ close: 4805 });
    await stream.reader.ended();
  });

  it('that stay away for the time-out end the session with 4004, and not a moment sooner (P21g)', async () => {
    await start();
    const session = await open([hello()]);
    clock.advance(HEARTBEAT.timeoutMs - 1);
    expect(server.engine.status.sessions).toBe(1);
    const poll = await waiting(session);
    clock.advance(HEARTBEAT.intervalMs - HEARTBEAT.timeoutMs + 1);
    await poll();
    session.number++;
    clock.advance(HEARTBEAT.timeoutMs);
    expect(server.engine.status.sessions).toBe(0);
    expect(await session.next()).toMatchObject([{ type: 'bye', payload: { code: 4004 } }]);
    const over = await session.ask(session.number);
    expect([over.status, JSON.parse(over.text)]).toMatchObject([410, { close: 4004 }]);
    clock.advance(5_000);
    expect(JSON.parse((await session.ask(session.number)).text)).not.toHaveProperty('close');
  });

  it('that are cut, and no longer come, end it in the same time', async () => {
    await start();
    const session = await open([hello()]);
    let cut: (() => void) | undefined;
    await waiting(session, { onRequest: (sent) => (cut = () => sent.destroy()) });
    cut?.();
    await until('the cut', () => heldOf(session) === undefined);
    clock.advance(HEARTBEAT.timeoutMs - 1);
    expect(server.engine.status.sessions).toBe(1);
    clock.advance(1);
    expect(server.engine.status.sessions).toBe(0);
  });
});

describe('the end of a session by polls', () => {
  it('is the answer to the poll that waits, and to every request behind it (P21h)', async () => {
    await start();
    const session = await open([hello({ token: 'alice' })]);
    const poll = await waiting(session);
    await server.engine.disconnect('alice');
    const last = await poll();
    expect(envelopesOf(last)).toMatchObject([{ type: 'error', payload: { close: 4811, code: 'kicked' } }]);
    expect(last.headers['realtime-end']).toBe('4811');
    expect(JSON.parse((await session.ask(2)).text)).toMatchObject({ statusCode: 410, close: 4811 });
    expect(JSON.parse((await session.send(1, [])).text)).toMatchObject({ statusCode: 410, close: 4811 });
  });

  it('is kept for the poll that comes next, once (P21h)', async () => {
    await start();
    const session = await open([hello({ token: 'alice' })]);
    await server.engine.disconnect('alice');
    const last = await session.ask(1);
    expect([last.status, numberOf(last), last.headers['realtime-end']]).toEqual([200, '2', '4811']);
    expect(envelopesOf(last)).toMatchObject([{ type: 'error', payload: { close: 4811 } }]);
    expect(JSON.parse((await session.ask(1)).text)).toMatchObject({ statusCode: 410, close: 4811 });
  });

  it.each([true, false])('by a drain is announced, and then said (a poll waits: %s)', async (isWaiting) => {
    await start();
    const session = await open([hello()]);
    const poll = isWaiting ? await waiting(session) : undefined;
    const drained = server.engine.drain(1_000);
    const words: unknown[] = [];
    const read = (answer: RawAnswer): void => {
      const end = answer.headers['realtime-end'];
      for (const { type, payload } of envelopesOf(answer)) words.push([type, payload, end]);
    };
    if (poll !== undefined) {
      read(await poll());
      session.number++;
    }
    let over: RawAnswer | undefined;
    while (over === undefined) {
      let answer: RawAnswer | undefined;
      void session.ask(session.number).then((it) => (answer = it));
      await until('the answer', async () => {
        await clock.advanceAsync(10);
        return answer !== undefined;
      });
      if (answer?.status === 410) over = answer;
      else if (answer !== undefined) {
        read(answer);
        session.number = Number(numberOf(answer));
      }
    }
    expect(JSON.parse(over.text)).toMatchObject({ close: 4001 });
    // Those of one step come back over a quarter of a second.
    const spreadMs = 250;
    expect(words).toEqual([
      ['bye', { code: 4001, retryAfterMs: 0, spreadMs }, undefined],
      ['bye', { code: 4001, retryAfterMs: 0, spreadMs }, '4001'],
    ]);
    await drained;
    expect(server.engine.status.sessions).toBe(0);
  });
});

describe('what an answer held', () => {
  const guarded = {
    channels: [
      wireChannel('rooms.:room', { behaviour: { authorize: { subscribe: () => true } } }),
      wireChannel('other.:x'),
    ],
  };
  const alice = [hello({ token: 'alice' }), subscribe('rooms.1'), subscribe('other.1')];

  it('of a channel that was revoked is not given again: the client has to resume (P21f, G11)', async () => {
    await start(guarded);
    const session = await subscribed(alice);
    await publish('secret');
    const kept = await session.ask(session.number);
    expect(payloadsOf(kept)).toEqual(['secret']);
    await server.engine.revoke('alice', 'rooms.1');
    const again = await session.ask(session.number);
    expect(again.status).toBe(410);
    expect(again.text).not.toContain('secret');
    expect(JSON.parse(again.text)).not.toHaveProperty('close');
    expect(server.engine.status.sessions).toBe(0);
  });

  it('does not end a session whose client has it', async () => {
    await start(guarded);
    const session = await subscribed(alice);
    await publish('secret');
    await session.next();
    await server.engine.revoke('alice', 'rooms.1');
    expect(await session.until('unsubscribed')).toMatchObject({ channel: 'rooms.1' });
    await publish('public', 'other.1');
    expect(await session.until('event')).toMatchObject({ payload: 'public' });
  });

  it('and no poll was there to be given, ends it at once', async () => {
    await start(guarded);
    const session = await subscribed(alice);
    const poll = await waiting(session);
    clock.advance(HEARTBEAT.intervalMs);
    await poll();
    session.number++;
    await publish('secret');
    await until('the write', async () => {
      await clock.advanceAsync(1);
      return true;
    });
    await server.engine.revoke('alice', 'rooms.1');
    const next = await session.ask(session.number);
    expect(next.status).toBe(410);
    expect(next.text).not.toContain('secret');
  });

  it('is not given again while a revoke may be unknown, and is after a session of public channels only (G11)', async () => {
    const told: BrokerListener[] = [];
    clock = new ManualClock();
    const memory = memoryBroker({ clock });
    const broker = alteredBroker(memory, {
      start: (listener, nodeId) => {
        told.push(listener);
        return memory.start(listener, nodeId);
      },
    });
    await start({ ...guarded, broker, clock });
    const [both, open] = [await subscribed(alice), await subscribed([hello(), subscribe('other.1')])];
    await publish('secret');
    await publish('public', 'other.1');
    const [kept, shown] = [await both.ask(both.number), await open.ask(open.number)];
    expect(payloadsOf(kept)).toContain('secret');
    told[0]?.onControlCurrent(1_000);
    await clock.advanceAsync(1_001);
    expect(server.engine.status.withholding).toBe(true);
    expect((await both.ask(both.number)).status).toBe(410);
    expect((await open.ask(open.number)).text).toBe(shown.text);
  });
});
