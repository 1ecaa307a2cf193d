import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { INestApplication } from '@nestjs/common';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createChatApp } from '../../../sample/chat/chat.app.js';
import { chatConfig } from '../../../sample/chat/chat.config.js';
import { KafkaProcess } from '../../support/kafka/process.js';
import { NatsProcess } from '../../support/nats/process.js';
import { patience } from '../../support/patience.js';
import { RedisProcess } from '../../support/redis/process.js';
import { WireClient } from '../../support/wire/client.js';

const SECRETS = { JWT_SECRET: 'j'.repeat(32), TICKET_SECRET: 't'.repeat(32) };

/** A server, and what the environment of the chat says of it. */
interface Place {
  readonly env: Readonly<Record<string, string>>;
  /** How many processes can share it. */
  readonly processes: 1 | 2;
  dispose(): Promise<void>;
}

const PLACES: readonly (readonly [name: string, start: () => Promise<Place>])[] = [
  ['memory', async () => ({ env: { BROKER: 'memory' }, processes: 1, dispose: async () => undefined })],
  [
    'redis',
    async () => {
      const server = await RedisProcess.start();
      const env = { BROKER: 'redis', REDIS_URL: server.url };
      return { env, processes: 2, dispose: () => server.dispose() };
    },
  ],
  [
    'kafka',
    async () => {
      const server = await KafkaProcess.start();
      const env = { BROKER: 'kafka', KAFKA_BROKERS: server.address };
      return { env, processes: 2, dispose: () => server.dispose() };
    },
  ],
  [
    'nats',
    async () => {
      const server = await NatsProcess.start();
      const env = { BROKER: 'nats', NATS_SERVERS: server.address };
      return { env, processes: 2, dispose: () => server.dispose() };
    },
  ],
];

describe.each(PLACES)('the sample chat with BROKER=%s', (_name, start) => {
  let place: Place;
  let apps: INestApplication[] = [];
  let wires: WireClient[] = [];
  let titles = 0;

  beforeAll(async () => {
    place = await start();
    apps = await Promise.all(Array.from({ length: place.processes }, startChat));
  }, patience(120_000));

  afterEach(() => {
    for (const wire of wires) wire.terminate();
    wires = [];
  });

  afterAll(async () => {
    await Promise.all(apps.map((app) => app.close()));
    await place?.dispose();
  });

  async function startChat(): Promise<INestApplication> {
    const config = chatConfig({ ...SECRETS, ...place.env });
    const app = await createChatApp({ config }, { logger: false, abortOnError: false });
    await app.listen(0, '127.0.0.1');
    return app;
  }

  /** Logs in at one of the processes; where there is only one, at that. */
  async function connect(name: string, process: 0 | 1): Promise<WireClient> {
    const app = apps[process] ?? apps[0];
    const { port } = (app?.getHttpServer() as Server).address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name }),
    });
    const { token } = (await answer.json()) as { token: string };
    const wire = await WireClient.open(`ws://127.0.0.1:${port}/realtime`, { name });
    wires.push(wire);
    await wire.hello(token);
    return wire;
  }

  const create = (wire: WireClient, title: string) =>
    wire.reply({ type: 'request', channel: 'lobby', event: 'create', payload: { title } });

  const say = (wire: WireClient, channel: string, text: string) =>
    wire.reply({ type: 'publish', channel, event: 'message.created', payload: { text } });

  it('carries a message from one process to the other, in a room that either of them may have opened (G2)', async () => {
    const [ada, grace] = await Promise.all([connect('Ada', 0), connect('Grace', 1)]);
    await Promise.all([ada.subscribe('lobby'), grace.subscribe('lobby')]);
    const { id } = await create(ada, `Shared ${++titles}`);
    await grace.take({ type: 'event', event: 'room.created' });
    const room = `rooms.${String(id)}`;
    expect((await grace.subscribe(room))['snapshot']).toMatchObject({ id, owner: 'ada' });
    await ada.subscribe(room);
    await say(ada, room, 'from Ada');
    await say(grace, room, 'from Grace');
    for (const wire of [ada, grace]) {
      const heard = [
        await wire.take({ type: 'event', channel: room }),
        await wire.take({ type: 'event', channel: room }),
      ];
      expect(heard.map(({ seq, user, payload }) => [seq, user, payload['text']])).toEqual([
        [1, 'ada', 'from Ada'],
        [2, 'grace', 'from Grace'],
      ]);
    }
  });

  it('lists the rooms of both processes, the lounge first and once, and assigns no id twice', async () => {
    const [ada, grace] = await Promise.all([connect('Ada', 0), connect('Grace', 1)]);
    await Promise.all([ada.subscribe('lobby'), grace.subscribe('lobby')]);
    const title = `Twins ${++titles}`;
    const made = await Promise.all([create(ada, title), create(grace, title), create(ada, title)]);
    const slug = `twins-${titles}`;
    expect(made.map(({ id }) => id).sort()).toEqual([slug, `${slug}-2`, `${slug}-3`]);
    for (const process of [0, 1] as const) {
      const { snapshot } = await (await connect('Linus', process)).subscribe('lobby');
      const { rooms } = snapshot as { rooms: { id: string }[] };
      expect(rooms[0]).toEqual({ id: 'lounge', title: 'Lounge' });
      expect(rooms.filter(({ id }) => id === 'lounge')).toHaveLength(1);
      expect(rooms).toEqual(expect.arrayContaining(made));
    }
  });

  it('keeps out who was removed, at both processes (G11)', async () => {
    const [ada, grace] = await Promise.all([connect('Ada', 0), connect('Grace', 1)]);
    await ada.subscribe('lobby');
    const { id } = await create(ada, `Private ${++titles}`);
    const room = `rooms.${String(id)}`;
    await Promise.all([ada.subscribe(room), grace.subscribe(room)]);
    await ada.reply({ type: 'request', channel: room, event: 'kick', payload: { user: 'grace' } });
    expect((await grace.take({ type: 'unsubscribed', channel: room })).payload).toMatchObject({
      code: 'banned',
    });
    for (const process of [0, 1] as const) {
      const again = await connect('Grace', process);
      const refused = await again.error({ type: 'subscribe', channel: room, payload: {} });
      expect(refused.code).toBe('banned');
    }
  });

  it('shows a user nothing of the channel in which an application keeps its rooms', async () => {
    const wire = await connect('Ada', 0);
    expect(await wire.error({ type: 'subscribe', channel: 'directory', payload: {} })).toMatchObject({
      code: 'forbidden',
    });
    expect(await wire.error({ type: 'history', channel: 'directory', payload: {} })).toMatchObject({
      code: 'not_subscribed',
    });
  });
});
