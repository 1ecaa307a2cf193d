import { afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { RemoteKeys, type RemoteKeysSettings } from '../../../../lib/nest/auth/remote-keys.js';
import type { KeySource } from '../../../../lib/nest/auth/remote-keys.js';
import { KeyServer, signingKey, type SigningKey } from '../../../support/auth/key-server.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';
import { until } from '../../../support/until.js';

const SETTINGS: RemoteKeysSettings = {
  refreshMs: 300_000,
  keepMs: 3_600_000,
  cooldownMs: 30_000,
  timeoutMs: 5_000,
  maxBytes: 8_192,
  maxKeys: 10,
};

let first: SigningKey;
let second: SigningKey;
let third: SigningKey;
beforeAll(async () => {
  [first, second, third] = await Promise.all(
    ['k1', 'k2', 'k3'].map((kid) => signingKey(kid)) as [
      Promise<SigningKey>,
      Promise<SigningKey>,
      Promise<SigningKey>,
    ],
  );
});

describe('the keys of an issuer', () => {
  let server: KeyServer;
  let clock: ManualClock;
  let logger: RecordingLogger;

  beforeEach(async () => {
    server = await new KeyServer().start();
    server.keys = [first.jwk];
    clock = new ManualClock();
    logger = new RecordingLogger();
  });
  afterEach(() => server.stop());

  const make = (settings: Partial<RemoteKeysSettings> = {}, source: Partial<KeySource> = {}) =>
    new RemoteKeys(
      { issuer: server.issuer, url: server.url, ...source },
      { ...SETTINGS, ...settings },
      { clock, logger, fetch: (input, init) => fetch(input, init) },
    );
  const warnings = () => logger.at('warn').map(({ message }) => message);

  it('are asked for when the first is needed, once for all that wait, and then kept', async () => {
    const keys = make();
    expect(server.requests).toBe(0);
    const found = await Promise.all(Array.from({ length: 100 }, () => keys.find('k1')));
    expect(found.every((one) => one?.length === 1)).toBe(true);
    // The time-out of the request does not wait any more.
    expect(clock.pending).toBe(0);
    clock.sleep(SETTINGS.refreshMs - 1);
    await keys.find('k1');
    expect(server.requests).toBe(1);
  });

  it('are asked for again in the background at their age, whatever the wall clock does', async () => {
    const keys = make();
    await keys.find('k1');
    clock.jump(86_400_000);
    await keys.find('k1');
    expect(server.requests).toBe(1);
    clock.jump(-86_400_000);
    server.keys = [first.jwk, second.jwk];
    clock.sleep(SETTINGS.refreshMs);
    // A key that is known does not wait for it.
    server.answer = () => undefined;
    await expect(keys.find('k1')).resolves.toHaveLength(1);
    await until('the request', () => server.requests === 2);
    await keys.find('k1');
    expect(server.requests).toBe(2);
  });

  it('that were withdrawn end with the next request, and those that came begin', async () => {
    const keys = make();
    await keys.find('k1');
    server.keys = [second.jwk];
    await expect(keys.find('k2')).resolves.toHaveLength(1);
    expect(server.requests).toBe(2);
    clock.sleep(SETTINGS.cooldownMs);
    await expect(keys.find('k1')).resolves.toBeUndefined();
    expect(server.requests).toBe(3);
  });

  it('an unknown id causes one request in each cooldown; between them it is answered with unavailable, not as forged', async () => {
    const keys = make();
    await keys.find('k1');
    await expect(keys.find('x')).resolves.toBeUndefined();
    expect(server.requests).toBe(2);
    clock.sleep(10_000);
    await expect(keys.find('y')).rejects.toMatchObject({ code: 'unavailable', retryAfterMs: 20_000 });
    clock.sleep(19_999);
    await expect(keys.find('y')).rejects.toMatchObject({ code: 'unavailable', retryAfterMs: 1_000 });
    expect(server.requests).toBe(2);
    clock.sleep(1);
    await expect(keys.find('y')).resolves.toBeUndefined();
    expect(server.requests).toBe(3);
    await expect(keys.find('k1')).resolves.toHaveLength(1);
  });

  it('an answer that was on its way before a token came does not prove that its key is unknown', async () => {
    const keys = make();
    await keys.find('k1');
    let release = (): void => undefined;
    server.answer = (_req, res) => {
      const old = JSON.stringify({ keys: server.keys });
      release = () => res.end(old);
    };
    const asked = keys.find('x');
    await until('the request', () => server.requests === 2);
    clock.sleep(5);
    const late = keys.find('k2');
    release();
    await expect(asked).resolves.toBeUndefined();
    await expect(late).rejects.toMatchObject({ code: 'unavailable', retryAfterMs: 29_995 });
  });

  it('10,000 unknown ids at once, and 10,000 spread over a minute, cause a handful of requests', async () => {
    const keys = make();
    await keys.find('k1');
    const outcome = (kid: string) =>
      keys.find(kid).then(
        (found) => (found === undefined ? 'unknown' : 'found'),
        (error: { code: string }) => error.code,
      );
    const burst = await Promise.all(Array.from({ length: 10_000 }, (_, n) => outcome(`flood-${n}`)));
    // Only for the first of them the key server was asked after it came.
    expect(burst.filter((how) => how === 'unknown')).toHaveLength(1);
    expect(burst.filter((how) => how === 'unavailable')).toHaveLength(9_999);
    expect(server.requests).toBe(2);
    const spread = new Map<string, number>();
    for (let n = 0; n < 10_000; n++) {
      clock.sleep(6);
      const how = await outcome(`spread-${n}`);
      spread.set(how, (spread.get(how) ?? 0) + 1);
      if (n % 100 === 0) await expect(keys.find('k1')).resolves.toHaveLength(1);
    }
    expect(server.requests).toBe(4);
    expect(spread.get('unavailable')).toBe(9_998);
    process.stdout.write(`  20,000 unknown ids: ${server.requests} requests\n`);
  });

  it('a key that comes during a flood of unknown ids is found within a cooldown', async () => {
    const keys = make();
    await keys.find('k1');
    await keys.find('x');
    server.keys = [first.jwk, second.jwk];
    await expect(keys.find('k2')).rejects.toMatchObject({ code: 'unavailable', retryAfterMs: 30_000 });
    clock.sleep(30_000);
    await expect(keys.find('k2')).resolves.toHaveLength(1);
  });

  it('while the key server is away for a minute, known keys count and unknown ones are answered with unavailable', async () => {
    const keys = make();
    await keys.find('k1');
    clock.sleep(SETTINGS.refreshMs);
    await server.stop();
    const before = server.requests;
    for (let second = 0; second < 60; second++) {
      await expect(keys.find('k1')).resolves.toHaveLength(1);
      await expect(keys.find('k2')).rejects.toMatchObject({ code: 'unavailable', retryable: true });
      clock.sleep(1_000);
    }
    server.keys = [first.jwk, second.jwk];
    await server.start();
    clock.sleep(SETTINGS.cooldownMs);
    await expect(keys.find('k2')).resolves.toHaveLength(1);
    expect(server.requests - before).toBe(1);
    expect(warnings().length).toBeGreaterThan(0);
    expect(warnings()[0]).toContain('could not be read: it could not be reached (ECONNREFUSED)');
  });

  it('a key server that fails is asked after 1, 2, 4 s and so on up to the cooldown, and the count begins again after an answer', async () => {
    const keys = make();
    server.answer = (_req, res) => void res.writeHead(503).end();
    const waits: number[] = [];
    const ask = () =>
      keys.find('k1').catch((error: { code: string; retryAfterMs: number }) => {
        expect(error.code).toBe('unavailable');
        waits.push(error.retryAfterMs);
        clock.sleep(error.retryAfterMs);
      });
    for (let n = 1; n <= 7; n++) {
      await ask();
      expect(server.requests).toBe(n);
    }
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    server.answer = undefined;
    await expect(ask()).resolves.toHaveLength(1);
    server.answer = (_req, res) => void res.writeHead(503).end();
    clock.sleep(SETTINGS.keepMs);
    await ask();
    expect(waits.at(-1)).toBe(1_000);
  });

  it('a refresh in the background that fails is not repeated for each token of a known key', async () => {
    const keys = make();
    await keys.find('k1');
    clock.sleep(SETTINGS.refreshMs);
    server.answer = (_req, res) => void res.writeHead(503).end();
    await keys.find('k1');
    await until('the failure', () => warnings().length === 1);
    await keys.find('k1');
    // An unknown id waits for a request that is under way: there is none.
    await expect(keys.find('x')).rejects.toMatchObject({ code: 'unavailable', retryAfterMs: 1_000 });
    expect(server.requests).toBe(2);
    clock.sleep(1_000);
    await keys.find('k1');
    await until('the next request', () => server.requests === 3);
  });

  it('end at their greatest age where the key server stays away', async () => {
    const keys = make();
    await keys.find('k1');
    await server.stop();
    clock.sleep(SETTINGS.keepMs - 1);
    await expect(keys.find('k1')).resolves.toHaveLength(1);
    clock.sleep(1);
    await expect(keys.find('k1')).rejects.toMatchObject({ code: 'unavailable' });
  });

  it.each<[string, (keys: RemoteKeys) => void, string]>([
    [
      'another status',
      () => (server.answer = (_q, res) => void res.writeHead(404).end()),
      'it answered with status 404',
    ],
    [
      'a redirect, which is not followed',
      () =>
        (server.answer = (_q, res) => void res.writeHead(302, { location: `${server.issuer}other` }).end()),
      'it answered with status 302',
    ],
    [
      'too many bytes',
      () => (server.answer = (_q, res) => void res.end(' '.repeat(8_193))),
      'its answer is larger than 8192 bytes',
    ],
    ['no JSON', () => (server.answer = (_q, res) => void res.end('<html>')), 'its answer is not JSON'],
    [
      'no set',
      () => (server.answer = (_q, res) => void res.end('{"keys":{}}')),
      'its answer is not a JWK Set',
    ],
    [
      'too many keys',
      () => (server.answer = (_q, res) => void res.end(JSON.stringify({ keys: Array(11).fill({}) }))),
      'its set has 11 keys, and 10 are taken',
    ],
  ])('%s is a failure: the keys before it count, and the log says what came', async (_what, fail, why) => {
    const keys = make();
    await keys.find('k1');
    fail(keys);
    await expect(keys.find('x')).rejects.toMatchObject({ code: 'unavailable' });
    await expect(keys.find('k1')).resolves.toHaveLength(1);
    expect(server.requests).toBe(2);
    expect(warnings()).toEqual([expect.stringContaining(`could not be read: ${why}.`)]);
  });

  it('an answer of exactly the greatest size, with the greatest number of keys, is taken', async () => {
    const set = JSON.stringify({ keys: [...Array<object>(9).fill({}), first.jwk] });
    server.answer = (_req, res) => void res.end(set.padEnd(8_192));
    await expect(make().find('k1')).resolves.toHaveLength(1);
  });

  it('a key server that does not answer in time is a failure', async () => {
    const keys = make();
    server.answer = () => undefined;
    const asked = keys.find('k1');
    const refused = expect(asked).rejects.toMatchObject({ code: 'unavailable' });
    await until('the request', () => server.requests === 1);
    clock.advance(SETTINGS.timeoutMs);
    await refused;
    expect(warnings()).toEqual([expect.stringContaining('it did not answer within 5000 ms')]);
    expect(clock.pending).toBe(0);
  });

  it('private, symmetric and other unusable keys are ignored, which the log says once and without quoting them', async () => {
    const secret = { ...first.jwk, kid: 'private', d: 'c2VjcmV0' };
    const { alg: _alg, ...anyAlgorithm } = third.jwk;
    server.keys = [
      secret,
      { kty: 'oct', kid: 'symmetric', k: 'c2VjcmV0' },
      { ...first.jwk, kid: 'encryption', use: 'enc' },
      { ...first.jwk, kid: 'signing', key_ops: ['sign'] },
      { ...first.jwk, kid: 'mismatch', alg: 'RS256' },
      { ...first.jwk, kid: 'hmac', alg: 'HS256' },
      { ...first.jwk, kid: 'broken', x: '' },
      { ...second.jwk, key_ops: ['verify'] },
      anyAlgorithm,
    ];
    const keys = make();
    await expect(keys.find('k2')).resolves.toMatchObject([{ algorithms: ['ES256'] }]);
    await expect(keys.find('k3')).resolves.toMatchObject([{ algorithms: ['ES256'] }]);
    for (const kid of ['private', 'symmetric', 'encryption', 'signing', 'mismatch', 'hmac', 'broken']) {
      clock.sleep(SETTINGS.cooldownMs);
      await expect(keys.find(kid)).resolves.toBeUndefined();
    }
    expect(warnings()).toHaveLength(1);
    expect(warnings()[0]).toContain(
      'are ignored: private, symmetric, not for signatures ("use"), not for verifying ("key_ops"), for another algorithm ("alg"), unreadable',
    );
    expect(warnings()[0]).not.toContain('c2VjcmV0');
  });

  it('an empty set is a failure: the keys before it count, unknown ids are unavailable, and the log says so (G12)', async () => {
    const keys = make();
    const known = await keys.find('k1');
    server.keys = [];
    await expect(keys.find('x')).rejects.toMatchObject({ code: 'unavailable' });
    clock.sleep(SETTINGS.cooldownMs);
    await expect(keys.find('k1')).resolves.toEqual(known);
    expect(warnings().some((line) => line.includes('its set has no key that can verify a token'))).toBe(true);
  });

  it('a set that is empty from the beginning refuses, and the log says so', async () => {
    const keys = make();
    server.keys = [];
    await expect(keys.find('k1')).resolves.toBeUndefined();
    expect(warnings()[0]).toContain('has no key that can verify a token: all of its tokens are refused');
  });

  it('of an address only the origin is logged, as the rest may hold a secret (G23)', async () => {
    server.answer = (_req, res) => void res.writeHead(500).end();
    await expect(make({}, { url: `${server.url}?key=top-secret` }).find('k1')).rejects.toMatchObject({
      code: 'unavailable',
    });
    expect(warnings()[0]).toContain(`(${new URL(server.url).origin}) could not be read`);
    expect(JSON.stringify(logger.records)).not.toContain('/keys');
    expect(JSON.stringify(logger.records)).not.toContain('top-secret');
  });
});
