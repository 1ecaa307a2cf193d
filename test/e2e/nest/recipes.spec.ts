import { afterEach, describe, expect, it } from '@jest/globals';
import { JwtService } from '@nestjs/jwt';
import type {
  RealtimeAuthOptions,
  RealtimeJwks,
  RealtimeModuleOptions,
} from '../../../lib/nest/realtime-options.js';
import { KeyServer, signed, signingKey } from '../../support/auth/key-server.js';
import { JWT_SECRET, realtime } from './recipes/passport.js';
import { auth0, keycloak, opaque, tenants } from './recipes/providers.js';
import {
  CSRF_SECRET,
  CsrfController,
  LoginController,
  SessionAuthenticator,
  sessions,
} from './recipes/sessions.js';
import { TenantRooms } from './recipes/tenant-rooms.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

let server: TestApp | undefined;
let keys: KeyServer | undefined;
afterEach(async () => {
  await server?.close();
  await keys?.stop();
  [server, keys] = [undefined, undefined];
});
const [[, express]] = PLATFORMS;

/** How a hello ends: the user, or the code of the refusal. */
async function greet(app: TestApp, token?: string, options = {}): Promise<string> {
  const client = await app.open(options);
  client.send({
    type: 'hello',
    id: 'h',
    payload: { versions: [1], ...(token === undefined ? {} : { token }) },
  });
  const answer = await client.next();
  return String(answer.type === 'welcome' ? answer.payload['user'] : answer.payload['code']);
}

describe('the recipe for express-session', () => {
  const start = async () =>
    (server = await startApp(express, {
      controllers: [LoginController, CsrfController],
      providers: [SessionAuthenticator],
      configure: (app) => app.use(sessions),
      realtime: {
        auth: { authenticator: SessionAuthenticator, cookie: { name: 'sid', csrf: { secret: CSRF_SECRET } } },
      },
    }));
  const post = (app: TestApp, path: string, body: object, cookie = '') =>
    fetch(`${app.httpUrl.replace(/\/realtime$/, '')}/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', cookie },
      body: JSON.stringify(body),
    });
  const logIn = async (app: TestApp, name: string) => {
    const answer = await post(app, 'login', { name, password: 'right' });
    expect(answer.status).toBe(204);
    return String(answer.headers.get('set-cookie')?.split(';')[0]);
  };

  it('connects with the session of the log-in, from its own page only, and the log-out ends the connection and the session (G12, G22)', async () => {
    const app = await start();
    const Cookie = await logIn(app, 'alice');
    const Origin = `http://127.0.0.1:${app.port}`;
    const client = await app.connect(undefined, { headers: { Cookie, Origin } });
    expect(client.welcome?.user).toBe('alice');
    expect(client.welcome?.tokenExpiresInMs).toBeGreaterThan(3_500_000);
    expect(client.welcome?.tokenExpiresInMs).toBeLessThanOrEqual(3_600_000);
    await expect(
      greet(app, undefined, { headers: { Cookie, Origin: 'https://evil.example' } }),
    ).resolves.toBe('unauthorized');
    // Not as a token either: a page that has read it is no page of a browser.
    const value = decodeURIComponent(Cookie.slice('sid='.length));
    await expect(greet(app, value)).resolves.toBe('unauthorized');
    const other = await app.connect(undefined, { headers: { Cookie: await logIn(app, 'bob'), Origin } });
    expect((await post(app, 'logout', {}, Cookie)).status).toBe(204);
    await client.expectClose();
    await expect(app.open({ headers: { Cookie, Origin } })).rejects.toThrow('401');
    expect(other.welcome?.user).toBe('bob');
    expect((await post(app, 'login', { name: 'x', password: 'wrong' })).status).toBe(401);
  });

  it('connects from a page of any origin with the token of its session, and not with that of another one (P2e, G22)', async () => {
    const app = await start();
    const [alice, bob] = [await logIn(app, 'alice'), await logIn(app, 'bob')];
    const tokenOf = async (cookie: string) => {
      const answer = await fetch(`${app.httpUrl.replace(/\/realtime$/, '')}/realtime-csrf`, {
        headers: { cookie },
      });
      return ((await answer.json()) as { token: string }).token;
    };
    const from = async (cookie: string, token: string) =>
      greet(app, undefined, {
        headers: { Cookie: cookie, Origin: 'https://customer.example' },
        protocols: ['realtime.v1.json', `csrf.${token}`],
      });
    await expect(from(alice, await tokenOf(alice))).resolves.toBe('alice');
    await expect(from(alice, await tokenOf(bob))).resolves.toBe('unauthorized');
  });
});

describe('the recipe for Passport', () => {
  it('has the user that validate() returns, and refuses whom it refuses', async () => {
    const app = (server = await startApp(express, { module: realtime }));
    const jwt = new JwtService({ secret: JWT_SECRET });
    await expect(greet(app, jwt.sign({ sub: 'alice' }))).resolves.toBe('alice');
    await expect(greet(app, jwt.sign({ sub: 'mallory' }))).resolves.toBe('unauthorized');
    await expect(greet(app, jwt.sign({ sub: 'alice' }, { secret: 'x'.repeat(32) }))).resolves.toBe(
      'unauthorized',
    );
  });
});

/** The options of a recipe, with the key server of the test in place of the provider's: issuers and users stay. */
function local({ auth }: RealtimeModuleOptions, url: string): RealtimeModuleOptions {
  const { jwt = {} } = auth as RealtimeAuthOptions;
  const jwks = [jwt.jwks ?? []].flat().map((one: RealtimeJwks): RealtimeJwks => ({ ...one, url }));
  return { auth: { jwt: { ...jwt, jwks } } };
}

describe('the recipes for identity providers', () => {
  it.each([
    [
      'Auth0',
      auth0,
      {
        iss: 'https://example.eu.auth0.com/',
        aud: ['https://api.example.com', 'https://example.eu.auth0.com/userinfo'],
        sub: 'auth0|1',
      },
      'auth0|1',
    ],
    [
      'Keycloak',
      keycloak,
      {
        iss: 'https://id.example.com/realms/shop',
        aud: ['realtime', 'account'],
        sub: 'f3b2',
        preferred_username: 'al',
      },
      'f3b2',
    ],
  ])(
    'of %s admits its access tokens, and those for other applications not',
    async (_what, options, claims, id) => {
      keys = await new KeyServer().start();
      const key = await signingKey('k', 'RS256');
      keys.keys = [key.jwk];
      const app = (server = await startApp(express, { realtime: local(options, keys.url) }));
      await expect(greet(app, await signed(key, claims))).resolves.toBe(id);
      await expect(greet(app, await signed(key, { ...claims, aud: 'another' }))).resolves.toBe(
        'unauthorized',
      );
      await expect(greet(app, await signed(key, { ...claims, iss: `${claims.iss}x` }))).resolves.toBe(
        'unauthorized',
      );
    },
  );

  it('of tenants keeps users of the same name apart, and each in the channels of its tenant', async () => {
    keys = await new KeyServer().start();
    const key = await signingKey('k');
    keys.keys = [key.jwk];
    const app = (server = await startApp(express, {
      realtime: local(tenants, keys.url),
      providers: [TenantRooms],
    }));
    const of = async (realm: string) =>
      app.connect(
        await signed(key, {
          iss: `https://id.example.com/realms/${realm}`,
          aud: 'realtime',
          tenant: 'globex',
        }),
      );
    const [acme, globex] = [await of('acme'), await of('globex')];
    expect([acme.welcome?.user, globex.welcome?.user]).toEqual(['acme:alice', 'globex:alice']);
    await acme.subscribe('tenants.acme.rooms.1');
    await globex.subscribe('tenants.globex.rooms.1');
    await expect(acme.error({ type: 'subscribe', channel: 'tenants.globex.rooms.1' })).resolves.toMatchObject(
      { code: 'forbidden' },
    );
  });

  it('of opaque tokens admits those that are active, and answers with unavailable while the provider is away', async () => {
    keys = await new KeyServer().start();
    keys.answer = (_req, res) => res.end('{"active":true,"sub":"alice","aud":"realtime"}');
    const { auth } = opaque(keys.url, 'secret');
    const app = (server = await startApp(express, { realtime: auth === undefined ? {} : { auth } }));
    await expect(greet(app, 'opaque')).resolves.toBe('alice');
    await keys.stop();
    await expect(greet(app, 'another')).resolves.toBe('unavailable');
    expect(app.logger.text).toContain('auth IntrospectionAuthenticator');
  });
});
