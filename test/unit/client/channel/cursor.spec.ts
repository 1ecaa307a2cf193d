import { describe, expect, it } from '@jest/globals';
import { Recorder, started } from './cursor-recorder.js';

describe('the answer to subscribe (P11, P14)', () => {
  const own = (seq: number, epoch = 'e1'): Recorder => {
    const recorder = new Recorder();
    recorder.cursor.start({ epoch, seq });
    return recorder;
  };

  it('new: the cursor takes the position (P14)', () => {
    expect(started(7).cursor.position).toEqual({ epoch: 'e1', seq: 7 });
  });

  it('complete: its own seq, under the new epoch (P14)', () => {
    const recorder = own(5, 'e0');
    recorder.answer({ recovery: 'complete', position: { epoch: 'e1', seq: 9 } });
    expect(recorder.cursor.position).toEqual({ epoch: 'e1', seq: 5 });
    recorder.event(6, 7);
    expect(recorder.delivered).toEqual([6, 7]);
  });

  it('truncated: from − 1, and the range before it is told (P14)', () => {
    const recorder = own(5);
    const gap = recorder.answer({
      recovery: 'truncated',
      position: { epoch: 'e1', seq: 30 },
      from: 21,
      to: 30,
      cause: 'limit',
    });
    expect(gap).toEqual({ epoch: 'e1', from: 6, to: 20, reason: 'limit', partial: false, recoverable: true });
    expect(recorder.cursor.position).toEqual({ epoch: 'e1', seq: 20 });
  });

  it('truncated never takes the cursor back (P14)', () => {
    const recorder = own(25);
    const gap = recorder.answer({
      recovery: 'truncated',
      position: { epoch: 'e1', seq: 30 },
      from: 21,
      to: 30,
    });
    expect(gap).toBeUndefined();
    recorder.event(21, 22, 23, 24, 25, 26);
    expect(recorder.delivered).toEqual([26]);
  });

  it('lost: the position, also when it is lower (P14)', () => {
    const recorder = own(50, 'e0');
    recorder.answer({ recovery: 'lost', position: { epoch: 'e1', seq: 3 } });
    expect(recorder.cursor.position).toEqual({ epoch: 'e1', seq: 3 });
  });

  it('takes nothing before the answer and after stop, and keeps its position', () => {
    const recorder = own(5);
    recorder.event(6);
    recorder.answer({ recovery: 'complete', position: { epoch: 'e1', seq: 5 } });
    recorder.event(6);
    recorder.cursor.stop();
    recorder.event(7);
    recorder.gap(7, 9);
    recorder.cursor.resumed({ epoch: 'e1', seq: 9 });
    expect(recorder.log).toEqual([6]);
    expect(recorder.cursor.position).toEqual({ epoch: 'e1', seq: 6 });
  });
});

describe('events (P14)', () => {
  it('delivers in order and stands at each event while it is delivered (P14, G2)', () => {
    const recorder = started();
    const positions: unknown[] = [];
    recorder.onDeliver = () => positions.push(recorder.cursor.position?.seq);
    recorder.event(1, 2, 3);
    expect(positions).toEqual([1, 2, 3]);
  });

  it('drops an event at or below the cursor (P14)', () => {
    const recorder = started(5);
    recorder.event(4, 5, 6, 6, 1, 7);
    expect(recorder.delivered).toEqual([6, 7]);
    expect(recorder.holes).toEqual([]);
  });

  it('drops an event of another epoch without reset, and subscribes again (P14)', () => {
    const recorder = started(5);
    recorder.cursor.event({ epoch: 'e2', seq: 6 });
    expect(recorder.delivered).toEqual([]);
    expect(recorder.resubscribes).toBe(1);
    recorder.event(6);
    expect(recorder.delivered).toEqual([]);
    recorder.answer({ recovery: 'complete', position: { epoch: 'e2', seq: 6 } });
    recorder.cursor.event({ epoch: 'e2', seq: 6 });
    expect(recorder.delivered).toEqual([6]);
  });

  it('fetches a jump that no gap announced, while later events are held (P14)', () => {
    const recorder = started();
    recorder.event(1, 4, 5);
    expect(recorder.holes).toEqual([{ token: 1, epoch: 'e1', from: 2, until: 3 }]);
    expect(recorder.delivered).toEqual([1]);
    expect(recorder.cursor.position?.seq).toBe(1);
    recorder.page([2, 3]);
    recorder.event(6);
    expect(recorder.delivered).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('reads a large jump page by page (P14)', () => {
    const recorder = started();
    recorder.event(10);
    recorder.page([1, 2, 3], true);
    expect(recorder.holes.at(-1)).toEqual({ token: 2, epoch: 'e1', from: 4, until: 9 });
    recorder.page([4, 5, 6], true);
    recorder.page([7, 8, 9]);
    expect(recorder.delivered).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('tells the exact range of a jump that the log no longer holds (G3)', () => {
    const recorder = started();
    recorder.event(10);
    recorder.page([4, 5, 8]);
    expect(recorder.log).toEqual(['gap 1-3 expired', 4, 5, 'gap 6-7 expired', 8, 'gap 9-9 expired', 10]);
  });

  it('tells a jump of which the log holds nothing, also if the server claims more (G3)', () => {
    const recorder = started();
    recorder.event(10);
    recorder.page([], true);
    expect(recorder.log).toEqual(['gap 1-9 expired', 10]);
  });

  it('finds a second jump among what was held (P14)', () => {
    const recorder = started();
    recorder.event(3, 6);
    recorder.page([1, 2]);
    expect(recorder.holes.at(-1)).toMatchObject({ from: 4, until: 5 });
    recorder.event(7);
    recorder.page([4, 5]);
    expect(recorder.delivered).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('holds gaps and resumed in their place (P14)', () => {
    const recorder = started();
    recorder.event(3);
    recorder.gap(4, 6);
    recorder.event(7);
    recorder.cursor.resumed({ epoch: 'e1', seq: 7 });
    recorder.page([1, 2]);
    expect(recorder.log).toEqual([1, 2, 3, 'gap 4-6 overflow', 7, 'resumed 7']);
  });

  it('holds a bounded number, then resumes from before the jump (P14)', () => {
    const recorder = started(0, 3);
    recorder.event(1, 3, 4, 4, 5);
    expect(recorder.resubscribes).toBe(0);
    recorder.event(6);
    expect(recorder.resubscribes).toBe(1);
    expect(recorder.cursor.position?.seq).toBe(1);
    recorder.page([2]);
    expect(recorder.delivered).toEqual([1]);
  });

  it('resumes from before a jump that cannot be read, or whose log changed', () => {
    const failed = started();
    failed.event(3);
    failed.cursor.pageFailed(1, 'forbidden');
    expect([failed.resubscribes, failed.cursor.position?.seq]).toEqual([1, 0]);

    const changed = started();
    changed.event(3);
    changed.page([1, 2], false, 'e2');
    expect([changed.resubscribes, changed.delivered]).toEqual([1, []]);
  });

  it('ignores the answer to a question that an answer or stop overtook', () => {
    const recorder = started();
    recorder.event(3);
    recorder.cursor.stop();
    recorder.answer({ recovery: 'complete', position: { epoch: 'e1', seq: 3 } });
    recorder.page([1, 2]);
    recorder.cursor.pageFailed(1, 'late');
    expect(recorder.log).toEqual([]);
    expect(recorder.resubscribes).toBe(0);
  });

  it('stops where a handler unsubscribes: the position is that of the last event given', () => {
    const recorder = started();
    recorder.onDeliver = (seq) => {
      if (seq === 2) recorder.cursor.stop();
    };
    recorder.event(5);
    recorder.page([1, 2, 3, 4]);
    expect(recorder.delivered).toEqual([1, 2]);
    expect(recorder.cursor.position?.seq).toBe(2);

    const held = started();
    held.onDeliver = (seq) => {
      if (seq === 3) held.cursor.stop();
    };
    held.event(3, 4);
    held.page([1, 2]);
    expect(held.delivered).toEqual([1, 2, 3]);
  });
});

describe('gaps (P14, P25)', () => {
  it('moves the cursor to the end of a gap (P14)', () => {
    const recorder = started();
    recorder.gap(1, 4);
    recorder.event(4, 5);
    expect(recorder.log).toEqual(['gap 1-4 overflow', 5]);
  });

  it('tells of an overlapping gap only what is new (P14)', () => {
    const recorder = started(3);
    recorder.gap(1, 3);
    recorder.gap(2, 6);
    expect(recorder.log).toEqual(['gap 4-6 overflow']);
    expect(recorder.cursor.position?.seq).toBe(6);
  });

  it('fetches what lies before a gap and was not announced (P14)', () => {
    const recorder = started();
    recorder.gap(4, 6);
    expect(recorder.holes).toEqual([{ token: 1, epoch: 'e1', from: 1, until: 3 }]);
    recorder.page([1, 2, 3]);
    expect(recorder.log).toEqual([1, 2, 3, 'gap 4-6 overflow']);
  });

  it('a gap of another epoch is no gap of this log (P14)', () => {
    const recorder = started();
    recorder.cursor.gap('e2', { from: 1, to: 9, reason: 'overflow', recoverable: false });
    expect([recorder.resubscribes, recorder.log]).toEqual([1, []]);
  });

  it('inside a partial gap seq only ascends; the cursor ends at its end (P25)', () => {
    const recorder = started();
    recorder.gap(1, 10, { partial: true, reason: 'conflated' });
    recorder.event(3, 2, 7, 7);
    expect(recorder.cursor.position?.seq).toBe(7);
    recorder.event(11);
    expect(recorder.log).toEqual(['gap 1-10 partial conflated', 3, 7, 11]);
    expect(recorder.holes).toEqual([]);
  });

  it('fetches a jump beyond the end of a partial gap, and not what the gap announced (P25)', () => {
    const recorder = started();
    recorder.gap(1, 10, { partial: true });
    recorder.event(3, 13);
    expect(recorder.holes).toEqual([{ token: 1, epoch: 'e1', from: 11, until: 12 }]);
  });

  it('partial gaps follow, and overlap, one another (P25)', () => {
    const recorder = started();
    recorder.gap(1, 5, { partial: true });
    recorder.event(2);
    recorder.gap(6, 9, { partial: true });
    recorder.event(8);
    recorder.gap(9, 12);
    recorder.event(13);
    expect(recorder.log).toEqual([
      'gap 1-5 partial overflow',
      2,
      'gap 6-9 partial overflow',
      8,
      'gap 9-12 overflow',
      13,
    ]);
    expect(recorder.holes).toEqual([]);
  });

  it('a partial gap ends where something beyond it begins: also a gap, resumed and reset (P25)', () => {
    const before = (): Recorder => {
      const recorder = started();
      recorder.gap(1, 5, { partial: true });
      recorder.event(2);
      return recorder;
    };
    const gap = before();
    gap.gap(6, 9, { partial: true });
    expect(gap.cursor.position?.seq).toBe(5);
    const resumed = before();
    resumed.cursor.resumed({ epoch: 'e1', seq: 5 });
    expect(resumed.cursor.position?.seq).toBe(5);
    const reset = before();
    reset.cursor.reset({ recovery: 'complete', position: { epoch: 'e2', seq: 5 } });
    expect(reset.cursor.position).toEqual({ epoch: 'e2', seq: 5 });
    const truncated = before();
    const { cursor } = truncated;
    expect(
      cursor.reset({ recovery: 'truncated', position: { epoch: 'e2', seq: 9 }, from: 8, to: 9 }),
    ).toMatchObject({ from: 6, to: 7 });
    const inside = before();
    inside.gap(4, 8, { partial: true });
    inside.event(3);
    expect(inside.delivered).toEqual([2, 3]);
  });

  it('a connection lost inside a partial gap resumes from the last event given, not from its end (P25)', () => {
    const recorder = started();
    recorder.gap(1, 10, { partial: true });
    recorder.event(4);
    recorder.cursor.stop();
    expect(recorder.cursor.position?.seq).toBe(4);
  });
});

describe('resumed (P12)', () => {
  it('passes it on in its place (P12)', () => {
    const recorder = started();
    recorder.event(1);
    recorder.cursor.resumed({ epoch: 'e1', seq: 1 });
    recorder.event(2);
    expect(recorder.log).toEqual([1, 'resumed 1', 2]);
  });

  it('finds what the replay left out by the seq that it names (P12, G3)', () => {
    const recorder = started();
    recorder.event(1);
    recorder.cursor.resumed({ epoch: 'e1', seq: 3 });
    expect(recorder.holes).toEqual([{ token: 1, epoch: 'e1', from: 2, until: 3 }]);
    recorder.page([2, 3]);
    expect(recorder.log).toEqual([1, 2, 3, 'resumed 3']);
  });
});

describe('reset (P10, P14)', () => {
  it('lost: the new position (P14)', () => {
    const recorder = started(5);
    recorder.cursor.reset({ recovery: 'lost', position: { epoch: 'e2', seq: 2 } });
    recorder.cursor.event({ epoch: 'e2', seq: 3 });
    expect(recorder.delivered).toEqual([3]);
  });

  it('complete: its own seq under the new epoch (P14)', () => {
    const recorder = started(5);
    recorder.cursor.reset({ recovery: 'complete', position: { epoch: 'e2', seq: 6 } });
    recorder.cursor.event({ epoch: 'e2', seq: 6 });
    expect(recorder.delivered).toEqual([6]);
    expect(recorder.holes).toEqual([]);
  });

  it('complete while a jump is read: resumes from before the jump under the new epoch (P14)', () => {
    const recorder = started(5);
    recorder.event(8);
    recorder.cursor.reset({ recovery: 'complete', position: { epoch: 'e2', seq: 8 } });
    expect(recorder.resubscribes).toBe(1);
    expect(recorder.cursor.position).toEqual({ epoch: 'e2', seq: 5 });
  });

  it('is nobody’s business without a live subscription', () => {
    const recorder = started(5);
    recorder.cursor.stop();
    expect(recorder.cursor.reset({ recovery: 'lost', position: { epoch: 'e2', seq: 0 } })).toBe(false);
    expect(recorder.cursor.position).toEqual({ epoch: 'e1', seq: 5 });
  });
});
