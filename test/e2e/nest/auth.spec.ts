import { afterEach, describe, expect, it } from '@jest/globals';
import { createHmac, generateKeyPairSync } from 'node:crypto';
import { Injectable, Module, UnauthorizedException } from '@nestjs/common';
import { JwtService } from '@nestjs/jwt';
import type { Authenticator, Credentials } from '../../../lib/core/ports/identity.js';
import {
  Channel,
  OnRequest,
  PublicChannel,
  RealtimeUser,
  type RealtimeConnectHook,
} from '../../../lib/nest/index.js';
import type { RealtimeConnection } from '../../../lib/core/ports/realtime-connection.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';
import { WireClient } from '../../support/wire/client.js';
import { makeApp, PLATFORMS, startApp, type AppOptions, type TestApp } from './support/nest-app.js';

const SECRET = 'a-secret-of-at-least-thirty-two-bytes!';
const jwt = new JwtService({ secret: SECRET });
const rsa = generateKeyPairSync('rsa', {
  modulusLength: 2_048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const ec = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});

/** A token that no library would sign. */
function forge(header: object, claims: object, key: string): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
}

@PublicChannel()
@Channel('me')
class Me {
  @OnRequest('user', { scope: 'connection', authorize: 'public' })
  user(@RealtimeUser() user: unknown) {
    return user ?? null;
  }
}

describe.each(PLATFORMS)('authentication on %s', (_name, platform) => {
  let server: TestApp | undefined;
  const start = async (
    auth: RealtimeModuleOptions['auth'],
    more: RealtimeModuleOptions = {},
    app: AppOptions = {},
  ) =>
    (server = await startApp(platform, {
      ...app,
      providers: [Me, ...(app.providers ?? [])],
      realtime: { auth, ...more },
    }));
  const user = (client: WireClient) =>
    client.call({ type: 'request', event: 'user' }).then(({ payload }) => payload);

  /** How a hello with this token ends. */
  async function refusal(app: TestApp, token?: string): Promise<string> {
    const client = await app.open();
    client.send({
      type: 'hello',
      id: 'h',
      payload: { versions: [1], ...(token === undefined ? {} : { token }) },
    });
    const { payload } = await client.next('error');
    await client.expectClose();
    return String(payload['code']);
  }

  afterEach(async () => {
    await server?.close();
    server = undefined;
  });

  describe('with a JWT', () => {
    it('verifies a JWT from the subprotocol, hello or a cookie, and uses its claims as the user with sub as the id (P2, P3)', async () => {
      const app = await start({ jwt: { secret: SECRET }, cookie: { name: 'session' } });
      const token = jwt.sign({ sub: 'alice', role: 'admin' });

      const early = await app.connect(undefined, { protocols: ['realtime.v1.json', `bearer.${token}`] });
      expect(early.protocol).toBe('realtime.v1.json');
      const inHello = await app.connect(token);
      const headers = { Cookie: `session=${token}`, Origin: `http://127.0.0.1:${app.port}` };
      const byCookie = await app.connect(undefined, { headers });
      for (const client of [early, inHello, byCookie]) {
        await expect(user(client)).resolves.toMatchObject({ id: 'alice', role: 'admin', sub: 'alice' });
      }
    });

    it('accepts a cookie only from pages of the same or an allowed origin (G22)', async () => {
      const app = await start(
        { jwt: { secret: SECRET }, cookie: { name: 'session' } },
        { allowedOrigins: ['https://app.example.com'] },
      );
      const Cookie = `session=${jwt.sign({ sub: 'alice' })}`;
      const attempt = (Origin: string) => WireClient.refused(app.url, { headers: { Cookie, Origin } });
      expect((await attempt('https://evil.example')).status).toBe(403);
      const friendly = await app.connect(undefined, {
        headers: { Cookie, Origin: 'https://app.example.com' },
      });
      await expect(user(friendly)).resolves.toMatchObject({ id: 'alice' });
    });

    it('does not accept a token in the query unless that is enabled (G23)', async () => {
      const query = `?token=${jwt.sign({ sub: 'alice' })}`;
      const closed = await start({ jwt: { secret: SECRET } });
      const client = await closed.open({ query });
      client.send({ type: 'hello', id: 'h', payload: { versions: [1] } });
      await client.expectClose(4801);
      await closed.close();
      const open = await start({ jwt: { secret: SECRET } }, { queryToken: 'token' });
      await expect(user(await open.connect(undefined, { query }))).resolves.toMatchObject({ id: 'alice' });
    });

    it.each([
      ['RS256', rsa],
      ['ES256', ec],
    ] as const)('verifies %s with the public key alone', async (algorithm, pair) => {
      const app = await start({ jwt: { publicKey: pair.publicKey } });
      const token = new JwtService({ privateKey: pair.privateKey }).sign({ sub: 'alice' }, { algorithm });
      await expect(user(await app.connect(token))).resolves.toMatchObject({ id: 'alice' });
      // The public key as an HMAC secret: everybody has it.
      const confused = forge({ alg: 'HS256', typ: 'JWT' }, { sub: 'root' }, pair.publicKey);
      await expect(refusal(app, confused)).resolves.toBe('unauthorized');
    });

    it('refuses a JWT that is forged, from another issuer, unsigned, tampered with or without a user', async () => {
      const app = await start({
        jwt: { secret: SECRET, issuer: 'me', audience: ['rt', 'x'], algorithms: ['HS256'] },
      });
      const claims = { sub: 'alice', iss: 'me', aud: 'rt' };
      const good = jwt.sign(claims);
      await expect(user(await app.connect(good))).resolves.toMatchObject({ id: 'alice' });
      const bad = {
        'another secret': jwt.sign(claims, { secret: 'x'.repeat(32) }),
        'another algorithm': jwt.sign(claims, { algorithm: 'HS384' }),
        'another issuer': jwt.sign({ ...claims, iss: 'you' }),
        'another audience': jwt.sign({ ...claims, aud: 'web' }),
        'no signature': `${Buffer.from('{"alg":"none"}').toString('base64url')}.${good.split('.')[1]}.`,
        'a critical header': forge({ alg: 'HS256', crit: ['x'], x: 1 }, claims, SECRET),
        'no sub': jwt.sign({ iss: 'me', aud: 'rt' }),
        garbage: 'a.b.c',
        'claims that are text': jwt.sign('text'),
      };
      for (const [what, token] of Object.entries(bad)) {
        expect(`${what}: ${await refusal(app, token)}`).toMatch(/: unauthorized$/);
      }
      await expect(refusal(app)).resolves.toBe('unauthorized');
      expect(app.logger.at('error')).toEqual([]);
    });

    it('a JWT that is not valid yet is refused for now, wherever it comes; within clockTolerance it is valid', async () => {
      const app = await start({ jwt: { secret: SECRET, clockTolerance: '30s' } });
      const early = jwt.sign({ sub: 'alice' }, { notBefore: '60s' });
      const client = await app.open();
      client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: early } });
      expect((await client.next('error')).payload).toMatchObject({
        code: 'unavailable',
        retryable: true,
        retryAfterMs: 2_000,
      });
      expect(await client.expectClose(4007)).toMatchObject({ reason: 'broker_unavailable|2000' });
      const upgrade = await WireClient.refused(app.url, {
        protocols: ['realtime.v1.json', `bearer.${early}`],
      });
      expect([upgrade.status, upgrade.headers['retry-after']]).toEqual([503, '2']);
      const near = await app.connect(jwt.sign({ sub: 'alice' }, { notBefore: '20s' }));
      await expect(user(near)).resolves.toMatchObject({ id: 'alice' });
      expect(await near.error({ type: 'auth', payload: { token: early } })).toMatchObject({
        code: 'unavailable',
        retryAfterMs: 2_000,
      });
      await expect(user(near)).resolves.toMatchObject({ id: 'alice' });
      // Of a token that nobody signed nothing is said.
      const forged = jwt.sign({ sub: 'alice' }, { notBefore: '60s', secret: 'x'.repeat(32) });
      await expect(refusal(app, forged)).resolves.toBe('unauthorized');
    });

    it('ends the connection when the JWT expires, plus clockTolerance (G12)', async () => {
      const app = await start({ jwt: { secret: SECRET, clockTolerance: '30s', maxAge: '1h' } });
      const now = Math.floor(Date.now() / 1_000);
      await expect(refusal(app, jwt.sign({ sub: 'a', exp: now - 60 }))).resolves.toBe('token_expired');
      await expect(refusal(app, jwt.sign({ sub: 'a', iat: now - 7_200 }))).resolves.toBe('token_expired');
      const before = Date.now();
      const late = await app.connect(jwt.sign({ sub: 'a', exp: now - 10 }));
      const end = (now + 20) * 1_000;
      // Two clocks, of which one may be adjusted by some milliseconds, and a time in seconds.
      expect(late.welcome?.tokenExpiresInMs).toBeGreaterThanOrEqual(end - Date.now() - 50);
      expect(late.welcome?.tokenExpiresInMs).toBeLessThanOrEqual(end - before + 50);
      await expect(
        late.reply({ type: 'auth', payload: { token: jwt.sign({ sub: 'a' }, { expiresIn: '1h' }) } }),
      ).resolves.toEqual({ expiresInMs: expect.any(Number) });
      await expect(
        late.error({ type: 'auth', payload: { token: jwt.sign({ sub: 'b' }) } }),
      ).resolves.toMatchObject({
        code: 'forbidden',
      });
    });

    it('maps the user with the configured function on each authentication', async () => {
      let asked = 0;
      const app = await start({
        jwt: { secret: SECRET, user: (claims) => ({ id: `u:${String(claims['sub'])}`, asked: ++asked }) },
      });
      const token = jwt.sign({ sub: 'alice' });
      await expect(user(await app.connect(token))).resolves.toEqual({ id: 'u:alice', asked: 1 });
      await expect(user(await app.connect(token))).resolves.toEqual({ id: 'u:alice', asked: 2 });
    });

    it('admits anonymous clients where configured, but refuses an invalid token', async () => {
      const app = await start({ jwt: { secret: SECRET }, anonymous: true });
      await expect(user(await app.connect())).resolves.toBeNull();
      await expect(refusal(app, 'bad')).resolves.toBe('unauthorized');
    });

    it('logs the algorithms, and never a secret or token (G23)', async () => {
      const app = await start({ jwt: { secret: 'short' } });
      const token = jwt.sign({ sub: 'alice' }, { secret: 'short' });
      await app.connect(token);
      await refusal(app, `${token}x`);
      expect(app.logger.text).toContain('auth jwt (HS256, HS384, HS512), broker memory, durability process');
      expect(app.logger.at('warn').join()).toContain('auth.jwt.secret is shorter than 32 bytes');
      expect(app.logger.text).not.toContain(token);
      expect(app.logger.text).not.toMatch(/\bshort\b(?! secrets)(?!er)/);
    });
  });

  describe('with a class', () => {
    @Injectable()
    class Sessions {
      find(cookie: string | undefined) {
        return cookie === 'sid=1' ? { id: 'alice' } : undefined;
      }
    }

    @Injectable()
    class SessionAuthenticator implements Authenticator {
      constructor(private readonly sessions: Sessions) {}
      authenticate({ handshake, token }: Credentials) {
        if (token === 'crash') throw new Error('database secret');
        if (token === 'http') throw new UnauthorizedException('log in');
        if (token === 'nobody') return { user: {} } as never;
        return { user: this.sessions.find(handshake.headers.cookie) };
      }
    }

    @Module({ providers: [Sessions, SessionAuthenticator], exports: [SessionAuthenticator] })
    class SessionModule {}

    it('takes an authenticator class that Nest instantiates, and calls it with the handshake and without a token too', async () => {
      const app = await start(SessionAuthenticator, {}, { imports: [SessionModule] });
      const client = await app.connect(undefined, { headers: { Cookie: 'sid=1' } });
      await expect(user(client)).resolves.toEqual({ id: 'alice' });
      await expect(refusal(app)).resolves.toBe('unauthorized');
      await expect(refusal(app, 'http')).resolves.toBe('unauthorized');
      expect(app.logger.text).toContain('auth SessionAuthenticator');
    });

    it('answers a failure of the authenticator class as internal, before and after the upgrade (G25)', async () => {
      const app = await start(SessionAuthenticator, {}, { imports: [SessionModule] });
      await expect(refusal(app, 'crash')).resolves.toBe('internal');
      const early = await WireClient.refused(app.url, { protocols: ['realtime.v1.json', 'bearer.crash'] });
      expect(early.status).toBe(503);
      expect(early.body).not.toContain('secret');
      await expect(refusal(app, 'nobody')).resolves.toBe('internal');
      expect(app.logger.text).toContain('SessionAuthenticator returned a user without an id');
    });

    it('refuses at boot an authenticator class that no module provides', async () => {
      const { app } = await makeApp(platform, { realtime: { auth: SessionAuthenticator } });
      await expect(app.init()).rejects.toThrow(
        /- auth: SessionAuthenticator cannot be made: Nest can't resolve dependencies .* Add SessionAuthenticator to the providers of a module\./,
      );
      await app.close();
    });
  });

  it('refuses at boot a module that takes clients and has no authenticator', async () => {
    const { app } = await makeApp(platform, { realtime: { auth: undefined } });
    await expect(app.init()).rejects.toThrow(
      '- auth: is missing, so it is open who may connect. Set auth: { jwt: { secret } }, a class, { anonymous: true }, or publisherOnly: true.',
    );
    await app.close();
  });

  it('with an authenticator of anonymous clients only, accepts no token', async () => {
    const app = await start({ anonymous: true });
    await expect(user(await app.connect())).resolves.toBeNull();
    await expect(refusal(app, 'x')).resolves.toBe('unauthorized');
  });

  it('calls the connect hook after authentication', async () => {
    @Injectable()
    class Hook implements RealtimeConnectHook {
      onConnect(connection: RealtimeConnection) {
        connection.data['greeted'] = true;
        return connection.user?.id !== 'mallory';
      }
    }
    const app = await start({ jwt: { secret: SECRET } }, { connect: Hook }, { providers: [Hook] });
    await expect(user(await app.connect(jwt.sign({ sub: 'alice' })))).resolves.toMatchObject({ id: 'alice' });
    await expect(refusal(app, jwt.sign({ sub: 'mallory' }))).resolves.toBe('forbidden');
  });
});
