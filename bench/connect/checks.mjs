import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import jwt from 'jsonwebtoken';
import { SECRET, verify } from './check.mjs';

const algorithms = ['HS256'];
const key = createSecretKey(Buffer.from(SECRET));

/** Ways of checking a token of HS256; each throws or rejects when it is not good. */
const checks = {
  'the library, and so every server of this bench': verify,
  'jsonwebtoken, secret given as a string': (token) => jwt.verify(token, SECRET, { algorithms }),
  'jsonwebtoken, secret given as a KeyObject': (token) => jwt.verify(token, key, { algorithms }),
  'node:crypto alone, signature and expiry': (token) => {
    const end = token.lastIndexOf('.');
    const signature = Buffer.from(token.slice(end + 1), 'base64url');
    const wanted = createHmac('sha256', key).update(token.slice(0, end)).digest();
    if (!timingSafeEqual(signature, wanted)) throw new Error('The signature is wrong');
    const claims = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString());
    if (claims.exp * 1_000 < Date.now()) throw new Error('The token is over');
    return claims;
  },
};

/** CPU microseconds of each, one after the other, as a server runs them between its other work. */
export async function costOfChecks(tokens) {
  const costs = [];
  for (const [name, check] of Object.entries(checks)) {
    for (const token of tokens.slice(0, tokens.length / 4)) await check(token);
    const before = process.cpuUsage();
    for (const token of tokens) await check(token);
    const { user, system } = process.cpuUsage(before);
    costs.push({ name, cpuMicros: (user + system) / tokens.length });
  }
  return costs;
}
