import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHmac, generateKeyPairSync, sign as signBytes } from 'node:crypto';
import { exportJWK, exportSPKI, importJWK, type JWK } from 'jose';
import type { Authenticator } from '../../../../lib/core/ports/identity.js';
import { JwksAuthenticator } from '../../../../lib/nest/auth/jwks-authenticator.js';
import { JwtAuthenticator } from '../../../../lib/nest/auth/jwt-authenticator.js';
import type { RealtimeJwtOptions } from '../../../../lib/nest/realtime-options.js';
import { KeyServer, signed, signingKey, type SigningKey } from '../../../support/auth/key-server.js';
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
const clock = new ManualClock();
const SECONDS = Math.floor(clock.now() / 1_000);

let server: KeyServer;
let other: KeyServer;
let ec: SigningKey;
let rsa: SigningKey;
let ed: SigningKey;

beforeAll(async () => {
  [ec, rsa, ed] = await Promise.all([
    signingKey('ec'),
    signingKey('rsa', 'RS256'),
    signingKey('ed', 'EdDSA'),
  ]);
  const { alg: _alg, ...anyRsa } = rsa.jwk;
  server = await new KeyServer().start();
  other = await new KeyServer().start();
  server.keys = [ec.jwk, anyRsa, ed.jwk];
  other.keys = [ec.jwk];
});
afterAll(() => Promise.all([server.stop(), other.stop()]));

const jwks = (options: RealtimeJwtOptions = {}): Promise<Authenticator> =>
  JwksAuthenticator.create({ jwks: { issuer: server.issuer, url: server.url }, ...options }, SETTINGS, {
    clock,
    logger: new RecordingLogger(),
    fetch: (input, init) => fetch(input, init),
  });

/** A user's id, or the code of the refusal. */
const outcome = async (authenticator: Authenticator, token: string): Promise<string> => {
  try {
    const { user } = await authenticator.authenticate({ token, via: 'hello', handshake: handshakeOf() });
    return user?.id ?? 'nobody';
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
};
const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
/** A token with any header and claims, signed with ES256. */
const raw = async (header: object, claims: object, key: SigningKey = ec): Promise<string> => {
  const text = `${part(header)}.${part(claims)}`;
  const { KeyObject } = await import('node:crypto');
  const bytes = signBytes('sha256', Buffer.from(text), {
    key: KeyObject.from(key.privateKey),
    dsaEncoding: 'ieee-p1363',
  });
  return `${text}.${bytes.toString('base64url')}`;
};
const mine = (more: object = {}) => ({ iss: server.issuer, sub: 'alice', exp: SECONDS + 36_000, ...more });
const header = { alg: 'ES256', kid: 'ec' };

describe('tokens of an issuer with published keys', () => {
  it.each([
    ['ES256', () => ec],
    ['RS256, of a key that names no algorithm', () => rsa],
    ['PS384, of the same key', () => ({ ...rsa, alg: 'PS384' })],
    ['EdDSA', () => ed],
    ['Ed25519, which is the same', () => ({ ...ed, alg: 'EdDSA' })],
  ])('are verified with %s', async (_what, keyOf) => {
    const { alg, ...key } = keyOf();
    let { privateKey } = key;
    // A Web Crypto key is bound to one algorithm.
    if (alg === 'PS384') privateKey = (await importJWK(await exportJWK(privateKey), alg)) as CryptoKey;
    const token = await signed({ ...key, alg, privateKey }, { iss: server.issuer }, clock.now());
    await expect(outcome(await jwks(), token)).resolves.toBe('alice');
  });

  it('of another issuer, of several, of none, or of one with another slash or case cause no request', async () => {
    const authenticator = await jwks();
    const before = server.requests;
    const issuers = [
      'https://evil.example/',
      other.issuer,
      [server.issuer],
      undefined,
      server.issuer.slice(0, -1),
      server.issuer.toUpperCase(),
      { 0: server.issuer },
      5,
      '__proto__',
      'constructor',
    ];
    for (const iss of issuers) {
      expect(
        `${JSON.stringify(iss)}: ${await outcome(authenticator, await raw(header, mine({ iss })))}`,
      ).toMatch(/: unauthorized$/);
    }
    expect([server.requests, other.requests]).toEqual([before, 0]);
  });

  it('that are signed by a key of another issuer are refused', async () => {
    const thief = await signingKey('thief');
    other.keys = [thief.jwk];
    const list = [server, other].map(({ issuer, url }) => ({ issuer, url }));
    const authenticator = await jwks({
      jwks: list,
      user: ({ iss, sub }) => ({ id: `${String(iss)}|${String(sub)}` }),
    });
    await expect(
      outcome(authenticator, await raw({ alg: 'ES256', kid: 'thief' }, mine({ iss: other.issuer }), thief)),
    ).resolves.toBe(`${other.issuer}|alice`);
    await expect(
      outcome(authenticator, await raw({ alg: 'ES256', kid: 'thief' }, mine(), thief)),
    ).resolves.toBe('unauthorized');
    await expect(outcome(authenticator, await raw({ alg: 'ES256', kid: 'ec' }, mine(), thief))).resolves.toBe(
      'unauthorized',
    );
  });

  it('of each issuer need its own audience', async () => {
    const entry = { issuer: server.issuer, url: server.url };
    const token = (aud: unknown) => raw(header, mine({ aud }));
    const own = await jwks({ audience: 'shared', jwks: { ...entry, audience: ['api', 'rt'] } });
    const shared = await jwks({ audience: 'shared', jwks: entry });
    await expect(outcome(own, await token('api'))).resolves.toBe('alice');
    await expect(outcome(own, await token(['web', 'rt']))).resolves.toBe('alice');
    await expect(outcome(own, await token('shared'))).resolves.toBe('unauthorized');
    await expect(outcome(shared, await token('shared'))).resolves.toBe('alice');
    await expect(outcome(shared, await token('api'))).resolves.toBe('unauthorized');
  });

  it('with an algorithm that the options do not allow are refused', async () => {
    const only = await jwks({ jwks: { issuer: server.issuer, url: server.url, algorithms: ['PS256'] } });
    const token = await signed(rsa, { iss: server.issuer }, clock.now());
    await expect(outcome(only, token)).resolves.toBe('unauthorized');
  });

  describe('that are forged', () => {
    const forgeries: readonly (readonly [string, () => string | Promise<string>])[] = [
      ['without a signature (alg none)', () => `${part({ ...header, alg: 'none' })}.${part(mine())}.`],
      ['with alg None in another case', () => `${part({ ...header, alg: 'NONE' })}.${part(mine())}.`],
      ['without alg', () => raw({ kid: 'ec' }, mine())],
      ['with a list as alg', () => raw({ kid: 'ec', alg: ['ES256'] }, mine())],
      [
        'with the public key as an HMAC secret, in PEM (RS/HS confusion, CVE-2026-34950)',
        async () =>
          hmac(
            { alg: 'HS256', kid: 'rsa' },
            await exportSPKI((await importJWK(rsa.jwk, 'RS256')) as CryptoKey),
          ),
      ],
      [
        'with the public key as an HMAC secret, after a blank (CVE-2023-48223)',
        async () =>
          hmac(
            { alg: 'HS256', kid: 'rsa' },
            ` ${await exportSPKI((await importJWK(rsa.jwk, 'RS256')) as CryptoKey)}`,
          ),
      ],
      [
        'with the modulus as an HMAC secret',
        () => hmac({ alg: 'HS256', kid: 'rsa' }, Buffer.from(rsa.jwk.n ?? '', 'base64url')),
      ],
      ['with an empty HMAC secret', () => hmac({ alg: 'HS256', kid: 'ec' }, '')],
      ['with the algorithm of another key (CVE-2026-22817)', () => raw({ alg: 'RS256', kid: 'ec' }, mine())],
      ['with a kid of another key', () => raw({ alg: 'ES256', kid: 'rsa' }, mine())],
      ['without kid', () => raw({ alg: 'ES256' }, mine())],
      ['with an empty kid', () => raw({ alg: 'ES256', kid: '' }, mine())],
      ['with a list as kid', () => raw({ alg: 'ES256', kid: ['ec'] }, mine())],
      ['with an object as kid', () => raw({ alg: 'ES256', kid: { toString: 'ec' } }, mine())],
      ['with a kid above the greatest length', () => raw({ alg: 'ES256', kid: 'k'.repeat(257) }, mine())],
      ['with an embedded key (jwk)', async () => embedded('jwk')],
      ['with the address of a key (jku)', async () => embedded('jku')],
      ['with the address of a certificate (x5u)', async () => embedded('x5u')],
      ['with a certificate (x5c)', async () => embedded('x5c')],
      ['with a critical extension (CVE-2026-35042)', () => raw({ ...header, crit: ['x'], x: 1 }, mine())],
      ['with an empty list of critical extensions', () => raw({ ...header, crit: [] }, mine())],
      [
        'with a payload that is not encoded (b64)',
        () => raw({ ...header, crit: ['b64'], b64: false }, mine()),
      ],
      [
        'with other claims',
        async () => (await raw(header, mine())).replace(/\.[^.]+\./, `.${part(mine({ sub: 'root' }))}.`),
      ],
      ['with a cut signature', async () => (await raw(header, mine())).slice(0, -2)],
      [
        'with a signature of zeros (CVE-2022-21449)',
        async () => (await raw(header, mine())).replace(/[^.]+$/, Buffer.alloc(64).toString('base64url')),
      ],
      ['with five parts', async () => `${await raw(header, mine())}.a.b`],
      ['with a header that is no object', () => `${part([])}.${part(mine())}.${part('x')}`],
      ['with a header of 16 KiB', () => raw({ ...header, pad: 'x'.repeat(16_384), kid: 'rsa' }, mine())],
      [
        'with a header that is deep',
        () =>
          `${Buffer.from(`{"alg":"ES256","kid":"ec","a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`).toString('base64url')}.${part(mine())}.AA`,
      ],
      ['that are text', () => 'a.b.c'],
      ['that are empty', () => ''],
    ];
    const hmac = (head: object, secret: string | Buffer): string => {
      const text = `${part(head)}.${part(mine())}`;
      return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
    };
    /** Signed by a key of the forger, which the header brings. */
    const embedded = async (how: 'jwk' | 'jku' | 'x5u' | 'x5c'): Promise<string> => {
      const thief = await signingKey('ec');
      other.keys = [thief.jwk];
      const value: unknown = { jwk: thief.jwk, jku: other.url, x5u: other.url, x5c: [thief.jwk.x] }[how];
      return raw({ ...header, [how]: value }, mine(), thief);
    };

    it.each(forgeries)('%s are refused, and nobody is asked for their sake', async (_what, forge) => {
      const authenticator = await jwks();
      await expect(outcome(authenticator, await raw(header, mine()))).resolves.toBe('alice');
      const before = [server.requests, other.requests];
      await expect(outcome(authenticator, await forge())).resolves.toBe('unauthorized');
      expect([server.requests, other.requests]).toEqual(before);
    });
  });

  it.each(['none', 'HS256', 'RS1', 'A128KW'])(
    'with the algorithm %s and an unknown kid cause no request',
    async (alg) => {
      const authenticator = await jwks();
      await outcome(authenticator, await raw(header, mine()));
      const before = server.requests;
      const token = await raw({ alg, kid: 'unknown' }, mine());
      await expect(outcome(authenticator, token)).resolves.toBe('unauthorized');
      expect(server.requests).toBe(before);
    },
  );

  it('that are missing are refused', async () => {
    const authenticator = await jwks();
    expect(() => authenticator.authenticate({ via: 'none', handshake: handshakeOf() })).toThrow(
      'A token is needed',
    );
  });
});

describe('the claims of a token, whatever proves them', () => {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const keyObject = pair.publicKey.export({ type: 'spki', format: 'pem' }).toString();
  const own = {
    kid: 'own',
    alg: 'ES256',
    jwk: { ...(pair.publicKey.export({ format: 'jwk' }) as JWK), kid: 'own' },
  };
  let issuer: KeyServer;
  beforeAll(async () => {
    issuer = await new KeyServer().start();
    issuer.keys = [own.jwk];
  });
  afterAll(() => issuer.stop());

  const options = { audience: ['rt', 'x'], clockTolerance: 5_000, maxAge: '1h' } as const;
  const make = async (): Promise<Authenticator[]> => {
    const { issuer: iss, url } = issuer;
    return [
      await JwtAuthenticator.create({ ...options, publicKey: keyObject, issuer: iss }, clock),
      await jwks({ ...options, jwks: { issuer: iss, url } }),
    ];
  };
  const now = () => Math.floor(clock.now() / 1_000);
  const rows: readonly (readonly [string, (at: number) => object, string])[] = [
    ['no more than are needed', () => ({}), 'alice'],
    ['a number as sub', () => ({ sub: 7 }), '7'],
    ['no sub', () => ({ sub: undefined }), 'unauthorized'],
    ['an empty sub', () => ({ sub: '' }), 'unauthorized'],
    ['an object as sub', () => ({ sub: { id: 'alice' } }), 'unauthorized'],
    ['a sub that was rounded', () => ({ sub: 2 ** 53 }), 'unauthorized'],
    ['one audience of a list', () => ({ aud: ['web', 'x'] }), 'alice'],
    ['another audience', () => ({ aud: 'web' }), 'unauthorized'],
    ['no audience', () => ({ aud: undefined }), 'unauthorized'],
    ['an empty audience', () => ({ aud: '' }), 'unauthorized'],
    ['an empty list of audiences', () => ({ aud: [] }), 'unauthorized'],
    ['an audience that contains the right one', () => ({ aud: 'rt,web' }), 'unauthorized'],
    ['another issuer', () => ({ iss: 'https://evil.example' }), 'unauthorized'],
    ['a list as issuer', () => ({ iss: [issuer.issuer] }), 'unauthorized'],
    ['no issuer', () => ({ iss: undefined }), 'unauthorized'],
    ['an end that is over', (at) => ({ exp: at - 6 }), 'token_expired'],
    ['an end that is over exactly with the tolerance', (at) => ({ exp: at - 5 }), 'token_expired'],
    ['an end within the tolerance', (at) => ({ exp: at - 4 }), 'alice'],
    ['a text as end', () => ({ exp: '9999999999' }), 'unauthorized'],
    ['null as end', () => ({ exp: null }), 'unauthorized'],
    ['a begin that is to come', (at) => ({ nbf: at + 60 }), 'unavailable'],
    ['a begin within the tolerance', (at) => ({ nbf: at + 5 }), 'alice'],
    ['a text as begin', () => ({ nbf: 'soon' }), 'unauthorized'],
    ['a begin and an end in the wrong order', (at) => ({ nbf: at + 60, exp: at - 60 }), 'unavailable'],
    ['too great an age', (at) => ({ iat: at - 3_606 }), 'token_expired'],
    ['an age within the tolerance', (at) => ({ iat: at - 3_604 }), 'alice'],
    ['no age', () => ({ iat: undefined }), 'unauthorized'],
    ['a text as age', () => ({ iat: 'now' }), 'unauthorized'],
  ];

  it.each(rows)('with %s are judged alike', async (_what, claims, expected) => {
    const at = now();
    const all = { iss: issuer.issuer, sub: 'alice', aud: 'rt', iat: at, exp: at + 600, ...claims(at) };
    const text = `${part({ alg: 'ES256', kid: 'own' })}.${part(all)}`;
    const bytes = signBytes('sha256', Buffer.from(text), { key: pair.privateKey, dsaEncoding: 'ieee-p1363' });
    const token = `${text}.${bytes.toString('base64url')}`;
    for (const authenticator of await make())
      await expect(outcome(authenticator, token)).resolves.toBe(expected);
  });

  it.each([['a text'], [['alice']], [null], [5]])('that are %p are refused', async (claims) => {
    const text = `${part({ alg: 'ES256', kid: 'own' })}.${part(claims)}`;
    const bytes = signBytes('sha256', Buffer.from(text), { key: pair.privateKey, dsaEncoding: 'ieee-p1363' });
    for (const authenticator of await make())
      await expect(outcome(authenticator, `${text}.${bytes.toString('base64url')}`)).resolves.toBe(
        'unauthorized',
      );
  });

  it('bound the connection by their end, plus the tolerance, and the function that makes the user may be asynchronous (G12)', async () => {
    const exp = now() + 600;
    const token = await signed(ec, { iss: server.issuer, exp }, clock.now());
    const authenticator = await jwks({ user: async ({ sub }) => ({ id: `u:${String(sub)}` }) });
    await expect(
      authenticator.authenticate({ token, via: 'auth', handshake: handshakeOf() }),
    ).resolves.toEqual({
      user: { id: 'u:alice' },
      expiresAt: exp * 1_000 + 5_000,
    });
  });
});
