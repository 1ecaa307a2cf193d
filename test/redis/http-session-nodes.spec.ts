// Sessions over HTTP that begin at one node, while all their requests reach the other one, over one Redis.
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ConnectionRequest } from '../../lib/core/ports/channel-definition.js';
import { SeededEntropy } from '../support/engine/seeded-entropy.js';
import { elapse, stretched } from '../support/patience.js';
import { until } from '../support/until.js';
import { wireChannel } from '../support/wire/channel.js';
import { envelopesIn, HttpExchange, numberOf } from '../support/wire/http-exchange.js';
import { readReply, type HttpReply, type PostOptions } from '../support/wire/http-post.js';
import { SseSessionClient } from '../support/wire/http-session-client.js';
import type { SentEnvelope, WireEnvelope } from '../support/wire/session-client.js';
import { startWireServer, type WireServer, type WireSettings } from '../support/wire/server.js';
import { alteredClient, type Alteration } from './altered-client.js';
import { RedisKit } from './kit.js';

const ROOM = 'rooms.1';
const ORIGIN = 'https://app.example.com';
/** Silence of a node after which the others take it for dead. */
const NODE_TTL_MS = stretched(300);

let kit: RedisKit;
/** Where sessions begin, and where their requests go. */
let home: WireServer;
let other: WireServer;
let homeLink: Alteration;
/** What the application was asked, in order. */
let asked: unknown[];
/** Whether the application answers. */
let answers: Promise<void> | undefined;

const record: ConnectionRequest = {
  authorize: 'public',
  async handle({ payload }) {
    asked.push(payload);
    await answers;
    return payload;
  },
};

beforeAll(async () => {
  kit = await RedisKit.open();
});
afterEach(async () => {
  homeLink.deaf = false;
  delete homeLink.refuse;
  kit.server.resume();
  await Promise.all([home.close(), other.close()]);
  await kit.reset();
});
afterAll(() => kit.dispose());

async function start(settings: WireSettings = {}): Promise<void> {
  asked = [];
  answers = undefined;
  homeLink = {};
  const node = (number: number, client?: ReturnType<typeof alteredClient>): Promise<WireServer> =>
    startWireServer({
      channels: [
        wireChannel('rooms.:room', {
          publish: ['said'],
          behaviour: { authorize: { subscribe: () => true } },
        }),
      ],
      requests: new Map([['ask', record]]),
      transport: { allowedOrigins: [ORIGIN, 'https://other.example.com'] },
      broker: kit.make({
        nodeTtlMs: NODE_TTL_MS,
        heartbeatMs: 20,
        commandTimeoutMs: stretched(300),
        ...(client === undefined ? {} : { url: undefined, client }),
      }),
      entropy: new SeededEntropy(number),
      settings: { ...settings, nodeId: `node-${number}` },
    });
  home = await node(1, alteredClient(kit.server.url, homeLink));
  other = await node(2);
}

const open = (more: readonly SentEnvelope[] = [], options: PostOptions = {}): Promise<HttpExchange> =>
  HttpExchange.open({ url: home.httpUrl, elsewhere: other.httpUrl }, { token: 'ada' }, more, options);
const THERE = { elsewhere: true };
const subscribe: SentEnvelope = { type: 'subscribe', id: 's', channel: ROOM, payload: {} };
const ask = (payload: unknown): SentEnvelope => ({
  type: 'request',
  id: `r${String(payload)}`,
  event: 'ask',
  payload,
});
const say = (text: string): SentEnvelope => ({
  type: 'publish',
  id: text,
  channel: ROOM,
  event: 'said',
  payload: text,
});
/** Polls at the other node until that many messages that begin like this have come. @returns them, and the number of the last answer. */
async function collect(exchange: HttpExchange, part: Partial<WireEnvelope>, count: number, ack: number) {
  const found: WireEnvelope[] = [];
  const wanted = Object.entries(part);
  while (found.length < count) {
    const reply = await exchange.poll(ack, THERE);
    ack = numberOf(reply);
    for (const envelope of envelopesIn(reply))
      if (wanted.every(([name, value]) => envelope[name as keyof WireEnvelope] === value))
        found.push(envelope);
  }
  return { found, ack };
}
/** The number of the last answer behind the one that has the outcome of the subscribe. */
const subscribed = async (exchange: HttpExchange): Promise<number> =>
  envelopesIn(exchange.opening).some(({ ref }) => ref === 's')
    ? 1
    : (await collect(exchange, { ref: 's' }, 1, 1)).ack;
const bodyOf = ({ body }: HttpReply): Record<string, unknown> => JSON.parse(body) as Record<string, unknown>;

describe('sessions over HTTP whose requests reach another node (P21j)', () => {
  it('publish, ask and get events there, in order', async () => {
    await start();
    const exchange = await open([subscribe]);
    let ack = await subscribed(exchange);
    for (let number = 1; number <= 20; number += 1)
      expect((await exchange.send(number, [say(`m${number}`)], THERE)).status).toBe(202);
    const events = await collect(exchange, { type: 'event' }, 20, ack);
    ack = events.ack;
    expect(events.found.map(({ payload }) => payload)).toEqual(
      Array.from({ length: 20 }, (_, index) => `m${index + 1}`),
    );
    expect(events.found.map(({ seq }) => seq)).toEqual(Array.from({ length: 20 }, (_, index) => index + 1));
    const reply = await exchange.send(21, [ask('why')], THERE);
    expect([reply.status, reply.body, reply.headers['cache-control']]).toEqual([202, '', 'no-store']);
    expect((await collect(exchange, { ref: 'rwhy' }, 1, ack)).found).toMatchObject([
      { ref: 'rwhy', payload: 'why' },
    ]);
  });

  it('are the same session at both: requests alternate between the nodes', async () => {
    await start();
    const exchange = await open([subscribe]);
    let ack = await subscribed(exchange);
    for (let number = 1; number <= 10; number += 1) {
      const elsewhere = number % 2 === 0;
      expect((await exchange.send(number, [ask(number)], { elsewhere })).status).toBe(202);
      for (let replies = 0; replies < 1;) {
        const reply = await exchange.poll(ack, { elsewhere: !elsewhere });
        ack = numberOf(reply);
        replies += envelopesIn(reply).filter(({ ref }) => ref === `r${number}`).length;
      }
    }
    expect(asked).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('over a stream, take what is sent there', async () => {
    await start();
    const client = new SseSessionClient({ url: home.httpUrl, elsewhere: other.httpUrl });
    await client.hello('ada');
    await client.call({ type: 'subscribe', channel: ROOM, payload: {} });
    for (const text of ['a', 'b', 'c']) client.send(say(text));
    await until('the events', () => client.received.filter(({ type }) => type === 'event').length === 3);
    expect(client.received.filter(({ type }) => type === 'event').map(({ payload }) => payload)).toEqual([
      'a',
      'b',
      'c',
    ]);
    expect(client.sendStatuses).toEqual([202, 202, 202, 202]);
    client.terminate();
  });

  it('run a body once, however often its number comes, at either node', async () => {
    await start();
    const exchange = await open();
    for (const elsewhere of [true, true, false, true])
      expect((await exchange.send(1, [ask('once')], { elsewhere })).status).toBe(202);
    const both = await Promise.all([1, 2, 3].map(() => exchange.send(2, [ask('twice')], THERE)));
    expect(both.map(({ status }) => status)).toEqual([202, 202, 202]);
    expect(asked).toEqual(['once', 'twice']);
  });

  it('end there for a number that does not follow, for a body that is none, and for one that is too large', async () => {
    await start({ limits: { maxFrameBytes: 4_096, maxMessageBytes: 2_048 } });
    for (const [number, body, status, close] of [
      [5, '[]', 409, 4805],
      [1, '[{', 400, 4805],
      [1, JSON.stringify([ask('x'.repeat(5_000))]), 413, 4806],
    ] as const) {
      const exchange = await open();
      const reply = await exchange.send(number, body, THERE);
      expect([reply.status, bodyOf(reply)['close']]).toEqual([status, close]);
      expect((await exchange.send(2, [ask(1)], THERE)).status).toBe(410);
      expect(home.engine.status.sessions).toBe(0);
    }
    expect(asked).toEqual([]);
  });

  it('give the last answer again to a poll that does not acknowledge it, at either node', async () => {
    await start();
    const exchange = await open();
    await exchange.send(1, [ask('a')], THERE);
    const first = await exchange.poll(1, THERE);
    expect(envelopesIn(first)).toMatchObject([{ type: 'reply', ref: 'ra' }]);
    for (const elsewhere of [true, false, true]) {
      const again = await exchange.poll(1, { elsewhere });
      expect([again.body, numberOf(again)]).toEqual([first.body, numberOf(first)]);
    }
    await exchange.send(2, [ask('b')], THERE);
    expect(envelopesIn(await exchange.poll(2, THERE))).toMatchObject([{ type: 'reply', ref: 'rb' }]);
  });

  it('answer an older poll with 204 when a newer one waits, whichever node it reached', async () => {
    await start();
    const exchange = await open();
    let ack = 1;
    for (const elsewhere of [true, false]) {
      const older = exchange.beginPoll(ack, { elsewhere });
      await until('the poll', async () => (await exchange.send(ack, [], THERE)).status === 202);
      await elapse(stretched(5));
      const newer = exchange.beginPoll(ack, { elsewhere: !elsewhere });
      expect((await readReply(await older.response)).status).toBe(204);
      await exchange.send(ack + 1, [ask(ack)], THERE);
      const reply = await readReply(await newer.response);
      expect(envelopesIn(reply)).toMatchObject([{ type: 'reply', ref: `r${ack}` }]);
      ack = numberOf(reply);
    }
  });

  it('withdraw an answer that was not acknowledged when access is revoked: a repeat is 410, and the client resumes', async () => {
    await start();
    const exchange = await open([subscribe]);
    const ack = await subscribed(exchange);
    await exchange.send(1, [say('secret')], THERE);
    const { ack: last } = await collect(exchange, { type: 'event' }, 1, ack);
    expect((await other.engine.revoke('ada', ROOM)).confirmed).toHaveLength(2);
    const repeated = await exchange.poll(last - 1, THERE);
    expect(repeated.status).toBe(410);
    expect(repeated.body).not.toContain('secret');
    expect(home.engine.status.sessions).toBe(0);
  });

  it('tell a poll that waits there of the revoke at once', async () => {
    await start();
    const exchange = await open([subscribe]);
    const ack = await subscribed(exchange);
    const poll = exchange.poll(ack, THERE);
    await elapse(stretched(5));
    await other.engine.revoke('ada', ROOM);
    expect(envelopesIn(await poll)).toMatchObject([{ type: 'unsubscribed', channel: ROOM }]);
  });

  it('refuse another origin with 403, and are unharmed', async () => {
    await start();
    const exchange = await open([], { headers: { Origin: ORIGIN } });
    const strange = { elsewhere: true, headers: { Origin: 'https://other.example.com' } };
    expect((await exchange.send(1, [ask('theirs')], strange)).status).toBe(403);
    expect((await exchange.poll(1, strange)).status).toBe(403);
    const own = { elsewhere: true, headers: { Origin: ORIGIN } };
    const reply = await exchange.send(1, [ask('mine')], own);
    expect([reply.status, reply.headers['access-control-allow-origin']]).toEqual([202, ORIGIN]);
    expect(envelopesIn(await exchange.poll(1, own))).toMatchObject([{ ref: 'rmine' }]);
    expect(asked).toEqual(['mine']);
  });

  it('charge what is sent there to the client, at its own node (G16)', async () => {
    await start({ limits: { ratePerSecond: 1, burst: 3 } });
    const exchange = await open();
    for (let number = 1; number <= 5; number += 1) await exchange.send(number, [ask(number)], THERE);
    const { found } = await collect(exchange, { type: 'error' }, 1, 1);
    expect(found[0]?.payload).toMatchObject({ code: 'rate_limited' });
    expect(asked.length).toBeLessThan(5);
  });

  it('are 410 where no node knows them, at each node', async () => {
    await start();
    const exchange = await open();
    await home.engine.disconnect('ada');
    await until('its end', () => home.engine.status.sessions === 0);
    for (const elsewhere of [true, false]) {
      const reply = await exchange.send(1, [ask(1)], { elsewhere });
      expect(reply.status).toBe(410);
      expect(bodyOf(reply)['close']).toBe(4811);
    }
    const unknown = { elsewhere: true, headers: { 'Realtime-Session': 'AAAAAAAAAAA.nobody' } };
    expect((await exchange.send(1, [ask(1)], unknown)).status).toBe(410);
    expect((await exchange.poll(1, unknown)).status).toBe(410);
  });

  it('notice a client that goes away from there, and give the next poll what came in between', async () => {
    await start();
    const exchange = await open([subscribe]);
    const ack = await subscribed(exchange);
    const poll = exchange.beginPoll(ack, THERE);
    await elapse(stretched(5));
    poll.cancel();
    await elapse(stretched(5));
    await exchange.send(1, [say('later')], THERE);
    const { found } = await collect(exchange, { type: 'event' }, 1, ack);
    expect(found).toMatchObject([{ payload: 'later', seq: 1 }]);
  });

  it('say why they end to a poll that waits there, as when their node drains', async () => {
    await start();
    const exchange = await open();
    const poll = exchange.poll(1, THERE);
    await elapse(stretched(5));
    const draining = home.engine.drain(stretched(500));
    const bye = { type: 'bye', payload: { code: 4001 } };
    const announced = await poll;
    const last = await exchange.poll(2, THERE);
    expect([announced, last].map(envelopesIn)).toMatchObject([[bye], [bye]]);
    expect([announced, last].map(({ headers }) => headers['realtime-end'])).toEqual([undefined, '4001']);
    await draining;
  });

  it('are answered with 503 by a node that closes, and continue at another', async () => {
    await start();
    const exchange = await open();
    const poll = exchange.poll(1, THERE);
    await elapse(stretched(5));
    other.http.close();
    const reply = await poll;
    expect([reply.status, reply.headers['retry-after']]).toEqual([503, '1']);
    await exchange.send(1, [ask('here')]);
    expect(envelopesIn(await exchange.poll(1))).toMatchObject([{ ref: 'rhere' }]);
  });

  it('while Redis is away, are 503 and nothing runs twice: the same number is taken when it is back', async () => {
    await start();
    const exchange = await open();
    expect((await exchange.send(1, [ask('before')], THERE)).status).toBe(202);
    kit.server.pause();
    const away = await exchange.send(2, [ask('during')], THERE);
    expect([away.status, away.headers['retry-after']]).toEqual([503, '1']);
    expect((await exchange.poll(1, THERE)).status).toBe(503);
    // Whoever reaches its node needs no Redis.
    expect((await exchange.send(2, [ask('during')])).status).toBe(202);
    kit.server.resume();
    await until('the way back', async () => {
      const { status } = await exchange.send(3, [ask('after')], THERE);
      expect([202, 503]).toContain(status);
      return status === 202;
    });
    expect(asked).toEqual(['before', 'during', 'after']);
  });

  it('are 410 there when their node is gone, also to a poll that waits; the client resumes where it stood', async () => {
    await start();
    const exchange = await open([subscribe]);
    const ack = await subscribed(exchange);
    await exchange.send(1, [say('one')], THERE);
    const { found, ack: last } = await collect(exchange, { type: 'event' }, 1, ack);
    const poll = exchange.poll(last, THERE);
    // Its request has to have reached the node: one that has not is refused as one that may be tried again.
    await elapse(stretched(100));
    // Killed, as the others see it: it sends nothing, and hears nothing.
    homeLink.deaf = true;
    homeLink.refuse = () => new Error('ERR killed');
    const reply = await poll;
    expect(reply.status).toBe(410);
    expect((await exchange.send(2, [say('lost')], THERE)).status).toBe(410);
    await other.engine.application.publish(ROOM, 'said', 'two');
    const [{ seq = 0, epoch = '' } = {}] = found;
    const resume = { ...subscribe, payload: { position: { seq, epoch } } };
    const place = { url: other.httpUrl };
    const next = await HttpExchange.open(place, { token: 'ada', session: exchange.ticket }, [resume]);
    const replayed: unknown[] = [];
    for (let number = 1, reply = next.opening; ; reply = await next.poll(number++)) {
      const events = envelopesIn(reply).filter(({ type }) => type === 'event');
      replayed.push(...events.map(({ payload }) => payload));
      if (replayed.length > 0) break;
    }
    expect(replayed).toEqual(['two']);
  });

  it('are 503 there while it is not known that their node is gone, not 410', async () => {
    await start();
    const exchange = await open();
    // It lives by its heartbeats, and hears nothing.
    homeLink.deaf = true;
    const reply = await exchange.send(1, [ask('unheard')], THERE);
    expect(reply.status).toBe(503);
    homeLink.deaf = false;
    expect((await exchange.send(1, [ask('heard')], THERE)).status).toBe(202);
    expect(asked).toEqual(['heard']);
  });

  it('keep their ids out of every log and answer (G23)', async () => {
    await start();
    const exchange = await open();
    const replies = [
      await exchange.send(1, [ask('x')], THERE),
      await exchange.poll(1, THERE),
      await exchange.send(7, [ask('x')], THERE),
      await exchange.poll(9, THERE),
    ];
    kit.server.pause();
    replies.push(await exchange.send(8, [ask('x')], THERE));
    kit.server.resume();
    await kit.admin.spublish(kit.keys.messagesTo('node-1'), `noise of ${exchange.id}`);
    await until('the way back', async () => (await exchange.poll(1, THERE)).status === 410);
    const secret = exchange.id.slice(exchange.id.indexOf('.') + 1);
    const texts = [...home.records, ...other.records].map(
      ({ message, error }) => `${message} ${String(error)}`,
    );
    for (const text of [...texts, ...replies.map(({ body, headers }) => body + JSON.stringify(headers))])
      expect(text).not.toContain(secret);
  });
});
