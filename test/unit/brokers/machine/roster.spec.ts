import { describe, expect, it } from '@jest/globals';
import { Roster, type RosterItem } from '../../../../lib/brokers/machine/roster.js';
import fc from '../../../support/property.js';

describe('Roster', () => {
  it('pages through the current items in insertion order, after any changes', () => {
    const action = fc.record({ name: fc.integer({ min: 0, max: 60 }), go: fc.boolean() });
    fc.assert(
      fc.property(fc.array(action, { maxLength: 500 }), fc.integer({ min: 1, max: 20 }), (actions, limit) => {
        const roster = new Roster<RosterItem>();
        const model = new Map<string, true>();
        for (const { name, go } of actions) {
          const id = String(name);
          const known = roster.get(id);
          if (go && known !== undefined) {
            roster.delete(known);
            model.delete(id);
          } else if (!go && known === undefined) {
            roster.add(id, (order) => ({ id, order }));
            model.set(id, true);
          }
        }
        const found: string[] = [];
        let cursor: string | undefined;
        do {
          const { items, more } = roster.page(Number(cursor ?? 0), limit);
          expect(more === undefined || items.length === limit).toBe(true);
          found.push(...items.map((item) => item.id));
          cursor = more;
        } while (cursor !== undefined);
        expect(found).toEqual([...model.keys()]);
        expect(roster.size).toBe(model.size);
      }),
    );
  });

  it('is bounded by the current items, not by all that ever were', () => {
    const roster = new Roster<RosterItem>();
    for (let name = 0; name < 5_000; name += 1) {
      roster.delete(roster.add(String(name), (order) => ({ id: String(name), order })));
    }
    expect((roster as unknown as { sequence: unknown[] }).sequence.length).toBeLessThanOrEqual(17);
  });

  it('keeps a cursor valid across a compaction', () => {
    const roster = new Roster<RosterItem>();
    const items = Array.from({ length: 100 }, (_, name) =>
      roster.add(String(name), (order) => ({ id: String(name), order })),
    );
    const { more } = roster.page(0, 60);
    for (const item of items.slice(0, 58)) roster.delete(item);
    expect(roster.page(Number(more), 3).items.map((item) => item.id)).toEqual(['60', '61', '62']);
  });

  it('returns at least one item per page, so that paging ends', () => {
    const roster = new Roster<RosterItem>();
    roster.add('a', (order) => ({ id: 'a', order }));
    roster.add('b', (order) => ({ id: 'b', order }));
    expect(roster.page(0, 0).items).toHaveLength(1);
  });
});
