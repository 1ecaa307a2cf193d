import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Channel, OnRequest, PublicChannel, RealtimeUser } from '../../../lib/nest/index.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';
import { KeyServer, signed, signingKey } from '../../support/auth/key-server.js';
import { WireClient } from '../../support/wire/client.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

@PublicChannel()
@Channel('me')
class Me {
  @OnRequest('user', { scope: 'connection', authorize: 'public' })
  user(@RealtimeUser() user: unknown) {
    return user ?? null;
  }
}

describe.each(PLATFORMS)('tokens of an issuer with published keys on %s', (_name, platform) => {
  let keys: KeyServer;
  let server: TestApp | undefined;
  beforeEach(async () => {
    keys = await new KeyServer().start();
  });
  afterEach(async () => {
    await server?.close();
    server = undefined;
    await keys.stop();
  });
  const start = async (more: RealtimeModuleOptions['auth'] & object = {}) =>
    (server = await startApp(platform, {
      providers: [Me],
      realtime: {
        auth: { jwt: { jwks: { issuer: keys.issuer, url: keys.url, audience: 'rt' } }, ...more },
      },
    }));
  const claims = (more: object = {}) => ({ iss: keys.issuer, aud: 'rt', ...more });

  it('are admitted in the subprotocol, hello and a cookie; keys rotate while clients connect, and none is refused', async () => {
    const app = await start({ cookie: { name: 'session' } });
    let current = await signingKey('key-0');
    keys.keys = [current.jwk];
    const early = await app.connect(undefined, {
      protocols: ['realtime.v1.json', `bearer.${await signed(current, claims())}`],
    });
    const headers = {
      Cookie: `session=${await signed(current, claims())}`,
      Origin: `http://127.0.0.1:${app.port}`,
    };
    const byCookie = await app.connect(undefined, { headers });
    for (const client of [early, byCookie])
      expect((await client.call({ type: 'request', event: 'user' })).payload).toMatchObject({ id: 'alice' });
    const next = await signingKey('key-1');
    const connect = async () => (await app.connect(await signed(current, claims()))).welcome?.user;
    const users = [connect(), connect(), connect()];
    keys.keys = [current.jwk, next.jwk];
    current = next;
    users.push(...Array.from({ length: 30 }, connect));
    expect(new Set(await Promise.all(users))).toEqual(new Set(['alice']));
    expect(keys.requests).toBe(2);
    // The connection lives on with a token of the new key.
    await expect(
      early.reply({ type: 'auth', payload: { token: await signed(next, claims()) } }),
    ).resolves.toEqual({ expiresInMs: expect.any(Number) });
  });

  it('are refused retryably while the key server is away, before and after the upgrade, and those of known keys are not', async () => {
    const key = await signingKey('known');
    keys.keys = [key.jwk];
    const app = await start();
    await app.connect(await signed(key, claims()));
    await keys.stop();
    await app.connect(await signed(key, claims()));
    const unknown = await signed(await signingKey('unknown'), claims());
    const client = await app.open();
    client.send({ type: 'hello', id: 'h', payload: { versions: [1], token: unknown } });
    expect((await client.next('error')).payload).toMatchObject({ code: 'unavailable', retryable: true });
    await client.expectClose(4007);
    const upgrade = await WireClient.refused(app.url, {
      protocols: ['realtime.v1.json', `bearer.${unknown}`],
    });
    expect(upgrade.status).toBe(503);
    expect(Number(upgrade.headers['retry-after'])).toBeGreaterThan(0);
    expect(app.logger.text).not.toContain(unknown);
    expect(app.logger.at('error')).toEqual([]);
  });

  it('of the right issuer and another audience are refused; without an audience in the options, boot warns', async () => {
    const key = await signingKey('key');
    keys.keys = [key.jwk];
    const app = await start();
    const client = await app.open();
    const token = await signed(key, claims({ aud: 'web' }));
    client.send({ type: 'hello', id: 'h', payload: { versions: [1], token } });
    expect((await client.next('error')).payload).toMatchObject({ code: 'unauthorized' });
    expect(app.logger.text).toContain(`auth jwt (keys of ${keys.issuer})`);
    expect(app.logger.text).not.toContain('no audience');
    await app.close();
    const open = await start({ jwt: { jwks: { issuer: keys.issuer, url: keys.url } } });
    expect(open.logger.at('warn').join()).toContain(`auth.jwt.jwks has no audience for ${keys.issuer}`);
    await expect(open.connect(token)).resolves.toMatchObject({});
  });
});
