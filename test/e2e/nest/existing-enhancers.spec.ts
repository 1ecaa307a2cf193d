import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Catch,
  ClassSerializerInterceptor,
  Controller,
  createParamDecorator,
  ForbiddenException,
  Get,
  HttpException,
  HttpStatus,
  Injectable,
  UseFilters,
  UseGuards,
  UseInterceptors,
  ValidationPipe,
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  type ExceptionFilter,
  type ExecutionContext,
  type NestInterceptor,
  type PipeTransform,
} from '@nestjs/common';
import { APP_FILTER, APP_GUARD, APP_INTERCEPTOR, APP_PIPE, HttpAdapterHost, Reflector } from '@nestjs/core';
import { JwtService } from '@nestjs/jwt';
import { AuthGuard, PassportStrategy } from '@nestjs/passport';
import type * as throttler from '@nestjs/throttler';
import { MessageBody } from '@nestjs/websockets';
import { Exclude, Expose } from 'class-transformer';
import { IsString } from 'class-validator';
import { ExtractJwt, Strategy } from 'passport-jwt';
import { tap, throwError, type Observable } from 'rxjs';
import {
  Authorize,
  Channel,
  OnPublish,
  OnRequest,
  PublicChannel,
  RealtimeContext,
  RealtimeUser,
  type RealtimeConnectHook,
} from '../../../lib/nest/index.js';
import { importCommonJs } from '../../support/commonjs-package.js';
import { PLATFORMS, startApp, type AppOptions, type Platform, type TestApp } from './support/nest-app.js';

const { SkipThrottle, ThrottlerGuard, ThrottlerModule } =
  await importCommonJs<typeof throttler>('@nestjs/throttler');

const SECRET = 'a secret that is long enough for HS256';
const sign = (sub: string) => new JwtService({ secret: SECRET }).sign({ sub });

@Injectable()
class Pass implements CanActivate {
  canActivate() {
    return true;
  }
}

@Catch()
class FailingFilter implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost) {
    host.switchToHttp().getResponse<{ unknownToAll(): void }>().unknownToAll();
  }
}

class Said {
  @IsString()
  text!: string;
}

@Exclude()
class Answer {
  @Expose()
  shown = 1;
  hidden = 2;
}

@Channel('rooms.:room')
class Rooms {
  @Authorize('subscribe', 'publish')
  can() {
    return true;
  }
  @OnPublish('said')
  said(@MessageBody() { text }: Said) {
    return { text };
  }
  @OnRequest('answer')
  answer() {
    return new Answer();
  }
  @SkipThrottle()
  @OnRequest('free')
  free() {
    return 'free';
  }
}

@Controller()
class Home {
  @Get('home')
  home() {
    return 'home';
  }
}

/** As in Nest's documentation of interceptors, with what people add to it for HTTP. */
@Injectable()
class LoggingInterceptor implements NestInterceptor {
  readonly lines: string[] = [];
  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    const { url } = http.getRequest<{ url: string }>();
    const response = http.getResponse<{
      statusCode: number;
      setHeader(name: string, value: string): { header(name: string, value: string): unknown };
      on(event: string, listener: () => void): unknown;
    }>();
    response.setHeader('X-Began', 'now').header('X-More', '1');
    response.on('finish', () => undefined);
    return next.handle().pipe(tap(() => this.lines.push(`${url} ${response.statusCode}`)));
  }
}

/** The catch-all filter of Nest's documentation. */
@Catch()
@Injectable()
class AllExceptionsFilter implements ExceptionFilter {
  constructor(private readonly httpAdapterHost: HttpAdapterHost) {}
  catch(exception: unknown, host: ArgumentsHost): void {
    const { httpAdapter } = this.httpAdapterHost;
    const ctx = host.switchToHttp();
    const httpStatus =
      exception instanceof HttpException ? exception.getStatus() : HttpStatus.INTERNAL_SERVER_ERROR;
    const responseBody = {
      statusCode: httpStatus,
      timestamp: 'now',
      path: httpAdapter.getRequestUrl(ctx.getRequest()) as string,
    };
    httpAdapter.reply(ctx.getResponse(), responseBody, httpStatus);
  }
}
Reflect.defineMetadata('design:paramtypes', [HttpAdapterHost], AllExceptionsFilter);

/** The filter of HttpExceptions of Nest's documentation. */
@Catch(HttpException)
class HttpExceptionFilter implements ExceptionFilter {
  catch(exception: HttpException, host: ArgumentsHost) {
    const response = host
      .switchToHttp()
      .getResponse<{ status(code: number): { json(body: object): unknown } }>();
    const status = exception.getStatus();
    return response.status(status).json({ statusCode: status, reasonFor: 'the log' });
  }
}

/** Where the two documented filters are bound, and one that fails. */
@PublicChannel()
@Channel('filtered')
class Filtered {
  @UseFilters(AllExceptionsFilter)
  @OnRequest('all')
  all(@MessageBody() status: number) {
    throw status === 0 ? new Error('hunter2') : new HttpException({ code: 'LOST', message: 'm' }, status);
  }
  @UseFilters(HttpExceptionFilter)
  @OnRequest('http')
  http(@MessageBody() status: number) {
    throw new HttpException('x', status);
  }
  @UseFilters({
    catch(_error: unknown, host: ArgumentsHost) {
      host
        .switchToHttp()
        .getResponse<{ status(code: number): { send(body: string): unknown } }>()
        .status(429)
        .send('slow down');
    },
  })
  @OnRequest('text')
  text() {
    throw new Error('x');
  }
}

@Injectable()
class JwtStrategy extends PassportStrategy(Strategy) {
  constructor() {
    super({ jwtFromRequest: ExtractJwt.fromAuthHeaderAsBearerToken(), secretOrKey: SECRET });
  }
  validate({ sub }: { sub: string }) {
    return { id: sub, from: 'passport' };
  }
}

@UseGuards(AuthGuard('jwt'))
@Channel('members')
class Members {
  @Authorize('subscribe')
  can(@RealtimeUser('from') from: string) {
    return from === 'passport';
  }
  @OnRequest('who')
  who(@RealtimeUser() user: unknown) {
    return user;
  }
}

describe.each(PLATFORMS)('enhancers that were written for HTTP, on %s', (_name, platform: Platform) => {
  let server: TestApp | undefined;
  const start = async (options: AppOptions) => (server = await startApp(platform, options));
  const hints = () => server?.logger.at('warn').filter((line) => line.includes('globalEnhancers')) ?? [];

  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  describe('the ThrottlerGuard as APP_GUARD', () => {
    const throttled = (limit: number): AppOptions => ({
      imports: [ThrottlerModule.forRoot([{ ttl: 60_000, limit }])],
      providers: [Rooms, { provide: APP_GUARD, useClass: ThrottlerGuard }],
      controllers: [Home],
    });

    it('admits connections and commands below its limit, and HTTP as before', async () => {
      const { connect, port, logger } = await start(throttled(5));
      const client = await connect('alice');
      await client.subscribe('rooms.1');
      await client.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: { text: 'hi' } });
      const response = await fetch(`http://127.0.0.1:${port}/home`);
      expect([response.status, response.headers.get('x-ratelimit-remaining')]).toEqual([200, '4']);
      expect(logger.at('error')).toEqual([]);
      expect(hints()).toEqual([]);
    });

    it('above it refuses a command, and says when it may be sent again; decorators of the method count', async () => {
      const { connect, logger } = await start(throttled(2));
      const client = await connect('alice');
      await client.subscribe('rooms.1');
      const ask = { type: 'request', channel: 'rooms.1', event: 'answer' };
      await client.call(ask);
      await client.call(ask);
      await expect(client.error(ask)).resolves.toMatchObject({
        code: 'refused',
        reason: 'too_many_requests',
        retryable: true,
        retryAfterMs: 60_000,
      });
      for (let n = 0; n < 4; n++) await client.call({ type: 'request', channel: 'rooms.1', event: 'free' });
      expect(logger.at('error')).toEqual([]);
    });

    it('above it refuses a connection for as long as it says, not for good', async () => {
      const { connect, open } = await start(throttled(1));
      await connect('alice');
      const late = await open();
      late.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'bob' } });
      expect((await late.next('error')).payload).toMatchObject({
        code: 'refused',
        reason: 'too_many_requests',
        retryAfterMs: 60_000,
      });
      const { reason } = await late.expectClose(4006);
      expect(reason).toBe('overloaded|60000');
    });
  });

  it('a logging interceptor that writes to the response changes no answer', async () => {
    const { app, connect, logger } = await start({
      providers: [Rooms, LoggingInterceptor, { provide: APP_INTERCEPTOR, useExisting: LoggingInterceptor }],
    });
    const client = await connect('alice');
    await client.subscribe('rooms.1');
    await expect(client.call({ type: 'request', channel: 'rooms.1', event: 'free' })).resolves.toMatchObject({
      payload: 'free',
    });
    await client.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: { text: 'hi' } });
    // The client's payload is not taken for the response.
    expect((await client.take({ type: 'event' })).payload).toEqual({ text: 'hi' });
    expect(app.get(LoggingInterceptor).lines).toContain('/realtime 200');
    expect(logger.at('error')).toEqual([]);
  });

  it('the ClassSerializerInterceptor shapes replies, and leaves authorizations alone', async () => {
    const { connect } = await start({
      providers: [
        Rooms,
        {
          provide: APP_INTERCEPTOR,
          inject: [Reflector],
          useFactory: (reflector: Reflector) => new ClassSerializerInterceptor(reflector),
        },
      ],
    });
    const client = await connect('alice');
    await client.subscribe('rooms.1');
    await expect(
      client.call({ type: 'request', channel: 'rooms.1', event: 'answer' }),
    ).resolves.toMatchObject({ payload: { shown: 1 } });
    const { payload } = await client.call({ type: 'request', channel: 'rooms.1', event: 'answer' });
    expect(payload).toEqual({ shown: 1 });
  });

  it('AuthGuard(‘jwt’) of Passport verifies the token of the connection, and its user reaches the handlers', async () => {
    const { connect, logger } = await start({
      providers: [JwtStrategy, Members],
      realtime: { auth: { jwt: { secret: SECRET } } },
    });
    const client = await connect(sign('alice'));
    await client.subscribe('members');
    await expect(client.call({ type: 'request', channel: 'members', event: 'who' })).resolves.toMatchObject({
      payload: { id: 'alice', from: 'passport' },
    });
    expect(logger.at('error')).toEqual([]);
  });

  it('AuthGuard(‘jwt’) refuses a client without a token with forbidden, and globally at the door with unauthorized', async () => {
    const anonymous = { auth: { anonymous: true } } as const;
    const local = await start({ providers: [JwtStrategy, Members], realtime: anonymous });
    const client = await local.connect();
    await expect(client.error({ type: 'subscribe', channel: 'members', payload: {} })).resolves.toMatchObject(
      { code: 'forbidden', reason: 'unauthorized', message: 'Unauthorized' },
    );
    await local.close();
    const global = await start({
      providers: [JwtStrategy, Rooms, { provide: APP_GUARD, useClass: AuthGuard('jwt') }],
      realtime: anonymous,
    });
    const refused = await global.open();
    refused.send({ type: 'hello', id: 'h', payload: { versions: [1] } });
    expect((await refused.next('error')).payload).toMatchObject({ code: 'unauthorized' });
    await refused.expectClose(4801);
  });

  describe('exception filters of Nest’s documentation', () => {
    const filtered = async () => {
      const { connect, logger } = await start({
        providers: [Filtered, { provide: APP_FILTER, useClass: AllExceptionsFilter }],
      });
      const client = await connect('alice');
      await client.subscribe('filtered');
      const ask = (event: string, payload?: unknown) =>
        client.error({ type: 'request', channel: 'filtered', event, payload });
      return { ask, logger };
    };

    it('answer the command with the status and body that they write', async () => {
      const { ask, logger } = await filtered();
      await expect(ask('all', 404)).resolves.toMatchObject({
        code: 'refused',
        reason: 'not_found',
        data: { timestamp: 'now', path: '/realtime' },
      });
      await expect(ask('all', 403)).resolves.toMatchObject({ code: 'forbidden' });
      await expect(ask('http', 409)).resolves.toMatchObject({
        code: 'refused',
        reason: 'conflict',
        data: { reasonFor: 'the log' },
      });
      await expect(ask('text')).resolves.toMatchObject({
        code: 'refused',
        reason: 'too_many_requests',
        message: 'slow down',
      });
      expect(logger.at('error')).toEqual([]);
    });

    it('do not hide a failure from the log: a 500 is internal with an id (G25)', async () => {
      const { ask, logger } = await filtered();
      const { code, message } = await ask('all', 0);
      expect(code).toBe('internal');
      expect(logger.at('error').join()).toContain(message.replace('Internal error ', ''));
      expect(hints()).toEqual([]);
    });
  });

  describe('one that cannot work on a socket', () => {
    class ForBodies implements CanActivate {
      canActivate(context: ExecutionContext): boolean {
        return context.switchToHttp().getRequest<{ session: { user: string } }>().session.user !== '';
      }
    }
    class ForLater implements CanActivate {
      async canActivate(context: ExecutionContext): Promise<boolean> {
        return new ForBodies().canActivate(context);
      }
    }
    class ForStreams implements CanActivate {
      canActivate(): Observable<boolean> {
        return throwError(() => new TypeError('no stream'));
      }
    }
    class Breaking implements NestInterceptor {
      intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
        return next.handle().pipe(tap(() => new ForBodies().canActivate(context)));
      }
    }
    class BreakingEarly implements NestInterceptor {
      async intercept(context: ExecutionContext, next: CallHandler): Promise<Observable<unknown>> {
        new ForBodies().canActivate(context);
        return next.handle();
      }
    }

    @PublicChannel()
    @Channel('open')
    class Open {
      @OnRequest('fine')
      fine() {
        return 'fine';
      }
      @UseGuards(Pass)
      @OnRequest('guarded')
      guarded(@MessageBody() body: unknown) {
        return body;
      }
      @UseGuards(ForBodies)
      @OnRequest('ForBodies')
      one() {}
      @UseGuards(ForLater)
      @OnRequest('ForLater')
      later() {}
      @UseGuards(ForStreams)
      @OnRequest('ForStreams')
      streams() {}
      @UseInterceptors(Breaking)
      @OnRequest('Breaking')
      breaking() {}
      @UseInterceptors(BreakingEarly)
      @OnRequest('BreakingEarly')
      early() {}
      @UseInterceptors(LoggingInterceptor)
      @UseGuards(Pass)
      @OnRequest('own')
      own() {
        throw new TypeError('of the handler itself');
      }
      @UseFilters(FailingFilter)
      @OnRequest('FailingFilter')
      filter() {
        throw new ForbiddenException();
      }
    }

    it.each(['ForBodies', 'ForLater', 'ForStreams', 'Breaking', 'BreakingEarly', 'FailingFilter'])(
      '%s is named in the log at its first failure, with the handler and the remedy, and not again',
      async (name) => {
        const { connect } = await start({ providers: [Open] });
        const client = await connect('alice');
        await client.subscribe('open');
        const ask = () => client.error({ type: 'request', channel: 'open', event: name });
        await expect(ask()).resolves.toMatchObject({ code: 'internal' });
        await ask();
        expect(hints()).toHaveLength(1);
        expect(hints()[0]).toMatch(new RegExp(`^${name} failed on Open\\.\\w+ \\(request\\): `));
        expect(hints()[0]).toContain("context.getType() is 'ws'");
        expect(hints()[0]).toContain('docs/guide.md#');
      },
    );

    it('an error of the handler is not blamed on an enhancer', async () => {
      const { connect } = await start({ providers: [Open] });
      const client = await connect('alice');
      await client.subscribe('open');
      await client.error({ type: 'request', channel: 'open', event: 'own' });
      expect(hints()).toEqual([]);
    });

    it('as a global guard ends the connect with a hint that names it', async () => {
      const { open, logger } = await start({
        providers: [Open, { provide: APP_GUARD, useClass: ForBodies }],
      });
      const client = await open();
      client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: 'alice' } });
      await client.expectClose(4005);
      expect(logger.at('warn').join()).toContain('ForBodies failed on ConnectGate.connect (connect)');
    });

    it('is left out with globalEnhancers: false, as all global ones; those of the class stay', async () => {
      class Doubling implements PipeTransform {
        transform(): never {
          throw new TypeError('not for sockets');
        }
      }
      const { connect, port } = await start({
        providers: [
          Open,
          Rooms,
          { provide: APP_GUARD, useClass: ForBodies },
          { provide: APP_INTERCEPTOR, useClass: Breaking },
          { provide: APP_PIPE, useClass: Doubling },
        ],
        controllers: [Home],
        realtime: { globalEnhancers: false },
      });
      const client = await connect('alice');
      await client.subscribe('open');
      await client.subscribe('rooms.1');
      await expect(client.call({ type: 'request', channel: 'open', event: 'fine' })).resolves.toMatchObject({
        payload: 'fine',
      });
      await client.reply({ type: 'publish', channel: 'rooms.1', event: 'said', payload: { text: 'hi' } });
      await expect(
        client.call({ type: 'request', channel: 'open', event: 'guarded', payload: 1 }),
      ).resolves.toMatchObject({ payload: 1 });
      await expect(
        client.error({ type: 'request', channel: 'open', event: 'ForBodies' }),
      ).resolves.toMatchObject({ code: 'internal' });
      expect((await fetch(`http://127.0.0.1:${port}/home`)).status).toBe(500);
    });
  });

  it('a connect hook beside a global ValidationPipe prints no warning of Nest', async () => {
    @Injectable()
    class Hook implements RealtimeConnectHook {
      onConnect() {
        return true;
      }
    }
    class Undecorated extends Hook {
      override onConnect(..._given: unknown[]) {
        return true;
      }
    }
    for (const connect of [Hook, Undecorated]) {
      const app = await start({
        providers: [connect, Rooms],
        realtime: { connect },
        configure: (nest) => nest.useGlobalPipes(new ValidationPipe({ transform: true })),
      });
      await app.connect('alice');
      expect(app.logger.at('warn').filter((line) => !line.includes('ticketSecret'))).toEqual([]);
      await app.close();
    }
  });

  it('a parameter decorator finds request and response, as in a controller', async () => {
    const Agent = createParamDecorator((_data: unknown, context: ExecutionContext) => {
      const http = context.switchToHttp();
      http.getResponse<{ setHeader(name: string, value: string): void }>().setHeader('Vary', 'User-Agent');
      return [
        http.getRequest<{ url: string }>().url,
        RealtimeContext.from(context)?.action,
        context.getType(),
      ];
    });
    @PublicChannel()
    @Channel('params')
    class Params {
      @OnRequest('agent')
      agent(@Agent() agent: unknown) {
        return agent;
      }
    }
    const { connect } = await start({ providers: [Params] });
    const client = await connect('alice');
    await client.subscribe('params');
    await expect(client.call({ type: 'request', channel: 'params', event: 'agent' })).resolves.toMatchObject({
      payload: ['/realtime', 'request', 'ws'],
    });
  });
});
