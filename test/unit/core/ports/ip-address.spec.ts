import { isIP } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import fc from '../../../support/property.js';
import { canonicalAddress, clientNetwork, compileNetworks } from '../../../../lib/core/ports/ip-address.js';

describe('the one spelling of an address (G17)', () => {
  it.each([
    ['1.2.3.4', '1.2.3.4'],
    ['2001:db8::1', '2001:db8::1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
    ['2001:db8::192.0.2.1', '2001:db8::c000:201'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['::ffff:1.2.3.4', '1.2.3.4'],
    ['::FFFF:0102:0304', '1.2.3.4'],
    ['0:0:0:0:0:ffff:1.2.3.4', '1.2.3.4'],
    ['fe80::1%eth0', 'fe80::1'],
    ['fe80::1%25eth0', 'fe80::1'],
    ['FE80:0::1%1', 'fe80::1'],
    ['fe80::1%eth0.100', 'fe80::1'],
    ['fe80::1%br-lan', 'fe80::1'],
    ['2001:db8::1%a:b', '2001:db8::1'],
    ['::ffff:1.2.3.4%br-lan', '1.2.3.4'],
    ['::1', '::1'],
    ['::', '::'],
  ])('%s is %s', (given, expected) => expect(canonicalAddress(given)).toBe(expected));

  it.each([
    '',
    'unknown',
    '127.1',
    '010.1.1.1',
    '0x7f.1',
    '1.2.3.4 ',
    ' ::1',
    '1.2.3.4/8',
    '::g',
    'fe80::1%',
    '1.2.3',
  ])('%j is no address', (given) => expect(canonicalAddress(given)).toBeUndefined());

  it('whatever Node takes for an address has a form, and no text throws', () => {
    const piece = fc.constantFrom(
      '::',
      ':',
      '0',
      'ffff',
      '1.2.3.4',
      '.',
      '%',
      'eth0',
      '-',
      'Z',
      '64:ff9b',
      '/',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 10 }), (pieces) => {
        const text = pieces.join('');
        const form = canonicalAddress(text);
        expect(form === undefined).toBe(isIP(text) === 0);
        expect(() => clientNetwork(text, 64)).not.toThrow();
        expect(() => compileNetworks(['fd00::/8'])(text)).not.toThrow();
      }),
      { numRuns: 2_000 },
    );
  });

  it('every spelling of an address has the same form, which is its own form', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }), (parts) => {
        const plain = parts.map((part) => part.toString(16)).join(':');
        const padded = parts.map((part) => part.toString(16).toUpperCase().padStart(4, '0')).join(':');
        const form = canonicalAddress(plain);
        expect(form).toBeDefined();
        expect(isIP(form ?? '')).not.toBe(0);
        expect(canonicalAddress(padded)).toBe(form);
        expect(canonicalAddress(form ?? '')).toBe(form);
      }),
    );
  });
});

describe('what counts as one client (G17)', () => {
  it.each([
    ['2001:db8:1:2:3:4:5:6', 64, '2001:db8:1:2::/64'],
    ['2001:db8:1:2:ffff::1', 64, '2001:db8:1:2::/64'],
    ['2001:db8:1:3::1', 64, '2001:db8:1:3::/64'],
    ['2001:db8:1:2ff::', 56, '2001:db8:1:200::/56'],
    ['2001:db8:1:2:3:4:5:7', 127, '2001:db8:1:2:3:4:5:6/127'],
    ['ffff::', 1, '8000::/1'],
    ['2001:DB8:0::1', 128, '2001:db8::1'],
    ['::ffff:1.2.3.4', 64, '1.2.3.4'],
    ['1.2.3.4', 64, '1.2.3.4'],
    // The address of an IPv4 client behind a translator (RFC 6052): its /64 would be all of IPv4.
    ['64:ff9b::1.2.3.4', 64, '64:ff9b::102:304'],
    ['unknown', 64, 'unknown'],
  ])('%s by /%i counts as %s', (address, prefix, expected) =>
    expect(clientNetwork(address, prefix)).toBe(expected),
  );
});

describe('a list of networks', () => {
  it.each([
    [['10.0.0.0/8'], '10.1.2.3', true],
    [['10.0.0.0/8'], '11.1.2.3', false],
    [['10.0.0.7'], '10.0.0.7', true],
    [['10.0.0.7'], '10.0.0.8', false],
    [['::ffff:10.0.0.0/104'], '10.1.2.3', true],
    [['::FFFF:10.0.0.7'], '10.0.0.7', true],
    [['FD00:0::/8'], 'fd12::1', true],
    [['fd00::/8'], 'fe80::1', false],
    [['fe80::1%eth0'], 'fe80::1', true],
    [['2001:DB8:0:0::1'], '2001:db8::1', true],
    [['0.0.0.0/0'], '2001:db8::1', false],
    [['192.168.0.0/16', '::1'], '::1', true],
    [['::1'], 'unknown', false],
  ])('%j has %s: %s', (networks, address, expected) =>
    expect(compileNetworks(networks)(address)).toBe(expected),
  );

  it.each([
    '',
    '10.0.0.0/33',
    '10/8',
    '10.0.0',
    'fd00::/129',
    '10.0.0.0/-1',
    '10.0.0.0/8 ',
    '10.0.0.0/',
    'loopback',
  ])('refuses %j, and says what it must be', (network) =>
    expect(() => compileNetworks([network])).toThrow(/"10\.0\.0\.0\/8"/),
  );

  it('refuses an empty list', () => expect(() => compileNetworks([])).toThrow(/empty/));
});
