import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createChatApp } from '../../../sample/chat/chat.app.js';
import {
  chatConfig,
  ChatConfigError,
  listenConfig,
  type Platform,
} from '../../../sample/chat/chat.config.js';
import { RedisProcess } from '../../support/redis/process.js';
import { until } from '../../support/until.js';
import { WireClient, type WireEnvelope } from '../../support/wire/client.js';

const PASSWORD = 'correct horse';
/** What every process of the chat is given. */
const SECRETS = { JWT_SECRET: 'j'.repeat(32), TICKET_SECRET: 't'.repeat(32) };
const EACH = 20;

/** One application, as a process of its own would be: nothing is shared with the other but Redis. */
interface Chat {
  readonly app: INestApplication;
  readonly port: number;
}

let redis: RedisProcess;
let here: Chat;
let there: Chat;
let wires: WireClient[] = [];
let titles = 0;

beforeAll(async () => {
  redis = await RedisProcess.start();
  [here, there] = await Promise.all([startChat('express'), startChat('fastify')]);
});

afterEach(() => {
  for (const wire of wires) wire.terminate();
  wires = [];
});

afterAll(async () => {
  await Promise.all([here?.app.close(), there?.app.close()]);
  await redis?.dispose();
});

async function startChat(platform: Platform): Promise<Chat> {
  const config = chatConfig({ ...SECRETS, REDIS_URL: redis.url, MODERATOR_PASSWORD: PASSWORD });
  const app = await createChatApp({ platform, config }, { logger: false, abortOnError: false });
  await app.listen(0, '127.0.0.1');
  return { app, port: ((app.getHttpServer() as Server).address() as AddressInfo).port };
}

async function tokenOf(name: string, { port }: Chat, password?: string): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name, password }),
  });
  return ((await response.json()) as { token: string }).token;
}

async function connect(name: string, chat: Chat, token?: string, payload = {}): Promise<WireClient> {
  const wire = await WireClient.open(`ws://127.0.0.1:${chat.port}/realtime`, { name });
  wires.push(wire);
  await wire.hello(token ?? (await tokenOf(name, chat)), payload);
  return wire;
}

async function create(owner: WireClient, title = `Shared ${++titles}`): Promise<string> {
  await owner.subscribe('lobby');
  const { id } = await owner.reply({
    type: 'request',
    channel: 'lobby',
    event: 'create',
    payload: { title },
  });
  return `rooms.${String(id)}`;
}

/** Ada here with a room of her own, and Grace there. */
async function adaAndGrace() {
  const [ada, grace] = await Promise.all([connect('Ada', here), connect('Grace', there)]);
  return { ada, grace, room: await create(ada) };
}

const saying = (channel: string, text: string) => ({
  type: 'publish',
  channel,
  event: 'message.created',
  payload: { text },
});

const asking = (channel: string, event: string, payload: object) => ({
  type: 'request',
  channel,
  event,
  payload,
});

/** What a client was given of a channel's log. */
function given(wire: WireClient, channel: string): { seq: number | undefined; text: unknown }[] {
  return wire.received
    .filter((envelope) => envelope.type === 'event' && envelope.channel === channel)
    .map(({ seq, payload }) => ({ seq, text: payload['text'] }));
}

const texts = (events: unknown) => (events as WireEnvelope[]).map(({ payload }) => payload['text']);

describe('the sample chat as two processes over one Redis', () => {
  it('delivers what is written at either process to both, once and in the same order (G2, G3)', async () => {
    const { ada, grace, room } = await adaAndGrace();
    await Promise.all([ada.subscribe(room), grace.subscribe(room)]);
    const own = (name: string) => Array.from({ length: EACH }, (_, n) => `${name} ${n}`);
    const [hers, others] = [own('ada'), own('grace')];
    // Half of them in one frame, half one after the other: at both processes at once.
    ada.sendAll(hers.map((text, n) => ({ ...saying(room, text), id: `a${n}` })));
    for (const text of others) await grace.reply(saying(room, text));
    for (const wire of [ada, grace]) {
      await until('all messages', () => given(wire, room).length >= 2 * EACH);
    }
    const log = given(ada, room);
    expect(log.map(({ seq }) => seq)).toEqual(Array.from({ length: 2 * EACH }, (_, n) => n + 1));
    expect(log.map(({ text }) => text).filter((text) => hers.includes(text as string))).toEqual(hers);
    expect(log.map(({ text }) => text).filter((text) => others.includes(text as string))).toEqual(others);
    expect(given(grace, room)).toEqual(log);
    // Asked last, so that whatever had come twice would be here by now.
    for (const wire of [ada, grace]) {
      const { events } = await wire.reply({ type: 'history', channel: room, payload: {} });
      expect(texts(events)).toEqual(log.map(({ text }) => text));
      expect(given(wire, room)).toEqual(log);
    }
  });

  it('appends a message that is sent again to the other process once (G4)', async () => {
    const { ada, room } = await adaAndGrace();
    const again = await connect('Ada', there);
    const message = { ...saying(room, 'once'), id: 'the-same' };
    const first = await ada.reply(message);
    expect(first).toMatchObject({ seq: 1, duplicate: false });
    expect(await again.reply(message)).toEqual({ ...first, duplicate: true });
  });

  it('resumes a client that was cut off at the other process, with the same token and ticket (P13, P28)', async () => {
    const { ada, room } = await adaAndGrace();
    const token = await tokenOf('Linus', there);
    const linus = await connect('Linus', there, token);
    const { position } = await linus.subscribe(room);
    linus.terminate();
    for (const text of ['one', 'two', 'three']) await ada.reply(saying(room, text));
    const back = await connect('Linus', here, token, { session: linus.welcome?.session });
    expect(await back.subscribe(room, { position })).toMatchObject({ recovery: 'complete' });
    await back.take({ type: 'resumed', channel: room });
    expect(given(back, room).map(({ text }) => text)).toEqual(['one', 'two', 'three']);
  });

  it('counts a user connected to both processes as one member, and announces each user to the other process (G19)', async () => {
    const { ada, grace, room } = await adaAndGrace();
    await ada.subscribe(room);
    expect((await grace.subscribe(room))['presence']).toMatchObject({ count: 2 });
    const joined = await ada.take({ type: 'presence', channel: room });
    expect(joined.payload).toMatchObject({ join: [{ id: 'grace', devices: 1 }] });
    const phone = await connect('Ada', there);
    await phone.subscribe(room);
    const seen = await grace.take({ type: 'presence', channel: room });
    expect(seen.payload).toMatchObject({ join: [], leave: [], update: [{ id: 'ada', devices: 2 }] });
    phone.send({ type: 'bye', id: 'bye' });
    const left = await grace.take({ type: 'presence', channel: room });
    expect(left.payload).toMatchObject({ join: [], leave: [], update: [{ id: 'ada', devices: 1 }] });
    grace.send({ type: 'bye', id: 'bye' });
    await until('Ada to be alone', async () => {
      const { members } = await ada.reply({ type: 'presence', channel: room, payload: {} });
      return (members as { id: string }[]).every(({ id }) => id === 'ada');
    });
  });

  it('removes a user from a room at the other process, and refuses the user at both (G11)', async () => {
    const { ada, grace, room } = await adaAndGrace();
    await ada.subscribe(room, { presence: false });
    await grace.subscribe('$user.grace');
    await grace.subscribe(room);
    await ada.reply(asking(room, 'kick', { user: 'grace' }));
    const ended = await grace.take({ type: 'unsubscribed', channel: room });
    expect(ended.payload).toMatchObject({ code: 'banned' });
    const notice = await grace.take({ type: 'event', channel: '$user.grace' });
    expect(notice.payload).toMatchObject({ by: 'ada', room: room.slice('rooms.'.length) });
    await ada.reply(saying(room, 'Peace'));
    const elsewhere = await connect('Grace', here);
    for (const wire of [grace, elsewhere]) {
      const refused = await wire.error({ type: 'subscribe', channel: room, payload: {} });
      expect([refused.code, Math.ceil(Number(refused.retryAfterMs) / 60_000)]).toEqual(['banned', 5]);
      expect(await wire.error(saying(room, 'I am still here'))).toMatchObject({ code: 'banned' });
    }
    expect(given(grace, room).filter(({ text }) => text !== undefined)).toEqual([]);
    const { events } = await ada.reply({ type: 'history', channel: room, payload: {} });
    expect(texts(events)).toEqual([undefined, 'Peace']);
  });

  it('mutes at one process and refuses at the other, and lets only the owner do it (G10)', async () => {
    const { ada, grace, room } = await adaAndGrace();
    await Promise.all([ada.subscribe(room), grace.subscribe(room)]);
    expect(await grace.error(asking(room, 'mute', { user: 'ada', muted: true }))).toMatchObject({
      code: 'forbidden',
    });
    await ada.reply(asking(room, 'mute', { user: 'grace', muted: true }));
    expect(await grace.error(saying(room, 'but'))).toMatchObject({ code: 'muted' });
    const newcomer = await connect('Linus', there);
    expect((await newcomer.subscribe(room))['snapshot']).toMatchObject({
      owner: 'ada',
      muted: [{ user: 'grace' }],
    });
    await ada.reply(asking(room, 'mute', { user: 'grace', muted: false }));
    expect(await grace.reply(saying(room, 'thanks'))).toMatchObject({ duplicate: false });
  });

  it('lists the rooms of both processes, and assigns no id twice', async () => {
    const [ada, grace] = await Promise.all([connect('Ada', here), connect('Grace', there)]);
    await Promise.all([ada.subscribe('lobby'), grace.subscribe('lobby')]);
    const title = `Twins ${++titles}`;
    const made = await Promise.all(
      [ada, grace].map((wire) => wire.reply(asking('lobby', 'create', { title }))),
    );
    expect(made.map(({ id }) => id).sort()).toEqual([`twins-${titles}`, `twins-${titles}-2`]);
    for (const wire of [ada, grace]) {
      const told = [await wire.take({ event: 'room.created' }), await wire.take({ event: 'room.created' })];
      expect(told.map(({ payload }) => payload)).toEqual(expect.arrayContaining(made));
    }
    const rooms = await Promise.all(
      [here, there].map(
        async (chat) => (await (await connect('Linus', chat)).subscribe('lobby'))['snapshot'],
      ),
    );
    expect(rooms[0]).toEqual(rooms[1]);
    expect(rooms[0]).toMatchObject({ rooms: expect.arrayContaining(made) });
    const [first] = (rooms[0] as { rooms: unknown[] }).rooms;
    expect(first).toEqual({ id: 'lounge', title: 'Lounge' });
  });

  it('keeps rooms, owners, mutes, the audit and messages after the process that created them ends', async () => {
    const short = await startChat('express');
    let room: string;
    try {
      const owner = await connect('Ada', short);
      room = await create(owner);
      await owner.subscribe(room);
      await owner.reply(asking(room, 'mute', { user: 'grace', muted: true }));
      await owner.reply(saying(room, 'I was here'));
    } finally {
      await short.app.close();
    }
    const ada = await connect('Ada', there);
    expect((await ada.subscribe(room))['snapshot']).toMatchObject({
      owner: 'ada',
      muted: [{ user: 'grace' }],
    });
    const { events } = await ada.reply({ type: 'history', channel: room, payload: {} });
    expect(texts(events)).toEqual([undefined, 'I was here']);
    const token = await tokenOf('Moderator', here, PASSWORD);
    const asked = await fetch(`http://127.0.0.1:${here.port}/realtime-admin/audit?channel=${room}`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(await asked.json()).toMatchObject({
      entries: [{ act: 'mute', by: 'ada', whom: { of: 'user', id: 'grace' }, result: 'applied' }],
    });
  });

  it('refuses as unavailable while Redis is unreachable, and recovers afterwards (G21)', async () => {
    const { ada, grace, room } = await adaAndGrace();
    await Promise.all([ada.subscribe(room), grace.subscribe(room)]);
    await ada.reply(saying(room, 'before'));
    await grace.take({ type: 'event', channel: room });
    await redis.kill();
    // The handler asks the rooms in Redis first, and what it throws is the application's refusal (P6g).
    expect(await ada.error(saying(room, 'lost?'))).toMatchObject({
      code: 'refused',
      reason: 'rooms_unavailable',
      retryable: true,
    });
    await redis.launch();
    await until('the chat to be there again', async () => {
      const answer = await ada.call({ ...saying(room, 'after'), id: 'after' });
      return answer.type === 'reply';
    });
    expect(await grace.take({ type: 'event', channel: room })).toMatchObject({ payload: { text: 'after' } });
    expect(ada.ended ?? grace.ended).toBeUndefined();
  });
});

describe('the configuration of the sample chat', () => {
  const url = 'redis://127.0.0.1:1';

  it.each(['JWT_SECRET', 'TICKET_SECRET'])('refuses %s, which several processes would not share', (name) => {
    for (const value of [undefined, '', 'too short']) {
      const read = () => chatConfig({ ...SECRETS, REDIS_URL: url, [name]: value });
      expect(read).toThrow(ChatConfigError);
      expect(read).toThrow(`With REDIS_URL, ${name} must be set to at least 32 characters`);
    }
  });

  it.each([
    [{ REDIS_URL: url }, { kind: 'redis', url }],
    [{ BROKER: 'memory', REDIS_URL: url }, { kind: 'memory' }],
    [
      { BROKER: 'redis', REDIS_URL: url, NATS_SERVERS: 'n:1' },
      { kind: 'redis', url },
    ],
    [
      { BROKER: 'kafka', KAFKA_BROKERS: 'k1:1, k2:2,' },
      { kind: 'kafka', brokers: ['k1:1', 'k2:2'], replicas: 1 },
    ],
    [
      { BROKER: 'nats', NATS_SERVERS: 'n:1', REPLICAS: '3' },
      { kind: 'nats', servers: ['n:1'], replicas: 3 },
    ],
  ])('takes the broker of %j', (env, broker) => {
    expect(chatConfig({ ...SECRETS, ...env }).broker).toEqual(broker);
  });

  it.each([
    [{ BROKER: 'rabbit' }, 'BROKER is "rabbit". Give memory, redis, kafka or nats.'],
    [
      { BROKER: 'redis' },
      'BROKER is redis, which needs REDIS_URL, e.g. REDIS_URL=redis://127.0.0.1:6379 npm start',
    ],
    [
      { BROKER: 'kafka', REDIS_URL: url, KAFKA_BROKERS: ' , ' },
      'BROKER is kafka, which needs KAFKA_BROKERS, e.g. KAFKA_BROKERS=127.0.0.1:9092 npm start',
    ],
    [
      { BROKER: 'nats', REDIS_URL: url },
      'BROKER is nats, which needs NATS_SERVERS, e.g. NATS_SERVERS=127.0.0.1:4222 npm start',
    ],
    [{ BROKER: 'nats', NATS_SERVERS: 'n:1', REPLICAS: '2' }, 'REPLICAS is "2". Give 1, 3 or 5.'],
    [{ BROKER: 'kafka', KAFKA_BROKERS: 'k:1', REPLICAS: 'three' }, 'REPLICAS is "three". Give 1, 3 or 5.'],
    [
      { BROKER: 'kafka', KAFKA_BROKERS: 'k:1', JWT_SECRET: '' },
      'With KAFKA_BROKERS, JWT_SECRET must be set to at least 32 characters, the same for every process: a token of one process must be valid in the others.',
    ],
  ])('says in one sentence what is wrong with %j', (env, message) => {
    expect(() => chatConfig({ ...SECRETS, ...env })).toThrow(new ChatConfigError(message));
  });

  it('listens on port 3000 of the local machine by default, and names settings that it cannot use', () => {
    expect(listenConfig({})).toEqual({ port: 3000, host: '127.0.0.1', platform: 'express' });
    expect(listenConfig({ PORT: '0', HOST: '0.0.0.0', PLATFORM: 'fastify' })).toEqual({
      port: 0,
      host: '0.0.0.0',
      platform: 'fastify',
    });
    for (const PORT of ['abc', '99999', '-1', '1.5']) {
      expect(() => listenConfig({ PORT })).toThrow(
        new ChatConfigError(`PORT is "${PORT}". Give a number up to 65535, e.g. PORT=3001 npm start`),
      );
    }
    expect(() => listenConfig({ PLATFORM: 'koa' })).toThrow(
      new ChatConfigError('PLATFORM is "koa". Give express or fastify.'),
    );
  });

  it('takes a password of the moderator that is long enough, and has none by default', () => {
    expect(chatConfig({}).moderatorPassword).toBeUndefined();
    expect(chatConfig({ MODERATOR_PASSWORD: 'x'.repeat(12) }).moderatorPassword).toBe('x'.repeat(12));
    expect(() => chatConfig({ MODERATOR_PASSWORD: 'x'.repeat(11) })).toThrow(
      new ChatConfigError('MODERATOR_PASSWORD must have at least 12 characters.'),
    );
  });

  it('generates its own secrets for a single process', () => {
    const [one, two] = [chatConfig({}), chatConfig({ REDIS_URL: '' })];
    expect(one.jwtSecret).toHaveLength(64);
    expect(two.jwtSecret).not.toBe(one.jwtSecret);
    expect([one.broker, two.broker]).toEqual([{ kind: 'memory' }, { kind: 'memory' }]);
    expect(chatConfig({ JWT_SECRET: 'mine' }).jwtSecret).toBe('mine');
  });

  it('does not start without its Redis, and keeps the password out of the message', async () => {
    const config = chatConfig({ ...SECRETS, REDIS_URL: 'redis://:hidden@127.0.0.1:1' });
    const error: unknown = await createChatApp({ config }, { logger: false, abortOnError: false }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ message: 'The chat cannot reach the Redis of REDIS_URL' });
    expect(String((error as Error).cause)).not.toContain('hidden');
  });
});
