import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { IncomingMessage } from 'node:http';
import { ExpiringTexts } from '../../../../lib/nest/auth/expiring-texts.js';
import { Introspection } from '../../../../lib/nest/auth/introspection.js';
import {
  introspectionSettings,
  type IntrospectionOptions,
} from '../../../../lib/nest/auth/introspection-options.js';
import { KeyServer } from '../../../support/auth/key-server.js';
import { handshakeOf } from '../../../support/engine/handshake.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';
import { until } from '../../../support/until.js';

const CLIENT = { id: 'rt:1', secret: 'p&ss word' };

describe('opaque tokens that are introspected', () => {
  let server: KeyServer;
  let clock: ManualClock;
  let logger: RecordingLogger;
  /** What the endpoint says of each token. */
  let answers: Record<string, unknown>;
  let asked: { readonly token: string | null; readonly authorization: string | undefined }[];

  beforeEach(async () => {
    server = await new KeyServer().start();
    clock = new ManualClock();
    logger = new RecordingLogger();
    answers = {};
    asked = [];
    server.answer = async (req, res) => {
      const token = new URLSearchParams(await bodyOf(req)).get('token');
      asked.push({ token, authorization: req.headers.authorization });
      res.end(JSON.stringify(answers[token ?? ''] ?? { active: false }));
    };
  });
  afterEach(() => server.stop());

  const make = (options: Partial<IntrospectionOptions> = {}) =>
    new Introspection(introspectionSettings({ url: server.url, client: CLIENT, ...options }), {
      clock,
      logger,
      fetch: (input, init) => fetch(input, init),
    });
  const verify = async (authenticator: Introspection, token = 'opaque') =>
    authenticator.authenticate({ token, via: 'hello', handshake: handshakeOf() });
  const outcome = (authenticator: Introspection, token?: string) =>
    verify(authenticator, token).then(
      ({ user }) => user?.id,
      (error: { code: string }) => error.code,
    );
  const seconds = () => Math.floor(clock.now() / 1_000);

  it('are admitted where they are active, as the user of sub, until exp plus the tolerance (G12)', async () => {
    const exp = seconds() + 600;
    answers['a&token=b'] = { active: true, sub: 'alice', scope: 'x', exp };
    await expect(verify(make(), 'a&token=b')).resolves.toEqual({
      user: { active: true, id: 'alice', sub: 'alice', scope: 'x', exp },
      expiresAt: exp * 1_000 + 5_000,
    });
    const basic = Buffer.from('rt%3A1:p%26ss+word').toString('base64');
    expect(asked).toEqual([{ token: 'a&token=b', authorization: `Basic ${basic}` }]);
    const mapped = make({ user: async ({ sub }) => ({ id: `t:${String(sub)}` }) });
    await expect(outcome(mapped, 'a&token=b')).resolves.toBe('t:alice');
  });

  it.each<[string, object, string]>([
    ['an active token', {}, 'alice'],
    ['one that is not active', { active: false }, 'unauthorized'],
    ['one without a user', { sub: undefined }, 'unauthorized'],
    ['one of another issuer', { iss: 'b' }, 'unauthorized'],
    ['one for another audience', { aud: ['web'] }, 'unauthorized'],
    ['one for several audiences', { aud: ['web', 'rt'] }, 'alice'],
    ['one with a text as exp', { exp: 'never' }, 'unauthorized'],
    ['one whose end the endpoint overlooked', { exp: 1 }, 'token_expired'],
    ['one that is not valid yet', { nbf: 99_999_999_999 }, 'unavailable'],
    ['a text as active', { active: 'true' }, 'unavailable'],
    ['no active', { active: undefined }, 'unavailable'],
  ])('of %s the answer is judged', async (_what, more, expected) => {
    answers['opaque'] = { active: true, sub: 'alice', iss: 'a', aud: 'rt', ...more };
    await expect(outcome(make({ issuer: 'a', audience: 'rt' }))).resolves.toBe(expected);
  });

  it('are asked for once at the same time, and again after cacheFor on the monotonic clock', async () => {
    answers['opaque'] = { active: true, sub: 'alice' };
    const authenticator = make();
    clock.jump(3_600_000);
    await Promise.all(Array.from({ length: 50 }, () => verify(authenticator)));
    clock.jump(86_400_000);
    clock.sleep(9_999);
    await verify(authenticator);
    expect(asked).toHaveLength(1);
    answers['opaque'] = { active: false };
    clock.sleep(1);
    await expect(outcome(authenticator)).resolves.toBe('unauthorized');
    expect(asked).toHaveLength(2);
    // The refusal is kept too, for its own time.
    answers['opaque'] = { active: true, sub: 'alice' };
    clock.sleep(9_999);
    await expect(outcome(authenticator)).resolves.toBe('unauthorized');
    clock.sleep(1);
    await expect(outcome(authenticator)).resolves.toBe('alice');
    expect(asked).toHaveLength(3);
  });

  it('that are kept still end at their exp', async () => {
    answers['opaque'] = { active: true, sub: 'alice', exp: seconds() + 10 };
    const authenticator = make({ cacheFor: '1h' });
    await verify(authenticator);
    clock.sleep(14_000);
    await expect(outcome(authenticator)).resolves.toBe('alice');
    clock.sleep(2_000);
    await expect(outcome(authenticator)).resolves.toBe('token_expired');
    expect(asked).toHaveLength(1);
  });

  it('are asked for each time with cacheFor and refuseFor 0', async () => {
    answers['opaque'] = { active: true, sub: 'alice' };
    const authenticator = make({ cacheFor: 0, refuseFor: 0 });
    for (const token of ['opaque', 'opaque', 'x', 'x']) await outcome(authenticator, token);
    expect(asked).toHaveLength(4);
  });

  it('do not share an answer with another token, and each connection has a user of its own', async () => {
    answers['a'] = { active: true, sub: 'alice', roles: [] };
    answers['b'] = { active: true, sub: 'bob' };
    const authenticator = make();
    const [one, again, other] = await Promise.all(
      ['a', 'a', 'b'].map((token) => verify(authenticator, token)),
    );
    expect([one?.user?.id, other?.user?.id]).toEqual(['alice', 'bob']);
    expect(one?.user?.['roles']).not.toBe(again?.user?.['roles']);
  });

  it.each<[string, number, Record<string, string>, number]>([
    ['429 with Retry-After', 429, { 'retry-after': '7' }, 7_000],
    ['503 with too long a Retry-After', 503, { 'retry-after': '9999' }, 60_000],
    ['500', 500, {}, 2_000],
    ['401, of this application', 401, {}, 2_000],
    ['400, of one token', 400, {}, 2_000],
    ['a redirect', 302, { location: 'http://127.0.0.1:1/' }, 2_000],
  ])(
    'that the endpoint answers with %s are refused retryably, and nothing is kept',
    async (_what, status, headers, retryAfterMs) => {
      const { answer } = server;
      server.answer = (_req, res) => void res.writeHead(status, headers).end();
      const authenticator = make();
      await expect(verify(authenticator)).rejects.toMatchObject({
        code: 'unavailable',
        retryable: true,
        retryAfterMs,
      });
      server.answer = answer;
      answers['opaque'] = { active: true, sub: 'alice' };
      await expect(outcome(authenticator)).resolves.toBe('alice');
      const [line] = logger.at('warn');
      expect(line?.message).toContain(`it answered with status ${status}`);
      expect(line?.message.includes('Are the client and its secret right?')).toBe(status === 401);
      expect(JSON.stringify(logger.records)).not.toMatch(/opaque|p&ss/);
    },
  );

  it.each<[string, (server: KeyServer) => unknown]>([
    ['is away', (one) => one.stop()],
    [
      'answers too much',
      (one) =>
        (one.answer = (_req, res) => void res.end(`{"active":true,"sub":"a","x":"${'x'.repeat(65_536)}"}`)),
    ],
    ['answers no JSON', (one) => (one.answer = (_req, res) => void res.end('yes'))],
    ['answers a list', (one) => (one.answer = (_req, res) => void res.end('[true]'))],
    ['cuts the connection', (one) => (one.answer = (req) => void req.socket.destroy())],
  ])('are refused retryably where the endpoint %s', async (_what, fail) => {
    const authenticator = make();
    await fail(server);
    await expect(outcome(authenticator)).resolves.toBe('unavailable');
  });

  it('are refused retryably where the endpoint takes too long', async () => {
    let came = false;
    server.answer = () => (came = true);
    const refused = outcome(make({ timeout: '3s' }));
    await until('the request', () => came);
    clock.advance(3_000);
    await expect(refused).resolves.toBe('unavailable');
    expect(clock.pending).toBe(0);
  });

  it('a flood of invented tokens does not drive out the answer for an active one', async () => {
    answers['opaque'] = { active: true, sub: 'alice' };
    const authenticator = make({ maxCacheBytes: 2_048 });
    await verify(authenticator);
    for (let n = 0; n < 30; n++) await outcome(authenticator, `flood-${n}`);
    await verify(authenticator);
    expect(asked.filter(({ token }) => token === 'opaque')).toHaveLength(1);
  });

  it('that are missing are refused', () => {
    expect(() => make().authenticate({ via: 'none', handshake: handshakeOf() })).toThrow('A token is needed');
  });

  it.each<[string, Partial<IntrospectionOptions>, string]>([
    ['plain HTTP', { url: 'http://id.example/' }, 'url is not https:'],
    ['no secret', { client: { id: 'a', secret: '' } }, 'client.secret is missing'],
    ['an empty audience', { audience: [] }, 'audience is empty'],
    ['an empty issuer', { issuer: '' }, 'issuer is empty'],
    ['no duration', { cacheFor: 'soon' as never }, 'cacheFor is no duration'],
    ['too short a time', { timeout: 5 }, 'timeout is no duration of at least 100 ms'],
    ['too few bytes', { maxBytes: 1 }, 'maxBytes is no whole number'],
    ['a misspelt name', { audiense: 'a' } as never, 'there is no option audiense'],
    ['a text as user', { user: 'x' as never }, 'user is no function'],
    ['a text as allowHttp', { allowHttp: 'yes' as never }, 'allowHttp is neither'],
  ])('options with %s are refused when it is made', (_what, options, problem) => {
    expect(() => make(options)).toThrow(problem);
  });
});

describe('texts that are kept for a time', () => {
  it('end at their time, and the oldest go where there is no room', () => {
    // Each weighs 256 bytes and two for each character.
    const texts = new ExpiringTexts(600);
    texts.set('a', 'x'.repeat(22), 10);
    texts.set('b', 'y'.repeat(22), 20);
    expect(texts.bytes).toBe(600);
    expect(texts.get('a', 9)).toBe('x'.repeat(22));
    texts.set('c', '', 30);
    expect([texts.get('a', 0), texts.get('b', 19), texts.get('c', 0)]).toEqual([
      undefined,
      'y'.repeat(22),
      '',
    ]);
    expect(texts.get('b', 20)).toBeUndefined();
    texts.set('c', 'z', 30);
    expect(texts.bytes).toBe(258);
    texts.set('large', 'x'.repeat(200), 30);
    expect(texts.get('large', 0)).toBeUndefined();
    expect(texts.get('c', 0)).toBe('z');
  });
});

async function bodyOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
