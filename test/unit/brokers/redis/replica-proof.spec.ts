import { describe, expect, it } from '@jest/globals';
import { ReplicaProof, type ReplicationView } from '../../../../lib/brokers/redis/replica-proof.js';

const NONE = -Infinity;

/** A server that writes ten bytes with each heartbeat, and replicas that acknowledge when they are told to. */
function server(proof: ReplicaProof, name = 'one') {
  let offset = 100;
  return {
    /** @param lags How many bytes behind the server each replica is. */
    beat(at: number, lags: readonly number[], more: Partial<ReplicationView> = {}): number {
      const acknowledged = lags.map((lag) => offset - lag);
      const proven = proof.note({ server: name, offset, acknowledged, most: 0, ...more }, at);
      offset += 10;
      return proven;
    },
  };
}

describe('the proof that a server is the master', () => {
  it('is each heartbeat of a server that never had a replica, as of one that was just promoted (G11)', () => {
    const { beat } = server(new ReplicaProof(undefined, 1_000));
    expect([beat(1, []), beat(2, []), beat(9, [])]).toEqual([1, 2, 9]);
  });

  it('is a heartbeat after which a replica acknowledged something (G11)', () => {
    const { beat } = server(new ReplicaProof(undefined, 1_000));
    // All that was written before the first: nobody knows when.
    expect(beat(1, [0])).toBe(NONE);
    expect(beat(2, [0])).toBe(1);
    // It stands still at what it had.
    expect(beat(3, [10])).toBe(1);
    expect(beat(4, [20])).toBe(1);
    // Exactly what the server had at the heartbeat at 3: that says nothing of 3.
    expect(beat(5, [20])).toBe(2);
    expect(beat(6, [10])).toBe(4);
    expect(beat(7, [0])).toBe(6);
  });

  it('stops with the last replica, also where the server no longer names it (G11)', () => {
    const { beat } = server(new ReplicaProof(undefined, 1_000));
    beat(1, [0]);
    expect(beat(2, [0])).toBe(1);
    expect([beat(3, []), beat(4, []), beat(5_000, [])]).toEqual([1, 1, 1]);
    expect([beat(5_001, [0]), beat(5_002, [0])]).toEqual([5_000, 5_001]);
  });

  it.each([
    [1, 1],
    [2, 1],
    [3, 2],
    [4, 2],
    [5, 3],
  ])('with %i replicas, needs %i of them (G11)', (replicas, needed) => {
    const proof = new ReplicaProof(undefined, 1_000);
    const { beat } = server(proof);
    const lags = (up: number) => Array.from({ length: replicas }, (_, index) => (index < up ? 0 : 60));
    beat(1, lags(replicas));
    expect(proof.needed).toBe(needed);
    beat(2, lags(replicas));
    expect(beat(3, lags(needed - 1))).toBe(1);
    expect(beat(4, lags(needed))).toBe(3);
  });

  it('needs as many as there ever were, not as there are (G11)', () => {
    const { beat } = server(new ReplicaProof(undefined, 1_000));
    beat(1, [0, 0, 0]);
    beat(2, [0, 0, 0]);
    expect([beat(3, [0]), beat(4, [0])]).toEqual([1, 1]);
    expect([beat(5, [0, 0]), beat(6, [0, 0])]).toEqual([4, 5]);
  });

  it('forgets replicas that stay away for a minute, where the rest proves the master (G11)', () => {
    const proof = new ReplicaProof(undefined, 1_000);
    const { beat } = server(proof);
    beat(0, [0, 0, 0]);
    beat(100, [0, 0], { most: 3 });
    for (let at = 200; at <= 60_000; at += 100) beat(at, [0, 0], { most: 3 });
    // Proved up to a minute less 100 ms.
    expect([proof.needed, proof.remaining]).toEqual([2, undefined]);
    beat(60_100, [0, 0], { most: 3 });
    expect([proof.needed, proof.remaining]).toEqual([1, 2]);
    // The heartbeat with that number was answered.
    expect(beat(60_200, [0], { most: 2 })).toBe(60_100);
    expect(proof.remaining).toBeUndefined();
    // Back again.
    beat(60_300, [0, 0, 0], { most: 3 });
    expect(proof.needed).toBe(2);
    beat(120_200, [0, 0], { most: 3 });
    beat(120_250, [0, 0], { most: 3 });
    expect(proof.needed).toBe(2);
  });

  it.each([
    ['one of one', 1, []],
    ['two of three', 3, [0]],
  ])('forgets no replica without a proof: %s (G11)', (_title, most, lags) => {
    const proof = new ReplicaProof(undefined, 1_000);
    const { beat } = server(proof);
    beat(
      0,
      Array.from({ length: most }, () => 0),
    );
    const { needed } = proof;
    for (let at = 100; at <= 200_000; at += 100) beat(at, lags, { most });
    expect([proof.needed, proof.remaining]).toEqual([needed, undefined]);
  });

  it('a number that was given lets nothing be forgotten for nodes without one (G11)', () => {
    const proof = new ReplicaProof(1, 1_000);
    const { beat } = server(proof);
    for (let at = 0; at <= 100_000; at += 100) beat(at, [0], { most: 3 });
    expect(proof.remaining).toBeUndefined();
  });

  it('a server that is the master from now on has a minute from then (G11)', () => {
    const proof = new ReplicaProof(undefined, 1_000);
    server(proof).beat(0, [0, 0, 0]);
    const next = server(proof, 'two');
    next.beat(100_000, [0], { most: 2 });
    next.beat(100_100, [0], { most: 2 });
    expect(proof.remaining).toBeUndefined();
  });

  it('needs one for a node that came while none was connected, if there was one before (G11)', () => {
    const { beat } = server(new ReplicaProof(undefined, 1_000));
    expect([beat(1, [], { most: 1 }), beat(2, [], { most: 1 })]).toEqual([NONE, NONE]);
  });

  it('begins again with another server, and is not owed to what the one before had (G11)', () => {
    const proof = new ReplicaProof(undefined, 1_000);
    const old = server(proof);
    old.beat(1, [0]);
    expect(old.beat(2, [0])).toBe(1);
    const next = server(proof, 'two');
    expect([next.beat(3, []), next.beat(4, [])]).toEqual([3, 4]);
    expect([next.beat(5, [0]), next.beat(6, [])]).toEqual([4, 4]);
    // The old one again, as before its end.
    expect([old.beat(7, [0]), old.beat(8, [0])]).toEqual([NONE, 7]);
  });

  it('with a number given, needs that many from the first heartbeat; with 0 none (G11)', () => {
    const two = server(new ReplicaProof(2, 1_000));
    expect([two.beat(1, []), two.beat(2, [0]), two.beat(3, [0, 0]), two.beat(4, [0, 0])]).toEqual([
      NONE,
      NONE,
      2,
      3,
    ]);
    const none = server(new ReplicaProof(0, 1_000));
    expect([none.beat(1, [0]), none.beat(2, [90])]).toEqual([1, 2]);
  });

  it('keeps no heartbeat that is too old to prove anything (G13)', () => {
    const proof = new ReplicaProof(1, 100);
    const { beat } = server(proof);
    for (let at = 1; at <= 5_000; at++) beat(at, []);
    expect((proof as unknown as { asked: unknown[] }).asked.length).toBeLessThanOrEqual(101);
  });
});
