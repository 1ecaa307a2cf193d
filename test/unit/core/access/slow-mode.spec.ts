import { describe, expect, it } from '@jest/globals';
import { SlowMode } from '../../../../lib/core/access/slow-mode.js';
import type { RealtimeError } from '../../../../lib/protocol/realtime-error.js';

/** @returns how long the client has to wait; 0 where the publish has its place. */
function waitOf(
  slow: SlowMode,
  id: string,
  now: number,
  { client = 'ada', channel = 'rooms.1', everyMs = 100, dedupeMs = 300 } = {},
) {
  try {
    slow.take(client, channel, id, everyMs, dedupeMs, now);
    return 0;
  } catch (error) {
    const { code, reason, retryAfterMs } = error as RealtimeError;
    expect([code, reason]).toEqual(['muted', 'slow_mode']);
    return retryAfterMs;
  }
}

describe('slow mode (G30)', () => {
  it('gives each client one place in each interval and channel', () => {
    const slow = new SlowMode();
    expect(waitOf(slow, 'a', 0)).toBe(0);
    expect(waitOf(slow, 'b', 1)).toBe(99);
    expect(waitOf(slow, 'b', 99)).toBe(1);
    expect(waitOf(slow, 'b', 99.5)).toBe(1);
    expect(waitOf(slow, 'c', 50, { channel: 'rooms.2' })).toBe(0);
    expect(waitOf(slow, 'd', 50, { client: 'eve' })).toBe(0);
    expect(waitOf(slow, 'b', 100)).toBe(0);
    expect(waitOf(slow, 'e', 150)).toBe(50);
  });

  it('takes what is sent again for the same publish, and gives the place back only when all of it came to nothing', () => {
    const slow = new SlowMode();
    const first = slow.take('ada', 'rooms.1', 'a', 100, 300, 0);
    const again = slow.take('ada', 'rooms.1', 'a', 100, 300, 10);
    first.end(false);
    expect(waitOf(slow, 'b', 20)).toBe(80);
    again.end(false);
    expect(waitOf(slow, 'b', 20)).toBe(0);
  });

  it.each([
    ['is no longer known', 30, [29, 0], [30, 70]],
    ['is never known', 0, [0, 100], [99, 1]],
  ])('takes an id for a publish of its own where it %s as sent again', (_, dedupeMs, ...asked) => {
    const slow = new SlowMode();
    expect(waitOf(slow, 'a', 0, { dedupeMs })).toBe(0);
    for (const [now, wait] of asked) expect(waitOf(slow, 'a', now as number, { dedupeMs })).toBe(wait);
    expect(waitOf(slow, 'a', 100, { dedupeMs })).toBe(0);
  });

  it('keeps the place of a publish whose event is in the log, however often it failed', () => {
    const slow = new SlowMode();
    const first = slow.take('ada', 'rooms.1', 'a', 100, 300, 0);
    const again = slow.take('ada', 'rooms.1', 'a', 100, 300, 0);
    first.end(true);
    again.end(false);
    expect(waitOf(slow, 'b', 20)).toBe(80);
    // Its outcome was not known, and the event arrives.
    const unknown = slow.take('eve', 'rooms.1', 'x', 100, 300, 0);
    slow.note('eve', 'rooms.1', 'x', 5);
    unknown.end(false);
    expect(waitOf(slow, 'y', 20, { client: 'eve' })).toBe(80);
  });

  it('counts the publish before one that came to nothing', () => {
    const slow = new SlowMode();
    slow.take('ada', 'rooms.1', 'a', 100, 300, 0).end(true);
    const failed = slow.take('ada', 'rooms.1', 'b', 100, 300, 150);
    failed.end(false);
    expect(waitOf(slow, 'c', 160, { everyMs: 200 })).toBe(40);
    expect(waitOf(slow, 'c', 160)).toBe(0);
  });

  it('counts what arrives from other nodes, also while another publish is under way here', () => {
    const slow = new SlowMode();
    slow.note('ada', 'rooms.1', 'there', 0);
    expect(waitOf(slow, 'b', 40)).toBe(60);
    const here = slow.take('ada', 'rooms.1', 'here', 100, 300, 100);
    slow.note('ada', 'rooms.1', 'there too', 110);
    // The same publish, sent again, still has its place.
    slow.take('ada', 'rooms.1', 'here', 100, 300, 115).end(false);
    here.end(false);
    expect(waitOf(slow, 'b', 120)).toBe(90);
  });

  it('leaves a later place alone when an earlier publish ends', () => {
    const slow = new SlowMode();
    const hanging = slow.take('ada', 'rooms.1', 'a', 100, 300, 0);
    slow.take('ada', 'rooms.1', 'b', 100, 300, 100).end(true);
    hanging.end(false);
    expect(waitOf(slow, 'c', 150)).toBe(50);
  });

  it('forgets the oldest above its bound', () => {
    const slow = new SlowMode(2);
    for (const client of ['a', 'b', 'c']) slow.take(client, 'rooms.1', 'x', 100, 300, 0).end(true);
    expect(slow.size).toBe(2);
    expect(waitOf(slow, 'y', 1, { client: 'c' })).toBe(99);
    expect(waitOf(slow, 'y', 1, { client: 'a' })).toBe(0);
    // A name of any length takes as much.
    expect(waitOf(slow, 'y', 1, { client: 'u'.repeat(255) })).toBe(0);
    expect(waitOf(slow, 'z', 1, { client: 'u'.repeat(255) })).toBe(100);
  });
});
