import type { INestApplication } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import { Test } from '@nestjs/testing';
import type { AddressInfo } from 'node:net';
import { RealtimeClient, RealtimeError } from 'nestjs-realtime/client';
import { msgpackCodec } from 'nestjs-realtime/client/msgpack';
import { WebSocket } from 'ws';
import { AppModule } from './../src/app.module';

const secret = process.env.JWT_SECRET;

describe('Rooms (e2e)', () => {
  let app: INestApplication;
  let url: string;
  const clients: RealtimeClient[] = [];

  beforeAll(async () => {
    const testing = await Test.createTestingModule({ imports: [AppModule] }).compile();
    app = testing.createNestApplication();
    await app.listen(0);
    const { port } = app.getHttpServer().address() as AddressInfo;
    url = `http://127.0.0.1:${port}/realtime`;
  });

  afterEach(() => Promise.all(clients.splice(0).map((client) => client.close())));
  afterAll(() => app.close());

  function connect(user: string, options: { codec?: typeof msgpackCodec } = {}): RealtimeClient {
    const token = () => new JwtService({ secret }).sign({ sub: user }, { expiresIn: '1h' });
    const client = new RealtimeClient(url, { token, webSocket: WebSocket, ...options });
    clients.push(client);
    return client;
  }

  it('hands a publish to all subscribers', async () => {
    const ada = connect('ada').channel('rooms.42');
    const bob = connect('bob', { codec: msgpackCodec }).channel('rooms.42');
    const received = new Promise((resolve) => bob.on('message.created', resolve));
    const [, joined] = await Promise.all([ada.subscribe(), bob.subscribe()]);
    expect(joined.snapshot).toEqual({ title: 'Room 42' });
    await ada.publish('message.created', { text: 'Hello' });
    expect(await received).toEqual({ text: 'Hello', author: 'ada' });
  });

  it('refuses a subscribe that is not authorized, and a publish that is not valid', async () => {
    const board = connect('bob').channel('rooms.board');
    await expect(board.subscribe()).rejects.toMatchObject({ code: 'forbidden' });
    await expect(board.subscribe()).rejects.toBeInstanceOf(RealtimeError);
    const room = connect('ada').channel('rooms.42');
    await room.subscribe();
    await expect(room.publish('message.created', { text: '' })).rejects.toMatchObject({ code: 'forbidden' });
  });
});
