import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { Authenticator } from '../../../../lib/core/ports/identity.js';
import { JwksAuthenticator } from '../../../../lib/nest/auth/jwks-authenticator.js';
import { KeyServer, signed, signingKey } from '../../../support/auth/key-server.js';
import { handshakeOf } from '../../../support/engine/handshake.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { RecordingLogger } from '../../../support/engine/recording-logger.js';

const SETTINGS = {
  refreshMs: 300_000,
  keepMs: 3_600_000,
  cooldownMs: 30_000,
  timeoutMs: 5_000,
  maxBytes: 65_536,
  maxKeys: 10,
};
const MINUTES = 60;
const AT_ONCE = 40;

describe('keys that rotate under load', () => {
  let server: KeyServer;
  let clock: ManualClock;
  let authenticator: Authenticator;

  beforeEach(async () => {
    server = await new KeyServer().start();
    clock = new ManualClock();
    const { issuer, url } = server;
    authenticator = await JwksAuthenticator.create({ jwks: { issuer, url } }, SETTINGS, {
      clock,
      logger: new RecordingLogger(),
      fetch: (input, init) => fetch(input, init),
    });
  });
  afterEach(() => server.stop());

  const verify = async (token: string): Promise<string> => {
    try {
      await authenticator.authenticate({ token, via: 'hello', handshake: handshakeOf() });
      return 'admitted';
    } catch (error) {
      return (error as { code: string }).code;
    }
  };

  it('refuse no valid token: each minute a new key signs, and the last two are published', async () => {
    const outcomes = new Map<string, number>();
    let before: string[] = [];
    let published = [await signingKey('key-0')];
    for (let minute = 1; minute <= MINUTES; minute++) {
      const key = await signingKey(`key-${minute}`);
      published = [...published.slice(-1), key];
      server.keys = published.map(({ jwk }) => jwk);
      const tokens = await Promise.all(
        Array.from({ length: AT_ONCE }, (_, n) =>
          signed(key, { iss: server.issuer, sub: `u${n}` }, clock.now()),
        ),
      );
      // Those of the key before are still valid.
      for (const outcome of await Promise.all([...before, ...tokens].map(verify)))
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      before = tokens;
      clock.sleep(60_000);
    }
    expect(Object.fromEntries(outcomes)).toEqual({ admitted: MINUTES * AT_ONCE * 2 - AT_ONCE });
    expect(server.requests).toBe(MINUTES);
    process.stdout.write(
      `  ${MINUTES} rotations: ${outcomes.get('admitted')} tokens admitted, none refused, ${server.requests} requests\n`,
    );
  });

  it('refuse only retryably what a flood of unknown ids keeps from being looked up, for less than a cooldown', async () => {
    const first = await signingKey('first');
    const second = await signingKey('second');
    server.keys = [first.jwk];
    const forged = await signed(await signingKey('forged'), { iss: server.issuer }, clock.now());
    const [old, fresh] = await Promise.all(
      [first, second].map((key) => signed(key, { iss: server.issuer }, clock.now())),
    );
    await verify(String(old));
    const outcomes: string[] = [];
    for (let second_ = 0; second_ < 60; second_++) {
      for (let n = 0; n < 10; n++) await verify(forged);
      expect(await verify(String(old))).toBe('admitted');
      if (second_ === 10) server.keys = [first.jwk, second.jwk];
      if (second_ >= 10) outcomes.push(await verify(String(fresh)));
      clock.sleep(1_000);
    }
    expect([...new Set(outcomes)]).toEqual(['unavailable', 'admitted']);
    expect(outcomes.indexOf('admitted')).toBeLessThanOrEqual(30);
    expect(server.requests).toBe(3);
  });

  it('refuse no valid token for good where a cache still has the set of before, and look it up soon again (G12)', async () => {
    const first = await signingKey('first');
    const second = await signingKey('second');
    const [old, fresh] = await Promise.all(
      [first, second].map((key) => signed(key, { iss: server.issuer }, clock.now())),
    );
    server.keys = [first.jwk];
    await verify(String(old));
    const asked: (string | undefined)[] = [];
    let ageS = 17;
    server.answer = ({ headers }, res) => {
      asked.push(headers['cache-control']);
      const keys = ageS > 0 ? [first.jwk] : [first.jwk, second.jwk];
      res.setHeader('age', String(ageS)).end(JSON.stringify({ keys }));
    };
    const waits: (number | undefined)[] = [];
    const find = async (): Promise<string> => {
      try {
        await authenticator.authenticate({ token: String(fresh), via: 'hello', handshake: handshakeOf() });
        return 'admitted';
      } catch (error) {
        const { code, retryAfterMs } = error as { code: string; retryAfterMs?: number };
        waits.push(retryAfterMs);
        return code;
      }
    };
    for (let n = 0; n < 7; n++) {
      expect(await find()).toBe('unavailable');
      // What comes in between causes no request.
      expect(await find()).toBe('unavailable');
      clock.sleep(waits.pop() ?? 0);
    }
    expect(asked).toEqual(Array.from({ length: 7 }, () => 'no-cache'));
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
    // The set of the key server itself proves that an id is unknown.
    const forged = await signed(await signingKey('forged'), { iss: server.issuer }, clock.now());
    ageS = 0;
    expect(await verify(forged)).toBe('unauthorized');
    expect(await find()).toBe('admitted');
    clock.sleep(30_000);
    ageS = 1;
    expect(await verify(forged)).toBe('unavailable');
    clock.sleep(999);
    expect(await verify(forged)).toBe('unavailable');
    expect(asked).toHaveLength(9);
    clock.sleep(1);
    await verify(forged);
    expect(asked).toHaveLength(10);
    // A minute without unknown ids: the waits begin again.
    clock.sleep(60_000);
    await verify(forged);
    clock.sleep(1_000);
    await verify(forged);
    expect(asked).toHaveLength(12);
  });

  it('an unknown id is refused for good a minute after its token, where each answer is that of a cache (G12)', async () => {
    server.keys = [(await signingKey('first')).jwk];
    const forged = await signed(await signingKey('forged'), { iss: server.issuer }, clock.now());
    server.answer = (_req, res) => void res.setHeader('age', '20').end(JSON.stringify({ keys: server.keys }));
    const outcomes: string[] = [];
    for (let second_ = 0; second_ <= 140; second_++) {
      outcomes.push(await verify(forged));
      clock.sleep(1_000);
    }
    // Made 20 s before it was asked for, and a minute of clocks that differ: no sooner than 80 s after the token.
    const at = outcomes.indexOf('unauthorized');
    expect(at).toBeGreaterThan(80);
    expect(at).toBeLessThanOrEqual(80 + 30 + 1);
    expect(new Set(outcomes.slice(0, at))).toEqual(new Set(['unavailable']));
    expect(server.requests).toBeLessThan(12);
  });

  it.each([
    ['max-age=120', 120],
    ['public, max-age=10, S-MaxAge="120"', 120],
    ['max-age=100, stale-while-revalidate=20', 120],
    // Longer than keys are kept it counts for nothing: those that are kept end.
    ['max-age=99999999', 3_600],
  ])(
    'a cache that says no Age, and was told %s, refuses no valid token for good (G12)',
    async (directives, staleS) => {
      const [first, second] = [await signingKey('first'), await signingKey('second')];
      let keys = [first.jwk];
      server.answer = (_req, res) =>
        void res.setHeader('cache-control', directives).end(JSON.stringify({ keys }));
      const fresh = await signed(second, { iss: server.issuer }, clock.now());
      const outcomes = new Set<string>();
      for (let second_ = 0; second_ < staleS; second_ += 30) {
        outcomes.add(await verify(fresh));
        clock.sleep(30_000);
      }
      expect(outcomes).toEqual(new Set(['unavailable']));
      const forged = await signed(await signingKey('forged'), { iss: server.issuer }, clock.now());
      clock.sleep((staleS + 60) * 1_000);
      expect(await verify(forged)).toBe('unavailable');
      clock.sleep(30_001);
      expect(await verify(forged)).toBe('unauthorized');
      keys = [first.jwk, second.jwk];
      clock.sleep(30_000);
      expect(await verify(fresh)).toBe('admitted');
    },
  );

  it.each(['no-store', 'private, max-age=86400', 'max-age=600, no-cache', 'max-age=0', 'max-age=soon'])(
    'an answer that no cache may keep, %s, proves that an id is unknown',
    async (directives) => {
      server.answer = (_req, res) =>
        void res.setHeader('cache-control', directives).end(JSON.stringify({ keys: server.keys }));
      const forged = await signed(await signingKey('forged'), { iss: server.issuer }, clock.now());
      expect(await verify(forged)).toBe('unauthorized');
    },
  );

  it('an older answer takes nothing from what a newer one before it has proven', async () => {
    const known = await signingKey('known');
    server.keys = [known.jwk];
    const forged = await signed(await signingKey('forged'), { iss: server.issuer }, clock.now());
    clock.sleep(61_000);
    expect(await verify(await signed(known, { iss: server.issuer }, clock.now()))).toBe('admitted');
    server.answer = (_req, res) =>
      void res.setHeader('age', '36000').end(JSON.stringify({ keys: server.keys }));
    clock.sleep(1_000);
    expect(await verify(forged)).toBe('unauthorized');
  });

  it('an answer that says to be older than the token proves nothing, however long keys are kept (G12)', async () => {
    server.answer = (_req, res) =>
      void res
        .setHeader('age', '36000')
        .setHeader('cache-control', 'max-age=60')
        .end(JSON.stringify({ keys: server.keys }));
    const forged = await signed(await signingKey('forged'), { iss: server.issuer }, clock.now());
    clock.sleep(2 * SETTINGS.keepMs);
    expect(await verify(forged)).toBe('unavailable');
  });

  it('a token that is made up to look old is refused at once, and one of the future never by its time', async () => {
    server.answer = (_req, res) => void res.setHeader('age', '20').end(JSON.stringify({ keys: server.keys }));
    const key = await signingKey('forged');
    const of = (iat: number) => signed(key, { iss: server.issuer, iat }, clock.now());
    const now = Math.floor(clock.now() / 1_000);
    expect(await verify(await of(now - 81))).toBe('unauthorized');
    clock.sleep(30_000);
    expect(await verify(await of(now + 86_400))).toBe('unavailable');
  });
});
