import { afterEach, describe, expect, it } from '@jest/globals';
import {
  HttpException,
  Injectable,
  Module,
  type CanActivate,
  type ExecutionContext,
  type INestApplication,
  type NestApplicationOptions,
} from '@nestjs/common';
import { memoryBroker } from '../../../../lib/brokers/memory/index.js';
import { RealtimeAdminModule, type AdminAuthority } from '../../../../lib/admin/index.js';
import { RealtimeError } from '../../../../lib/protocol/realtime-error.js';
import { alteredBroker } from '../../../support/engine/altered-broker.js';
import { PLATFORMS, startApp, type TestApp } from '../support/nest-app.js';
import { Rooms, startAdmin, type AdminApp } from './support.js';

interface GivenRequest {
  readonly headers: Readonly<Record<string, string | undefined>>;
}

describe.each(PLATFORMS)('the admin API when something fails, on %s', (name, platform) => {
  let app: TestApp;
  afterEach(() => app.close());

  it('answers 503 and 504 with Retry-After while the broker is away, and works when it is back', async () => {
    let failure: RealtimeError | undefined = new RealtimeError('unavailable', 'The broker is away', {
      retryAfterMs: 2_500,
    });
    const inner = memoryBroker();
    const failing = <T>(work: () => T): T | Promise<never> =>
      failure === undefined ? work() : Promise.reject(failure);
    const broker = alteredBroker(inner, {
      bus: { control: async (record) => failing(async () => inner.bus.control(record)) },
      log: { read: async (request) => failing(async () => inner.log.read(request)) },
    });
    const admin: AdminApp = await startAdmin(platform, { realtime: { broker: () => broker } });
    app = admin;
    const act = await admin.post('ban', { user: 'u7' });
    expect([act.status, act.headers.get('retry-after'), act.body]).toEqual([
      503,
      '3',
      { error: { code: 'unavailable', message: 'The broker is away', retryAfterMs: 2_500 } },
    ]);
    failure = new RealtimeError('timeout', 'The broker did not answer');
    const late = await admin.post('ban', { user: 'u7' });
    expect([late.status, late.headers.get('retry-after'), late.body.error.code]).toEqual([
      504,
      '1',
      'timeout',
    ]);
    failure = undefined;
    expect((await admin.post('ban', { user: 'u7' })).status).toBe(200);
    const { entries } = (await admin.get('audit?act=ban')).body;
    expect(entries.map(({ result }: { result: string }) => result)).toEqual(['applied', 'failed', 'failed']);
  });

  async function start(
    options: {
      authorityOf?: (
        request: unknown,
        route: string,
      ) => AdminAuthority | undefined | Promise<AdminAuthority | undefined>;
      by?: (request: unknown) => string;
      guard?: CanActivate;
    },
    more: { configure?: (nest: INestApplication) => unknown; application?: NestApplicationOptions } = {},
  ) {
    app = await startApp(platform, {
      ...more,
      imports: [
        RealtimeAdminModule.forRoot({
          guards: [options.guard ?? { canActivate: () => true }],
          authorityOf: options.authorityOf ?? (() => 'administer'),
          by: options.by ?? (() => 'ada'),
          dashboard: true,
        }),
      ],
      providers: [Rooms],
    });
    return async (path: string, body?: unknown) => {
      const response = await fetch(`http://127.0.0.1:${app.port}/realtime-admin/${path}`, {
        method: body === undefined ? 'GET' : 'POST',
        headers: { 'content-type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const { status, headers } = response;
      return { status, headers, text: await response.text() };
    };
  }

  it('refuses who has no authority, waits for one that comes later, and never takes a mistake for one', async () => {
    const held: Record<string, () => unknown> = {
      '/realtime-admin/nodes?cursor=a': () => undefined,
      '/realtime-admin/nodes?cursor=b': () => Promise.resolve('read'),
      '/realtime-admin/nodes?cursor=c': () => Promise.reject(new Error('secret of the directory')),
      '/realtime-admin/nodes?cursor=d': () => ['administer'],
      '/realtime-admin/nodes?cursor=e': () => true,
      '/realtime-admin/nodes?cursor=f': () => Promise.reject(new HttpException('Too many', 429)),
    };
    const ask = await start({
      authorityOf: (request) => {
        const { url, originalUrl = url } = request as { url: string; originalUrl?: string };
        return held[originalUrl]?.() as AdminAuthority;
      },
    });
    const answers: (readonly [number, string])[] = [];
    for (const cursor of 'abcdef') {
      const { status, text } = await ask(`nodes?cursor=${cursor}`);
      answers.push([status, (JSON.parse(text) as { error?: { code: string } }).error?.code ?? 'ok']);
      expect(text).not.toContain('secret');
    }
    expect(answers).toEqual([
      [403, 'forbidden'],
      [200, 'ok'],
      [500, 'internal'],
      [403, 'forbidden'],
      [403, 'forbidden'],
      [429, 'rate_limited'],
    ]);
    expect(app.logger.at('warn').filter((line) => line.includes('authorityOf returned'))).toHaveLength(1);
    expect(app.logger.at('error').join()).toContain('secret of the directory');
  });

  it('gives a worker that may publish nothing else, whatever the query says', async () => {
    const asked: string[] = [];
    const ask = await start({
      authorityOf: (_request, route) => {
        asked.push(route);
        return route === 'publish' || route === 'publishBatch' ? 'administer' : undefined;
      },
    });
    const event = { channel: 'rooms.1', event: 'said', id: 'a' };
    expect((await ask('publish', event)).status).toBe(200);
    expect((await ask('publish/batch', { events: [event] })).status).toBe(200);
    expect((await ask('ban?/publish', { user: 'u7' })).status).toBe(403);
    expect((await ask('dashboard/tap?channel=rooms.1&/publish')).status).toBe(403);
    expect((await ask('dashboard/readings?/publish')).status).toBe(403);
    expect(asked).toEqual(['publish', 'publishBatch', 'ban', 'tapChannel', 'readDashboard']);
    expect((await ask('publish?ban', event)).status).toBe(400);
  });

  it('does not advise to repeat the reading of an audit that no sink can list', async () => {
    app = await startAdmin(platform, { realtime: { audit: { sinks: [{ write: () => undefined }] } } });
    const { status, headers, body } = await (app as AdminApp).get('audit');
    expect([status, headers.get('retry-after')]).toEqual([503, null]);
    expect(body).toEqual({
      error: {
        code: 'unavailable',
        message: 'audit.list: none of the sinks can be read. Add memorySink()',
      },
    });
  });

  it('does nothing in the name of nobody', async () => {
    const ask = await start({ by: () => undefined as unknown as string });
    const { status, text } = await ask('ban', { user: 'u7' });
    expect([status, JSON.parse(text)]).toEqual([
      500,
      { error: { code: 'internal', message: 'It failed; the log of the node says why' } },
    ]);
    expect(app.logger.at('error').join()).toContain('by() must return a string');
    expect((await ask('audit')).status).toBe(500);
    expect((await ask('channels/history?channel=rooms.1')).status).toBe(500);
    const event = { channel: 'rooms.1', event: 'said', id: 'a' };
    expect((await ask('publish', event)).status).toBe(500);
    expect((await ask('publish/batch', { events: [event] })).status).toBe(500);
    expect((JSON.parse((await ask('restrictions')).text) as { restrictions: [] }).restrictions).toEqual([]);
    expect((await ask('nodes')).status).toBe(200);
  });

  it('keeps the Retry-After of a guard, and says to 401 how to come', async () => {
    const guard: CanActivate = {
      canActivate: (context: ExecutionContext) => {
        const http = context.switchToHttp();
        const { headers } = http.getRequest<GivenRequest>();
        if (headers['x-known'] === undefined && headers['content-type'] === undefined) return false;
        http.getResponse<{ header(name: string, value: string): void }>().header('Retry-After', '77');
        throw new HttpException('Slow down', 429);
      },
    };
    const ask = await start({ guard });
    const slow = await ask('nodes');
    expect([slow.status, slow.headers.get('retry-after'), slow.headers.get('cache-control')]).toEqual([
      429,
      '77',
      'no-store',
    ]);
    const bare = await fetch(`http://127.0.0.1:${app.port}/realtime-admin/nodes`);
    expect([bare.status, await bare.json()]).toEqual([
      403,
      { error: { code: 'forbidden', message: 'Forbidden resource' } },
    ]);
  });

  it('takes guards of another module, and says who is unknown', async () => {
    @Injectable()
    class Staff {
      readonly names = ['ada'];
    }
    @Module({ providers: [Staff], exports: [Staff] })
    class StaffModule {}
    @Injectable()
    class NameGuard implements CanActivate {
      constructor(readonly staff: Staff) {}
      canActivate(context: ExecutionContext): boolean {
        const { headers } = context.switchToHttp().getRequest<GivenRequest>();
        if (this.staff.names.includes(headers['x-name'] ?? '')) return true;
        throw new HttpException('Who are you?', 401);
      }
    }
    app = await startApp(platform, {
      imports: [
        RealtimeAdminModule.forRoot({
          imports: [StaffModule],
          guards: [NameGuard],
          authorityOf: () => 'read',
          by: () => 'ada',
        }),
      ],
    });
    const url = `http://127.0.0.1:${app.port}/realtime-admin/nodes`;
    expect((await fetch(url, { headers: { 'x-name': 'ada' } })).status).toBe(200);
    const unknown = await fetch(url, { headers: { 'x-name': 'eve' } });
    expect([unknown.status, unknown.headers.get('www-authenticate'), await unknown.json()]).toEqual([
      401,
      'Bearer',
      { error: { code: 'unauthorized', message: 'Who are you?' } },
    ]);
  });

  it('says that it has no body where the application reads none', async () => {
    const ask = await start({}, { application: { bodyParser: false } });
    const { status } = await ask('ban', { user: 'u7' });
    // Fastify reads JSON by itself.
    const isRead = name === 'Fastify';
    expect(status).toBe(isRead ? 200 : 400);
    if (!isRead)
      expect((JSON.parse((await ask('restrictions')).text) as { restrictions: [] }).restrictions).toEqual([]);
  });
});

describe('an application without the admin module', () => {
  it('has none of its routes', async () => {
    const app = await startApp(PLATFORMS[0][1], {});
    try {
      expect((await fetch(`http://127.0.0.1:${app.port}/realtime-admin/nodes`)).status).toBe(404);
    } finally {
      await app.close();
    }
  });
});
