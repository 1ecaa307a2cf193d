import { describe, expect, it } from '@jest/globals';
import { fingerprintOf } from '../../../../lib/nest/options/fingerprint.js';

describe('the fingerprint of a secret', () => {
  it('is the same for the same secret, tells secrets apart, and is too short to know a secret by (G23)', () => {
    const [one, two] = ['a'.repeat(32), 'b'.repeat(32)];
    expect(fingerprintOf(one)).toBe(fingerprintOf(one));
    expect(fingerprintOf(one)).not.toBe(fingerprintOf(two));
    expect(fingerprintOf(one)).toMatch(/^[\w-]{6}$/);
    expect(one).not.toContain(fingerprintOf(one));
  });
});
