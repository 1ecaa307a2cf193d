import { describe, expect, it } from '@jest/globals';
import { RecentReauthorizations } from '../../../../lib/core/access/recent-reauthorizations.js';
import { Revocations } from '../../../../lib/core/access/revocations.js';
import { ChannelSet } from '../../../../lib/core/channel/channel-set.js';

const of = (text?: string): ChannelSet => ChannelSet.parse(text);

describe('records of revokes', () => {
  it('of a pattern concern the channels that it matches, of that user, after the revoke (G11)', () => {
    const revocations = new Revocations();
    revocations.record('eve', of('rooms.:room'));
    const { current } = revocations;
    revocations.record('ada', of('rooms.:room.messages'));
    const lost = (user: string, channel: string) => revocations.revokedSince(current, user, channel);
    expect(lost('ada', 'rooms.1.messages')).toBe(true);
    expect(lost('ada', 'rooms.2.messages')).toBe(true);
    expect(lost('ada', 'rooms.1')).toBe(false);
    expect(lost('ada', 'rooms.1.files')).toBe(false);
    expect(lost('ada', 'halls.1.messages')).toBe(false);
    expect(lost('ada', 'rooms.1.messages.new')).toBe(false);
    expect(lost('eve', 'rooms.1')).toBe(false);
    expect(revocations.revokedSince(0, 'eve', 'rooms.1')).toBe(true);
    expect(revocations.revokedSince(revocations.current, 'ada', 'rooms.1.messages')).toBe(false);
  });

  it('of one channel do not concern others, of all concern each, and nobody without a name (G11)', () => {
    const revocations = new Revocations();
    revocations.record('ada', of('rooms.1'));
    expect(revocations.revokedSince(0, 'ada', 'rooms.1')).toBe(true);
    expect(revocations.revokedSince(0, 'ada', 'rooms.2')).toBe(false);
    expect(revocations.revokedSince(0, undefined, 'rooms.1')).toBe(false);
    const { current } = revocations;
    revocations.record('ada', of());
    expect(revocations.revokedSince(current, 'ada', 'rooms.2')).toBe(true);
    // One segment, which is not all channels.
    const before = revocations.current;
    revocations.record('ada', of(':any'));
    expect(revocations.revokedSince(before, 'ada', 'news')).toBe(true);
    expect(revocations.revokedSince(before, 'ada', 'rooms.2')).toBe(false);
  });

  it('of 32 patterns of a user are kept; with one more, all channels of that user count as revoked (G11)', () => {
    const revocations = new Revocations();
    for (let index = 0; index < 32; index++) revocations.record('ada', of(`r${index}.:room`));
    // The same again needs no place, whatever its parameter is called.
    revocations.record('ada', of('r31.:other'));
    expect(revocations.revokedSince(0, 'ada', 'r0.1')).toBe(true);
    expect(revocations.revokedSince(0, 'ada', 'news.1')).toBe(false);
    revocations.record('ada', of('r32.:room'));
    expect(revocations.revokedSince(0, 'ada', 'news.1')).toBe(true);
    expect(revocations.revokedSince(0, 'eve', 'news.1')).toBe(false);
    expect(revocations.revokedSince(revocations.current, 'ada', 'r32.1')).toBe(false);
  });

  it('that were removed leave it unknown what older work lost, and a pattern is removed as a whole (G11)', () => {
    const revocations = new Revocations(2);
    revocations.record('a b', of('rooms.:room'));
    revocations.record('ada', of('rooms.1'));
    const { current } = revocations;
    revocations.record('ada', of('rooms.2'));
    expect(revocations.revokedSince(0, 'a b', 'rooms.9')).toBe('unknown');
    expect(revocations.revokedSince(0, 'eve', 'rooms.9')).toBe('unknown');
    // What is known counts nevertheless.
    expect(revocations.revokedSince(0, 'ada', 'rooms.1')).toBe(true);
    expect(revocations.revokedSince(current, 'ada', 'rooms.1')).toBe(false);
    expect(revocations.revokedSince(current, 'a b', 'rooms.9')).toBe(false);
    revocations.record('a b', of('rooms.:room'));
    expect(revocations.revokedSince(current, 'a b', 'rooms.9')).toBe(true);
  });

  it('that were lost leave it unknown what was revoked up to then (G11)', () => {
    const revocations = new Revocations();
    revocations.record('ada', of('rooms.:room'));
    const { current } = revocations;
    revocations.forget();
    expect(revocations.revokedSince(current, 'ada', 'rooms.1')).toBe('unknown');
    expect(revocations.revokedSince(revocations.current, 'ada', 'rooms.1')).toBe(false);
  });
});

describe('what is to be authorized again', () => {
  it('concerns the user, or everybody, and the channels that were named, once it was named (G11)', () => {
    const recent = new RecentReauthorizations();
    expect(recent.concerns(0, 'ada', 'rooms.1')).toBe(false);
    recent.record('ada', of('rooms.:room'));
    const { current } = recent;
    recent.record(undefined, of('news.1'));
    expect(recent.concerns(0, 'ada', 'rooms.1')).toBe(true);
    expect(recent.concerns(0, 'eve', 'rooms.1')).toBe(false);
    expect(recent.concerns(0, undefined, 'rooms.1')).toBe(false);
    expect(recent.concerns(0, undefined, 'news.1')).toBe(true);
    expect(recent.concerns(current, 'ada', 'rooms.1')).toBe(false);
    expect(recent.concerns(current, 'ada', 'news.1')).toBe(true);
  });

  it('is remembered 64 times; what began before concerns everything (G11)', () => {
    const recent = new RecentReauthorizations();
    for (let index = 0; index < 64; index++) recent.record('ada', of('rooms.1'));
    expect(recent.concerns(0, 'eve', 'rooms.1')).toBe(false);
    recent.record('ada', of('rooms.1'));
    expect(recent.concerns(0, 'eve', 'rooms.1')).toBe(true);
    expect(recent.concerns(1, 'eve', 'rooms.1')).toBe(false);
  });
});

describe('the channels of an act', () => {
  it('are those of a pattern where a segment begins with ":", which is refused where it is none', () => {
    expect(of('rooms.:room').has('rooms.:room')).toBe(true);
    expect(of('rooms.user:7').has('rooms.user:8')).toBe(false);
    expect(ChannelSet.only('rooms.:room').has('rooms.1')).toBe(false);
    for (const text of ['rooms.:9', 'rooms.:', 'rooms.:a.:a', 'rooms..:a', 'rooms..1', ''])
      expect(() => of(text)).toThrow(RangeError);
  });
});
