import { describe, expect, it } from '@jest/globals';
import { compileHosts } from '../../../../lib/transports/http/host.js';

describe('allowed hosts', () => {
  const judge = compileHosts(['example.com', 'localhost:3000', '[::1]']);

  it.each(['example.com', 'EXAMPLE.COM', 'example.com:8080', 'localhost:3000', '[::1]', '[::1]:99'])(
    'accept %s',
    (host) => expect(judge(host)).toBe('allowed'),
  );

  it.each([
    'localhost',
    'localhost:3001',
    'evil.net',
    'example.com.evil.net',
    'sub.example.com',
    'example.com.',
  ])('refuse %s', (host) => expect(judge(host)).toBe('foreign'));

  it.each([
    undefined,
    '',
    'example.com:',
    'example.com:x',
    'a@example.com',
    'example.com/',
    'example.com evil',
    '[::1',
    '::1',
  ])('treat %j as malformed', (host) => expect(judge(host)).toBe('malformed'));

  it.each(['*', '*.example.com', 'https://example.com', ''])('refuse the entry %j at boot', (entry) => {
    expect(() => compileHosts([entry])).toThrow('is not a host');
  });
});
