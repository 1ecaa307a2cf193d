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
});
