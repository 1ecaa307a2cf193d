import { afterEach, describe, expect, it } from '@jest/globals';
import {
  ForbiddenException,
  Injectable,
  UseFilters,
  UseGuards,
  ValidationPipe,
  Catch,
  type ArgumentsHost,
  type CanActivate,
  type ExecutionContext,
} from '@nestjs/common';
import {
  BaseWsExceptionFilter,
  ConnectedSocket,
  MessageBody,
  SubscribeMessage,
  WebSocketGateway,
  WebSocketServer,
  WsException,
} from '@nestjs/websockets';
import { WsAdapter } from '@nestjs/platform-ws';
import { IsInt } from 'class-validator';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { from } from 'rxjs';
import { WebSocket } from 'ws';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import { RealtimeWsAdapter } from '../../../lib/nest/adapter/realtime-ws.adapter.js';
import { StandaloneWsAdapter } from '../../../lib/nest/adapter/missing-adapter.js';
import type { VirtualWsServer } from '../../../lib/nest/adapter/shared-connection.js';
import { Authorize, Channel, OnRequest, PublicChannel, RealtimeContext } from '../../../lib/nest/index.js';
import { until } from '../../support/until.js';
import { makeApp, PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

/** What a gateway on platform-ws answers. */
async function gatewayCall(port: number, path: string, event: string, data: unknown): Promise<unknown> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`);
  try {
    return await new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (raw: Buffer) => resolve(JSON.parse(raw.toString())));
      socket.on('open', () => {
        socket.send(JSON.stringify({ event, data }));
        // Answered last, so that an event nobody serves is seen to be silent.
        socket.send(JSON.stringify({ event: 'last', data: 'silence' }));
      });
    });
  } finally {
    socket.terminate();
  }
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

describe.each(PLATFORMS)('gateways on %s', (_name, platform) => {
  let server: TestApp | undefined;
  const start = async (options: AppOptions) => (server = await startApp(platform, options));

  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  describe('a class that is both @WebSocketGateway and @Channel', () => {
    @WebSocketGateway({ path: '/gateway' })
    class Last {
      @SubscribeMessage('last')
      last(_client: unknown, data: unknown) {
        return { event: 'last', data };
      }
    }

    it.each([
      [['channel'], 'silence', { code: 'not_subscribed' }, 'both'],
      [['gateway'], 'gateway', { code: 'not_subscribed' }, undefined],
      [['channel', 'gateway'], 'gateway', { code: 'not_subscribed' }, 'both'],
    ] as const)(
      'with expose %p, @SubscribeMessage can be reached there only (G10)',
      async (expose, onGateway, _code, onChannel) => {
        @WebSocketGateway({ path: '/gateway' })
        @Channel('rooms.:room', { expose })
        class Both {
          @Authorize('subscribe')
          can() {
            return true;
          }
          @SubscribeMessage('both')
          both(@ConnectedSocket() _client: unknown) {
            return { event: 'both', data: 'gateway' };
          }
        }
        const { port, connect } = await start({
          providers: [Both, Last],
          configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
        });
        await expect(gatewayCall(port, '/gateway', 'both', 1)).resolves.toMatchObject({ data: onGateway });
        const client = await connect('alice');
        const request = { type: 'request', channel: 'rooms.1', event: 'both' };
        await expect(client.error(request)).resolves.toMatchObject({ code: 'not_subscribed' });
        await client.subscribe('rooms.1');
        if (onChannel === undefined)
          await expect(client.error(request)).resolves.toMatchObject({ code: 'bad_request' });
        else await expect(client.reply(request)).resolves.toMatchObject({ event: onChannel });
      },
    );

    it('works with the two decorators in either order', async () => {
      @Channel('rooms.:room', { expose: ['channel'] })
      @WebSocketGateway({ path: '/gateway' })
      class Both {
        @Authorize('subscribe')
        can() {
          return true;
        }
        @SubscribeMessage('both')
        both() {
          return 'channel';
        }
      }
      const { port } = await start({
        providers: [Both, Last],
        configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
      });
      await expect(gatewayCall(port, '/gateway', 'both', 1)).resolves.toMatchObject({ data: 'silence' });
    });
  });

  describe('RealtimeWsAdapter', () => {
    class Sum {
      @IsInt()
      a!: number;
      @IsInt()
      b!: number;
    }

    @Injectable()
    class DenyGuard implements CanActivate {
      canActivate(context: ExecutionContext) {
        expect(RealtimeContext.from(context)?.action).toBe('request');
        return context.switchToWs().getClient<RealtimeConnection>().user?.id === 'root';
      }
    }

    @Catch(TypeError)
    class TypeFilter extends BaseWsExceptionFilter {
      override catch(error: Error, host: ArgumentsHost) {
        super.catch(new WsException({ code: 'conflict', message: error.message }), host);
      }
    }

    @UseFilters(new TypeFilter())
    @WebSocketGateway()
    class PlainGateway {
      readonly hooks: string[] = [];
      @WebSocketServer()
      server!: VirtualWsServer;
      afterInit() {
        this.hooks.push('init');
      }
      async handleConnection(client: RealtimeConnection, request: { url: string }) {
        this.hooks.push(`+${client.user?.id} ${request.url}`);
        if (client.user?.id === 'failing') throw new Error('hook failed');
      }
      async handleDisconnect(client: RealtimeConnection) {
        this.hooks.push(`-${client.user?.id}`);
      }
      @SubscribeMessage('sum')
      sum(@MessageBody(new ValidationPipe()) { a, b }: Sum, @ConnectedSocket() client: RealtimeConnection) {
        return {
          event: 'sum',
          data: { sum: a + b, by: client.user?.id, here: this.server.clients.has(client) },
        };
      }
      @SubscribeMessage('many')
      many() {
        return from([1, 2, 3]);
      }
      @SubscribeMessage('bare')
      bare(client: RealtimeConnection, data: unknown) {
        return { id: client.id, data, event: 5 };
      }
      @UseGuards(DenyGuard)
      @SubscribeMessage('guarded')
      guarded() {
        return 'in';
      }
      @SubscribeMessage('fail')
      fail(@MessageBody() how: string) {
        if (how === 'ws') throw new WsException({ code: 'muted', message: 'quiet' });
        if (how === 'http') throw new ForbiddenException('no');
        if (how === 'type') throw new TypeError('filtered');
        throw new Error('inner secret');
      }
      @SubscribeMessage('push')
      push() {
        this.server.emit('news');
      }
    }

    const sharing: AppOptions = {
      providers: [PlainGateway],
      configure: (app) => app.useWebSocketAdapter(new RealtimeWsAdapter(app)),
    };

    it('serves gateway events as requests without a channel, and replies with the returned value (P7)', async () => {
      const { connect } = await start(sharing);
      const client = await connect('alice');
      const request = (event: string, payload?: unknown) => client.call({ type: 'request', event, payload });
      expect((await request('sum', { a: 1, b: 2 })).payload).toEqual({ sum: 3, by: 'alice', here: true });
      expect((await request('many')).payload).toBe(3);
      expect((await request('bare', [1])).payload).toEqual({ id: expect.any(String), data: [1], event: 5 });
      expect(await request('sum', { a: 'x', b: 2 })).toMatchObject({
        type: 'error',
        payload: { code: 'validation_failed', details: [{ path: 'a' }] },
      });
      expect(await request('guarded')).toMatchObject({ payload: { code: 'forbidden' } });
      expect(await request('fail', 'ws')).toMatchObject({
        payload: { code: 'refused', reason: 'muted', message: 'quiet' },
      });
      expect(await request('fail', 'http')).toMatchObject({ payload: { code: 'forbidden', message: 'no' } });
      expect(await request('fail', 'type')).toMatchObject({
        payload: { code: 'refused', reason: 'conflict', message: 'filtered' },
      });
      expect(await request('fail')).toMatchObject({ payload: { code: 'internal' } });
      expect(await request('push')).toMatchObject({ payload: { code: 'internal' } });
      expect(JSON.stringify(client.received)).not.toContain('secret');
      expect((await (await connect('root')).call({ type: 'request', event: 'guarded' })).payload).toBe('in');
    });

    it('runs the gateway hooks once each; a failing hook ends no connection', async () => {
      const { app, connect, logger } = await start(sharing);
      const { hooks, server: clients } = app.get(PlainGateway);
      const client = await connect('alice');
      const failing = await connect('failing');
      await until('the log', () => logger.text.includes('PlainGateway.handleConnection on connection'));
      expect(clients.clients.size).toBe(2);
      client.terminate();
      await failing.close();
      await until('the ends', () => hooks.length === 5);
      expect(hooks.slice(0, 3)).toEqual(['init', '+alice /realtime', '+failing /realtime']);
      expect(hooks.slice(3).sort()).toEqual(['-alice', '-failing']);
      expect(clients.clients.size).toBe(0);
    });

    it('lets clients without a user reach gateways only where configured (G10)', async () => {
      const anonymous: AppOptions = { ...sharing, realtime: { auth: { anonymous: true } } };
      const closed = await start(anonymous);
      await expect((await closed.connect()).error({ type: 'request', event: 'many' })).resolves.toMatchObject(
        {
          code: 'forbidden',
        },
      );
      await closed.close();
      const open = await start({
        ...anonymous,
        configure: (app) => app.useWebSocketAdapter(new RealtimeWsAdapter(app, { anonymous: true })),
      });
      expect((await (await open.connect()).call({ type: 'request', event: 'many' })).payload).toBe(3);
    });

    it('serves gateways with a port of their own like platform-ws', async () => {
      const port = await freePort();
      @WebSocketGateway(0)
      class Zero {}
      @WebSocketGateway(port)
      class OwnPort {
        @SubscribeMessage('last')
        last(_client: unknown, data: unknown) {
          return { event: 'last', data };
        }
      }
      await start({ ...sharing, providers: [OwnPort, Zero] });
      await expect(gatewayCall(port, '', 'last', 'x')).resolves.toMatchObject({ event: 'last' });
    });

    it('refuses a gateway event that a channel class already answers', async () => {
      @WebSocketGateway()
      class Other {
        @SubscribeMessage('many')
        many() {}
      }
      @PublicChannel()
      @Channel('a')
      class A {
        @OnRequest('sum', { scope: 'connection', authorize: 'public' })
        sum() {}
      }
      const { app } = await makeApp(platform, { ...sharing, providers: [PlainGateway, Other, A] });
      await expect(app.init()).rejects.toThrow(
        [
          'RealtimeModule cannot start:',
          '- Other.many: handles "many", as PlainGateway.many does; a request has one answer. Rename one of them.',
          '- sum: is a request of a gateway and an @OnRequest without a channel. Rename one of them.',
        ].join('\n'),
      );
      await app.close();
    });
  });

  it('without any adapter, serves gateways on realtime connections, where Nest alone would end the process', async () => {
    @WebSocketGateway()
    class PlainGateway {
      @SubscribeMessage('ping')
      ping() {
        return { event: 'pong', data: 'sharing' };
      }
    }
    const { connect } = await start({
      providers: [PlainGateway],
      configure: (app) => app.useWebSocketAdapter(new StandaloneWsAdapter()),
    });
    expect((await (await connect('alice')).call({ type: 'request', event: 'ping' })).payload).toBe('sharing');
  });
});

describe('RealtimeWsAdapter without RealtimeModule', () => {
  it('without RealtimeModule, throws an error that names the missing module', async () => {
    const { app } = await makeApp(PLATFORMS[0][1], { module: class Empty {} });
    expect(() => new RealtimeWsAdapter(app)).toThrow(
      'RealtimeWsAdapter needs RealtimeModule: import RealtimeModule.forRoot() in the application.',
    );
  });
});
