import { afterEach, describe, expect, it } from '@jest/globals';
import {
  createParamDecorator,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import * as common from '@nestjs/common';
import { APP_PIPE } from '@nestjs/core';
import { MessageBody, SubscribeMessage } from '@nestjs/websockets';
import { IsString, MaxLength } from 'class-validator';
import { map, of } from 'rxjs';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import {
  Authorize,
  Channel,
  ChannelParam,
  DedupeInterceptor,
  EnvelopeInterceptor,
  OnPublish,
  OnRequest,
  PublicChannel,
  SequenceInterceptor,
  Snapshot,
} from '../../../lib/nest/index.js';
import { PLATFORMS, startApp, type AppOptions, type Platform, type TestApp } from './support/nest-app.js';
import { interceptor, Trace } from './support/trace.js';

const MethodInterceptor = interceptor('i-method');

/** Of Nest 12. */
const { StandardSchemaValidationPipe } = common as unknown as { StandardSchemaValidationPipe?: unknown };
/** A Standard Schema that wants a text. */
const schema = {
  '~standard': {
    version: 1,
    vendor: 'test',
    validate: (value: { text: unknown }) =>
      typeof value.text === 'string'
        ? { value }
        : {
            issues: [
              { message: 'Expected a string', path: ['text'] },
              { message: 'Required: a name', path: ['tags', { key: 0 }, 'name'] },
              { message: 'Not in this form' },
            ],
          },
  },
};

class NewMessage {
  @IsString()
  @MaxLength(5)
  text!: string;
}

const Upper: PipeTransform = {
  transform: (value: unknown) => (typeof value === 'string' ? value.toUpperCase() : value),
};
const Pattern = createParamDecorator((_data: unknown, context: ExecutionContext) =>
  context.switchToWs().getPattern(),
);

describe.each(PLATFORMS)('pipes and interceptors on %s', (_name, platform: Platform) => {
  let server: TestApp | undefined;
  const start = async (options: AppOptions) => (server = await startApp(platform, options));

  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  // Nest 11 has no such pipe.
  const ofSchemas = StandardSchemaValidationPipe === undefined ? it.skip : it;
  ofSchemas.each(['globally', 'on the parameter'])(
    'issues of a Standard Schema that Nest’s pipe finds %s keep their paths (P6b)',
    async (where) => {
      const pipe = new (StandardSchemaValidationPipe as typeof ValidationPipe)();
      @PublicChannel()
      @Channel('schemas')
      class Schemas {
        @OnRequest('check')
        check(@MessageBody({ schema, pipes: where === 'globally' ? [] : [pipe] } as never) body: unknown) {
          return body;
        }
      }
      const { connect } = await start({
        providers: [Schemas, ...(where === 'globally' ? [{ provide: APP_PIPE, useValue: pipe }] : [])],
      });
      const client = await connect('alice');
      await client.subscribe('schemas');
      const ask = (payload: unknown) => ({ type: 'request', channel: 'schemas', event: 'check', payload });
      await expect(client.error(ask({ text: 5 }))).resolves.toMatchObject({
        code: 'validation_failed',
        details: [
          { path: 'text', message: 'Expected a string' },
          { path: 'tags.0.name', message: 'Required: a name' },
          { path: '', message: 'Not in this form' },
        ],
      });
      await expect(client.call(ask({ text: 'x' }))).resolves.toMatchObject({ payload: { text: 'x' } });
    },
  );

  it('pipes run globally, on a parameter, and on parameters without a decorator', async () => {
    @Channel('rooms.:room')
    class Rooms {
      @Authorize('subscribe', 'publish')
      can() {
        return true;
      }
      @OnPublish('said')
      said(@MessageBody() message: NewMessage) {
        return { ...message, checked: message instanceof NewMessage };
      }
      @SubscribeMessage('bare')
      bare(_client: RealtimeConnection, message: NewMessage) {
        return message instanceof NewMessage;
      }
      @OnRequest('upper')
      upper(@MessageBody('text', Upper) text: string, @ChannelParam('room', Upper) room: string) {
        return text + room;
      }
      @UsePipes(Upper)
      @OnRequest('shout')
      shout(@MessageBody() text: string) {
        return text;
      }
    }
    const { connect } = await start({
      providers: [Rooms, { provide: APP_PIPE, useValue: new ValidationPipe({ transform: true }) }],
    });
    const client = await connect('alice');
    await client.subscribe('rooms.one');
    const publish = { type: 'publish', channel: 'rooms.one', event: 'said' };
    await expect(client.error({ ...publish, payload: { text: 'too long' } })).resolves.toMatchObject({
      code: 'validation_failed',
      details: [{ path: 'text', message: 'text must be shorter than or equal to 5 characters' }],
    });
    await client.reply({ ...publish, payload: { text: 'ok' } });
    expect((await client.take({ type: 'event' })).payload).toEqual({ text: 'ok', checked: true });

    const request = (event: string, payload: unknown) =>
      client.call({ type: 'request', channel: 'rooms.one', event, payload });
    expect(await request('bare', { text: 5 })).toMatchObject({
      type: 'error',
      payload: { code: 'validation_failed' },
    });
    expect(await request('bare', { text: 'ok' })).toMatchObject({ type: 'reply', payload: true });
    expect(await request('upper', { text: 'a' })).toMatchObject({ payload: 'AONE' });
    expect(await request('shout', 'abc')).toMatchObject({ payload: 'ABC' });
  });

  it('an interceptor can transform a reply; an empty stream is a reply without a value', async () => {
    const wrap: NestInterceptor = {
      intercept: (_context, next) => next.handle().pipe(map((value) => ({ value }))),
    };
    const drop: NestInterceptor = { intercept: () => of() };
    @PublicChannel()
    @Channel('a')
    class A {
      @UseInterceptors(wrap)
      @OnRequest('wrapped')
      wrapped() {
        return of(1, 2);
      }
      @UseInterceptors(drop)
      @OnRequest('dropped')
      dropped() {
        return 1;
      }
    }
    const { connect } = await start({ providers: [A] });
    const client = await connect('alice');
    await client.subscribe('a');
    expect(await client.call({ type: 'request', channel: 'a', event: 'wrapped' })).toMatchObject({
      payload: { value: 2 },
    });
    expect(await client.call({ type: 'request', channel: 'a', event: 'dropped' })).toMatchObject({
      type: 'reply',
      payload: null,
    });
  });

  it('an interceptor that transforms the result of an authorization makes it refuse, and the log says why (G9)', async () => {
    const wrap: NestInterceptor = {
      intercept: (_context, next) => next.handle().pipe(map((data) => ({ data }))),
    };
    @Channel('a')
    class A {
      @Authorize('subscribe')
      can() {
        return true;
      }
    }
    const { connect, logger } = await start({
      providers: [A],
      configure: (app) => app.useGlobalInterceptors(wrap),
    });
    const client = await connect('alice');
    for (let time = 0; time < 2; time++) {
      await expect(client.error({ type: 'subscribe', channel: 'a', payload: {} })).resolves.toMatchObject({
        code: 'forbidden',
      });
    }
    expect(
      logger.at('warn').filter((line) => line.includes('A.can returned neither true, false')),
    ).toHaveLength(1);
  });

  it('custom parameter decorators and switchToWs() get connection, payload and pattern', async () => {
    @PublicChannel()
    @Channel('a')
    class A {
      @OnRequest('pattern')
      pattern(@Pattern() pattern: string) {
        return pattern;
      }
      @Snapshot()
      state(@Pattern() pattern: string) {
        return pattern;
      }
    }
    const { connect } = await start({ providers: [A] });
    const client = await connect('alice');
    await expect(client.subscribe('a')).resolves.toMatchObject({ snapshot: 'realtime.snapshot' });
    expect(await client.call({ type: 'request', channel: 'a', event: 'pattern' })).toMatchObject({
      payload: 'pattern',
    });
  });

  it('EnvelopeInterceptor, DedupeInterceptor and SequenceInterceptor do nothing on a channel, where the engine does their work', async () => {
    @UseInterceptors(EnvelopeInterceptor, new DedupeInterceptor({ window: '1m' }))
    @PublicChannel()
    @Channel('a')
    class A {
      @OnRequest('lifted')
      lifted(@MessageBody() body: unknown) {
        return body;
      }
      @UseInterceptors(SequenceInterceptor, MethodInterceptor)
      @OnRequest('mixed')
      mixed(@MessageBody() body: unknown) {
        return body;
      }
    }
    const { connect } = await start({ providers: [Trace, A] });
    const client = await connect('alice');
    await client.subscribe('a');
    for (const event of ['lifted', 'mixed']) {
      for (let time = 0; time < 2; time++) {
        expect(
          await client.call({ type: 'request', channel: 'a', event, payload: { plain: 1 } }),
        ).toMatchObject({
          type: 'reply',
          payload: { plain: 1 },
        });
      }
    }
  });
});
