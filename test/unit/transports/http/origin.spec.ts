import { describe, expect, it } from '@jest/globals';
import type { Handshake } from '../../../../lib/core/ports/connection.js';
import { canonicalOrigin, compileOrigins, isSameOrigin } from '../../../../lib/transports/http/origin.js';

const handshake: Handshake = {
  transport: 'websocket',
  headers: { host: 'example.com' },
  url: '/realtime',
  ip: '127.0.0.1',
  network: '127.0.0.1',
  secure: true,
};

describe('allowed origins (G22)', () => {
  const check = compileOrigins('https://example.com');

  it.each(['https://example.com', 'https://EXAMPLE.com', 'HTTPS://example.com', 'https://example.com:443'])(
    '%s is accepted as https://example.com (G22)',
    (origin) => expect(check(origin, handshake, 'https')).toBe(true),
  );

  it.each([
    'http://example.com',
    'https://example.com:8443',
    'https://example.com.evil.net',
    'https://evil-example.com',
    'https://evilexample.com',
    'https://sub.example.com',
    'https://example.com.',
    'https://example.co',
    'https://example.com@evil.net',
    'https://evil.net/https://example.com',
    'https://evil.net#https://example.com',
    'https://evil.net?https://example.com',
    'https://evil.net\\https://example.com',
    'https://example.com/',
    'https://example.com https://evil.net',
    'https://example.com, https://evil.net',
    'https://ex%61mple.com',
    'https://exаmple.com',
    'null',
    '',
    'example.com',
    '//example.com',
    'file://',
    'javascript:alert(1)',
    `https://${'a'.repeat(600)}.com`,
  ])('%j is refused as https://example.com (G22)', (origin) =>
    expect(check(origin, handshake, 'https')).toBe(false),
  );

  it('a RegExp must match the whole origin (G22)', () => {
    const byPattern = compileOrigins(/https:\/\/[a-z]+\.example\.com/);
    expect(byPattern('https://app.example.com', handshake, 'https')).toBe(true);
    expect(byPattern('https://app.example.com.evil.net', handshake, 'https')).toBe(false);
    expect(byPattern('https://evil.net:1/https://app.example.com', handshake, 'https')).toBe(false);
  });

  it('each alternative of a RegExp is anchored on both sides', () => {
    const byPattern = compileOrigins(/https:\/\/a\.com|https:\/\/b\.com/);
    expect(byPattern('https://a.com.evil.net', handshake, 'https')).toBe(false);
    expect(byPattern('https://b.com', handshake, 'https')).toBe(true);
  });

  it('a RegExp with state matches every client', () => {
    const byPattern = compileOrigins(/https:\/\/example\.com/gy);
    for (let round = 0; round < 3; round++)
      expect(byPattern('https://example.com', handshake, 'https')).toBe(true);
  });

  it('a function gets the unchanged header and the handshake', () => {
    const seen: unknown[] = [];
    const byFunction = compileOrigins((origin, shaken) => {
      seen.push(origin, shaken);
      return origin === 'null';
    });
    expect(byFunction('null', handshake, 'https')).toBe(true);
    expect(byFunction('https://example.com', handshake, 'https')).toBe(false);
    expect(seen).toEqual(['null', handshake, 'https://example.com', handshake]);
  });

  it('rules may be mixed; an empty list allows no origin', () => {
    const mixed = compileOrigins(['https://a.com', /https:\/\/b\.com/, 'same-origin']);
    for (const origin of ['https://a.com', 'https://b.com', 'https://example.com']) {
      expect(mixed(origin, handshake, 'https')).toBe(true);
    }
    expect(mixed('https://c.com', handshake, 'https')).toBe(false);
    expect(compileOrigins([])('https://a.com', handshake, 'https')).toBe(false);
  });

  it('origins of applications that are not web pages are compared too', () => {
    expect(compileOrigins('capacitor://localhost')('capacitor://LOCALHOST', handshake, 'https')).toBe(true);
  });

  it.each([
    '*',
    'https://*.example.com',
    'null',
    'example.com',
    'https://example.com/',
    'https://example.com/app',
    '',
  ])('the rule %j is refused at boot', (rule) =>
    expect(() => compileOrigins(rule)).toThrow(/allowedOrigins: ".*" is/),
  );
});

describe('the same origin (G22)', () => {
  it.each([
    ['https://example.com', 'example.com', 'https'],
    ['https://example.com', 'example.com:443', 'https'],
    ['https://example.com', 'EXAMPLE.com', undefined],
    ['http://example.com:3000', 'example.com:3000', 'http'],
    ['http://localhost', 'localhost:80', undefined],
    ['http://[::1]:3000', '[::1]:3000', undefined],
  ] as const)('%s is the same origin for the host %s over %s', (origin, host, scheme) => {
    expect(isSameOrigin(origin, host, scheme)).toBe(true);
  });

  it.each([
    ['http://example.com', 'example.com', 'https'],
    ['https://example.com', 'example.com', 'http'],
    ['https://example.com', 'example.com:8443', 'https'],
    ['https://example.com:8443', 'example.com', 'https'],
    ['https://example.com.evil.net', 'example.com', undefined],
    ['https://evil.example.com', 'example.com', undefined],
    ['https://example.com', undefined, 'https'],
    ['https://example.com', '', 'https'],
    ['https://example.com', 'evil.net@example.com', 'https'],
    ['null', 'null', undefined],
    ['file://example.com', 'example.com', undefined],
  ] as const)('%s is another origin for the host %s over %s', (origin, host, scheme) => {
    expect(isSameOrigin(origin, host, scheme)).toBe(false);
  });

  it('origins are normalized without guessing', () => {
    expect(canonicalOrigin('HTTPS://Example.com:443')).toBe('https://example.com');
    expect(canonicalOrigin('https://example.com:99999')).toBeUndefined();
  });
});
