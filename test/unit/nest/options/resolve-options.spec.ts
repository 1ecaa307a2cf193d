import { describe, expect, it } from '@jest/globals';
import { generateKeyPairSync } from 'node:crypto';
import { ENGINE_DEFAULTS } from '../../../../lib/core/ports/settings-defaults.js';
import { RealtimeBootError } from '../../../../lib/nest/errors/realtime-boot-error.js';
import { resolveModuleOptions } from '../../../../lib/nest/options/resolve-options.js';

const anonymous = { anonymous: true };
const resolve = (options: Record<string, unknown>) => resolveModuleOptions({ auth: anonymous, ...options });

/** The message without its first line, one problem a line. */
function problemsOf(options: Record<string, unknown>): string[] {
  try {
    resolve(options);
  } catch (error) {
    expect(error).toBeInstanceOf(RealtimeBootError);
    return (error as Error).message.split('\n').slice(1);
  }
  return [];
}

describe('module options', () => {
  it('every default is filled in', () => {
    const config = resolve({});
    expect(config).toMatchObject({
      transport: { path: '/realtime' },
      publisherOnly: false,
      drainDeadlineMs: 10_000,
      randomTicketSecret: true,
    });
    const { nodeId, ticketSecret, ...numbers } = config.settings;
    expect(numbers).toEqual({ ...ENGINE_DEFAULTS, anonymous: true });
    expect(nodeId).not.toBe('');
    expect(ticketSecret.length).toBeGreaterThanOrEqual(32);
  });

  it('each application gets a separate broker', () => {
    const { broker } = resolve({});
    expect(broker()).not.toBe(broker());
  });

  it('durations are accepted in every form', () => {
    const { settings, drainDeadlineMs } = resolve({
      heartbeat: { interval: '20s', timeout: 5_000 },
      limits: { dedupe: '10m', ratePerSecond: 7 },
      drain: { deadline: '1m', spread: 0 },
      abuse: { ban: '1h' },
    });
    expect(settings).toMatchObject({
      heartbeat: { intervalMs: 20_000, timeoutMs: 5_000 },
      limits: { dedupeMs: 600_000, ratePerSecond: 7 },
      abuse: { banMs: 3_600_000 },
      drainSpreadMs: 0,
    });
    expect(drainDeadlineMs).toBe(60_000);
  });

  it.each<[string, Record<string, unknown>, string]>([
    ['unknown key', { paht: '/rt' }, '- paht: is not an option. Did you mean "path"?'],
    [
      'recheck in minutes',
      { recheck: 10 },
      "- recheck: asks every 10 ms. Give at least '1s', such as '5m', or 0 for never. A number is milliseconds.",
    ],
    [
      'frame that could never be admitted',
      { limits: { bytesPerSecond: 100_000 } },
      '- limits.maxFrameBytes: is more than twice limits.bytesPerSecond, so a frame of that size would always be refused. Lower it, or raise limits.bytesPerSecond.',
    ],
    [
      'unknown nested key',
      { heartbeat: { intervall: '20s' } },
      '- heartbeat.intervall: is not an option. Did you mean "interval"?',
    ],
    [
      'unlike key',
      { heartbeat: { zzz: 1 } },
      '- heartbeat.zzz: is not an option. Known here: interval, timeout.',
    ],
    [
      'duration',
      { helloTimeout: 'soon' },
      '- helloTimeout: is "soon", which is not a duration. Write milliseconds or a number with a unit: 500, "500ms", "30s", "5m", "1h", "1d".',
    ],
    ['range', { heartbeat: { interval: '10ms' } }, '- heartbeat.interval: is "10ms". Give at least 1000 ms.'],
    [
      'number',
      { limits: { maxChannels: Number.NaN } },
      '- limits.maxChannels: is NaN. Give a whole number of at least 1.',
    ],
    [
      'object',
      { limits: 5 },
      '- limits: is not an object. Give an object, or leave it out for the defaults.',
    ],
    ['flag', { publisherOnly: 'yes' }, '- publisherOnly: is "yes". Give true or false.'],
    [
      'path',
      { path: 'realtime/' },
      '- path: is "realtime/". Give an absolute path such as "/realtime", without query or trailing slash.',
    ],
    ...['/a/../b', '/..', '/./a', '/a/.'].map((path): [string, Record<string, unknown>, string] => [
      `path that no client gets to: ${path}`,
      { path },
      `- path: is "${path}". Give an absolute path such as "/realtime", without query or trailing slash.`,
    ]),
    [
      'origin with a path',
      { allowedOrigins: ['https://a.example/x'] },
      '- allowedOrigins: is refused. "https://a.example/x" is not an origin. Write scheme, host and port only, e.g. "https://app.example.com".',
    ],
    [
      'wildcard origin',
      { allowedOrigins: '*' },
      '- allowedOrigins: is refused. "*" is a wildcard. Name the origins, or use a RegExp, e.g. /https:\\/\\/[a-z0-9-]+\\.example\\.com/.',
    ],
    [
      'believing every proxy',
      { trustProxy: true },
      '- trustProxy: is neither a number nor a list of networks nor a function. Give the number of proxies in front, e.g. 1, or their networks, e.g. ["10.0.0.0/8"].',
    ],
    [
      'an async predicate of proxies',
      { trustProxy: async () => false },
      '- trustProxy: is refused. The function returns a promise. Look up beforehand what it needs, and return true or false at once.',
    ],
    [
      'an async rule of origins',
      { allowedOrigins: ['same-origin', async () => false] },
      '- allowedOrigins: is refused. The function returns a promise. Look up beforehand what it needs, and return true or false at once.',
    ],
    [
      'broker',
      { broker: {} },
      '- broker: is not a broker. Give memoryBroker(), another broker, or a function that returns one.',
    ],
    [
      'connect',
      { connect: class {} },
      '- connect: is not a class with an onConnect() method. Give a class that implements RealtimeConnectHook.',
    ],
    ['codecs', { codecs: [] }, '- codecs: is not a list of codecs. Give at least one, such as [jsonCodec].'],
    [
      'unfinished messages smaller than a frame',
      { limits: { maxUnfinishedBytes: 200_000 } },
      '- limits.maxUnfinishedBytes: is less than limits.maxFrameBytes, so a client that sends a frame of that size would be closed. Raise it, or lower limits.maxFrameBytes.',
    ],
    [
      'frame smaller than message',
      { limits: { maxFrameBytes: 2_048 } },
      '- limits.maxMessageBytes: is larger than limits.maxFrameBytes. A message must fit into a frame.',
    ],
    [
      'drain',
      { drain: { deadline: '1s', spread: '2s' } },
      '- drain.spread: is longer than drain.deadline. Clients would be cut before they leave: make it shorter.',
    ],
    [
      'short ticket secret, which is not shown (G23)',
      { ticketSecret: 'hunter2' },
      '- ticketSecret: has 7 characters. Give a string of 32 to 1024 characters: 32 random bytes, the same on every node: openssl rand -base64 32.',
    ],
    [
      'ticket secret that is no text, which is not shown either',
      { ticketSecret: 20_261_127 },
      '- ticketSecret: is a value of type number. Give a string of 32 to 1024 characters: 32 random bytes, the same on every node: openssl rand -base64 32.',
    ],
    [
      'a share of memory, with its unit',
      { shedding: { memory: 0.95 } },
      '- shedding.memory: is 0.95. Give a whole number of 20 to 99: percent, e.g. 95.',
    ],
    [
      'a limit of memory, with its unit',
      { shedding: { memoryLimit: 2_048 } },
      '- shedding.memoryLimit: is 2048. Give a whole number of at least 33554432: bytes, e.g. 2 * 1024 ** 3 for 2 GiB.',
    ],
    [
      'auth without anything',
      { auth: {} },
      '- auth.jwt: is missing, so nobody could connect. Set auth.jwt, auth.authenticator, or auth.anonymous: true.',
    ],
    [
      'authenticator',
      { auth: { authenticator: {} } },
      '- auth.authenticator: has no authenticate() method. Give a class or an instance of RealtimeAuthenticator.',
    ],
    [
      'class that does not authenticate',
      { auth: class {} },
      '- auth: has no authenticate() method. Give a class or an instance of RealtimeAuthenticator.',
    ],
    [
      'level of compression',
      { compression: { level: 99 } },
      '- compression.level: is refused. 99 is not an integer from 1 to 9',
    ],
    [
      'secret against cross-site requests',
      { auth: { ...anonymous, cookie: { name: 'a', csrf: { secret: 'x'.repeat(31) } } } },
      '- auth.cookie.csrf.secret: is no text of at least 32 bytes, and could be guessed. Give a random one, the same on every node. Is the environment variable set?',
    ],
    [
      'cookie name',
      { auth: { ...anonymous, cookie: { name: 'a b' } } },
      '- auth.cookie.name: is not the name of a cookie. Give the name of the cookie that holds the token.',
    ],
  ])('an invalid option is refused with path, problem and remedy: %s', (_what, options, expected) => {
    expect(problemsOf(options)).toEqual([expected]);
  });

  it('spreads the leave of clients over no more than a short drain', () => {
    const { settings, drainDeadlineMs } = resolve({ drain: { deadline: '3s' } });
    expect([settings.drainSpreadMs, drainDeadlineMs]).toEqual([3_000, 3_000]);
  });

  it.each([
    'auth',
    'broker',
    'connect',
    'codecs',
    'compression',
    'limits',
    'path',
    'linger',
    'ringSize',
    'allowedOrigins',
    'allowedHosts',
    'trustProxy',
    'publisherOnly',
  ])('takes null for a mistake, not for an option that is left out: %s', (option) => {
    expect(problemsOf({ [option]: null }).join()).toContain(`- ${option}: is`);
  });

  it('all mistakes are reported at once', () => {
    expect(problemsOf({ paht: 1, limits: { maxChannels: 0 }, outbox: { maxBytes: 'x' } })).toHaveLength(3);
  });

  describe('the heartbeat and proxies (P8)', () => {
    it('a heartbeat whose silence a proxy would cut is refused', () => {
      expect(problemsOf({ heartbeat: { interval: '55s' } })).toEqual([
        '- heartbeat: leaves 65000 ms of silence (interval 55000 + timeout 10000), and a proxy cuts after 60000 ms. ' +
          'Shorten heartbeat.interval, or set proxyIdleTimeout to what your proxies really allow (false for none).',
      ]);
    });

    it('a heartbeat may be silent for less than a proxy waits, and not for as long', () => {
      const silentFor = (timeout: string) => problemsOf({ heartbeat: { interval: '50s', timeout } });
      expect(silentFor('9999ms')).toEqual([]);
      expect(silentFor('10s')).toEqual([expect.stringMatching(/^- heartbeat: leaves 60000 ms of silence/)]);
    });

    it.each([{ proxyIdleTimeout: '100s' }, { proxyIdleTimeout: false }])(
      'a long heartbeat is accepted with %p',
      (proxy) => {
        expect(problemsOf({ heartbeat: { interval: '55s' }, ...proxy })).toEqual([]);
      },
    );
  });

  describe('keys of tokens', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }) as string;
    const ed = generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }) as string;

    it.each<[string, Record<string, unknown>, string]>([
      [
        'a missing environment variable',
        { secret: undefined },
        '- auth.jwt: neither "secret" nor "publicKey" has a value. Is the environment variable set?',
      ],
      [
        'a public key as a secret (RS/HS confusion)',
        { secret: pem },
        '- auth.jwt: "secret" is a PEM key. Give it as "publicKey": as a secret, everybody who has it could sign.',
      ],
      [
        'an algorithm that does not fit the key',
        { publicKey: pem, algorithms: ['HS256', 'RS256'] },
        '- auth.jwt: "algorithms" has HS256. The public key fits RS256, RS384, RS512, PS256, PS384, PS512.',
      ],
      [
        'no algorithm at all',
        { secret: 's', algorithms: [] },
        '- auth.jwt: "algorithms" is empty. The secret fits HS256, HS384, HS512.',
      ],
      [
        'a kind of key that @nestjs/jwt cannot verify',
        { publicKey: ed },
        '- auth.jwt: "publicKey" is of kind ed25519, which @nestjs/jwt cannot verify. Use RSA or EC (P-256, P-384, P-521), or a class that implements RealtimeAuthenticator.',
      ],
      [
        'both keys',
        { secret: 's', publicKey: pem },
        '- auth.jwt.secret: is given beside auth.jwt.publicKey. Keep one of them.',
      ],
      [
        'a key of the wrong type',
        { secret: 5 },
        '- auth.jwt.secret: is not a key. Give a string or a Buffer.',
      ],
      [
        'algorithms that are not a list',
        { secret: 's', algorithms: 'HS256' },
        '- auth.jwt.algorithms: is not a list. Give a list such as ["RS256"].',
      ],
      [
        'a user that is not a function',
        { secret: 's', user: 'sub' },
        '- auth.jwt.user: is not a function. Give (claims) => ({ id: … }).',
      ],
      ...['issuer', 'audience'].flatMap((claim) =>
        ['', [], [''], 5].map((value): [string, Record<string, unknown>, string] => [
          `the ${claim} ${JSON.stringify(value)}, since an empty one would accept every token`,
          { secret: 's', [claim]: value },
          `- auth.jwt.${claim}: is neither a text nor a list of texts, or is empty. Give what tokens must say, or leave it out to accept any. Is the environment variable set?`,
        ]),
      ),
      ['a typo', { secret: 's', isuer: 'x' }, '- auth.jwt.isuer: is not an option. Did you mean "issuer"?'],
    ])('%s is refused', (_what, jwt, expected) => {
      expect(problemsOf({ auth: { jwt } })).toEqual([expected]);
    });

    const entry = { issuer: 'https://id.example/', url: 'https://id.example/keys' };
    it('issuers are taken, one or several, with https: or on the host itself', () => {
      const user = () => ({ id: 'u' });
      const local = ['http://localhost:1/k', 'http://127.0.0.1/k', 'http://127.1.2.3/k', 'http://[::1]:9/k'];
      for (const jwt of [
        { jwks: entry },
        { jwks: [entry], audience: 'api' },
        { jwks: [entry, { ...entry, issuer: 'b', audience: ['x'], algorithms: ['EdDSA', 'RS256'] }], user },
        { jwks: { ...entry, url: 'http://keys.internal/k', allowHttp: true } },
        ...local.map((url) => ({ jwks: { ...entry, url } })),
      ])
        expect(problemsOf({ auth: { jwt } })).toEqual([]);
    });

    it.each<[string, Record<string, unknown>, string]>([
      [
        'no issuer',
        { jwks: { url: entry.url } },
        '- auth.jwt.jwks.issuer: is not a text. Give the "iss" of its tokens, exactly.',
      ],
      [
        'no address',
        { jwks: [{ issuer: 'a' }] },
        '- auth.jwt.jwks[0].url: is not a URL. Give the whole address, with https:. Is the environment variable set?',
      ],
      ...[
        'http://id.example/k',
        'http://localhost.evil.example/k',
        'http://evillocalhost/k',
        'http://127.0.0.1.evil.example/k',
        'file:///keys',
        'data:,x',
      ].map((url): [string, Record<string, unknown>, string] => [
        `the address ${url}`,
        { jwks: { ...entry, url } },
        '- auth.jwt.jwks.url: is not https:, so whoever is on the way could answer instead. Use https:, or set allowHttp: true where the network itself is trusted.',
      ]),
      [
        'a password in the address',
        { jwks: { ...entry, url: 'https://user:secret@id.example/k' } },
        '- auth.jwt.jwks.url: holds a user or a password. Leave them out.',
      ],
      [
        'no algorithm of public keys',
        { jwks: { ...entry, algorithms: ['HS256'] } },
        '- auth.jwt.jwks.algorithms: is no list of algorithms of public keys, or is empty. Known here: RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA, Ed25519.',
      ],
      [
        'an empty audience, since it would accept every token',
        { jwks: { ...entry, audience: [] } },
        '- auth.jwt.jwks.audience: is neither a text nor a list of texts, or is empty. Give what tokens must say, or leave it out to accept any. Is the environment variable set?',
      ],
      [
        'a flag that is none',
        { jwks: { ...entry, allowHttp: 1 } },
        '- auth.jwt.jwks.allowHttp: is neither true nor false. Give one of them.',
      ],
      [
        'an empty list',
        { jwks: [] },
        '- auth.jwt.jwks: is an empty list, so every token would be refused. Name an issuer.',
      ],
      [
        'a typo',
        { jwks: { ...entry, isuer: 'x' } },
        '- auth.jwt.jwks.isuer: is not an option. Did you mean "issuer"?',
      ],
      [
        'a secret beside them',
        { jwks: entry, secret: 's' },
        '- auth.jwt.secret: is given beside auth.jwt.jwks. Keep one of them; each issuer has its own.',
      ],
      [
        'an issuer beside them',
        { jwks: entry, issuer: 'x' },
        '- auth.jwt.issuer: is given beside auth.jwt.jwks. Keep one of them; each issuer has its own.',
      ],
      [
        'one issuer twice',
        { jwks: [entry, entry], user: () => ({ id: 'u' }) },
        '- auth.jwt.jwks: names the issuer "https://id.example/" twice. Keep one of them.',
      ],
      [
        'several issuers that may name different users alike',
        { jwks: [entry, { ...entry, issuer: 'b' }] },
        '- auth.jwt.user: is missing beside several issuers, which may name different users by the same "sub". Give a user() that puts the tenant before the id, e.g. ({ iss, sub }) => ({ id: `${tenantOf(iss)}:${sub}` }).',
      ],
      [
        'keys that end before they are asked for',
        { jwks: entry, jwksCache: { refresh: '2m', keep: '1m' } },
        '- auth.jwt.jwksCache.keep: is shorter than auth.jwt.jwksCache.refresh. Keys would end before they are asked for again: make it longer.',
      ],
    ])('issuers with %s are refused', (_what, jwt, expected) => {
      const problems = problemsOf({ auth: { jwt } });
      expect(problems).toEqual([expected]);
      expect(problems.join()).not.toContain('secret@');
    });

    it('an unreadable key is never shown (G23)', () => {
      const [problem] = problemsOf({ auth: { jwt: { publicKey: 'top-secret-material' } } });
      expect(problem).toContain('"publicKey" is not a public key in PEM');
      expect(problem).not.toContain('top-secret-material');
    });
  });
});
