import { describe, expect, it } from '@jest/globals';
import { readCookie } from '../../../../lib/transports/http/cookies.js';

describe('reading one cookie by name', () => {
  it.each([
    ['session=abc', 'abc'],
    ['theme=dark; session=abc; x=y', 'abc'],
    ['theme=dark;session=abc', 'abc'],
    ['session="abc"', 'abc'],
    ['session=a%20b', 'a b'],
    ['session=a=b==', 'a=b=='],
    ['session=100%', '100%'],
    ['session=first; session=second', 'first'],
    ['  session  =  abc  ', 'abc'],
  ])('the cookie in %j is %j', (header, expected) => expect(readCookie(header, 'session')).toBe(expected));

  it.each([
    undefined,
    '',
    'session',
    'session=',
    'session=""',
    'mysession=abc',
    'SESSION=abc',
    'session2=abc',
    ';;;',
    'x="session=abc"',
  ])('no cookie is found in %j', (header) => expect(readCookie(header, 'session')).toBeUndefined());

  it.each(['__proto__', 'constructor', 'toString'])('a cookie may have the name %s', (name) => {
    expect(readCookie('a=b', name)).toBeUndefined();
    expect(readCookie(`${name}=x`, name)).toBe('x');
  });

  it('a header of the largest size is read in linear time', () => {
    const header = `${'a=b;'.repeat(4_000)}${'='.repeat(100)};session=abc`;
    expect(readCookie(header, 'session')).toBe('abc');
  });
});
