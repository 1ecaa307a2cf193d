import { describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { weaknessOf } from '../../../lib/doctor/secrets.js';

/** Texts that look random, the same in every run. */
const random = (index: number): Buffer => createHash('sha256').update(`secret of node ${index}`).digest();

describe('secrets that can be guessed', () => {
  it.each(['', 'secret', 'x', random(1).toString('hex').slice(0, 31)])('are short: %j', (secret) => {
    expect(weaknessOf(secret)).toBe('short');
  });

  it('are short in bytes, not in characters', () => {
    expect(weaknessOf('ž'.repeat(15))).toBe('short');
    expect(weaknessOf(random(1).subarray(0, 31))).toBe('short');
  });

  it.each([
    'your-256-bit-secret-of-this-application',
    'please-CHANGE_ME-before-production-1',
    'correct-horse-battery-PASSWORD-staple',
    'replace-me-with-what-nobody-can-know',
    's'.repeat(32),
    'abcabcabcabcabcabcabcabcabcabcabcabc',
    '0123456789012345678901234567890123456789',
    'abcdefghijklmnopqrstuvwxyz0123456789',
    'aaaaaaaaaaaaaaaabbbbbbbbbbbbbbbbcccc',
  ])('are examples and patterns: %s', (secret) => {
    expect(weaknessOf(secret)).toBe('example');
    expect(weaknessOf(Buffer.from(secret))).toBe('example');
  });

  it('are not what a generator makes', () => {
    for (let index = 0; index < 2_000; index++) {
      const bytes = random(index);
      const made = [
        bytes,
        bytes.toString('base64'),
        bytes.toString('base64url'),
        bytes.toString('hex'),
        bytes.toString('hex').slice(0, 32),
      ];
      expect(made.map(weaknessOf)).toEqual(made.map(() => undefined));
    }
  });
});
