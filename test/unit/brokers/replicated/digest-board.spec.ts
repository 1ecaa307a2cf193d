import { beforeEach, describe, expect, it } from '@jest/globals';
import { Partition } from '../../../../lib/brokers/machine/partition.js';
import { DigestBoard } from '../../../../lib/brokers/replicated/digest-board.js';
import {
  DigestTrail,
  type Comparison,
  type DigestReport,
} from '../../../../lib/brokers/replicated/digest-trail.js';
import { ManualClock } from '../../../support/engine/manual-clock.js';
import { append, ROOMY, Writer } from '../machine/kit.js';

const DECIDE_MS = 5_000;

/** A partition that has applied so many records of one log. */
function partitionOf(records: number, trail?: DigestTrail, from = 0): Partition {
  const writer = new Writer(ROOMY);
  for (let count = writer.records.length; count < from + records; count += 1)
    writer.write(append('a', `e${count}`));
  const partition = new Partition(ROOMY);
  for (const record of writer.records) {
    partition.apply(record, 0);
    if (record.offset >= from) trail?.note(partition);
  }
  return partition;
}

describe('the digests that a node keeps for the others', () => {
  it('are noted at the first record at or behind each multiple of 64, whatever was read before', () => {
    const [whole, later] = [new DigestTrail(), new DigestTrail()];
    partitionOf(200, whole);
    partitionOf(150, later, 50);
    expect([whole.newest?.offset, later.newest?.offset]).toEqual([192, 192]);
    expect(later.newest && whole.compare(later.newest)).toBe('same');
  });

  it('tell apart what was read and what was answered, and say nothing of places that are not remembered', () => {
    const trail = new DigestTrail();
    partitionOf(70, trail);
    const found = trail.newest;
    if (found === undefined) throw new Error('No place was noted');
    expect(trail.compare({ ...found, outcome: 'x' })).toBe('other_outcome');
    expect(trail.compare({ ...found, input: 'x', outcome: 'x' })).toBe('other_input');
    expect(trail.compare({ ...found, offset: 63 })).toBe('unknown');
  });

  it('are those of the last 64 places', () => {
    const trail = new DigestTrail();
    partitionOf(64 * 66, trail);
    const at = (offset: number) => trail.compare({ offset, input: 'x', outcome: 'x' });
    expect([at(64), at(128), at(64 * 65)]).toEqual(['unknown', 'other_input', 'other_input']);
  });

  it('begin again with another state of the same log', () => {
    const trail = new DigestTrail();
    partitionOf(70, trail);
    partitionOf(30, trail);
    expect(trail.newest).toBeUndefined();
  });
});

describe('the board of what other nodes answer', () => {
  let clock: ManualClock;
  let board: DigestBoard;
  let position: number;
  let doubted: number[];
  const report = (outcome: string, offset = 64, partition = 1): DigestReport => ({
    partition,
    incarnation: 'life',
    offset,
    input: outcome === 'other log' ? 'other' : 'in',
    outcome,
  });

  beforeEach(() => {
    clock = new ManualClock();
    position = 100;
    doubted = [];
    const own = {
      incarnation: 'life',
      get position() {
        return position;
      },
      compare: ({ input, outcome }: DigestReport): Comparison => {
        if (outcome === 'forgotten') return 'unknown';
        if (input !== 'in') return 'other_input';
        return outcome === 'mine' ? 'same' : 'other_outcome';
      },
    };
    board = new DigestBoard(
      clock,
      (index) => (index >= 0 && index < 2 ? own : undefined),
      (index) => doubted.push(index),
    );
  });

  /** What is decided when all have had the time to speak. */
  const judged = (leases: readonly string[]) => {
    expect(board.judge(leases, 'me')).toBeUndefined();
    clock.advance(DECIDE_MS - 1);
    expect(board.judge(leases, 'me')).toBeUndefined();
    clock.advance(1);
    return board.judge(leases, 'me');
  };

  it('a node leaves where more nodes answer something else than answer the same', () => {
    board.hear('a', [report('theirs')]);
    board.hear('b', [report('theirs')]);
    expect(judged(['me', 'a', 'b'])).toEqual({ partition: 1, others: ['a', 'b'] });
  });

  it('a node stays where more nodes answer the same', () => {
    board.hear('a', [report('theirs')]);
    board.hear('b', [report('mine')]);
    expect(judged(['a', 'b', 'me'])).toBeUndefined();
  });

  it('of two nodes the one stays that is there for longer', () => {
    board.hear('a', [report('theirs')]);
    expect(judged(['me', 'a'])).toBeUndefined();
    expect(board.judge(['a', 'me'], 'me')).toEqual({ partition: 1, others: ['a'] });
  });

  it('of four nodes, two and two, the side of the oldest one stays', () => {
    board.hear('a', [report('theirs')]);
    board.hear('b', [report('theirs')]);
    board.hear('c', [report('mine')]);
    expect(judged(['c', 'a', 'b', 'me'])).toBeUndefined();
    expect(board.judge(['a', 'c', 'b', 'me'], 'me')).toMatchObject({ others: ['a', 'b'] });
  });

  it('a node that has left says nothing any more, and what differed once is forgotten when it agrees', () => {
    board.hear('a', [report('theirs')]);
    expect(judged(['a', 'me'])).toBeDefined();
    expect(board.judge(['me'], 'me')).toBeUndefined();
    expect(judged(['a', 'me'])).toBeUndefined();
    board.hear('a', [report('theirs')]);
    board.hear('a', [report('mine', 128)]);
    position = 128;
    expect(judged(['a', 'me'])).toBeUndefined();
  });

  it('a place that this node no longer remembers says nothing', () => {
    board.hear('a', [report('forgotten')]);
    expect(judged(['a', 'me'])).toBeUndefined();
  });

  it('who differs once more is waited for once more', () => {
    board.hear('a', [report('theirs')]);
    expect(board.judge(['a', 'me'], 'me')).toBeUndefined();
    board.hear('a', [report('mine', 65)]);
    expect(judged(['a', 'me'])).toBeUndefined();
    board.hear('a', [report('theirs', 66)]);
    expect(judged(['a', 'me'])).toBeDefined();
  });

  it('what is ahead of this node is compared when it has come there, also when newer reports come first', () => {
    board.hear('a', [report('theirs', 101)]);
    board.hear('a', [report('mine', 200)]);
    expect(judged(['a', 'me'])).toBeUndefined();
    position = 101;
    expect(judged(['a', 'me'])).toEqual({ partition: 1, others: ['a'] });
  });

  it('what is of a log that lost its end does not hide what comes after it', () => {
    board.hear('a', [report('theirs', 900)]);
    board.hear('a', [report('theirs', 99)]);
    expect(judged(['a', 'me'])).toEqual({ partition: 1, others: ['a'] });
  });

  it('what is of another life of the log does not hide what comes after it', () => {
    board.hear('a', [{ ...report('mine', 70), incarnation: 'another' }]);
    board.hear('a', [report('theirs', 99)]);
    expect(judged(['a', 'me'])).toEqual({ partition: 1, others: ['a'] });
  });

  it('other records are no reason to leave: they are to be read again', () => {
    board.hear('a', [report('other log'), report('other log', 64, 0)]);
    expect(doubted).toEqual([1, 0]);
    expect(judged(['a', 'me'])).toBeUndefined();
  });

  it('partitions that do not exist are passed over, and one that is made again begins without a verdict', () => {
    board.hear('a', [report('theirs', 64, 2), report('theirs', 64, -1)]);
    expect(judged(['a', 'me'])).toBeUndefined();
    board.hear('a', [report('theirs')]);
    expect(judged(['a', 'me'])).toBeDefined();
    board.forget(1);
    expect(judged(['a', 'me'])).toBeUndefined();
  });
});
