import { describe, expect, it } from '@jest/globals';
import { takeQueryToken } from '../../../../lib/transports/http/query-token.js';

describe('a token in the query (G23)', () => {
  it.each([
    ['/realtime?token=abc', 'abc', '/realtime?token=redacted'],
    ['/realtime?a=1&token=abc&b=2', 'abc', '/realtime?a=1&token=redacted&b=2'],
    ['/realtime?%74oken=a%2Eb', 'a.b', '/realtime?%74oken=redacted'],
    ['/realtime?token=first&token=second', 'first', '/realtime?token=redacted&token=redacted'],
    ['/realtime?token=a=b', 'a=b', '/realtime?token=redacted'],
  ])('a token in the query is read from %s and redacted (G23)', (url, token, seen) => {
    expect(takeQueryToken(url, 'token')).toEqual({ token, url: seen });
  });

  it.each(['/realtime', '/realtime?', '/realtime?a=token', '/realtime?tokens=abc', '/realtime?%=1'])(
    'no token is found in %s',
    (url) => expect(takeQueryToken(url, 'token')).toEqual({ url }),
  );

  it.each(['/realtime?token=', '/realtime?token'])('an empty token in %s is ignored', (url) => {
    expect(takeQueryToken(url, 'token').token).toBeUndefined();
  });
});
