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
  /** How often something that was said had no room. */
  let full: number;
  /** How many leases the last report named that was compared. */
  let named: number;
  /** What each node says with every sign of life. */
  let words: Map<string, readonly DigestReport[]>;
  const report = (outcome: string, offset = 64, partition = 1): DigestReport => ({
    partition,
    incarnation: 'life',
    offset,
    input: outcome === 'other log' ? 'other' : 'in',
    outcome,
    alike: [],
  });
  const theirs = (...alike: string[]): DigestReport => ({ ...report('theirs'), alike });

  const make = (heartbeatMs = 1_000): void => {
    const own = {
      incarnation: 'life',
      get position() {
        return position;
      },
      compare: ({ alike, input, outcome }: DigestReport): Comparison => {
        named = alike.length;
        if (outcome === 'forgotten') return 'unknown';
        if (input !== 'in') return 'other_input';
        return outcome === 'mine' ? 'same' : 'other_outcome';
      },
    };
    board = new DigestBoard(
      clock,
      heartbeatMs,
      (index) => (index >= 0 && index < 2 ? own : undefined),
      (index) => doubted.push(index),
      () => (full += 1),
    );
  };

  beforeEach(() => {
    clock = new ManualClock();
    position = 100;
    doubted = [];
    full = 0;
    words = new Map();
    make();
  });

  const says = (lease: string, ...reports: readonly DigestReport[]): void => {
    words.set(lease, reports);
    board.hear(lease, reports);
  };
  const beat = (leases: readonly string[]) => {
    for (const [lease, reports] of words) board.hear(lease, reports);
    return board.judge(leases, 'me');
  };
  /** What is decided when all have had the time to speak. */
  const judged = (leases: readonly string[]) => {
    for (let second = 0; second < DECIDE_MS / 1_000; second += 1) {
      expect(beat(leases)).toBeUndefined();
      clock.advance(999);
      expect(board.judge(leases, 'me')).toBeUndefined();
      clock.advance(1);
    }
    return beat(leases);
  };

  it('a node leaves where more nodes agree on something else than answer the same', () => {
    says('a', theirs('b'));
    says('b', theirs('a'));
    expect(judged(['me', 'a', 'b'])).toEqual({ partition: 1, others: ['a', 'b'] });
  });

  it('a node stays where more nodes answer the same', () => {
    says('a', theirs());
    says('b', report('mine'));
    expect(judged(['a', 'b', 'me'])).toBeUndefined();
  });

  it('of two nodes the one stays that is there for longer', () => {
    says('a', theirs());
    expect(judged(['me', 'a'])).toBeUndefined();
    expect(judged(['a', 'me'])).toEqual({ partition: 1, others: ['a'] });
  });

  it('of four nodes, two and two, the side of the oldest one stays', () => {
    says('a', theirs('b'));
    says('b', theirs('a'));
    says('c', report('mine'));
    expect(judged(['c', 'a', 'b', 'me'])).toBeUndefined();
    expect(judged(['a', 'c', 'b', 'me'])).toMatchObject({ others: ['a', 'b'] });
  });

  it('of three nodes with three answers the oldest stays', () => {
    says('a', theirs());
    says('b', theirs());
    expect(judged(['me', 'a', 'b'])).toBeUndefined();
    expect(judged(['a', 'me', 'b'])).toEqual({ partition: 1, others: ['a'] });
  });

  it('two of one answer stay where three others have an answer each; each of those leaves for the two', () => {
    for (const lease of ['b', 'c', 'd']) says(lease, theirs());
    says('a', report('mine'));
    expect(judged(['b', 'c', 'd', 'a', 'me'])).toBeUndefined();
    says('a', theirs('b'));
    says('b', theirs('a'));
    expect(judged(['me', 'c', 'd', 'a', 'b'])).toEqual({ partition: 1, others: ['a', 'b'] });
  });

  it('nodes are of one side only where both say so', () => {
    says('a', theirs('b'));
    says('b', theirs());
    expect(judged(['me', 'a', 'b'])).toBeUndefined();
  });

  it('a node that has gone down says so, and has no vote any more, however long its lease lives', () => {
    says('old', theirs());
    says('down', theirs());
    says('down');
    says('same', report('mine'));
    expect(judged(['down', 'same', 'old', 'me'])).toBeUndefined();
    says('same');
    expect(judged(['old', 'down', 'same', 'me'])).toEqual({ partition: 1, others: ['old'] });
  });

  it('a node whose voice was not heard for 3 s counts as one that may answer the same', () => {
    says('a', theirs());
    says('b', report('mine'));
    expect(board.differs(1)).toBe(true);
    clock.advance(3_000);
    expect(board.alike(1)).toEqual(['b']);
    clock.advance(1);
    expect(board.alike(1)).toEqual([]);
    words.delete('b');
    expect(judged(['a', 'b', 'me'])).toBeUndefined();
    words.delete('a');
    expect(judged(['a', 'me'])).toBeUndefined();
    // Its last word is as true as before where a state is to be stored.
    expect(board.differs(1)).toBe(true);
  });

  it('a node that was never heard counts as one that may answer the same', () => {
    says('a', theirs());
    expect(judged(['a', 'new', 'me'])).toBeUndefined();
  });

  it('one who still compares counts as one that may answer the same', () => {
    says('a', theirs());
    says('b', report('mine', 900));
    expect(judged(['a', 'b', 'me'])).toBeUndefined();
  });

  it('the wait begins again with each change of the sides', () => {
    says('a', theirs());
    says('b', theirs());
    for (let second = 0; second < 5; second += 1) {
      expect(beat(['a', 'b', 'me'])).toBeUndefined();
      clock.advance(1_000);
    }
    says('a', theirs('b'));
    says('b', theirs('a'));
    expect(judged(['a', 'b', 'me'])).toMatchObject({ others: ['a', 'b'] });
    says('c', report('mine'));
    expect(judged(['a', 'b', 'me', 'c'])).toMatchObject({ others: ['a', 'b'] });
  });

  it('a node that stood still waits once more before it decides by what others said before', () => {
    says('a', theirs());
    expect(beat(['a', 'me'])).toBeUndefined();
    clock.advance(3_000);
    expect(beat(['a', 'me'])).toBeUndefined();
    clock.advance(3_001);
    expect(judged(['a', 'me'])).toBeDefined();
  });

  it('a node whose own lease has ended does not leave', () => {
    says('a', theirs());
    expect(judged(['a'])).toBeUndefined();
  });

  it('differences of several partitions are decided one after the other, the first one first', () => {
    says('a', report('theirs', 64, 1), report('theirs', 64, 0));
    says('b', report('mine', 64, 0), report('theirs', 64, 1));
    expect(judged(['b', 'me', 'a'])).toBeUndefined();
    says('a', report('mine', 64, 0), report('theirs', 64, 1));
    expect(judged(['b', 'me', 'a'])).toEqual({ partition: 1, others: ['b'] });
  });

  it('others learn who answers the same only where somebody answers something else', () => {
    says('a', report('mine'), report('mine', 64, 0));
    expect([board.differs(1), board.alike(1)]).toEqual([false, []]);
    says('b', theirs());
    expect([board.alike(0), board.alike(1)]).toEqual([[], ['a']]);
  });

  it('where signs of life come seldom, all of it takes longer by as much', () => {
    make(4_000);
    says('a', theirs());
    const beats = Array.from({ length: 6 }, () => {
      const found = beat(['a', 'me']);
      clock.advance(4_000);
      return found !== undefined;
    });
    expect(beats).toEqual([false, false, false, false, false, true]);
  });

  it('a node that has left says nothing any more, and what differed once is forgotten when it agrees', () => {
    says('a', theirs());
    expect(judged(['a', 'me'])).toBeDefined();
    words.delete('a');
    expect(board.judge(['me'], 'me')).toBeUndefined();
    expect(judged(['a', 'me'])).toBeUndefined();
    expect(board.differs(1)).toBe(false);
    says('a', theirs());
    position = 128;
    says('a', report('mine', 128));
    expect(judged(['a', 'me'])).toBeUndefined();
  });

  it('a place that this node no longer remembers says nothing', () => {
    says('a', report('forgotten'));
    expect(judged(['a', 'me'])).toBeUndefined();
  });

  it('who differs once more is waited for once more', () => {
    says('a', theirs());
    expect(board.judge(['a', 'me'], 'me')).toBeUndefined();
    says('a', report('mine', 65));
    expect(judged(['a', 'me'])).toBeUndefined();
    says('a', report('theirs', 66));
    expect(judged(['a', 'me'])).toBeDefined();
  });

  it('what is ahead of this node is compared when it has come there, also when newer reports come first', () => {
    says('a', report('theirs', 101));
    says('a', report('mine', 200));
    expect(judged(['a', 'me'])).toBeUndefined();
    position = 101;
    expect(judged(['a', 'me'])).toEqual({ partition: 1, others: ['a'] });
  });

  it('what is of a log that lost its end does not hide what comes after it', () => {
    says('a', report('theirs', 900));
    says('a', report('theirs', 99));
    expect(judged(['a', 'me'])).toEqual({ partition: 1, others: ['a'] });
  });

  it('what is of another life of the log does not hide what comes after it', () => {
    says('a', { ...report('mine', 70), incarnation: 'another' });
    says('a', report('theirs', 99));
    expect(judged(['a', 'me'])).toEqual({ partition: 1, others: ['a'] });
  });

  it('other records are no reason to leave: they are to be read again', () => {
    says('a', report('other log'), report('other log', 64, 0));
    expect(doubted).toEqual([1, 0]);
    expect(judged(['a', 'me'])).toBeUndefined();
  });

  it('partitions that do not exist are passed over, and one that is made again begins without a verdict', () => {
    says('a', report('theirs', 64, 2), report('theirs', 64, -1));
    expect(judged(['a', 'me'])).toBeUndefined();
    says('a', theirs());
    expect(judged(['a', 'me'])).toBeDefined();
    board.forget(1);
    expect(board.differs(1)).toBe(false);
    expect(judged(['a', 'me'])).toBeDefined();
    says('a');
    expect(judged(['a', 'me'])).toBeUndefined();
  });

  /** A word of so many bytes beside what holds it. */
  const loud = (bytes: number): DigestReport => ({
    ...theirs(),
    alike: Array<string>(Math.round(bytes / 256)).fill('x'.repeat(112)),
  });
  const ROOM = 32 * 1024 * 1024;

  it('keeps 1,024 voices of those who have no lease, and always those who have one', () => {
    for (let voice = 0; voice < 1_024; voice += 1) says(`x${voice}`, report('mine'));
    expect(full).toBe(0);
    says('a', theirs());
    expect([full, board.differs(1)]).toEqual([1, false]);
    // One that spoke before may speak again.
    board.hear('x7', [theirs()]);
    expect([full, board.differs(1)]).toEqual([1, true]);
    board.judge(['a', 'me'], 'me');
    expect(board.differs(1)).toBe(false);
    for (const lease of words.keys()) board.hear(lease, [report('mine')]);
    expect(full).toBe(1);
    board.hear('x9999', [report('mine')]);
    expect(full).toBe(2);
    says('a', theirs());
    expect([full, board.differs(1)]).toEqual([2, true]);
  });

  it('keeps 32 MiB of what is said: those without a lease make room for those who have one, the oldest first', () => {
    board.judge(['a', 'b', 'me'], 'me');
    const half = loud(ROOM / 2 - 256 * 8);
    board.hear('x', [half]);
    board.hear('y', [half]);
    expect(full).toBe(0);
    board.hear('z', [half]);
    expect(full).toBe(1);
    board.hear('a', [{ ...half, outcome: 'mine' }]);
    expect([full, board.alike(1)]).toEqual([2, ['a']]);
    board.hear('b', [{ ...half, outcome: 'mine' }]);
    expect([full, board.alike(1), board.differs(1)]).toEqual([3, [], false]);
    // What an old word took is free for the new one, and what has no room leaves the old one where it was.
    board.hear('a', [theirs()]);
    expect([full, board.differs(1)]).toEqual([3, true]);
    board.hear('c', [half]);
    expect(full).toBe(3);
    board.hear('a', [{ ...loud(ROOM), outcome: 'mine' }]);
    expect([full, board.differs(1)]).toEqual([5, true]);
    board.judge([], 'me');
    for (const lease of ['d', 'e']) board.hear(lease, [half]);
    expect(full).toBe(5);
  });

  it('lets those with a lease keep their room, and gives that of one without to others without', () => {
    board.judge(['a', 'b', 'me'], 'me');
    board.hear('a', [theirs()]);
    board.hear('x', [loud((ROOM * 3) / 4)]);
    board.hear('b', [{ ...loud(ROOM / 2), outcome: 'mine' }]);
    expect([full, board.differs(1), board.alike(1)]).toEqual([1, true, ['b']]);
    for (let voice = 0; voice < 1_024; voice += 1) board.hear(`y${voice}`, []);
    expect(full).toBe(1);
    board.hear('z', []);
    expect(full).toBe(2);
  });

  it('keeps of a report that waits nobody whom it named', () => {
    says('a', { ...theirs('b', 'c'), offset: 101 });
    position = 101;
    board.judge(['a', 'me'], 'me');
    expect([board.differs(1), named]).toEqual([true, 0]);
  });

  it('counts what waits to be compared, but not whom it named', () => {
    const texts = { incarnation: 'i'.repeat(128), input: 'n'.repeat(128), outcome: 'o'.repeat(128) };
    board.judge(['a', 'b', 'me'], 'me');
    const half = loud(ROOM / 2 - 256 * 8);
    board.hear('a', [{ ...half, offset: 101 }]);
    board.hear('a', [{ ...theirs(), offset: 102 }]);
    board.hear('b', [loud(ROOM - 256 * 16)]);
    expect(full).toBe(0);
    board.judge(['a', 'b', 'me'], 'me');
    board.hear('b', []);
    board.hear('a', [{ ...half, ...texts }]);
    board.hear('b', [{ ...half, ...texts }]);
    expect(full).toBe(0);
    const both = [0, 1].map((partition) => ({ ...loud(ROOM / 4 - 256 * 8), ...texts, partition }));
    board.hear('a', both);
    board.hear('b', both);
    expect(full).toBe(0);
    board.hear('a', [...both.slice(1), { ...loud(ROOM / 4), ...texts, partition: 0 }]);
    expect(full).toBe(1);
  });
});
