import { describe, expect, it } from '@jest/globals';
import { RevocationFreshness } from '../../../../lib/core/access/revocation-freshness.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';

describe('how long the records of revokes are proved', () => {
  it('a proof that arrives after the end starts nothing, as a broker is closed last (G11, G18)', () => {
    const clock = new ManualClock();
    const seen: string[] = [];
    const freshness = new RevocationFreshness(clock, {
      onStale: () => seen.push('stale'),
      onCurrent: () => seen.push('current'),
    });
    freshness.prove(100);
    freshness.close();
    freshness.prove(50);
    clock.advance(1_000);
    expect(seen).toEqual([]);
    expect(freshness.isStale).toBe(false);
  });

  it('with 0 as the first, something may be missing from then on until a proof comes; a later 0 takes none away (G11)', () => {
    const clock = new ManualClock();
    const seen: string[] = [];
    const freshness = new RevocationFreshness(clock, {
      onStale: () => seen.push('stale'),
      onCurrent: () => seen.push('current'),
    });
    expect(freshness.isStale).toBe(false);
    freshness.prove(0);
    expect(freshness.isStale).toBe(true);
    freshness.prove(100);
    expect(freshness.isStale).toBe(false);
    freshness.prove(0);
    clock.advance(99);
    expect(freshness.isStale).toBe(false);
    clock.advance(1);
    expect(freshness.isStale).toBe(true);
    expect(seen).toEqual(['stale', 'current', 'stale']);
    freshness.close();
  });
});
