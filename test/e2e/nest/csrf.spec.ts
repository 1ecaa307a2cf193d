import { afterEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { JwtService } from '@nestjs/jwt';
import { csrfToken } from '../../../lib/nest/auth/index.js';
import type { RealtimeModuleOptions } from '../../../lib/nest/realtime-options.js';
import { WireClient } from '../../support/wire/client.js';
import { PLATFORMS, startApp, type TestApp } from './support/nest-app.js';

const SECRET = 'a-secret-of-at-least-thirty-two-bytes!';
const CSRF_SECRET = 'another-secret-of-at-least-32-bytes!!';
const jwt = new JwtService({ secret: SECRET });
const session = (user: string) => `session=${jwt.sign({ sub: user })}`;
const proofOf = (cookie: string, secret = CSRF_SECRET) =>
  String(csrfToken({ secret, cookie: 'session' }, cookie));
const ELSEWHERE = 'https://customer.example';

describe.each(PLATFORMS)('a cookie with a token against cross-site requests on %s', (_name, platform) => {
  let server: TestApp | undefined;
  afterEach(async () => {
    await server?.close();
    server = undefined;
  });
  const start = async (
    more: RealtimeModuleOptions = {},
    csrf: { secret: string } | null = { secret: CSRF_SECRET },
  ) =>
    (server = await startApp(platform, {
      realtime: {
        auth: {
          jwt: { secret: SECRET },
          cookie: { name: 'session', ...(csrf === null ? {} : { csrf }) },
        },
        ...more,
      },
    }));
  const offer = (Cookie: string, proofs: readonly string[], Origin: string | undefined = ELSEWHERE) => ({
    headers: { Cookie, ...(Origin === '' ? {} : { Origin }) },
    protocols: ['realtime.v1.json', ...proofs.map((proof) => `csrf.${proof}`)],
  });

  it('authenticates an upgrade of a page of any origin, and one without an origin, and the token is not echoed (P2e, G22)', async () => {
    const app = await start();
    const cookie = session('alice');
    for (const origin of [ELSEWHERE, '', 'null']) {
      const client = await app.connect(undefined, offer(cookie, [proofOf(cookie)], origin));
      expect([origin, client.welcome?.user, client.protocol]).toEqual([origin, 'alice', 'realtime.v1.json']);
    }
    // A page of the same origin needs none.
    const own = await app.connect(undefined, offer(cookie, [], `http://127.0.0.1:${app.port}`));
    expect(own.welcome?.user).toBe('alice');
  });

  it('does not count with a token that is missing, of another session, of another secret, cut or longer, whether or not the cookie is valid (P2e, G22)', async () => {
    const app = await start();
    const cookie = session('alice');
    const proof = proofOf(cookie);
    const bad = [
      [],
      [proofOf(session('mallory'))],
      [proofOf(cookie, SECRET)],
      [proof.slice(1)],
      [`${proof}A`],
      ['x'],
      [proof.toLowerCase()],
    ];
    for (const proofs of bad) {
      for (const given of [cookie, 'session=garbage']) {
        const client = await app.open(offer(given, proofs));
        client.send({ type: 'hello', id: 'h', payload: { versions: [1] } });
        expect([proofs, (await client.next('error')).payload]).toMatchObject([
          proofs,
          { code: 'unauthorized' },
        ]);
        await client.expectClose(4801);
      }
    }
    const nowhere = await WireClient.refused(app.url, offer(cookie, ['x'], ''));
    expect(nowhere.status).toBe(403);
  });

  it('does not replace a list of origins, where there is one (P2e, G22)', async () => {
    const app = await start({ allowedOrigins: 'https://app.example.com' });
    const cookie = session('alice');
    expect((await WireClient.refused(app.url, offer(cookie, [proofOf(cookie)]))).status).toBe(403);
  });

  it('is read by nobody where the option is not set (P2e)', async () => {
    const app = await start({}, null);
    const cookie = session('alice');
    expect((await WireClient.refused(app.url, offer(cookie, [proofOf(cookie)], ''))).status).toBe(403);
  });

  it('is refused with 400 where the token is empty, comes twice or comes alone (P2b, P2e)', async () => {
    const app = await start();
    const cookie = session('alice');
    const proof = proofOf(cookie);
    expect((await WireClient.refused(app.url, offer(cookie, ['']))).status).toBe(400);
    expect((await WireClient.refused(app.url, offer(cookie, [proof, 'x']))).status).toBe(400);
    const alone = { ...offer(cookie, []), protocols: [`csrf.${proof}`] };
    expect((await WireClient.refused(app.url, alone)).status).toBe(400);
  });

  it('does not count for a probe, which is answered as if it had no cookie (P2e, P18b)', async () => {
    const app = await start();
    const { headers, protocols } = offer('session=garbage', [proofOf('session=garbage')]);
    const asked = request(app.httpUrl, {
      headers: { ...headers, 'sec-websocket-protocol': protocols.join(', ') },
    }).end();
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    answer.resume();
    expect(answer.statusCode).toBe(426);
  });

  it('is never in the log (G23)', async () => {
    const app = await start();
    const cookie = session('alice');
    const proof = proofOf(cookie);
    await app.connect(undefined, offer(cookie, [proof]));
    await WireClient.refused(app.url, offer('session=bad', [proofOf('session=bad')]));
    for (const secret of [proof, proofOf('session=bad'), CSRF_SECRET])
      expect(app.logger.text).not.toContain(secret);
  });
});
