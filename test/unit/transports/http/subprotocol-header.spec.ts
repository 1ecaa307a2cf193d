import { describe, expect, it } from '@jest/globals';
import { parseSubprotocols } from '../../../../lib/transports/http/subprotocol-header.js';
import { stretched } from '../../../support/patience.js';

describe('Sec-WebSocket-Protocol (P1, RFC 6455 §4.1)', () => {
  it.each([
    ['a', ['a']],
    ['a,b', ['a', 'b']],
    ['a , b\t,c', ['a', 'b', 'c']],
    ['realtime.v1.json, bearer.eyJ-_.x.y', ['realtime.v1.json', 'bearer.eyJ-_.x.y']],
  ])('%j is parsed (P1)', (header, expected) => expect(parseSubprotocols(header)).toEqual(expected));

  it.each(['', ',', 'a,', ',a', 'a,,b', 'a b', 'a;b', 'a/b', '"a"', 'é', 'a\u00a0', 'a,a', 'a\r\nb', 'a\0'])(
    '%j is refused as malformed (P1)',
    (header) => expect(parseSubprotocols(header)).toBeUndefined(),
  );

  it('the number of subprotocols is bounded (P1)', () => {
    const many = (count: number): string =>
      Array.from({ length: count }, (_, index) => `p${index}`).join(',');
    expect(parseSubprotocols(many(32))).toHaveLength(32);
    expect(parseSubprotocols(many(33))).toBeUndefined();
  });

  it('parsing takes linear time (CVE-2021-32640)', () => {
    const started = performance.now();
    parseSubprotocols(`a${' '.repeat(1_000_000)}b`);
    parseSubprotocols(`${' '.repeat(1_000_000)},`);
    parseSubprotocols(`a,${'b'.repeat(1_000_000)}\u00e9`);
    // Quadratic it would take hours.
    expect(performance.now() - started).toBeLessThan(stretched(5_000));
  });
});
