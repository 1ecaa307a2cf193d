import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Injectable,
  UnauthorizedException,
  UseGuards,
  UseInterceptors,
  ValidationPipe,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import { APP_GUARD, APP_INTERCEPTOR, Reflector } from '@nestjs/core';
import { ConnectedSocket, SubscribeMessage } from '@nestjs/websockets';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import {
  Authorize,
  Channel,
  OnPublish,
  OnRequest,
  OnSubscribe,
  OnUnsubscribe,
  PublicChannel,
  RealtimeContext,
  RealtimeUser,
  Snapshot,
  type ChannelPolicyGuard,
  type RealtimeConnectHook,
} from '../../../lib/nest/index.js';
import { until } from '../../support/until.js';
import {
  byName,
  PLATFORMS,
  startApp,
  type AppOptions,
  type Platform,
  type TestApp,
} from './support/nest-app.js';
import { guard, interceptor, Trace } from './support/trace.js';

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
      code: 'forbidden',
      reason: 'unauthorized',
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
      joined(@ConnectedSocket() connection: RealtimeConnection) {
        connection.data['joined'] = true;
      }
      @SubscribeMessage('ask')
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
});
