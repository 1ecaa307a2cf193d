import { describe, expect, it } from '@jest/globals';
import { withoutUserinfo } from '../../../../lib/core/ports/log-text.js';
import { RealtimeBootError } from '../../../../lib/nest/errors/realtime-boot-error.js';

describe('an address that is shown (G23)', () => {
  it.each([
    ['https://ada:hunter2@id.example.com/keys?a=b', 'https://***@id.example.com/keys?a=b'],
    ['https://token@id.example.com', 'https://***@id.example.com'],
    ['redis://:p@ss@10.0.0.1:6379/1', 'redis://***@10.0.0.1:6379/1'],
    ['connect to a://u:p@h, then b://v:q@i failed', 'connect to a://***@h, then b://***@i failed'],
    ['{"a":"https://h","b":"x@y"}', '{"a":"https://h","b":"x@y"}'],
    ['https://id.example.com/~ada@home', 'https://id.example.com/~ada@home'],
    ['https://id.example.com/?mail=a@b', 'https://id.example.com/?mail=a@b'],
    ['mail to ada@example.com', 'mail to ada@example.com'],
    ['file:///app/node_modules/a@1.0/b.js', 'file:///app/node_modules/a@1.0/b.js'],
  ])('has neither user nor password: %s', (text, shown) => {
    expect(withoutUserinfo(text)).toBe(shown);
    expect(withoutUserinfo(shown)).toBe(shown);
  });

  it('takes time in proportion to its length', () => {
    const long = '://'.repeat(100_000) + 'a'.repeat(100_000);
    expect(withoutUserinfo(long)).toBe(long);
  });

  it('an error of the set-up shows neither', () => {
    const problem = 'names the issuer "https://ada:hunter2@id.example.com/" twice.';
    const { message } = new RealtimeBootError([{ path: 'auth.jwt.jwks', problem, remedy: 'Keep one.' }]);
    expect(message).toContain('names the issuer "https://***@id.example.com/" twice. Keep one.');
  });
});
