import { createHmac, generateKeyPairSync } from 'node:crypto';
import type { SocketAttack } from './support/socket-attack.js';
import { AUDIENCE, sign, signText, unsigned } from './support/tokens.js';

const now = Math.floor(Date.now() / 1_000);
const { publicKey } = generateKeyPairSync('rsa', {
  modulusLength: 2_048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const evil = { sub: 'root' };
const key = 'a-key-that-the-attacker-has-made-himself';
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** What is no token of this application, and the code that closes the connection. */
const TOKENS: readonly (readonly [name: string, token: string, close: number])[] = [
  ['no signature, alg none', unsigned(evil, 'none'), 4801],
  ['no signature, alg None', unsigned(evil, 'None'), 4801],
  ['no signature, alg NONE', unsigned(evil, 'NONE'), 4801],
  ['no signature, alg nOnE', unsigned(evil, 'nOnE'), 4801],
  ['no signature, alg HS256', unsigned(evil, 'HS256'), 4801],
  ['alg none and a signature', sign(evil, { header: { alg: 'none' } }), 4801],
  ['alg RS256 over a digest with the secret', sign(evil, { header: { alg: 'RS256' } }), 4801],
  ['alg ES256 over a digest with the secret', sign(evil, { header: { alg: 'ES256' } }), 4801],
  ['a digest with a public key', sign(evil, { key: publicKey }), 4801],
  ['a digest with an empty key', sign(evil, { key: '' }), 4801],
  ['a digest with another key', sign(evil, { key }), 4801],
  ['kid as a path to an empty file', sign(evil, { key: '', header: { kid: '../../../../dev/null' } }), 4801],
  ['kid as SQL', sign(evil, { key, header: { kid: `x' UNION SELECT '${key}' -- ` } }), 4801],
  ['kid as a command', sign(evil, { key, header: { kid: '| sleep 10' } }), 4801],
  ['kid as a name of the prototype', sign(evil, { key, header: { kid: '__proto__' } }), 4801],
  ['kid as an object', sign(evil, { key, header: { kid: { toString: 'x' } } }), 4801],
  [
    'the key in its header (jwk)',
    sign(evil, { key, header: { jwk: { kty: 'oct', k: Buffer.from(key).toString('base64url') } } }),
    4801,
  ],
  ['the address of a key (jku)', sign(evil, { key, header: { jku: 'http://127.0.0.1:1/keys' } }), 4801],
  ['the address of a certificate (x5u)', sign(evil, { key, header: { x5u: 'http://127.0.0.1:1/c' } }), 4801],
  ['a certificate (x5c)', sign(evil, { key, header: { x5c: ['MIIB'] } }), 4801],
  ['an unknown critical header', sign(evil, { header: { crit: ['x'], x: 1 } }), 4801],
  ['critical headers that are none', sign(evil, { header: { crit: [] } }), 4801],
  ['an unencoded payload (b64)', sign(evil, { header: { crit: ['b64'], b64: false } }), 4801],
  ['an end that is over', sign({ sub: 'a', exp: now - 3_600 }), 4008],
  ['an end in the year 1970', sign({ sub: 'a', exp: 0 }), 4008],
  ['an end that is text', sign({ sub: 'a', exp: '9999999999' }), 4801],
  ['an end that is null', sign({ sub: 'a', exp: null }), 4801],
  ['a beginning in an hour', sign({ sub: 'a', nbf: now + 3_600 }), 4007],
  ['a beginning that is text', sign({ sub: 'a', nbf: '1' }), 4801],
  ['another audience', sign({ sub: 'a', aud: 'web' }), 4801],
  ['an audience that only contains the right one', sign({ sub: 'a', aud: `${AUDIENCE}.evil` }), 4801],
  ['no audience', signText('{"sub":"a"}'), 4801],
  ['audiences that are an object', signText(`{"sub":"a","aud":{"${AUDIENCE}":1}}`), 4801],
  ['no user', sign({}), 4801],
  ['an empty user', sign({ sub: '' }), 4801],
  ['a user that is an object', sign({ sub: { id: 'root' } }), 4801],
  ['a user that is a list', sign({ sub: ['root'] }), 4801],
  ['a user that is true', sign({ sub: true }), 4801],
  ['a user that was rounded', signText(`{"sub":9007199254740993,"aud":"${AUDIENCE}"}`), 4801],
  ['a user with a line break', sign({ sub: 'root\r\nX: y' }), 4801],
  ['a user with a NUL', sign({ sub: 'root\u0000' }), 4801],
  ['a user of 256 bytes', sign({ sub: 'a'.repeat(256) }), 4801],
  ['a user with half a surrogate pair', signText(`{"sub":"\\ud800","aud":"${AUDIENCE}"}`), 4801],
  ['claims that are a list', signText('["root"]'), 4801],
  ['claims that are text', signText('"root"'), 4801],
  ['claims that are null', signText('null'), 4801],
  ['claims that are no JSON', signText('{sub:root}'), 4801],
  ['users in the prototype', signText(`{"__proto__":{"sub":"root"},"aud":"${AUDIENCE}"}`), 4801],
  ['four parts', `${sign(evil)}.x`, 4801],
  ['two parts', sign(evil).split('.').slice(0, 2).join('.'), 4801],
  ['five parts, as encrypted ones have', 'a.b.c.d.e', 4801],
  ['dots alone', '..', 4801],
  ['a blank behind it', `${sign(evil)} `, 4801],
  ['a line break before it', `\n${sign(evil, { key: publicKey })}`, 4801],
  ['16,384 characters', 'a'.repeat(16_384), 4801],
  ['16,385 characters', 'a'.repeat(16_385), 4805],
  ['nothing', '', 4805],
  [
    'a header of two algorithms, the second of which is right',
    (() => {
      const signed = `${Buffer.from('{"alg":"none","alg":"HS256"}').toString('base64url')}.${part({ ...evil, aud: AUDIENCE })}`;
      return `${signed}.${createHmac('sha256', key).update(signed).digest('base64url')}`;
    })(),
    4801,
  ],
];

const hello = (payload: Readonly<Record<string, unknown>>): string =>
  JSON.stringify({ type: 'hello', id: 'h', payload: { versions: [1], ...payload } });

export const tokenAttacks: readonly SocketAttack[] = [
  ...TOKENS.map(([name, token, close]) => ({
    name: `a token with ${name}`,
    clause: 'P3e',
    ungreeted: true,
    sends: [hello({ token })],
    close,
  })),
  ...[
    ['a list', '["x"]'],
    ['an object', '{"length":5}'],
    ['a number', '1'],
    ['null', 'null'],
    ['true', 'true'],
  ].map(([name, value]) => ({
    name: `a token that is ${name as string}`,
    clause: 'P3a',
    ungreeted: true,
    sends: [`{"type":"hello","id":"h","payload":{"versions":[1],"token":${value as string}}}`],
    close: 4805,
  })),
  {
    name: 'a token at the top of the envelope',
    clause: 'P3e, P6a',
    ungreeted: true,
    sends: [JSON.stringify({ type: 'hello', id: 'h', token: sign(evil), payload: { versions: [1] } })],
    close: 4801,
  },
  {
    name: 'a token in the address',
    clause: 'G23',
    ungreeted: true,
    headers: [],
    sends: [hello({ url: `/realtime?token=${sign(evil)}` })],
    close: 4801,
  },
  {
    name: 'a ticket that nobody signed, without a token',
    clause: 'P28',
    ungreeted: true,
    sends: [hello({ session: `${part(['root', 'n', 'l', 1])}.${'a'.repeat(43)}` })],
    close: 4801,
  },
  {
    name: 'a token of another user than that of the upgrade',
    clause: 'P3e, P3f',
    ungreeted: true,
    headers: [`Cookie: session=${sign({ sub: 'a' })}`, 'Origin: http://app.example'],
    sends: [hello({ token: sign(evil) })],
    close: 4802,
  },
  {
    name: 'a fresh token of another user',
    clause: 'G12',
    sends: [JSON.stringify({ type: 'auth', id: 'a', payload: { token: sign(evil) } })],
    answer: 'forbidden',
  },
  {
    name: 'a fresh token without a signature',
    clause: 'G12',
    sends: [JSON.stringify({ type: 'auth', id: 'a', payload: { token: unsigned({ sub: 'eve' }, 'none') } })],
    answer: 'unauthorized',
  },
  {
    name: 'a fresh token that is over',
    clause: 'G12',
    sends: [JSON.stringify({ type: 'auth', id: 'a', payload: { token: sign({ sub: 'eve', exp: 1 }) } })],
    answer: 'token_expired',
  },
  {
    name: 'a second hello with a token of another user',
    clause: 'P3g',
    sends: [hello({ token: sign(evil) }).replace('"id":"h"', '"id":"a"')],
    answer: 'bad_request',
  },
];
