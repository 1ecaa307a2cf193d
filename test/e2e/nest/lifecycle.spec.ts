import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Controller,
  Get,
  Global,
  Injectable,
  Module,
  type BeforeApplicationShutdown,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
  type OnModuleDestroy,
  type OnModuleInit,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { WebSocketGateway, SubscribeMessage } from '@nestjs/websockets';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { Test } from '@nestjs/testing';
import type { Server } from 'node:http';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { memoryBroker } from '../../../lib/brokers/memory/index.js';
import {
  Channel,
  OnRequest,
  PublicChannel,
  RealtimeModule,
  RealtimeService,
} from '../../../lib/nest/index.js';
import { RealtimeRuntime } from '../../../lib/nest/lifecycle/realtime-runtime.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';
import { patience, stretched } from '../../support/patience.js';
import { WireClient } from '../../support/wire/client.js';
import { until } from '../../support/until.js';
import {
  byName,
  makeApp,
  PLATFORMS,
  RecordingNestLogger,
  startApp,
  type TestApp,
} from './support/nest-app.js';

const AUTH: RealtimeModuleOptions = { auth: { authenticator: byName } };

@PublicChannel()
@Channel('news')
class News {
  @OnRequest('slow')
  async slow() {
    await new Promise(() => undefined);
  }
}

describe.each(PLATFORMS)('the lifecycle of an application on %s', (_name, platform) => {
  const servers: TestApp[] = [];
  const start = async (
    ...args: Parameters<typeof startApp> extends [unknown, ...infer Rest] ? Rest : never
  ) => {
    const server = await startApp(platform, ...args);
    servers.push(server);
    return server;
  };

  afterEach(async () => {
    await Promise.all(servers.splice(0).map((server) => server.close()));
  });

  it('RealtimeService works in every lifecycle hook, from the first to the last', async () => {
    const seen: string[] = [];
    @Injectable()
    class Everywhere
      implements
        OnModuleInit,
        OnApplicationBootstrap,
        OnModuleDestroy,
        BeforeApplicationShutdown,
        OnApplicationShutdown
    {
      constructor(readonly realtime: RealtimeService) {}
      private async publish(hook: string) {
        const { seq } = await this.realtime.channel('news').publish(hook, {});
        seen.push(`${hook} ${seq}`);
      }
      onModuleInit = () => this.publish('init');
      onApplicationBootstrap = () => this.publish('bootstrap');
      onModuleDestroy = () => this.publish('destroy');
      beforeApplicationShutdown = () => this.publish('before');
      onApplicationShutdown = () => this.publish('shutdown');
    }
    Reflect.defineMetadata('design:paramtypes', [RealtimeService], Everywhere);
    const server = await start({ providers: [News, Everywhere] });
    await server.close();
    expect(seen).toEqual(['init 1', 'bootstrap 2', 'destroy 3', 'before 4', 'shutdown 5']);
  });

  it('app.close() sends bye with advice and what is queued, closes with 4001, and refuses new connections (G18)', async () => {
    const { app, url, connect } = await start({
      providers: [News],
      realtime: { drain: { deadline: stretched(5_000), spread: '3s' } },
    });
    const client = await connect('alice');
    await client.subscribe('news');
    await app.get(RealtimeService).channel('news').publish('last', 1);
    // A module that holds the shutdown up: the drain has begun, the server still listens.
    app.get(RealtimeRuntime).engine.beginDrain();
    const refused = await WireClient.refused(url);
    expect(refused.status).toBe(503);
    expect(refused.headers['retry-after']).toBeDefined();
    const probed = await fetch(url.replace('ws:', 'http:'));
    expect(probed.status).toBe(503);

    await app.close();
    const types = client.received.map(({ type }) => type);
    expect(types.slice(-2)).toEqual(['event', 'bye']);
    expect(client.received.at(-1)?.payload).toEqual({ code: 4001, retryAfterMs: 0, spreadMs: 250 });
    await client.expectClose(4001);
  });

  it('app.close() answers the client of a running handler first (G18)', async () => {
    let begun = false;
    let release: () => void = () => undefined;
    const running = new Promise<void>((resolve) => (release = resolve));
    @PublicChannel()
    @Channel('desk')
    class Desk {
      @OnRequest('ask')
      async ask() {
        begun = true;
        await running;
        return { answer: 42 };
      }
    }
    const { app, connect } = await start({ providers: [Desk] });
    const client = await connect('alice');
    await client.subscribe('desk');
    client.send({ type: 'request', id: 'r1', channel: 'desk', event: 'ask' });
    await until('the handler', () => begun);
    let ended = false;
    const closing = app.close().then(() => (ended = true));
    await until('the goodbye', () => client.received.some(({ type }) => type === 'bye'));
    expect(ended).toBe(false);
    release();
    await closing;
    const replies = client.received.filter(({ ref }) => ref === 'r1');
    expect(replies).toEqual([expect.objectContaining({ type: 'reply', payload: { answer: 42 } })]);
    await client.expectClose(4001);
  });

  it('app.close() never hangs on silent clients, running handlers or a broker that does not close (G18)', async () => {
    const broker = Object.assign(memoryBroker(), { close: () => new Promise<void>(() => undefined) });
    const { app, connect, url, logger } = await start({
      providers: [News],
      realtime: { broker, drain: { deadline: 200, spread: 0 } },
    });
    const client = await connect('alice');
    await client.subscribe('news');
    client.send({ type: 'request', id: 'r', channel: 'news', event: 'slow' });
    const deaf = await connect('bob');
    deaf.stopReading();
    const silent = await WireClient.open(url);
    const begun = performance.now();
    await app.close();
    // 200 ms of drain, 1 s until sockets that do not close are cut, 1 s for the broker.
    expect(performance.now() - begun).toBeLessThan(stretched(10_000));
    expect(logger.at('warn').join()).toContain(
      'The broker did not close within 1000 ms; the shutdown continues without it',
    );
    for (const one of [client, deaf, silent]) one.terminate();
  });

  it('app.close() works after a failed start, and leaves nothing behind', async () => {
    const closed: string[] = [];
    const broker = Object.assign(memoryBroker(), {
      start: () => Promise.reject(new Error('no broker there')),
      close: async () => void closed.push('broker'),
    });
    const { app } = await makeApp(platform, { realtime: { broker } });
    await expect(app.init()).rejects.toThrow('no broker there');
    await app.close();
    expect((app.getHttpServer() as Server).listenerCount('upgrade')).toBe(0);
  });

  it('app.close() restores the HTTP server', async () => {
    const { app } = await makeApp(platform, {});
    const server = app.getHttpServer() as Server;
    const before = server.listenerCount('upgrade');
    await app.init();
    expect(server.listenerCount('upgrade')).toBe(before + 1);
    await app.close();
    expect(server.listenerCount('upgrade')).toBe(before);
  });

  describe('the probe (P18)', () => {
    it('the probe answers GET as an upgrade would be answered, and any page can read the answer', async () => {
      const { httpUrl } = await start({});
      const open = await fetch(httpUrl, { headers: { Origin: 'https://app.example.com' } });
      expect(open.status).toBe(426);
      expect(open.headers.get('access-control-allow-origin')).toBe('https://app.example.com');
      expect(open.headers.get('access-control-allow-credentials')).toBe('true');
      const unauthorized = await fetch(httpUrl, { headers: { Authorization: 'Bearer bad' } });
      expect(unauthorized.status).toBe(401);
      await expect(unauthorized.json()).resolves.toMatchObject({ statusCode: 401 });
      const preflight = await fetch(httpUrl, { method: 'OPTIONS', headers: { Origin: 'https://x.example' } });
      expect(preflight.status).toBe(204);
      expect(preflight.headers.get('access-control-allow-headers')).toBe('Authorization');
    });

    it('the probe is served under the configured path, without the global prefix', async () => {
      const { httpUrl, connect } = await start({
        realtime: { path: '/live/v1' },
        configure: (app) => app.setGlobalPrefix('api'),
      });
      expect((await fetch(httpUrl)).status).toBe(426);
      await expect(connect('alice')).resolves.toBeDefined();
    });

    it('the probe does not replace a route of the application', async () => {
      @Controller('realtime')
      class Mine {
        @Get()
        index() {
          return { mine: true };
        }
      }
      const { httpUrl, connect } = await start({ controllers: [Mine] });
      await expect((await fetch(httpUrl)).json()).resolves.toEqual({ mine: true });
      await expect(connect('alice')).resolves.toBeDefined();
    });
  });

  describe('other WebSocket servers on the same HTTP server', () => {
    @WebSocketGateway({ path: '/gateway' })
    class PlainGateway {
      @SubscribeMessage('ping')
      ping(_client: unknown, data: unknown) {
        return { event: 'pong', data };
      }
    }
    @WebSocketGateway()
    class IoGateway {
      @SubscribeMessage('ping')
      ping(_client: unknown, data: unknown) {
        return data;
      }
    }

    it('a gateway on Socket.IO works as installed, without a line in main.ts', async () => {
      const { port, connect } = await start({ providers: [News, IoGateway] });
      const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'] });
      try {
        await expect(socket.emitWithAck('ping', 1)).resolves.toBe(1);
        await expect((await connect('alice')).subscribe('news')).resolves.toBeDefined();
      } finally {
        socket.disconnect();
      }
    });

    it('a plain gateway on WsAdapter works', async () => {
      const { port, connect } = await start({
        providers: [News, PlainGateway],
        configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
      });
      const socket = new WebSocket(`ws://127.0.0.1:${port}/gateway`);
      const answer = new Promise((resolve) =>
        socket.on('message', (data: Buffer) => resolve(JSON.parse(data.toString()))),
      );
      socket.on('open', () => socket.send(JSON.stringify({ event: 'ping', data: 1 })));
      await expect(answer).resolves.toEqual({ event: 'pong', data: 1 });
      await expect((await connect('alice')).subscribe('news')).resolves.toBeDefined();
      socket.terminate();
    });

    it('Socket.IO works', async () => {
      const { port, connect } = await start({
        providers: [News, IoGateway],
        configure: (app) => app.useWebSocketAdapter(new IoAdapter(app)),
      });
      const socket = io(`http://127.0.0.1:${port}`, { transports: ['websocket'] });
      await expect(socket.timeout(patience(3_000)).emitWithAck('ping', 7)).resolves.toBe(7);
      await expect((await connect('alice')).subscribe('news')).resolves.toBeDefined();
      expect(socket.connected).toBe(true);
      socket.disconnect();
    });
  });

  it('two applications in one process stay independent', async () => {
    const [first, second] = [await start({ providers: [News] }), await start({ providers: [News] })];
    const [one, two] = [await first.connect('alice'), await second.connect('alice')];
    await one.subscribe('news');
    await two.subscribe('news');
    await first.app.get(RealtimeService).channel('news').publish('only', { in: 'first' });
    expect(await one.take({ type: 'event' })).toMatchObject({ seq: 1 });
    await first.app.get(RealtimeService).user('alice').disconnect();
    await one.expectClose(4811);
    await first.close();
    await second.app.get(RealtimeService).channel('news').publish('only', { in: 'second' });
    expect(await two.take({ type: 'event' })).toMatchObject({ seq: 1, payload: { in: 'second' } });
    expect(two.received.filter(({ type }) => type === 'event')).toHaveLength(1);
  });

  describe('forRootAsync', () => {
    @Injectable()
    class Config {
      createRealtimeOptions(): RealtimeModuleOptions {
        return { ...AUTH, path: '/configured' };
      }
    }
    @Global()
    @Module({ providers: [Config], exports: [Config] })
    class ConfigModule {}

    it.each([
      [
        'useFactory',
        RealtimeModule.forRootAsync({
          imports: [ConfigModule],
          inject: [Config],
          useFactory: async (config: Config) => config.createRealtimeOptions(),
        }),
      ],
      ['useClass', RealtimeModule.forRootAsync({ useClass: Config })],
      ['useExisting', RealtimeModule.forRootAsync({ imports: [ConfigModule], useExisting: Config })],
    ])('%s', async (_kind, module) => {
      const server = await start({ module, providers: [News], realtime: { path: '/configured' } });
      await expect((await server.connect('alice')).subscribe('news')).resolves.toBeDefined();
    });

    it('validates its options like forRoot', async () => {
      const module = RealtimeModule.forRootAsync({
        useFactory: () => ({ paht: '/x' }) as RealtimeModuleOptions,
      });
      await expect(makeApp(platform, { module })).rejects.toThrow(
        'paht: is not an option. Did you mean "path"?',
      );
    });
  });

  it('publisherOnly accepts no clients, and needs no auth', async () => {
    const server = await start({ providers: [News], realtime: { auth: undefined, publisherOnly: true } });
    expect((await fetch(server.httpUrl)).status).toBe(404);
    await expect(server.app.get(RealtimeService).channel('news').publish('x', 1)).resolves.toMatchObject({
      seq: 1,
    });
    expect(server.logger.text).toContain('Realtime as publisher only, broker memory, durability process');
  });
});

describe('an application without an HTTP server', () => {
  @Module({ imports: [RealtimeModule.forRoot()], providers: [News] })
  class WorkerModule {}

  it('publishes from an application context', async () => {
    const logger = new RecordingNestLogger();
    const context = await NestFactory.createApplicationContext(WorkerModule, { logger });
    await expect(context.get(RealtimeService).channel('news').publish('x', 1)).resolves.toMatchObject({
      seq: 1,
    });
    expect(logger.text).toContain('Realtime as publisher only');
    await context.close();
  });

  it('publishes from a testing module', async () => {
    const module = await Test.createTestingModule({ imports: [WorkerModule] })
      .setLogger(new RecordingNestLogger())
      .compile();
    await module.init();
    await expect(module.get(RealtimeService).channel('news').publish('x', 1)).resolves.toMatchObject({
      seq: 1,
    });
    await module.close();
  });

  it('delivers events between nodes that share a broker', async () => {
    const { MemoryStore } = await import('../../../lib/brokers/memory/index.js');
    const store = new MemoryStore();
    const options = { ...AUTH, broker: () => memoryBroker({ store }) };
    const platform = PLATFORMS[0][1];
    const server = await startApp(platform, { providers: [News], realtime: options });
    @Module({ imports: [RealtimeModule.forRoot(options)], providers: [News] })
    class Worker {}
    const worker = await NestFactory.createApplicationContext(Worker, { logger: new RecordingNestLogger() });
    const client = await server.connect('alice');
    await client.subscribe('news');
    await worker.get(RealtimeService).channel('news').publish('told', 1);
    expect(await client.take({ type: 'event' })).toMatchObject({ event: 'told' });
    await worker.get(RealtimeService).user('alice').disconnect();
    await until('the end', () => client.ended !== undefined);
    await worker.close();
    await server.close();
  });
});
