import { afterEach, describe, expect, it } from '@jest/globals';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { ROUTES } from '../../../../lib/admin/routes/index.js';
import { RealtimeAdminModule } from '../../../../lib/admin/index.js';
import { PLATFORMS } from '../support/nest-app.js';
import { startAdmin, type AdminApp } from './support.js';

const LISTED = 'https://admin.example.com';
const STRANGER = 'https://admin.example.com.evil.example';

describe.each(PLATFORMS)('pages of other sites and the admin API, on %s', (_name, platform) => {
  let app: AdminApp;
  afterEach(() => app.close());

  const ask = (path: string, headers: Record<string, string>, method = 'GET', body?: string) =>
    fetch(`http://127.0.0.1:${app.port}/realtime-admin/${path}`, {
      method,
      headers,
      ...(body === undefined ? {} : { body }),
    });
  const from = (origin: string, as = 'administer') => ({
    origin,
    'sec-fetch-site': 'cross-site',
    ...(as === '' ? {} : { authorization: `Bearer ${as}` }),
  });
  const corsOf = ({ status, headers }: Response) => ({
    status,
    origin: headers.get('access-control-allow-origin'),
    credentials: headers.get('access-control-allow-credentials'),
    exposed: headers.get('access-control-expose-headers'),
    vary: headers.get('vary'),
  });
  const allowed = {
    origin: LISTED,
    credentials: 'true',
    exposed: 'Retry-After',
    vary: expect.stringMatching(/\borigin\b/i),
  };

  it('answers listed origins so that their pages can read it: reads, acts, errors of guards and of routes', async () => {
    app = await startAdmin(platform, { allowedOrigins: [`${LISTED}:443`] });
    expect(corsOf(await ask('nodes', from(LISTED)))).toEqual({ status: 200, ...allowed });
    const json = { ...from(LISTED), 'content-type': 'application/json' };
    expect(corsOf(await ask('ban', json, 'POST', '{"user":"u7"}'))).toEqual({ status: 200, ...allowed });
    expect((await app.get('audit?act=ban')).body.entries).toMatchObject([{ whom: { id: 'u7' } }]);
    expect(corsOf(await ask('nodes', from(LISTED, '')))).toEqual({ status: 401, ...allowed });
    expect(corsOf(await ask('nodes', from(LISTED, 'nothing')))).toEqual({ status: 403, ...allowed });
    expect(corsOf(await ask('nodes?color=red', from(LISTED)))).toEqual({ status: 400, ...allowed });
    // Of the same site: not refused, and readable because it is listed.
    const near = { ...from(LISTED), 'sec-fetch-site': 'same-site' };
    expect(corsOf(await ask('nodes', near))).toEqual({ status: 200, ...allowed });
  });

  it.each([STRANGER, 'http://admin.example.com', 'https://admin.example.com:8443', 'null', ''])(
    'refuses a page of %p before the guards are asked, unreadable and without an entry in the audit',
    async (origin) => {
      app = await startAdmin(platform, { allowedOrigins: [LISTED] });
      const { origin: named, ...others } = from(origin);
      const sent = named === '' ? others : { ...others, origin: named };
      const refused = await ask('nodes', sent);
      expect(corsOf(refused)).toMatchObject({ status: 403, origin: null, credentials: null });
      expect(((await refused.json()) as { error: object }).error).toMatchObject({ code: 'forbidden' });
      expect((await ask('nodes', { ...sent, authorization: '' })).status).toBe(403);
      expect((await app.get('audit')).body.entries).toEqual([]);
    },
  );

  it('answers preflights of listed origins without credentials, and of nobody else', async () => {
    app = await startAdmin(platform, { allowedOrigins: [LISTED] });
    const preflight = (path: string, origin: string) =>
      ask(
        path,
        {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'x-api-key,content-type',
        },
        'OPTIONS',
      );
    for (const { path } of ROUTES) {
      const answer = await preflight(path, LISTED);
      expect([path, corsOf(answer)]).toEqual([path, { status: 204, ...allowed }]);
      expect(answer.headers.get('access-control-allow-methods')).toBe('GET, POST');
      expect(answer.headers.get('access-control-allow-headers')).toBe('x-api-key,content-type');
      expect(answer.headers.get('access-control-max-age')).toBe('600');
      expect(await answer.text()).toBe('');
    }
    expect(corsOf(await preflight('ban', STRANGER))).toMatchObject({ status: 403, origin: null });
    const plain = await ask('nodes', { origin: LISTED }, 'OPTIONS');
    expect(plain.headers.get('access-control-allow-headers')).toBe('Authorization, Content-Type');
  });

  it('replaces what the CORS of the application says, for listed origins alone', async () => {
    app = await startAdmin(platform, {
      allowedOrigins: [LISTED],
      configure: (nest) => nest.enableCors({ origin: 'https://chat.example.com' }),
    });
    const { origin, vary } = corsOf(await ask('nodes', from(LISTED)));
    expect([origin, vary]).toEqual([LISTED, expect.stringMatching(/\borigin\b/i)]);
  });

  it('keeps what answers depend on beside the origin', async () => {
    app = await startAdmin(platform, {
      allowedOrigins: [LISTED],
      configure: (nest) => {
        const http = nest.getHttpAdapter();
        const set = (response: object, next: () => void): void => {
          http.setHeader(response, 'Vary', 'Accept-Language');
          next();
        };
        if (http.getType() === 'express')
          nest.use((_request: object, response: object, next: () => void) => set(response, next));
        else (http.getInstance() as Hooks).addHook('onRequest', (_request, reply, done) => set(reply, done));
      },
    });
    expect(corsOf(await ask('nodes', from(LISTED))).vary).toBe('Accept-Language, Origin');
  });

  it('has none of it without the option, and no preflights in the OpenAPI document', async () => {
    app = await startAdmin(platform);
    expect(corsOf(await ask('nodes', from(LISTED)))).toMatchObject({ status: 403, origin: null });
    const near = await ask('nodes', { ...from(LISTED), 'sec-fetch-site': 'same-origin' });
    expect(corsOf(near)).toMatchObject({ status: 200, origin: null, vary: null });
    expect([204, 403]).not.toContain((await ask('nodes', { origin: LISTED }, 'OPTIONS')).status);
    await app.close();
    app = await startAdmin(platform, { allowedOrigins: [LISTED] });
    const document = SwaggerModule.createDocument(app.app, new DocumentBuilder().build());
    const methods = Object.values(document.paths).flatMap((path) => Object.keys(path));
    expect(new Set(methods)).toEqual(new Set(['get', 'post']));
    expect(methods).toHaveLength(ROUTES.length);
  });
});

/** What the test uses of Fastify. */
interface Hooks {
  addHook(name: string, hook: (request: object, reply: object, done: () => void) => void): void;
}

describe('allowedOrigins of the admin API', () => {
  const guard = { canActivate: () => true };
  it.each([
    ['no list', 'https://admin.example.com', 'allowedOrigins: is no list of origins.'],
    ['any', ['*'], 'allowedOrigins[0]: is not one exact origin.'],
    ['a wildcard', ['https://a.example', 'https://*.example.com'], 'allowedOrigins[1]: is not one exact'],
    ['a path', ['https://admin.example.com/'], 'allowedOrigins[0]: is not one exact origin.'],
    ['null', ['null'], 'allowedOrigins[0]: is not one exact origin.'],
    ['a pattern', [/https:.*/], 'allowedOrigins[0]: is not one exact origin.'],
  ])('is refused with its path and a remedy: %s', (_what, allowedOrigins, expected) => {
    const start = () =>
      RealtimeAdminModule.forRoot({
        guards: [guard],
        authorityOf: () => 'read',
        by: () => 'ada',
        allowedOrigins: allowedOrigins as never,
      });
    expect(start).toThrow(`- RealtimeAdminModule: ${expected}`);
    expect(start).toThrow(
      'Write scheme, host and port only, e.g. allowedOrigins: ["https://admin.example.com"].',
    );
  });
});
