import { describe, expect, it } from '@jest/globals';
import { Restrictions, type RestrictedClient } from '../../../../lib/core/access/restrictions.js';
import {
  RESTRICTION_ROOM,
  type Restriction,
  type RestrictionName,
} from '../../../../lib/core/ports/moderation.js';

const ADA: RestrictedClient = { userId: 'ada', lineage: 'l1', network: '203.0.113.7' };
const EVE: RestrictedClient = { userId: 'eve', lineage: 'l2', network: '203.0.113.8' };
const SOMEBODY: RestrictedClient = { userId: undefined, lineage: '', network: '203.0.113.7' };

function of(act: Restriction['act'], whom: string, more: Partial<Restriction> = {}): Restriction {
  const [kind = '', id = ''] = whom.split(' ');
  return { act, whom: { of: kind as Restriction['whom']['of'], id }, ...more };
}

function found(
  restrictions: Restrictions,
  act: 'ban' | 'mute',
  client: RestrictedClient,
  channel?: string,
  now = 0,
) {
  return restrictions.find(act, client, channel, now) !== undefined;
}

describe('restrictions of a node (G30)', () => {
  it.each([
    ['user ada', true, false, false],
    ['session l1', true, false, false],
    ['address 203.0.113.7', true, false, true],
    ['user l1', false, false, false],
    ['session ada', false, false, false],
  ])('of %s concern nobody else', (whom, ada, eve, somebody) => {
    const restrictions = new Restrictions();
    restrictions.put(of('ban', whom), 0);
    expect([ADA, EVE, SOMEBODY].map((client) => found(restrictions, 'ban', client))).toEqual([
      ada,
      eve,
      somebody,
    ]);
    expect(found(restrictions, 'mute', ADA)).toBe(false);
  });

  it.each([
    [undefined, true, true, true, true],
    ['rooms.1', false, true, false, false],
    ['rooms.:room', false, true, true, false],
  ])('of %s concern the channels that are meant', (channel, everywhere, one, two, other) => {
    const restrictions = new Restrictions();
    restrictions.put(of('mute', 'user ada', channel === undefined ? {} : { channel }), 0);
    const channels = [undefined, 'rooms.1', 'rooms.2', 'rooms.1.files'];
    expect(channels.map((name) => found(restrictions, 'mute', ADA, name))).toEqual([
      everywhere,
      one,
      two,
      other,
    ]);
  });

  it('end by the monotonic clock, to the millisecond, and of several the last one counts', () => {
    const restrictions = new Restrictions();
    restrictions.put(of('ban', 'user ada', { forMs: 100 }), 1_000);
    restrictions.put(of('ban', 'address 203.0.113.7', { forMs: 50, channel: 'rooms.1' }), 1_000);
    restrictions.put(of('ban', 'session l1', { forMs: 300, channel: 'rooms.:room' }), 1_000);
    expect(restrictions.find('ban', ADA, 'rooms.1', 1_000)?.until).toBe(1_300);
    expect(restrictions.find('ban', ADA, undefined, 1_099)?.until).toBe(1_100);
    expect(restrictions.find('ban', ADA, undefined, 1_100)).toBeUndefined();
    expect(restrictions.find('ban', ADA, 'rooms.1', 1_299)?.until).toBe(1_300);
    expect(restrictions.find('ban', ADA, 'rooms.1', 1_300)).toBeUndefined();
    expect(restrictions.find('ban', ADA, 'rooms.1', 1_300)).toBeUndefined();
    expect(restrictions.has('ban')).toBe(false);
    restrictions.put(of('ban', 'user ada'), 1_300);
    expect(restrictions.find('ban', ADA, 'rooms.1', 9e9)?.until).toBe(Infinity);
  });

  it('take the place of an earlier one of the same channels, whatever its parameters are called, and end with it', () => {
    const restrictions = new Restrictions();
    restrictions.put(of('mute', 'user ada', { channel: 'rooms.:room', forMs: 500, reason: 'one' }), 0);
    restrictions.put(of('mute', 'user ada', { channel: 'rooms.:id', forMs: 100, reason: 'two' }), 0);
    expect(restrictions.size).toBe(1);
    expect(restrictions.find('mute', ADA, 'rooms.1', 0)).toMatchObject({ until: 100, reason: 'two' });
    // Another subject, act or channel.
    for (const other of [
      of('mute', 'user ada'),
      of('mute', 'user ada', { channel: 'rooms.1' }),
      of('ban', 'user ada', { channel: 'rooms.:x' }),
      of('mute', 'session ada', { channel: 'rooms.:x' }),
    ])
      restrictions.lift(other);
    expect(found(restrictions, 'mute', ADA, 'rooms.1')).toBe(true);
    restrictions.lift(of('mute', 'user ada', { channel: 'rooms.:x' }));
    expect(found(restrictions, 'mute', ADA, 'rooms.1')).toBe(false);
    expect(restrictions.has('mute')).toBe(false);
    expect(restrictions.bytes).toBe(0);
    // One that has ended on its way ends the earlier as well.
    restrictions.put(of('mute', 'user ada'), 0);
    restrictions.put(of('mute', 'user ada', { forMs: 0 }), 0);
    expect(restrictions.size).toBe(0);
  });

  it('of slow mode concern everybody, and the longest interval counts', () => {
    const restrictions = new Restrictions();
    expect(restrictions.slowMs(ADA, 'rooms.1', 0)).toBe(0);
    restrictions.put(of('slow', 'everybody ', { channel: 'rooms.:room', everyMs: 100, forMs: 50 }), 0);
    restrictions.put(of('slow', 'user ada', { channel: 'rooms.1', everyMs: 300 }), 0);
    expect(restrictions.slowMs(ADA, 'rooms.1', 0)).toBe(300);
    expect(restrictions.slowMs(ADA, 'rooms.2', 0)).toBe(100);
    expect(restrictions.slowMs(SOMEBODY, 'rooms.1', 49)).toBe(100);
    expect(restrictions.slowMs(SOMEBODY, 'rooms.1', 50)).toBe(0);
    expect(restrictions.slowMs(EVE, 'halls.1', 0)).toBe(0);
  });

  it('are listed in pages of any size, with what is left of them', () => {
    const restrictions = new Restrictions();
    restrictions.put(of('ban', 'user ada', { forMs: 1_000, by: 'mod', reason: 'spam' }), 0);
    restrictions.put(of('mute', 'user ada', { channel: 'rooms.1' }), 0);
    restrictions.put(of('mute', 'user eve', { channel: 'rooms.:room' }), 0);
    restrictions.put(of('mute', 'user over', { forMs: 10 }), 0);
    restrictions.put(of('ban', 'address 203.0.113.7'), 0);
    const whoms = (filter: Parameters<Restrictions['list']>[0], limit = 10): string[] => {
      const names: string[] = [];
      for (let after = 0; ;) {
        const page = restrictions.list(filter, after, limit, 400);
        expect(page.restrictions.length).toBeLessThanOrEqual(limit);
        names.push(...page.restrictions.map(({ act, whom }) => `${act} ${whom.id}`));
        if (page.more === undefined) return names;
        after = Number(page.more);
      }
    };
    const all = ['ban ada', 'mute ada', 'mute eve', 'ban 203.0.113.7'];
    for (const limit of [1, 2, 3, 4, 5]) expect(whoms({}, limit)).toEqual(all);
    expect(restrictions.list({}, 0, 1, 400).restrictions).toEqual([
      { act: 'ban', whom: { of: 'user', id: 'ada' }, forMs: 600, by: 'mod', reason: 'spam' },
    ]);
    expect(restrictions.list({}, 0, 4, 400).more).toBeUndefined();
    expect(whoms({ act: 'mute' })).toEqual(['mute ada', 'mute eve']);
    expect(whoms({ whom: { of: 'user', id: 'ada' } })).toEqual(['ban ada', 'mute ada']);
    expect(whoms({ whom: { of: 'session', id: 'ada' } })).toEqual([]);
    expect(whoms({ channel: 'rooms.1' })).toEqual(['mute ada', 'mute eve']);
    expect(whoms({ channel: 'rooms.2' })).toEqual(['mute eve']);
    expect(whoms({ channel: 'rooms.:any' })).toEqual(['mute eve']);
    expect(whoms({ act: 'ban', channel: 'rooms.1' })).toEqual([]);
  });

  it('are bounded in count: those that end first are dropped, and the owner learns how many', () => {
    const dropped: number[] = [];
    const restrictions = new Restrictions((count) => dropped.push(count), peopleHave(4, Infinity));
    restrictions.put(of('ban', 'user ada'), 0);
    for (const [id, forMs] of [
      ['b', 400],
      ['c', 100],
      ['d', 300],
    ] as const)
      restrictions.put(of('ban', `user ${id}`, { forMs }), 0);
    expect(dropped).toEqual([]);
    restrictions.put(of('ban', 'user e', { forMs: 200 }), 0);
    expect(dropped).toEqual([2]);
    expect(restrictions.list({}, 0, 10, 0).restrictions.map(({ whom }) => whom.id)).toEqual([
      'ada',
      'b',
      'd',
    ]);
    // What has ended makes room first.
    restrictions.put(of('ban', 'user f'), 350);
    restrictions.put(of('ban', 'user g'), 350);
    expect(restrictions.size).toBe(4);
    expect(dropped).toEqual([2]);
  });

  it('against spam have room of their own, and replace nothing that people put for longer', () => {
    const dropped: number[] = [];
    const restrictions = new Restrictions((count) => dropped.push(count), {
      people: { count: 3, bytes: Infinity },
      spam: { count: 2, bytes: Infinity },
    });
    const spam = { by: 'spam' };
    for (const id of ['a', 'b', 'c']) restrictions.put(of('ban', `user ${id}`, { forMs: 100 }), 0);
    for (let index = 0; index < 50; index++)
      restrictions.put(of('ban', `user s${index}`, { forMs: 900 + index, ...spam }), 0);
    const left = () => restrictions.list({}, 0, 99, 0).restrictions.map(({ whom }) => whom.id);
    expect(left()).toEqual(['a', 'b', 'c', 's48', 's49']);
    expect(dropped.reduce((sum, count) => sum + count, 0)).toBe(48);
    restrictions.put(of('ban', 'user a', { forMs: 50, ...spam }), 0);
    restrictions.put(of('ban', 'user b', { forMs: 5_000, ...spam }), 0);
    const by = (id: string) => restrictions.list({ whom: { of: 'user', id } }, 0, 9, 0).restrictions;
    expect(by('a')).toEqual([of('ban', 'user a', { forMs: 100 })]);
    expect(by('b')).toEqual([of('ban', 'user b', { forMs: 5_000, ...spam })]);
    // A moderator has the last word, also where it is shorter.
    restrictions.put(of('ban', 'user b', { forMs: 10 }), 0);
    expect(by('b')).toEqual([of('ban', 'user b', { forMs: 10 })]);
    // Also where it would end first.
    restrictions.put(of('ban', 'user s99', { forMs: 5, ...spam }), 0);
    for (const id of ['d', 'e', 'f']) restrictions.put(of('ban', `user ${id}`), 0);
    expect(left()).toEqual(['s99', 'e', 'f']);
  });

  it('are bounded in bytes, and forget those that have ended without being asked for them', () => {
    const dropped: number[] = [];
    const small = new Restrictions((count) => dropped.push(count), peopleHave(1_000, 20_000));
    for (let index = 0; index < 40; index++)
      small.put(of('ban', `user u${index}`, { reason: 'r'.repeat(500), forMs: 1_000 + index }), 0);
    expect(small.bytes).toBeLessThanOrEqual(20_000);
    expect(dropped.length).toBeGreaterThan(0);
    expect(found(small, 'ban', { ...ADA, userId: 'u39' })).toBe(true);
    const many = new Restrictions();
    for (let index = 0; index < 1_000; index++) many.put(of('ban', `user u${index}`, { forMs: 1 }), index);
    expect(many.size).toBeLessThanOrEqual(65);
  });

  it('room that is kept for patterns counts until it is given back, once for the same pattern', () => {
    const restrictions = new Restrictions(undefined, peopleHave(1_000, 1_000_000), 3);
    const slow = (name: string) => of('slow', 'everybody ', { channel: `${name}.:room`, everyMs: 1 });
    const [first, second] = [restrictions.reserve(slow('a'), 0), restrictions.reserve(slow('a'), 0)];
    restrictions.reserve(slow('b'), 0);
    const third = restrictions.reserve(slow('c'), 0);
    expect(restrictions.reserve(slow('d'), 0)).toBeUndefined();
    first?.();
    // The other call for it still needs its room.
    expect(restrictions.reserve(slow('d'), 0)).toBeUndefined();
    restrictions.put(slow('c'), 0);
    third?.();
    expect(restrictions.reserve(slow('d'), 0)).toBeUndefined();
    second?.();
    expect(restrictions.reserve(slow('d'), 0)).toBeDefined();
  });

  it('of patterns are bounded for each act and subject: those that end first are dropped', () => {
    const dropped: number[] = [];
    const restrictions = new Restrictions((count) => dropped.push(count), peopleHave(1_000, 1_000_000), 3);
    const slow = (org: string, more: Partial<Restriction> = {}): Restriction =>
      of('slow', 'everybody ', { channel: `${org}.rooms.:room`, everyMs: 100, ...more });
    const slowIn = (now: number): readonly string[] =>
      ['a', 'b', 'c', 'd', 'e'].filter((org) => restrictions.slowMs(EVE, `${org}.rooms.1`, now) > 0);
    restrictions.put(slow('a', { forMs: 300 }), 0);
    restrictions.put(slow('b', { forMs: 100 }), 0);
    expect(hasRoom(restrictions, slow('c'), 0)).toBe(true);
    restrictions.put(slow('c'), 0);
    // What is there already, what is no pattern, another act and another subject need no room.
    expect(hasRoom(restrictions, slow('d'), 99)).toBe(false);
    expect(hasRoom(restrictions, slow('a'), 99)).toBe(true);
    expect(hasRoom(restrictions, slow('d', { channel: 'd.rooms.1' }), 99)).toBe(true);
    expect(hasRoom(restrictions, { ...slow('d'), act: 'mute' }, 99)).toBe(true);
    expect(hasRoom(restrictions, { ...slow('d'), whom: { of: 'user', id: 'ada' } }, 99)).toBe(true);
    restrictions.put(of('slow', 'everybody ', { channel: 'd.rooms.1', everyMs: 100 }), 0);
    expect(dropped).toEqual([]);
    // What has ended makes room, and is not dropped.
    expect(hasRoom(restrictions, slow('e'), 100)).toBe(true);
    restrictions.put(slow('e', { forMs: 500 }), 100);
    expect(dropped).toEqual([]);
    expect(slowIn(100)).toEqual(['a', 'c', 'd', 'e']);
    // Another node was asked. Some more go at once, so that not each new one costs a look at all.
    restrictions.put(slow('b'), 100);
    expect(dropped).toEqual([2]);
    expect(slowIn(100)).toEqual(['b', 'c', 'd']);
    expect([restrictions.size, restrictions.countOf('slow')]).toEqual([3, 3]);
  });

  it('of channels that are none are refused', () => {
    const restrictions = new Restrictions();
    expect(() => restrictions.put(of('ban', 'user ada', { channel: 'rooms..1' }), 0)).toThrow(RangeError);
    expect(restrictions.size).toBe(0);
  });
});

function hasRoom(restrictions: Restrictions, name: RestrictionName, now: number): boolean {
  const release = restrictions.reserve(name, now);
  release?.();
  return release !== undefined;
}

function peopleHave(count: number, bytes: number): typeof RESTRICTION_ROOM {
  return { ...RESTRICTION_ROOM, people: { count, bytes } };
}
