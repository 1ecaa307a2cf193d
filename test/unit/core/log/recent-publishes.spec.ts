import { describe, expect, it } from '@jest/globals';
import { RecentPublishes } from '../../../../lib/core/log/recent-publishes.js';

const publish = (seq: number, until = 1_000) => ({
  fingerprint: `f${seq}`,
  position: { epoch: 'e', seq },
  until,
});

describe('the memory of recent publishes', () => {
  it('finds a publish by channel, producer and id until it expires (P15)', () => {
    const ids = new RecentPublishes();
    ids.remember('rooms.1', 'u:ada', 'a', publish(1));
    expect(ids.find('rooms.1', 'u:ada', 'a', 999)).toEqual(publish(1));
    expect(ids.find('rooms.1', 'u:ada', 'a', 1_000)).toBeUndefined();
    for (const [channel, producer, id] of [
      ['rooms.2', 'u:ada', 'a'],
      ['rooms.1', 'u:eve', 'a'],
      ['rooms.1', 'u:ada', 'b'],
      ['rooms.1', 'u:a', 'da a'],
    ] as const)
      expect(ids.find(channel, producer, id, 0)).toBeUndefined();
  });

  it('keeps at least half of its capacity, and never more than all of it (G13)', () => {
    const capacity = 100;
    const ids = new RecentPublishes(capacity);
    for (let seq = 1; seq <= 1_000; seq++) {
      ids.remember('c', 'p', `i${seq}`, publish(seq));
      const known = Array.from({ length: seq }, (_, index) => ids.find('c', 'p', `i${index + 1}`, 0)).filter(
        (found) => found !== undefined,
      );
      expect(known.length).toBeLessThanOrEqual(capacity);
      expect(known.length).toBeGreaterThanOrEqual(Math.min(seq, capacity / 2));
      expect(known.at(-1)).toEqual(publish(seq));
    }
  });
});
