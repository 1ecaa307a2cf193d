import { describe, expect, it } from '@jest/globals';
import { clientAddress, type TrustProxy } from '../../../../lib/transports/http/client-address.js';

const PROXY = '10.0.0.1';
const isProxy: TrustProxy = (address) => address.startsWith('10.');

function ipOf(
  forwarded: string | undefined,
  trust: TrustProxy,
  remoteAddress: string | undefined = PROXY,
): string {
  return clientAddress(
    forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    { remoteAddress },
    trust,
  ).ip;
}

describe('address of the client', () => {
  it('without trusted proxies the socket decides, whatever headers say', () => {
    expect(ipOf('6.6.6.6', false)).toBe(PROXY);
    expect(
      clientAddress({ 'x-forwarded-proto': 'https' }, { remoteAddress: PROXY }, false).scheme,
    ).toBeUndefined();
  });

  it.each([
    ['9.9.9.9', 1, '9.9.9.9'],
    ['6.6.6.6, 9.9.9.9', 1, '9.9.9.9'],
    ['6.6.6.6, 9.9.9.9, 10.0.0.2', 2, '9.9.9.9'],
    ['9.9.9.9', 3, '9.9.9.9'],
    ['', 1, PROXY],
    [undefined, 1, PROXY],
  ])('%j behind %i proxies is %s', (forwarded, hops, expected) =>
    expect(ipOf(forwarded, hops)).toBe(expected),
  );

  it.each([
    ['9.9.9.9', '9.9.9.9'],
    ['6.6.6.6, 9.9.9.9, 10.0.0.2', '9.9.9.9'],
    ['10.0.0.4, 10.0.0.3', '10.0.0.4'],
  ])('%j behind proxies of a known network is %s', (forwarded, expected) => {
    expect(ipOf(forwarded, isProxy)).toBe(expected);
  });

  it('a stranger that says it is a proxy is itself', () =>
    expect(ipOf('6.6.6.6', isProxy, '8.8.8.8')).toBe('8.8.8.8'));

  it.each(['unknown', '_hidden', '9.9.9', '<script>', '::g', ',', '9.9.9.9:x'])(
    'garbage (%j) is not an address',
    (entry) => {
      expect(ipOf(`6.6.6.6, ${entry}`, isProxy)).toBe(PROXY);
    },
  );

  it.each([
    ['9.9.9.9:5678', '9.9.9.9'],
    ['[2001:DB8::1]:443', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['2001:db8::1', '2001:db8::1'],
    ['::ffff:9.9.9.9', '9.9.9.9'],
  ])('one client is one spelling: %s', (entry, expected) => expect(ipOf(entry, 1)).toBe(expected));

  it('an IPv4 client of a dual-stack socket is its IPv4 address', () => {
    expect(ipOf(undefined, false, '::ffff:127.0.0.1')).toBe('127.0.0.1');
  });

  it('a Unix socket has no address', () => {
    expect(clientAddress({}, {}, false).ip).toBe('unknown');
    expect(clientAddress({ 'x-forwarded-for': '9.9.9.9' }, {}, 1).ip).toBe('9.9.9.9');
  });
});

describe('scheme of the client', () => {
  const scheme = (proto: string | undefined, trust: TrustProxy, forwarded = '9.9.9.9') =>
    clientAddress(
      { 'x-forwarded-for': forwarded, ...(proto === undefined ? {} : { 'x-forwarded-proto': proto }) },
      { remoteAddress: PROXY },
      trust,
    ).scheme;

  it('TLS that ends here is https', () => {
    expect(clientAddress({}, { remoteAddress: PROXY, encrypted: true }, false).scheme).toBe('https');
  });

  it.each([
    ['https', 'https'],
    ['HTTPS', 'https'],
    ['wss', 'https'],
    ['http', 'http'],
    ['ws', 'http'],
    ['gopher', undefined],
    [undefined, undefined],
  ])('a trusted proxy says %j', (proto, expected) => expect(scheme(proto, 1)).toBe(expected));

  it('what a client wrote in front of the proxy’s own entry does not count', () => {
    expect(scheme('https, http', 1)).toBe('http');
    expect(scheme('http, https', isProxy)).toBe('https');
    expect(scheme('https, http', 2, '9.9.9.9, 10.0.0.2')).toBe('https');
  });
});
