import { describe, expect, it } from '@jest/globals';
import { RecentPublishes } from '../../../../lib/core/log/recent-publishes.js';

const publish = (seq: number, until = 1_000) => ({
  channel: 'c',
  fingerprint: `f${seq}`,
  epoch: 'e',
  seq,
  until,
});

describe('the memory of recent publishes', () => {
  it('finds a publish by channel, producer and id until it expires (P15)', () => {
    const ids = new RecentPublishes();
    ids.remember('u:ada', 'a', publish(1));
    expect(ids.find('u:ada', 'c', 'a', 999)).toEqual(publish(1));
    expect(ids.find('u:ada', 'c', 'a', 1_000)).toBeUndefined();
    for (const [channel, producer, id] of [
      ['d', 'u:ada', 'a'],
      ['c', 'u:eve', 'a'],
      ['c', 'u:ada', 'b'],
      ['c', 'u:a', 'da a'],
    ] as const)
      expect(ids.find(producer, channel, id, 0)).toBeUndefined();
  });

  it('keeps apart the publishes of one id on several channels, and counts each (P15)', () => {
    const ids = new RecentPublishes();
    const on = (channel: string, seq: number) => ({ ...publish(seq), channel });
    const seqOf = (channel: string) => ids.find('p', channel, 'a', 0)?.seq;
    const sizes = ['c1', 'c2', 'c3'].map((channel, index) => {
      ids.remember('p', 'a', on(channel, index));
      return ids.bytes;
    });
    expect(['c1', 'c2', 'c3', 'c4'].map(seqOf)).toEqual([0, 1, 2, undefined]);
    // The first has its producer with it.
    expect((sizes[2] as number) - (sizes[1] as number)).toBeGreaterThan(250);
    expect((sizes[1] as number) - (sizes[0] as number)).toBe((sizes[2] as number) - (sizes[1] as number));
    for (const [channel, seq] of [
      ['c1', 11],
      ['c2', 12],
      ['c3', 13],
    ] as const)
      ids.remember('p', 'a', on(channel, seq));
    expect(['c1', 'c2', 'c3'].map(seqOf)).toEqual([11, 12, 13]);
    expect(ids.bytes).toBe(sizes[2]);
  });

  it('answers with the newer of two publishes of one id, and counts it once (P15)', () => {
    const ids = new RecentPublishes();
    ids.remember('p', 'a', publish(1, 10));
    const { bytes } = ids;
    ids.remember('p', 'a', publish(2, 20));
    expect(ids.find('p', 'c', 'a', 15)).toEqual(publish(2, 20));
    expect(ids.bytes).toBe(bytes);
  });

  it('answers with the newer of two publishes of one id also when the other came long before (P15)', () => {
    const ids = new RecentPublishes(80_000);
    ids.remember('p', 'a', publish(1));
    // More than the producer's share, so that the first ones are the older part of its own.
    for (let seq = 2; seq <= 22; seq++) ids.remember('p', `b${seq}`, publish(seq));
    expect(ids.find('p', 'c', 'a', 0)).toEqual(publish(1));
    ids.remember('p', 'a', publish(30));
    expect(ids.find('p', 'c', 'a', 0)).toEqual(publish(30));
  });

  it('keeps at least the newest half of its bytes, and never more than all of them (G13)', () => {
    const maxBytes = 60_000;
    const ids = new RecentPublishes(maxBytes);
    const least = Math.floor(maxBytes / 2 / 1_000);
    for (let seq = 1; seq <= 1_000; seq++) {
      // About 900 bytes for a producer of its own.
      ids.remember(`p${seq}`, `i${seq}${'x'.repeat(150)}`, publish(seq));
      expect(ids.bytes).toBeLessThanOrEqual(maxBytes);
      for (let back = 0; back < Math.min(seq, least); back++) {
        const of = seq - back;
        expect(ids.find(`p${of}`, 'c', `i${of}${'x'.repeat(150)}`, 0)).toEqual(publish(of));
      }
    }
  });

  it('a producer that fills its share forgets its own publishes, and nobody else does (G14)', () => {
    const ids = new RecentPublishes(80_000);
    ids.remember('u:ada', 'a', publish(1));
    ids.remember('u:bob', 'a', publish(2));
    const known: number[] = [];
    for (let seq = 0; seq < 10_000; seq++) {
      ids.remember('u:greedy', `i${seq}`, publish(seq));
      expect(ids.bytes).toBeLessThan(20_000);
    }
    for (let seq = 0; seq < 10_000; seq++) {
      if (ids.find('u:greedy', 'c', `i${seq}`, 0) !== undefined) known.push(seq);
    }
    expect(ids.find('u:ada', 'c', 'a', 0)).toEqual(publish(1));
    expect(ids.find('u:bob', 'c', 'a', 0)).toEqual(publish(2));
    // Its newest, without a gap: between one share and two of them.
    expect(known.at(-1)).toBe(9_999);
    expect(known).toHaveLength(10_000 - (known[0] ?? 0));
    expect(known.length).toBeGreaterThan(15);
  });

  it('many producers that fill their shares stay within the bytes (G13)', () => {
    const ids = new RecentPublishes(40_000);
    for (let round = 0; round < 50; round++) {
      for (let producer = 0; producer < 60; producer++) {
        for (let index = 0; index < 12; index++)
          ids.remember(`p${producer}`, `${round}-${index}`, publish(index));
        expect(ids.bytes).toBeLessThanOrEqual(40_000);
        expect(ids.find(`p${producer}`, 'c', `${round}-11`, 0)).toEqual(publish(11));
      }
    }
  });
});
