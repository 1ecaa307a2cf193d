import { describe, expect, it } from '@jest/globals';
import { KeptRestrictions } from '../../../../lib/brokers/machine/kept-restrictions.js';
import type { RestrictRecord } from '../../../../lib/core/ports/control.js';
import { RESTRICTION_ROOM } from '../../../../lib/core/ports/moderation.js';

const mute = (id: string, forMs?: number, reason?: string): RestrictRecord => ({
  kind: 'restrict',
  act: 'mute',
  whom: { of: 'user', id },
  ...(forMs === undefined ? {} : { forMs }),
  ...(reason === undefined ? {} : { reason }),
});
const ids = (kept: KeptRestrictions, now = 0) =>
  kept.inForce(now).map((record) => (record.kind === 'ban' ? record.user : record.whom.id));

describe('restrictions that are kept for nodes that start later (G30)', () => {
  it('above the bound in count, those that end first go', () => {
    const kept = new KeptRestrictions({ ...RESTRICTION_ROOM, people: { count: 4, bytes: Infinity } });
    kept.put(mute('forever'), 0);
    for (const [id, forMs] of Object.entries({ long: 9_000, short: 1_000, middle: 5_000, last: 8_000 }))
      kept.put(mute(id, forMs), 0);
    expect(ids(kept)).toEqual(['forever', 'long', 'last']);
  });

  it('above the bound in bytes, those that end first go, and what is left has room', () => {
    const kept = new KeptRestrictions({ ...RESTRICTION_ROOM, people: { count: 1_000, bytes: 20_000 } });
    for (let index = 1; index <= 50; index++) kept.put(mute(`u${index}`, 1_000 * index, 'x'.repeat(400)), 0);
    expect(kept.bytes).toBeLessThanOrEqual(20_000);
    expect(kept.bytes).toBeGreaterThan(15_000);
    expect(ids(kept).at(-1)).toBe('u50');
    expect(ids(kept)[0]).toBe(`u${51 - kept.size}`);
  });

  it('bans of users are bounded with them, and one takes the place of the other', () => {
    const kept = new KeptRestrictions({ ...RESTRICTION_ROOM, people: { count: 100, bytes: Infinity } });
    for (let index = 0; index < 1_000; index++) kept.put({ kind: 'ban', user: `u${index}` }, 0);
    expect(kept.size).toBeLessThanOrEqual(100);
    const whom = { of: 'user', id: 'u999' } as const;
    kept.put({ kind: 'restrict', act: 'ban', whom, forMs: 50 }, 0);
    expect(kept.inForce(10).at(-1)).toEqual({ kind: 'restrict', act: 'ban', whom, forMs: 40 });
    kept.lift({ kind: 'unban', user: 'u999' });
    expect(ids(kept)).not.toContain('u999');
  });

  it('those against spam have room of their own, and replace nothing that people put for longer', () => {
    const kept = new KeptRestrictions({
      people: { count: 3, bytes: Infinity },
      spam: { count: 2, bytes: 20_000 },
    });
    const bySpam = (id: string, forMs: number, reason?: string): RestrictRecord => ({
      ...mute(id, forMs, reason),
      by: 'spam',
    });
    for (const id of ['a', 'b', 'c']) kept.put(mute(id, 5_000), 0);
    for (let index = 0; index < 50; index++) kept.put(bySpam(`s${index}`, 9_000 + index), 0);
    expect(ids(kept).slice(0, 3)).toEqual(['a', 'b', 'c']);
    expect(kept.size).toBe(5);
    const one = kept.bytes;
    kept.put(bySpam('large', 90_000, 'x'.repeat(20_000)), 0);
    expect(kept.bytes).toBeLessThan(one);
    expect(ids(kept).slice(0, 3)).toEqual(['a', 'b', 'c']);
    kept.put(bySpam('a', 4_000), 0);
    kept.put(bySpam('b', 6_000), 0);
    expect(kept.inForce(0).find(({ by }) => by === 'spam')).toEqual(bySpam('b', 6_000));
    expect(kept.inForce(0)).toContainEqual(mute('a', 5_000));
    kept.put(mute('b', 1_000), 0);
    expect(kept.inForce(0)).toContainEqual(mute('b', 1_000));
    for (const id of ['d', 'e', 'f', 'g']) kept.put(mute(id, 8_000), 0);
    expect(kept.size).toBe(3);
  });

  it('bytes are given back by a lift, by an end, and by what takes its place', () => {
    const kept = new KeptRestrictions();
    kept.put(mute('a'), 0);
    const one = kept.bytes;
    kept.put(mute('a', undefined, 'x'.repeat(100)), 0);
    kept.put(mute('a'), 0);
    expect(kept.bytes).toBe(one);
    for (let index = 1; index < 10; index++) kept.put(mute(`u${index}`, 5), 0);
    // A read drops nothing: what the records make of it must not depend on who reads.
    expect(ids(kept, 5)).toEqual(['a']);
    expect(kept.size).toBe(10);
    for (let index = 10; index < 64; index++) kept.put(mute(`u${index}`, 5), 5);
    expect([kept.size, kept.bytes > one]).toEqual([55, true]);
    for (let index = 10; index < 64; index++)
      kept.lift({ kind: 'lift', act: 'mute', whom: { of: 'user', id: `u${index}` } });
    expect(kept.bytes).toBe(one);
    kept.lift({ kind: 'lift', act: 'mute', whom: { of: 'user', id: 'a' } });
    expect([kept.size, kept.bytes]).toEqual([0, 0]);
    kept.put(mute('c', 0), 0);
    expect(kept.size).toBe(0);
  });
});
