import { describe, expect, it } from '@jest/globals';
import { clientAddress, type ProxyTrust } from '../../../../lib/transports/http/client-address.js';

const PROXY = '10.0.0.1';
const isProxy: ProxyTrust = (address) => address.startsWith('10.');

function ipOf(
  forwarded: string | undefined,
  trust: ProxyTrust,
  remoteAddress: string | undefined = PROXY,
): string {
  return clientAddress(
    forwarded === undefined ? {} : { 'x-forwarded-for': forwarded },
    { remoteAddress },
    trust,
  ).ip;
}

describe('the address of a client', () => {
  it('the address is that of the socket without trusted proxies, whatever the headers are', () => {
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
  ])('the address from %j behind %i proxies is %s', (forwarded, hops, expected) =>
    expect(ipOf(forwarded, hops)).toBe(expected),
  );

  it.each([
    ['9.9.9.9', '9.9.9.9'],
    ['6.6.6.6, 9.9.9.9, 10.0.0.2', '9.9.9.9'],
    ['10.0.0.4, 10.0.0.3', '10.0.0.4'],
  ])('the address from %j behind proxies of a known network is %s', (forwarded, expected) => {
    expect(ipOf(forwarded, isProxy)).toBe(expected);
  });

  it('the address of a stranger that claims to be a proxy is that of the socket', () =>
    expect(ipOf('6.6.6.6', isProxy, '8.8.8.8')).toBe('8.8.8.8'));

  it.each(['unknown', '_hidden', '9.9.9', '<script>', '::g', ',', '9.9.9.9:x'])(
    'an invalid entry (%j) is not used as the address',
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
  ])('an address has one spelling per client: %s', (entry, expected) =>
    expect(ipOf(entry, 1)).toBe(expected),
  );

  it('an IPv4 client of a dual-stack socket has its IPv4 address', () => {
    expect(ipOf(undefined, false, '::ffff:127.0.0.1')).toBe('127.0.0.1');
  });

  it('a client of a Unix socket has no address', () => {
    expect(clientAddress({}, {}, false).ip).toBe('unknown');
    expect(clientAddress({ 'x-forwarded-for': '9.9.9.9' }, {}, 1).ip).toBe('9.9.9.9');
  });
});

describe('the scheme of a client', () => {
  const scheme = (proto: string | undefined, trust: ProxyTrust, forwarded = '9.9.9.9') =>
    clientAddress(
      { 'x-forwarded-for': forwarded, ...(proto === undefined ? {} : { 'x-forwarded-proto': proto }) },
      { remoteAddress: PROXY },
      trust,
    ).scheme;

  it('TLS that ends in this process is https', () => {
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
  ])('a trusted proxy states the scheme: %j', (proto, expected) => expect(scheme(proto, 1)).toBe(expected));

  it('the scheme that a client wrote before the entry of the proxy is ignored', () => {
    expect(scheme('https, http', 1)).toBe('http');
    expect(scheme('http, https', isProxy)).toBe('https');
    expect(scheme('https, http', 2, '9.9.9.9, 10.0.0.2')).toBe('https');
  });
});
