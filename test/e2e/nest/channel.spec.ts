import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Injectable } from '@nestjs/common';
import { ConnectedSocket, MessageBody, SubscribeMessage } from '@nestjs/websockets';
import { of } from 'rxjs';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import {
  Authorize,
  Channel,
  ChannelParam,
  MessageId,
  OnPublish,
  OnRequest,
  OnSubscribe,
  OnUnsubscribe,
  RealtimeService,
  RealtimeUser,
  Snapshot,
  snapshotAt,
} from '../../../lib/nest/index.js';
import { until } from '../../support/until.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

interface User {
  id: string;
}

@Injectable()
class Rooms {
  readonly moments: string[] = [];
  isMember(user: string, room: string): boolean {
    return room !== 'secret' || user === 'root';
  }
}

@Channel('rooms.:room', { signals: ['typing'], presence: true, history: { size: 10 } })
class RoomsChannel {
  constructor(private readonly rooms: Rooms) {}

  @Authorize('subscribe')
  canRead(@RealtimeUser() user: User, @ChannelParam('room') room: string) {
    return this.rooms.isMember(user.id, room);
  }

  @Authorize('publish', 'signal')
  canWrite(@RealtimeUser('id') user: string) {
    return user !== 'reader';
  }

  @OnPublish('message.created')
  async stamp(
    @MessageBody() message: { text: string },
    @RealtimeUser('id') author: string,
    @MessageId() id: string,
  ) {
    return { ...message, author, id };
  }

  @OnPublish('as.it.came')
  leave() {}

  @OnRequest('echo')
  echo(@MessageBody('text') text: string, @ChannelParam('room') room: string, @ChannelParam() all: object) {
    return { text, room, all };
  }

  @OnRequest('last')
  last() {
    return of(1, 2, 3);
  }

  @SubscribeMessage('nest')
  nest(@ConnectedSocket() client: RealtimeConnection, @MessageBody() body: unknown) {
    return { id: client.id, user: client.user, body };
  }

  @SubscribeMessage('bare')
  bare(connection: RealtimeConnection, payload: unknown) {
    return { ip: connection.ip, payload };
  }

  @OnRequest('whoami', { scope: 'connection', authorize: 'authenticated' })
  whoami(@RealtimeUser('id') user: string) {
    return { user };
  }

  @Snapshot()
  state(@ChannelParam('room') room: string) {
    return { room };
  }

  @OnSubscribe()
  joined(@RealtimeUser('id') user: string, @ChannelParam('room') room: string) {
    this.rooms.moments.push(`+${user}@${room}`);
  }

  @OnUnsubscribe()
  left(@RealtimeUser('id') user: string, @ChannelParam('room') room: string) {
    this.rooms.moments.push(`-${user}@${room}`);
  }
}

@Channel('positioned')
class PositionedChannel {
  constructor(private readonly realtime: RealtimeService) {}

  @Authorize('subscribe')
  everybody() {
    return { for: '5m' };
  }

  @Snapshot()
  async state() {
    const { position } = await this.realtime.channel('positioned').history();
    return snapshotAt({ ...position, seq: position.seq - 1 }, { upTo: position.seq - 1 });
  }
}

describe.each(PLATFORMS)('a channel class on %s', (_name, platform) => {
  let server: TestApp;

  beforeAll(async () => {
    server = await startApp(platform, { providers: [Rooms, RoomsChannel, PositionedChannel] });
  });
  afterAll(() => server.close());

  it('calls @Authorize at each subscribe (G10)', async () => {
    const client = await server.connect('alice');
    await expect(client.subscribe('rooms.42')).resolves.toMatchObject({
      recovery: 'new',
      snapshot: { room: '42' },
    });
    await expect(
      client.error({ type: 'subscribe', channel: 'rooms.secret', payload: {} }),
    ).resolves.toMatchObject({
      code: 'forbidden',
    });
  });

  it('answers unknown_channel for a name that no pattern matches (G9)', async () => {
    const client = await server.connect('alice');
    await expect(client.error({ type: 'subscribe', channel: 'nowhere', payload: {} })).resolves.toMatchObject(
      {
        code: 'unknown_channel',
      },
    );
  });

  it('appends what @OnPublish returns, or the payload unchanged when it returns nothing (P15)', async () => {
    const client = await server.connect('alice');
    await client.subscribe('rooms.publish');
    const sent = {
      type: 'publish',
      channel: 'rooms.publish',
      event: 'message.created',
      payload: { text: 'hi' },
    };
    await expect(client.reply({ ...sent, id: 'm1' })).resolves.toMatchObject({ duplicate: false });
    expect((await client.take({ type: 'event', id: 'm1' })).payload).toEqual({
      text: 'hi',
      author: 'alice',
      id: 'm1',
    });
    await expect(client.reply({ ...sent, id: 'm1' })).resolves.toMatchObject({ duplicate: true });
    await client.reply({ ...sent, id: 'm2', event: 'as.it.came' });
    expect((await client.take({ type: 'event', id: 'm2' })).payload).toEqual({ text: 'hi' });
  });

  it('refuses an event name that is not declared, and a user who may not write (G9, G10)', async () => {
    const client = await server.connect('reader');
    await client.subscribe('rooms.1');
    const command = { type: 'publish', channel: 'rooms.1', payload: { text: 'x' } };
    await expect(client.error({ ...command, event: 'other' })).resolves.toMatchObject({ code: 'forbidden' });
    await expect(client.error({ ...command, event: 'message.created' })).resolves.toMatchObject({
      code: 'forbidden',
    });
    await expect(
      client.error({ type: 'signal', channel: 'rooms.1', event: 'typing' }),
    ).resolves.toMatchObject({
      code: 'forbidden',
    });
  });

  it('delivers declared signals to the subscribers', async () => {
    const [alice, bob] = [await server.connect('alice'), await server.connect('bob')];
    await alice.subscribe('rooms.sig', { presence: false });
    await bob.subscribe('rooms.sig', { presence: false });
    await alice.reply({ type: 'signal', channel: 'rooms.sig', event: 'typing', payload: { at: 1 } });
    expect(await bob.take({ type: 'signal' })).toMatchObject({
      event: 'typing',
      user: 'alice',
      payload: { at: 1 },
    });
  });

  it('answers a request with what the handler returns, for an Observable with its last value (P7)', async () => {
    const client = await server.connect('alice');
    await client.subscribe('rooms.rpc');
    const request = (event: string, payload: unknown) =>
      client.call({ type: 'request', channel: 'rooms.rpc', event, payload });
    expect((await request('echo', { text: 'a' })).payload).toEqual({
      text: 'a',
      room: 'rpc',
      all: { room: 'rpc' },
    });
    expect((await request('last', {})).payload).toBe(3);
    expect((await request('nest', { x: 1 })).payload).toMatchObject({
      user: { id: 'alice' },
      body: { x: 1 },
    });
    expect((await request('bare', [1])).payload).toMatchObject({ ip: '127.0.0.1', payload: [1] });
  });

  it('accepts a channel request only with a live subscription, and a connection request by its own authorization (G10)', async () => {
    const client = await server.connect('alice');
    await expect(client.error({ type: 'request', channel: 'rooms.1', event: 'last' })).resolves.toMatchObject(
      {
        code: 'not_subscribed',
      },
    );
    await expect(client.reply({ type: 'request', event: 'whoami' })).resolves.toEqual({ user: 'alice' });
    await expect(client.error({ type: 'request', event: 'last' })).resolves.toMatchObject({
      code: 'bad_request',
    });
  });

  it('runs @OnSubscribe and @OnUnsubscribe once each', async () => {
    const { moments } = server.app.get(Rooms);
    const client = await server.connect('mover');
    await client.subscribe('rooms.life');
    await until('the subscribe hook', () => moments.includes('+mover@life'));
    client.terminate();
    await until('the unsubscribe hook', () => moments.includes('-mover@life'));
    expect(moments.filter((moment) => moment.includes('mover'))).toEqual(['+mover@life', '-mover@life']);
  });

  it('publishes from anywhere in the application through RealtimeService (G1)', async () => {
    const realtime = server.app.get(RealtimeService);
    const client = await server.connect('alice');
    await client.subscribe('rooms.svc', { presence: {} });
    const result = await realtime
      .channel('rooms.svc')
      .publish('told', { n: 1 }, { id: 'x', user: 'system', ttl: '1m' });
    expect(await client.take({ type: 'event' })).toMatchObject({
      id: 'x',
      seq: result.seq,
      user: 'system',
      payload: { n: 1 },
    });
    await expect(realtime.channel('rooms.svc').history()).resolves.toMatchObject({ events: [{ id: 'x' }] });
    await expect(realtime.channel('rooms.svc').members()).resolves.toMatchObject({
      members: [{ id: 'alice' }],
    });
    await expect(realtime.channel('elsewhere').publish('x', 1)).rejects.toMatchObject({
      code: 'unknown_channel',
    });
    await realtime.channel('rooms.svc').signal('nudge', { soft: true }, 'system');
    expect(await client.take({ type: 'signal' })).toMatchObject({ event: 'nudge', user: 'system' });
  });

  it('reaches one user through the own channel, sessions, revoke, disconnect and ban (G11)', async () => {
    const user = server.app.get(RealtimeService).user('carol');
    const client = await server.connect('carol');
    await client.subscribe('$user.carol');
    await user.publish('notice', { n: 1 });
    expect(await client.take({ type: 'event' })).toMatchObject({ event: 'notice' });
    expect((await user.sessions()).sessions).toMatchObject([{ user: 'carol', channels: 1 }]);
    await client.subscribe('rooms.1');
    await expect(user.revoke('rooms.1', { reason: 'gone' })).resolves.toMatchObject({ missing: [] });
    await client.take({ type: 'unsubscribed', channel: 'rooms.1' });
    await user.disconnect({ reason: 'bye' });
    await client.expectClose(4811);
    await user.ban({ for: '1h', reason: 'spam', by: 'root' });
    const banned = await server.open();
    banned.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'carol' } });
    await banned.expectClose(4803);
    await user.unban({ by: 'root' });
    await expect(server.connect('carol')).resolves.toBeDefined();
  });

  it('replays from the position that a snapshot states (P26)', async () => {
    const channel = server.app.get(RealtimeService).channel('positioned');
    for (const n of [1, 2, 3]) await channel.publish('counted', n);
    const client = await server.connect('alice');
    await expect(client.subscribe('positioned')).resolves.toMatchObject({
      snapshot: { upTo: 2 },
      position: { seq: 2 },
    });
    expect(await client.take({ type: 'event' })).toMatchObject({ seq: 3, payload: 3 });
  });

  it('logs each mapped channel and its settings once at boot, without secrets (G23)', () => {
    expect(
      server.logger.at('log').filter((line) => line.includes('Mapped {rooms.:room} RoomsChannel')),
    ).toHaveLength(1);
    expect(server.logger.text).toContain(
      'Realtime on /realtime, plain streams on /realtime/sse, sessions over HTTP on /realtime/sse, /poll and /send, auth custom, broker memory, durability process',
    );
  });
});
