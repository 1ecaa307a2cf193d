import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  createParamDecorator,
  ForbiddenException,
  Injectable,
  UnauthorizedException,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
  ValidationPipe,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, Reflector } from '@nestjs/core';
import { BaseWsExceptionFilter, MessageBody, WsException } from '@nestjs/websockets';
import { IsString, MaxLength } from 'class-validator';
import { map, of, throwError, type Observable } from 'rxjs';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import {
  Authorize,
  Channel,
  ChannelParam,
  DedupeInterceptor,
  EnvelopeInterceptor,
  OnPublish,
  OnRequest,
  OnSubscribe,
  OnUnsubscribe,
  PublicChannel,
  RealtimeContext,
  RealtimeUser,
  SequenceInterceptor,
  Snapshot,
  type ChannelPolicyGuard,
  type RealtimeConnectHook,
} from '../../../lib/nest/index.js';
import { RealtimeError } from '../../../lib/protocol/realtime-error.js';
import { until } from '../../support/until.js';
import {
  byName,
  PLATFORMS,
  startApp,
  type AppOptions,
  type Platform,
  type TestApp,
} from './support/nest-app.js';

/** Remembers where it ran: `<name>:<action>[@handler]`. */
@Injectable()
class Trace {
  readonly lines: string[] = [];
  add(name: string, context: ExecutionContext): void {
    this.lines.push(`${name}:${RealtimeContext.from(context)?.action}`);
  }
  take(): string[] {
    return this.lines.splice(0);
  }
}

function guard(name: string) {
  @Injectable()
  class TracingGuard implements CanActivate {
    constructor(readonly trace: Trace) {}
    canActivate(context: ExecutionContext): boolean {
      this.trace.add(name, context);
      return context.switchToWs().getData<{ deny?: string } | undefined>()?.deny !== name;
    }
  }
  Reflect.defineMetadata('design:paramtypes', [Trace], TracingGuard);
  return TracingGuard;
}

function interceptor(name: string) {
  @Injectable()
  class TracingInterceptor implements NestInterceptor {
    constructor(readonly trace: Trace) {}
    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      this.trace.add(name, context);
      return next.handle();
    }
  }
  Reflect.defineMetadata('design:paramtypes', [Trace], TracingInterceptor);
  return TracingInterceptor;
}

const GlobalGuard = guard('global');
const ClassGuard = guard('class');
const MethodGuard = guard('method');
const GlobalInterceptor = interceptor('i-global');
const ClassInterceptor = interceptor('i-class');
const MethodInterceptor = interceptor('i-method');

@UseGuards(ClassGuard)
@UseInterceptors(ClassInterceptor)
@Channel('rooms.:room', { signals: ['typing'] })
class Traced {
  constructor(readonly trace: Trace) {}
  @UseGuards(MethodGuard)
  @UseInterceptors(MethodInterceptor)
  @Authorize('subscribe', 'publish', 'signal')
  can() {
    return true;
  }
  @UseGuards(MethodGuard)
  @UseInterceptors(MethodInterceptor)
  @OnPublish('said')
  said() {}
  @UseGuards(MethodGuard)
  @UseInterceptors(MethodInterceptor)
  @OnRequest('ask')
  ask() {
    return 'answer';
  }
  @UseGuards(MethodGuard)
  @UseInterceptors(MethodInterceptor)
  @Snapshot()
  state() {
    return 'state';
  }
  @UseGuards(MethodGuard)
  @UseInterceptors(MethodInterceptor)
  @OnSubscribe()
  joined() {
    this.trace.lines.push('joined');
  }
  @UseInterceptors(MethodInterceptor)
  @OnUnsubscribe()
  left() {
    this.trace.lines.push('left');
  }
}

@UseGuards(ClassGuard)
@PublicChannel()
@Channel('open')
class Open {
  @OnRequest('ask')
  ask() {
    return 'answer';
  }
}

const all = (action: string) =>
  ['global', 'class', 'method', 'i-global', 'i-class', 'i-method'].map((name) => `${name}:${action}`);

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

describe.each(PLATFORMS)('enhancers on %s', (_name, platform: Platform) => {
  let server: TestApp | undefined;
  const start = async (options: AppOptions) => (server = await startApp(platform, options));

  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  it('guards and interceptors of method, class and application run at every control point and nowhere else', async () => {
    const { app, connect } = await start({
      providers: [
        Trace,
        Traced,
        { provide: APP_GUARD, useClass: GlobalGuard },
        { provide: APP_INTERCEPTOR, useClass: GlobalInterceptor },
      ],
    });
    const trace = app.get(Trace);
    const client = await connect('alice');
    expect(trace.take()).toEqual(['global:connect']);

    await client.subscribe('rooms.1');
    await until('the hook', () => trace.lines.includes('joined'));
    expect(trace.take()).toEqual([...all('subscribe'), ...all('snapshot'), ...all('subscribed'), 'joined']);

    await client.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: 1 });
    await client.take({ type: 'event' });
    expect(trace.take()).toEqual([...all('publish'), ...all('publish')]);

    await client.reply({ type: 'signal', channel: 'rooms.1', event: 'typing' });
    await client.take({ type: 'signal' });
    expect(trace.take()).toEqual(all('signal'));

    await client.reply({ type: 'request', channel: 'rooms.1', event: 'ask' });
    expect(trace.take()).toEqual(all('request'));

    await client.reply({ type: 'unsubscribe', channel: 'rooms.1' });
    await until('the hook', () => trace.lines.includes('left'));
    expect(trace.take()).toEqual([
      'i-global:unsubscribed',
      'i-class:unsubscribed',
      'i-method:unsubscribed',
      'left',
    ]);
  });

  it('a guard that returns false or throws refuses with its code (G10)', async () => {
    @Injectable()
    class Throwing implements CanActivate {
      canActivate(): boolean {
        throw new UnauthorizedException('log in first');
      }
    }
    @PublicChannel()
    @Channel('a')
    class A {
      @OnRequest('ask')
      ask() {}
      @UseGuards(Throwing)
      @OnRequest('throws')
      throws() {}
    }
    const { connect } = await start({ providers: [Trace, Traced, A] });
    const client = await connect('alice');
    const deny = (name: string) =>
      client.error({ type: 'subscribe', channel: 'rooms.1', payload: { params: { deny: name } } });
    await expect(deny('class')).resolves.toMatchObject({ code: 'forbidden', message: 'Forbidden resource' });
    await expect(deny('method')).resolves.toMatchObject({ code: 'forbidden' });
    await client.subscribe('a');
    await expect(client.error({ type: 'request', channel: 'a', event: 'throws' })).resolves.toMatchObject({
      code: 'unauthorized',
      message: 'log in first',
    });
  });

  it('a guard of the class also protects a public channel (G9)', async () => {
    const { connect } = await start({ providers: [Trace, Open] });
    const client = await connect('alice');
    await expect(
      client.error({ type: 'subscribe', channel: 'open', payload: { params: { deny: 'class' } } }),
    ).resolves.toMatchObject({ code: 'forbidden' });
    await expect(client.subscribe('open')).resolves.toMatchObject({ recovery: 'new' });
  });

  it('a global guard protects handlers that have no enhancers of their own (G9)', async () => {
    @PublicChannel()
    @Channel('bare')
    class Bare {
      @OnRequest('ask')
      ask() {
        return 'answer';
      }
    }
    const deny: CanActivate = {
      canActivate: (context) => RealtimeContext.from(context)?.action === 'connect',
    };
    const { connect } = await start({ providers: [Bare], configure: (app) => app.useGlobalGuards(deny) });
    const client = await connect('alice');
    await expect(client.error({ type: 'subscribe', channel: 'bare', payload: {} })).resolves.toMatchObject({
      code: 'forbidden',
    });
  });

  it('an APP_GUARD written for HTTP runs unchanged: it reads headers.authorization and sets the user', async () => {
    @Injectable()
    class AuthGuard implements CanActivate {
      async canActivate(context: ExecutionContext): Promise<boolean> {
        const request = context
          .switchToHttp()
          .getRequest<{ headers: Record<string, string>; user: unknown }>();
        const [type, token] = request.headers['authorization']?.split(' ') ?? [];
        if (type !== 'Bearer' || token === undefined) throw new UnauthorizedException();
        request.user = { id: token, name: `Name of ${token}` };
        return true;
      }
    }
    @Channel('rooms.:room')
    class Rooms {
      @Authorize('subscribe')
      can(@RealtimeUser('name') name: string) {
        return name === 'Name of alice';
      }
    }
    const { connect } = await start({ providers: [Rooms, { provide: APP_GUARD, useClass: AuthGuard }] });
    await expect((await connect('alice')).subscribe('rooms.1')).resolves.toBeDefined();
    const bob = await connect('bob');
    await expect(bob.error({ type: 'subscribe', channel: 'rooms.1', payload: {} })).resolves.toMatchObject({
      code: 'forbidden',
    });
  });

  it('a global guard can refuse a connect', async () => {
    const refuse: CanActivate = {
      canActivate: (context) => context.switchToWs().getClient<RealtimeConnection>().user?.id !== 'mallory',
    };
    const { open } = await start({ configure: (app) => app.useGlobalGuards(refuse) });
    const client = await open();
    client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'mallory' } });
    await expect(client.next('error')).resolves.toMatchObject({ ref: 'h', payload: { code: 'forbidden' } });
    await client.expectClose(4802);
  });

  it('a connect hook beside a global ValidationPipe logs no warning and is not validated as a payload', async () => {
    const piped: unknown[] = [];
    @Injectable()
    class Hook implements RealtimeConnectHook {
      onConnect(connection: RealtimeConnection) {
        connection.data['greeted'] = connection.user?.id;
      }
    }
    @PublicChannel()
    @Channel('bare')
    class Bare {
      @OnSubscribe()
      joined(connection: RealtimeConnection) {
        connection.data['joined'] = true;
      }
      @OnRequest('ask')
      ask(connection: RealtimeConnection) {
        return connection.data;
      }
    }
    const { connect, logger } = await start({
      realtime: { auth: { authenticator: byName }, connect: Hook },
      providers: [Hook, Bare],
      configure: (app) =>
        app.useGlobalPipes(new ValidationPipe({ transform: true, whitelist: true }), {
          transform: (value: unknown, { type }: { type: string }) => {
            if (type !== 'custom') piped.push(value);
            return value;
          },
        }),
    });
    const client = await connect('alice');
    await client.subscribe('bare');
    await expect(
      client.reply({ type: 'request', channel: 'bare', event: 'ask', payload: 1 }),
    ).resolves.toEqual({ greeted: 'alice', joined: true });
    expect(piped).toEqual([]);
    expect(logger.at('warn')).toEqual([]);
  });

  it('overrideGuard replaces a guard in tests', async () => {
    const { connect } = await start({
      providers: [Trace, Open],
      override: (builder) => builder.overrideGuard(ClassGuard).useValue({ canActivate: () => true }),
    });
    const client = await connect('alice');
    await expect(client.subscribe('open', { params: { deny: 'class' } })).resolves.toBeDefined();
  });

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
      @OnRequest('bare')
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

  it('Reflector reads the metadata of handler and class', async () => {
    const Roles = Reflector.createDecorator<string[]>();
    @Injectable()
    class RolesGuard implements CanActivate {
      constructor(readonly reflector: Reflector) {}
      canActivate(context: ExecutionContext): boolean {
        const roles = this.reflector.getAllAndOverride(Roles, [context.getHandler(), context.getClass()]);
        const { user } = context.switchToWs().getClient<RealtimeConnection>();
        return roles === undefined || roles.includes(String(user?.['role']));
      }
    }
    Reflect.defineMetadata('design:paramtypes', [Reflector], RolesGuard);
    @PublicChannel()
    @Channel('a')
    class A {
      @Roles(['admin'])
      @OnRequest('admin')
      admin() {
        return 'secret';
      }
    }
    const { connect } = await start({ providers: [A, { provide: APP_GUARD, useClass: RolesGuard }] });
    for (const [token, type] of [
      ['root', 'reply'],
      ['alice', 'error'],
    ]) {
      const client = await connect(token);
      await client.subscribe('a');
      expect((await client.call({ type: 'request', channel: 'a', event: 'admin' })).type).toBe(type);
    }
  });

  it('a policy class can be a provider of the application or be created for the channel', async () => {
    @Injectable()
    class Members {
      has(user: string, room: string | undefined) {
        return user === room;
      }
    }
    @Injectable()
    class OwnRoomPolicy implements ChannelPolicyGuard {
      constructor(readonly members: Members) {}
      subscribe({ user, params }: RealtimeContext) {
        return user !== undefined && this.members.has(user.id, params['room']);
      }
      async publish() {
        return { for: '1m' } as const;
      }
      request({ payload }: RealtimeContext) {
        return payload === 'please';
      }
    }
    Reflect.defineMetadata('design:paramtypes', [Members], OwnRoomPolicy);
    @Authorize(OwnRoomPolicy)
    @Channel('rooms.:room')
    class Rooms {
      @OnPublish('said')
      said() {}
      @OnRequest('ask', { scope: 'connection', authorize: OwnRoomPolicy })
      ask() {
        return 'answer';
      }
    }
    const { connect } = await start({ providers: [Members, Rooms] });
    const client = await connect('alice');
    await expect(client.subscribe('rooms.alice')).resolves.toBeDefined();
    await expect(
      client.error({ type: 'subscribe', channel: 'rooms.bob', payload: {} }),
    ).resolves.toMatchObject({
      code: 'forbidden',
    });
    await expect(
      client.reply({ type: 'publish', channel: 'rooms.alice', event: 'said', payload: 1 }),
    ).resolves.toBeDefined();
    expect(await client.call({ type: 'request', event: 'ask', payload: 'please' })).toMatchObject({
      payload: 'answer',
    });
    await expect(client.error({ type: 'request', event: 'ask', payload: 'now!' })).resolves.toMatchObject({
      code: 'forbidden',
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

  describe('filters', () => {
    class Teapot extends Error {}

    @Catch(Teapot)
    @Injectable()
    class ReturningFilter implements ExceptionFilter {
      constructor(readonly trace: Trace) {}
      catch(exception: Error) {
        this.trace.lines.push('class filter');
        return new RealtimeError('muted', exception.message);
      }
    }
    Reflect.defineMetadata('design:paramtypes', [Trace], ReturningFilter);

    @Catch()
    class ThrowingFilter implements ExceptionFilter {
      catch(): never {
        throw new ForbiddenException('translated');
      }
    }

    @Catch(Error)
    class LookingFilter implements ExceptionFilter {
      catch(_error: Error, host: ArgumentsHost) {
        host.switchToWs().getClient<RealtimeConnection>().data['looked'] = true;
      }
    }

    @Catch()
    class GatewayFilter extends BaseWsExceptionFilter {
      override catch(exception: unknown, host: ArgumentsHost) {
        super.catch(
          exception instanceof Teapot
            ? new WsException({ code: 'conflict', message: 'short and stout' })
            : exception,
          host,
        );
      }
    }

    @Catch()
    class StreamFilter implements ExceptionFilter {
      catch() {
        return throwError(() => new WsException('streamed'));
      }
    }

    @UseFilters(ReturningFilter)
    @PublicChannel()
    @Channel('a')
    class A {
      @OnRequest('class')
      byClass() {
        throw new Teapot('by class');
      }
      @OnRequest('other')
      other() {
        throw new WsException('not for the filter');
      }
      @UseFilters(ThrowingFilter)
      @OnRequest('throwing')
      async throwing() {
        throw new Teapot('by method');
      }
      @UseFilters(LookingFilter)
      @OnRequest('looking')
      looking() {
        throw new Teapot('unchanged');
      }
      @OnRequest('looked')
      looked(client: RealtimeConnection) {
        return client.data['looked'];
      }
      @UseFilters(new GatewayFilter())
      @OnRequest('gateway')
      gateway(@MessageBody() known: boolean) {
        throw known ? new Teapot('x') : new Error('inner secret');
      }
      @UseFilters(StreamFilter)
      @OnRequest('stream')
      stream() {
        return throwError(() => new Teapot('x'));
      }
    }

    const global: ExceptionFilter = {
      catch(_exception, host) {
        host.switchToHttp().getResponse<{ status(code: number): void }>().status(500);
      },
    };

    it('a filter of the method or class makes the error for the client; global filters of HTTP do not run', async () => {
      const { app, connect, logger } = await start({
        providers: [Trace, A, { provide: APP_FILTER, useValue: global }],
      });
      const client = await connect('alice');
      await client.subscribe('a');
      const error = (event: string, payload?: unknown) =>
        client.error({ type: 'request', channel: 'a', event, payload });
      await expect(error('class')).resolves.toMatchObject({ code: 'muted', message: 'by class' });
      expect(app.get(Trace).take()).toEqual(['class filter']);
      await expect(error('other')).resolves.toMatchObject({
        code: 'bad_request',
        message: 'not for the filter',
      });
      await expect(error('throwing')).resolves.toMatchObject({ code: 'forbidden', message: 'translated' });
      expect(app.get(Trace).take()).toEqual([]);
      await expect(error('looking')).resolves.toMatchObject({ code: 'internal' });
      expect(await client.call({ type: 'request', channel: 'a', event: 'looked' })).toMatchObject({
        payload: true,
      });
      await expect(error('gateway', true)).resolves.toMatchObject({
        code: 'conflict',
        message: 'short and stout',
      });
      const hidden = await error('gateway', false);
      expect(hidden.code).toBe('internal');
      expect(hidden.message).not.toContain('secret');
      await expect(error('stream')).resolves.toMatchObject({ code: 'bad_request', message: 'streamed' });
      expect(logger.text).not.toContain('status is not a function');
    });
  });
});
