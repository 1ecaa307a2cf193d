import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { BadRequestException, ConflictException, HttpException, NotFoundException } from '@nestjs/common';
import { MessageBody, WsException } from '@nestjs/websockets';
import {
  Authorize,
  Channel,
  OnPublish,
  OnRequest,
  OnSubscribe,
  PublicChannel,
  Snapshot,
} from '../../../lib/nest/index.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import type { WireClient } from '../../support/wire/client.js';
import { until } from '../../support/until.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

const SECRET = 'postgres://admin:hunter2@10.0.0.1';

const THROWN: Readonly<Record<string, () => unknown>> = {
  realtime: () =>
    new RealtimeError('room_full', { message: 'The room is full', data: { max: 20 }, retryAfterMs: 1_500 }),
  http: () => new ConflictException('taken'),
  messages: () => new BadRequestException(['title must be a string']),
  teapot: () => new HttpException('teapot', 418),
  server: () => new HttpException(SECRET, 500),
  ws: () => new WsException('not now'),
  wsObject: () => new WsException({ code: 'muted', message: 'quiet' }),
  error: () => new Error(SECRET),
  wsError: () => new WsException(Object.assign(new Error(SECRET), { code: 'ECONNREFUSED' })),
  wsHttp: () => new WsException(new HttpException(new Error(SECRET), 400)),
  aggregate: () => new BadRequestException(new AggregateError([new Error(SECRET)])),
  text: () => SECRET,
};

@PublicChannel()
@Channel('a')
class A {
  @OnRequest('throw')
  throwing(@MessageBody() what: string) {
    throw THROWN[what]?.();
  }
  @OnRequest('reject')
  async rejecting(@MessageBody() what: string) {
    throw THROWN[what]?.();
  }
  @OnRequest('big')
  big() {
    return { n: 10n };
  }
  @OnRequest('later')
  async later() {
    const own: { own?: unknown } = {};
    return (own.own = own);
  }
  @Authorize('publish')
  can() {
    return true;
  }
  @OnPublish('big')
  bigger() {
    return { n: 10n };
  }
  @OnPublish('said')
  said() {
    throw new NotFoundException('no such thing');
  }
  @OnSubscribe()
  joined() {
    throw new Error(SECRET);
  }
}

@Channel('rooms.:room')
class Rooms {
  @Authorize('subscribe')
  can() {
    throw new NotFoundException('no such room');
  }
}

@PublicChannel()
@Channel('snapshots')
class Snapshots {
  @Snapshot()
  state() {
    throw new Error(SECRET);
  }
}

@PublicChannel()
@Channel('unwritable')
class Unwritable {
  private asked = 0;
  @Snapshot()
  state() {
    return this.asked++ === 0 ? { n: 10n } : { n: '10' };
  }
}

describe.each(PLATFORMS)('errors on the wire, on %s', (_name, platform) => {
  let server: TestApp;
  let client: WireClient;

  beforeAll(async () => {
    server = await startApp(platform, { providers: [A, Rooms, Snapshots, Unwritable] });
    client = await server.connect('alice');
    await client.subscribe('a');
  });
  afterAll(() => server.close());

  const raised = (event: string, what: string) =>
    client.error({ type: 'request', channel: 'a', event, payload: what });

  it.each(['throw', 'reject'])(
    'an error that a handler raises by %s is answered with its code and the ref of the command (P7)',
    async (event) => {
      await expect(raised(event, 'realtime')).resolves.toEqual({
        code: 'refused',
        reason: 'room_full',
        message: 'The room is full',
        retryable: true,
        retryAfterMs: 1_500,
        data: { max: 20 },
        docs: 'nestjs-realtime/docs/errors.md#refused',
      });
      await expect(raised(event, 'http')).resolves.toMatchObject({
        code: 'refused',
        reason: 'conflict',
        message: 'taken',
        retryable: false,
      });
      await expect(raised(event, 'messages')).resolves.toMatchObject({
        code: 'validation_failed',
        details: [{ path: 'title', message: 'title must be a string' }],
      });
      await expect(raised(event, 'teapot')).resolves.toMatchObject({
        code: 'refused',
        message: 'teapot',
      });
      await expect(raised(event, 'ws')).resolves.toMatchObject({ code: 'refused', message: 'not now' });
      await expect(raised(event, 'wsObject')).resolves.toMatchObject({
        code: 'refused',
        reason: 'muted',
        message: 'quiet',
      });
    },
  );

  it.each(['wsError', 'wsHttp', 'aggregate'])(
    'an Error inside of a refusal (%s) stays on the server (G25)',
    async (what) => {
      const body = await raised('throw', what);
      expect(body).toMatchObject({ code: 'refused', retryable: false });
      expect(JSON.stringify(body)).not.toMatch(/hunter2|ECONNREFUSED/);
    },
  );

  it.each(['error', 'text', 'server'])(
    'an unexpected failure (%s) reaches the client as internal with an id, and the log once with that id (G25)',
    async (what) => {
      const before = server.logger.lines.length;
      const { code, message } = await raised('reject', what);
      expect(code).toBe('internal');
      const id = /^Internal error (\S+)$/.exec(message)?.[1];
      expect(id).toBeDefined();
      const lines = server.logger.lines.slice(before).filter(({ text }) => text.includes(String(id)));
      expect(lines).toHaveLength(1);
      expect(lines[0]?.level).toBe('error');
      expect(lines[0]?.text).toMatch(/Error \S+ in A\.rejecting on connection \S+/);
      expect(lines[0]?.text).toContain(
        what === 'text' ? 'Thrown: "postgres://***@10.0.0.1"' : 'errors.spec.ts',
      );
      expect(JSON.stringify(client.received)).not.toContain('hunter2');
    },
  );

  it.each([
    ['request', 'big', 'the handler of the request "big"', 'is a BigInt'],
    ['request', 'later', 'the handler of the request "later"', 'is an object that contains it'],
    ['publish', 'big', 'the publish handler of "big"', 'is a BigInt'],
  ])(
    'a %s handler (%s) that returns an unserializable value is named in the log, with reason and remedy (G25)',
    async (type, event, handler, reason) => {
      const { code, message } = await client.error({ type, channel: 'a', event, payload: 1 });
      expect(code).toBe('internal');
      const id = message.replace('Internal error ', '');
      const line = server.logger.at('error').find((text) => text.includes(id));
      expect(line).toContain(`What ${handler} returned is not serializable`);
      expect(line).toContain(reason);
      expect(line).toMatch(/Send it as a string|Leave out the reference back/);
    },
  );

  it('a snapshot that cannot be serialized is named in the log, and the channel can be subscribed once it can be (G25)', async () => {
    const { message } = await client.error({ type: 'subscribe', channel: 'unwritable', payload: {} });
    const id = message.replace('Internal error ', '');
    expect(server.logger.at('error').find((text) => text.includes(id))).toContain(
      'What the snapshot handler of Unwritable returned is not serializable',
    );
    await expect(client.subscribe('unwritable')).resolves.toMatchObject({ snapshot: { n: '10' } });
  });

  it('an error of an authorize, publish or snapshot handler answers its command', async () => {
    await expect(client.error({ type: 'subscribe', channel: 'rooms.1', payload: {} })).resolves.toMatchObject(
      {
        code: 'refused',
        reason: 'not_found',
        message: 'no such room',
      },
    );
    await expect(
      client.error({ type: 'publish', channel: 'a', event: 'said', payload: 1 }),
    ).resolves.toMatchObject({
      code: 'refused',
      reason: 'not_found',
      message: 'no such thing',
    });
    await expect(
      client.error({ type: 'subscribe', channel: 'snapshots', payload: {} }),
    ).resolves.toMatchObject({
      code: 'unavailable',
    });
  });

  it('an error of a lifecycle hook is logged once and changes nothing', async () => {
    const other = await server.connect('bob');
    const failures = () => server.logger.at('error').filter((line) => line.includes('A.joined')).length;
    const before = failures();
    await other.subscribe('a');
    await until('the log', () => failures() === before + 1);
    await expect(other.reply({ type: 'unsubscribe', channel: 'a' })).resolves.toEqual({});
    expect(server.logger.text).not.toContain('A life-cycle hook failed');
  });
});
