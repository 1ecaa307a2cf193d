import { describe, expect, it } from '@jest/globals';
import { Recorder, started } from './cursor-recorder.js';

describe('the answer to a subscribe (P11, P14)', () => {
  const own = (seq: number, epoch = 'e1'): Recorder => {
    const recorder = new Recorder();
    recorder.cursor.start({ epoch, seq });
    return recorder;
  };

  it('new: the cursor takes the position of the server (P14)', () => {
    expect(started(7).cursor.position).toEqual({ epoch: 'e1', seq: 7 });
  });

  it('complete: the cursor keeps its seq under the new epoch (P14)', () => {
    const recorder = own(5, 'e0');
    recorder.answer({ recovery: 'complete', position: { epoch: 'e1', seq: 9 } });
    expect(recorder.cursor.position).toEqual({ epoch: 'e1', seq: 5 });
    recorder.event(6, 7);
    expect(recorder.delivered).toEqual([6, 7]);
  });

  it('truncated: the cursor moves to before the replay, and the missing range is a gap (P14)', () => {
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

  it('truncated: the cursor never moves back (P14)', () => {
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

  it('lost: the cursor takes the position of the server, even if it is lower (P14)', () => {
    const recorder = own(50, 'e0');
    recorder.answer({ recovery: 'lost', position: { epoch: 'e1', seq: 3 } });
    expect(recorder.cursor.position).toEqual({ epoch: 'e1', seq: 3 });
  });

  it('the cursor takes no events before the answer and after `stop`, and keeps its position', () => {
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
  it('delivers events in order, with the cursor at the event while it is delivered (P14, G2)', () => {
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
    expect(recorder.resubscribes).toBe(0);
  });

  it('drops an event of another epoch that no reset announced, and subscribes again (P14)', () => {
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

  it.each([2, 3, 10])(
    'an event that leaves out some: subscribes again from before them, event %i (P14)',
    (seq) => {
      const recorder = started();
      recorder.event(1, seq + 1, seq + 2);
      expect(recorder.delivered).toEqual([1]);
      expect([recorder.resubscribes, recorder.cursor.position?.seq]).toEqual([1, 1]);
      recorder.answer({ recovery: 'complete', position: { epoch: 'e1', seq: 12 } });
      recorder.event(2, 3);
      expect(recorder.delivered).toEqual([1, 2, 3]);
    },
  );

  it('stops where a handler unsubscribes, at the position of the last delivered event', () => {
    const recorder = started();
    recorder.onDeliver = (seq) => {
      if (seq === 2) recorder.cursor.stop();
    };
    recorder.event(1, 2, 3);
    expect(recorder.delivered).toEqual([1, 2]);
    expect(recorder.cursor.position?.seq).toBe(2);
  });
});

describe('gaps (P14, P25)', () => {
  it('moves the cursor to the end of a gap (P14)', () => {
    const recorder = started();
    recorder.gap(1, 4);
    recorder.event(4, 5);
    expect(recorder.log).toEqual(['gap 1-4 overflow', 5]);
  });

  it('reports only the new part of an overlapping gap (P14)', () => {
    const recorder = started(3);
    recorder.gap(1, 3);
    recorder.gap(2, 6);
    expect(recorder.log).toEqual(['gap 4-6 overflow']);
    expect(recorder.cursor.position?.seq).toBe(6);
  });

  it('subscribes again before a gap that leaves out some (P14)', () => {
    const recorder = started();
    recorder.gap(2, 6);
    expect([recorder.resubscribes, recorder.log, recorder.cursor.position?.seq]).toEqual([1, [], 0]);
  });

  it('subscribes again on a gap of another epoch (P14)', () => {
    const recorder = started();
    recorder.cursor.gap('e2', { from: 1, to: 9, reason: 'overflow', recoverable: false });
    expect([recorder.resubscribes, recorder.log]).toEqual([1, []]);
  });

  it('delivers only ascending events inside a partial gap, and misses nothing in its range (P25)', () => {
    const recorder = started();
    recorder.gap(1, 10, { partial: true, reason: 'conflated' });
    recorder.event(3, 2, 7, 7);
    expect(recorder.cursor.position?.seq).toBe(7);
    recorder.event(11);
    expect(recorder.log).toEqual(['gap 1-10 partial conflated', 3, 7, 11]);
    expect(recorder.resubscribes).toBe(0);
  });

  it('an event that leaves out some beyond a partial gap: subscribes again from its end (P25)', () => {
    const recorder = started();
    recorder.gap(1, 10, { partial: true });
    recorder.event(3, 12);
    expect([recorder.resubscribes, recorder.cursor.position?.seq]).toEqual([1, 10]);
  });

  it('accepts partial gaps that follow or overlap one another (P25)', () => {
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
    expect(recorder.resubscribes).toBe(0);
  });

  it('ends a partial gap at what comes beyond it: an event, a gap, resumed or reset (P25)', () => {
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

  it('resumes a connection lost inside a partial gap from the last delivered event (P25)', () => {
    const recorder = started();
    recorder.gap(1, 10, { partial: true });
    recorder.event(4);
    recorder.cursor.stop();
    expect(recorder.cursor.position?.seq).toBe(4);
  });
});

describe('resumed (P12)', () => {
  it('passes resumed on at its place (P12)', () => {
    const recorder = started();
    recorder.event(1);
    recorder.cursor.resumed({ epoch: 'e1', seq: 1 });
    recorder.event(2);
    expect(recorder.log).toEqual([1, 'resumed 1', 2]);
  });

  it('finds what the replay left out by the seq of resumed (P12, G3)', () => {
    const recorder = started();
    recorder.event(1);
    recorder.cursor.resumed({ epoch: 'e1', seq: 3 });
    expect([recorder.resubscribes, recorder.log]).toEqual([1, [1]]);
  });
});

describe('reset (P10, P14)', () => {
  it('lost: the cursor takes the new position (P14)', () => {
    const recorder = started(5);
    recorder.cursor.reset({ recovery: 'lost', position: { epoch: 'e2', seq: 2 } });
    recorder.cursor.event({ epoch: 'e2', seq: 3 });
    expect(recorder.delivered).toEqual([3]);
  });

  it('complete: the cursor keeps its seq under the new epoch (P14)', () => {
    const recorder = started(5);
    recorder.cursor.reset({ recovery: 'complete', position: { epoch: 'e2', seq: 6 } });
    recorder.cursor.event({ epoch: 'e2', seq: 6 });
    expect(recorder.delivered).toEqual([6]);
    expect(recorder.resubscribes).toBe(0);
  });

  it('is ignored without a live subscription', () => {
    const recorder = started(5);
    recorder.cursor.stop();
    expect(recorder.cursor.reset({ recovery: 'lost', position: { epoch: 'e2', seq: 0 } })).toBe(false);
    expect(recorder.cursor.position).toEqual({ epoch: 'e1', seq: 5 });
  });
});
