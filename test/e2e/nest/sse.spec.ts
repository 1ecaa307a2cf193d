import compress from '@fastify/compress';
import fastifyHelmet from '@fastify/helmet';
import { afterEach, describe, expect, it } from '@jest/globals';
import {
  Controller,
  Get,
  Req,
  Res,
  UseGuards,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
} from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import compression from 'compression';
import { EventSource } from 'eventsource';
import helmet from 'helmet';
import { connect } from 'node:net';
import {
  Authorize,
  Channel,
  ChannelParam,
  PublicChannel,
  RealtimeService,
  RealtimeUser,
} from '../../../lib/nest/index.js';
import { patience } from '../../support/patience.js';
import { until } from '../../support/until.js';
import { EventReader } from '../../support/wire/event-reader.js';
import { PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

@PublicChannel()
@Channel('prices.:currency', { overflow: 'conflate' })
class Prices {}

@Channel('desks.:desk')
class Desks {
  @Authorize('subscribe')
  mayRead(@RealtimeUser() user: { id: string } | undefined, @ChannelParam('desk') desk: string): boolean {
    return user?.id === desk;
  }
}

/** What an application has that looks up its users itself. */
class SessionGuard implements CanActivate {
  async canActivate(context: ExecutionContext): Promise<boolean> {
    const request = context.switchToHttp().getRequest<{ headers: Record<string, string>; user?: object }>();
    const name = request.headers['x-session'];
    if (name !== undefined) request.user = { id: name };
    // It looks into a database.
    await new Promise(setImmediate);
    return name !== undefined;
  }
}

/** Times that the application made a page. */
let pages = 0;

@Controller('feeds')
class Feeds {
  constructor(private readonly realtime: RealtimeService) {}

  @Get('mine')
  @UseGuards(SessionGuard)
  mine(@Req() req: { user: { id: string } }, @Res() res: object) {
    return this.realtime.serveFeed(req, res, { channels: ['desks.ada', 'prices.eur'], user: req.user });
  }

  @Get('open')
  open(@Req() req: object, @Res() res: object) {
    return this.realtime.serveFeed(req, res, { channels: ['desks.ada'], events: true });
  }

  @Get('short')
  short(@Req() req: object, @Res() res: object) {
    return this.realtime.serveFeed(req, res, {
      channels: ['prices.eur'],
      user: { id: 'ada' },
      expiresIn: 300,
    });
  }

  @Get('page')
  page() {
    pages++;
    return 'x'.repeat(1024 * 1024);
  }

  @Get('none')
  async none(@Req() req: object, @Res({ passthrough: true }) res: object) {
    const wrong = [
      { channels: 'prices.eur' as never },
      { channels: ['prices.eur'], user: { id: 7 as never } },
      { channels: ['prices.eur'], user: { id: '' } },
    ];
    const outcomes = wrong.map((options) =>
      this.realtime.serveFeed(req, res, options).catch((error: Error) => error.message),
    );
    return { outcomes: await Promise.all(outcomes) };
  }
}

describe.each(PLATFORMS)('plain streams of an application on %s', (name, platform) => {
  let server: TestApp;
  const readers: EventReader[] = [];
  const sources: EventSource[] = [];
  const start = async (options: AppOptions = {}): Promise<RealtimeService> => {
    server = await startApp(platform, { providers: [Prices, Desks], controllers: [Feeds], ...options });
    return server.app.get(RealtimeService);
  };
  const open = async (path: string, headers: Record<string, string> = {}): Promise<EventReader> => {
    const reader = await EventReader.open(`http://127.0.0.1:${server.port}${path}`, { headers });
    readers.push(reader);
    return reader;
  };
  afterEach(async () => {
    for (const source of sources.splice(0)) source.close();
    for (const reader of readers.splice(0)) reader.close();
    await server.close();
  });

  /** Everything that an application puts around its routes. */
  const surrounded = async (app: INestApplication): Promise<void> => {
    app.setGlobalPrefix('api');
    app.enableCors({ origin: 'https://else.example.com' });
    if (name === 'Fastify') {
      const fastify = app as NestFastifyApplication;
      await fastify.register(compress, { threshold: 0 });
      await fastify.register(fastifyHelmet as never);
    } else {
      app.use(compression({ threshold: 0 }));
      app.use(helmet());
    }
  };

  it('are served at {path}/sse without an option, past everything of the application (P20)', async () => {
    const realtime = await start({ configure: surrounded, realtime: { auth: { anonymous: true } } });
    const headers = { Origin: 'https://page.example.com', 'Accept-Encoding': 'gzip, br' };
    const reader = await open('/realtime/sse?channels=prices.eur', headers);
    await reader.next('subscribed');
    await realtime.channel('prices.eur').publish('price', 1.1);
    expect(await reader.payload()).toBe(1.1);
    expect(reader.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'access-control-allow-origin': 'https://page.example.com',
    });
    expect(reader.headers).not.toHaveProperty('content-encoding');
    expect(reader.headers).not.toHaveProperty('x-frame-options');
    expect(reader.headers).not.toHaveProperty('access-control-allow-credentials');
  });

  it('leave the path to the application where they are switched off; serveFeed still works', async () => {
    const realtime = await start({ realtime: { transports: { sse: false }, auth: { anonymous: true } } });
    expect((await open('/realtime/sse?channels=prices.eur')).status).toBe(404);
    const reader = await open('/feeds/mine', { 'x-session': 'ada' });
    await reader.next('subscribed');
    await realtime.channel('prices.eur').publish('price', 2);
    expect(await reader.payload()).toBe(2);
    // What is pipelined behind a stream would be kept until its end.
    const socket = connect(server.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (part: string) => (text += part));
    const cut = new Promise((resolve) => socket.once('close', resolve));
    const ask = 'GET /feeds/mine HTTP/1.1\r\nHost: a\r\nx-session: ada\r\n\r\n';
    socket.write(ask);
    await until('the stream', () => text.includes('subscribed'));
    socket.write(ask);
    await cut;
  });

  it.each([true, false])(
    'of serveFeed are not begun where pages were asked for behind them before the guards ran, and nothing of these is kept (streams at {path}/sse: %s)',
    async (sse) => {
      await start({ realtime: { transports: { sse } } });
      pages = 0;
      const head = 'HTTP/1.1\r\nHost: a\r\nx-session: ada\r\n\r\n';
      const socket = connect(server.port, '127.0.0.1').on('error', () => undefined);
      let text = '';
      socket.setEncoding('latin1').on('data', (part: string) => (text += part));
      const cut = new Promise((resolve) => socket.once('close', resolve));
      socket.write(`GET /feeds/mine ${head}${`GET /feeds/page ${head}`.repeat(50)}`);
      await cut;
      expect(pages).toBeGreaterThan(0);
      expect(text).toBe('');
      expect(await server.app.get(RealtimeService).user('ada').isOnline()).toEqual({
        online: false,
        missing: [],
      });
    },
  );

  it.each([
    [{ sse: 'yes' }, 'transports.sse: is "yes"'],
    [{ see: true }, 'Did you mean "sse"?'],
  ])('an option that is wrong (%j) ends the start', async (transports, problem) => {
    await expect(start({ realtime: { transports: transports as never } })).rejects.toThrow(problem);
    server = { close: () => Promise.resolve() } as unknown as TestApp;
  });

  it('are served by serveFeed behind a route’s own guards, and each channel’s authorization is asked (P20)', async () => {
    const realtime = await start({ configure: surrounded });
    expect((await open('/api/feeds/mine')).status).toBe(403);
    const origin = 'https://else.example.com';
    const ada = await open('/api/feeds/mine', {
      'x-session': 'ada',
      Origin: origin,
      'Accept-Encoding': 'gzip',
    });
    const bob = await open('/api/feeds/mine', { 'x-session': 'bob' });
    await ada.until('two outcomes', ({ received }) => received.length === 2);
    await bob.until('two outcomes', ({ received }) => received.length === 2);
    expect([...ada.types].sort()).toEqual(['subscribed desks.ada', 'subscribed prices.eur']);
    expect([...bob.types].sort()).toEqual(['error desks.ada', 'subscribed prices.eur']);
    // What surrounds a route of the application holds for its feeds.
    expect(ada.headers).toMatchObject({ 'access-control-allow-origin': origin });
    expect(ada.headers).toHaveProperty('x-frame-options');
    expect(ada.headers).not.toHaveProperty('content-encoding');
    await realtime.channel('desks.ada').publish('order', 1);
    expect(await ada.payload()).toBe(1);
    const { lastEventId } = ada;
    ada.close();
    await realtime.channel('desks.ada').publish('order', 2);
    const again = await open('/api/feeds/mine', { 'x-session': 'ada', 'Last-Event-ID': lastEventId });
    await again.until('the second order', ({ received }) =>
      received.some(({ payload }) => (payload as unknown) === 2),
    );
  });

  it('know the client of serveFeed by the credentials of the request where the route has none (P20)', async () => {
    const realtime = await start();
    const refused = await open('/feeds/open');
    expect(refused.status).toBe(401);
    const reader = await open('/feeds/open', { Authorization: 'Bearer ada' });
    await reader.next('subscribed');
    await realtime.channel('desks.ada').publish('order', 3);
    await reader.next('event');
    expect(reader.blocks.at(-1)?.event).toBe('order');
  });

  it('of serveFeed end when the user has to be verified again (G12)', async () => {
    await start();
    const reader = await open('/feeds/short');
    await reader.next('subscribed');
    await reader.ended();
    expect(reader.received.at(-1)).toMatchObject({ type: 'bye', payload: { code: 4008 } });
  });

  it('of serveFeed fail at once for what is no list of channels and no user', async () => {
    await start();
    const reader = await open('/feeds/none');
    await reader.ended();
    expect((JSON.parse(reader.body) as { outcomes: string[] }).outcomes).toEqual([
      'serveFeed(): channels must be a list of names, such as ["prices.eur"].',
      expect.stringContaining('serveFeed(): user.id must be'),
      expect.stringContaining('serveFeed(): user.id must be'),
    ]);
  });

  it('feed the EventSource of npm through ten cuts without a loss (P20)', async () => {
    const realtime = await start({ realtime: { auth: { anonymous: true }, retry: { firstSpread: 20 } } });
    const channels = ['prices.eur', 'prices.usd'];
    const source = new EventSource(
      `http://127.0.0.1:${server.port}/realtime/sse?channels=${channels.join()}`,
    );
    sources.push(source);
    const seen = new Map<string, number[]>(channels.map((channel) => [channel, []]));
    let outcomes = 0;
    source.onmessage = ({ data }) => {
      const { type, channel, seq } = JSON.parse(data as string) as {
        type: string;
        channel: string;
        seq: number;
      };
      if (type === 'event') seen.get(channel)?.push(seq);
      if (type === 'subscribed') outcomes++;
    };
    for (let cut = 0; cut < 10; cut++) {
      await until('both outcomes', () => outcomes >= (cut + 1) * 2);
      for (const channel of channels) await realtime.channel(channel).publish('price', cut);
      await until('what was published', () =>
        channels.every((channel) => seen.get(channel)?.includes(cut * 2 + 1)),
      );
      (server.app.getHttpServer() as { closeAllConnections(): void }).closeAllConnections();
      for (const channel of channels) await realtime.channel(channel).publish('price', cut);
    }
    await until('the end', () => channels.every((channel) => seen.get(channel)?.includes(20)));
    for (const channel of channels) {
      const seqs = seen.get(channel) ?? [];
      expect([...new Set(seqs)].sort((a, b) => a - b)).toEqual(
        Array.from({ length: 20 }, (_, index) => index + 1),
      );
      // Repeats only what followed the last id.
      expect(seqs.length).toBeLessThanOrEqual(30);
    }
  });

  it('do not keep app.close() waiting: an open stream, one that is not read, and half a request', async () => {
    const realtime = await start({
      realtime: { auth: { anonymous: true }, drain: { deadline: 500, spread: 100 } },
    });
    const reader = await open('/realtime/sse?channels=prices.gbp,prices.usd');
    await reader.next('subscribed');
    const stuck = await open('/realtime/sse?channels=prices.eur');
    await stuck.next('subscribed');
    stuck.response.pause();
    for (let round = 0; round < 20; round++)
      await realtime.channel('prices.eur').publish('price', 'x'.repeat(500_000));
    const half = connect(server.port, '127.0.0.1');
    const cut = new Promise((resolve) => half.once('close', resolve));
    half.on('error', () => undefined);
    half.write('GET /realtime/sse?channels=prices.eur HTTP/1.1\r\nHost: a\r\nX-Half');
    await until('half a request', () => half.bytesWritten > 0);
    const timer = setTimeout(() => half.destroy(), patience(8_000));
    await server.app.close();
    clearTimeout(timer);
    await cut;
    await reader.ended();
    expect(reader.types).toContain('bye');
    expect(reader.isComplete).toBe(true);
    stuck.close();
  });
});
