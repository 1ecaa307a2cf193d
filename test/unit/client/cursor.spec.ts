import { describe, expect, it } from '@jest/globals';
import type { ChannelGap } from '../../../lib/client/channel/channel.types.js';
import { Cursor, type Hole } from '../../../lib/client/channel/cursor.js';
import type { GapPayload, SubscribeResult } from '../../../lib/protocol/messages.js';
import type { Position } from '../../../lib/protocol/position.js';
import fc from '../../support/property.js';

/** A cursor whose sink writes down what it is told, in order. */
class Recorder {
  readonly log: unknown[] = [];
  readonly delivered: number[] = [];
  readonly gaps: ChannelGap[] = [];
  readonly holes: Hole[] = [];
  resubscribes = 0;
  onDeliver: ((seq: number) => void) | undefined;
  readonly cursor: Cursor<Position>;

  constructor(maxHeld = 100) {
    this.cursor = new Cursor<Position>(
      {
        deliver: ({ seq }) => {
          this.log.push(seq);
          this.delivered.push(seq);
          this.onDeliver?.(seq);
        },
        gap: (gap) => {
          this.log.push(`gap ${gap.from}-${gap.to}${gap.partial ? ' partial' : ''} ${gap.reason}`);
          this.gaps.push(gap);
        },
        resumed: ({ seq }) => this.log.push(`resumed ${seq}`),
        fetch: (hole) => this.holes.push(hole),
        resubscribe: () => this.resubscribes++,
      },
      maxHeld,
    );
  }

  answer(result: Partial<SubscribeResult> = {}): ChannelGap | undefined {
    return this.cursor.answer({ position: { epoch: 'e1', seq: 0 }, recovery: 'new', ...result });
  }

  event(...seqs: number[]): void {
    for (const seq of seqs) this.cursor.event({ epoch: 'e1', seq });
  }

  gap(from: number, to: number, more: Partial<GapPayload> = {}): void {
    this.cursor.gap('e1', { from, to, reason: 'overflow', recoverable: true, ...more });
  }

  /** Answers the newest question with these events. */
  page(seqs: number[], more = false, epoch = 'e1'): void {
    const token = this.holes.at(-1)?.token ?? -1;
    this.cursor.page(token, { epoch, events: seqs.map((seq) => ({ epoch: 'e1', seq })), more });
  }
}

const started = (seq = 0, maxHeld?: number): Recorder => {
  const recorder = new Recorder(maxHeld);
  recorder.answer({ position: { epoch: 'e1', seq } });
  return recorder;
};

describe('the answer to subscribe (P11, P14)', () => {
  const own = (seq: number, epoch = 'e1'): Recorder => {
    const recorder = new Recorder();
    recorder.cursor.start({ epoch, seq });
    return recorder;
  };

  it('P14 new: the cursor takes the position', () => {
    expect(started(7).cursor.position).toEqual({ epoch: 'e1', seq: 7 });
  });

  it('P14 complete: its own seq, under the new epoch', () => {
    const recorder = own(5, 'e0');
    recorder.answer({ recovery: 'complete', position: { epoch: 'e1', seq: 9 } });
    expect(recorder.cursor.position).toEqual({ epoch: 'e1', seq: 5 });
    recorder.event(6, 7);
    expect(recorder.delivered).toEqual([6, 7]);
  });

  it('P14 truncated: from − 1, and the range before it is told', () => {
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

  it('P14 truncated never takes the cursor back', () => {
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

  it('P14 lost: the position, also when it is lower', () => {
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
  it('P14 G2 delivers in order and stands at each event while it is delivered', () => {
    const recorder = started();
    const positions: unknown[] = [];
    recorder.onDeliver = () => positions.push(recorder.cursor.position?.seq);
    recorder.event(1, 2, 3);
    expect(positions).toEqual([1, 2, 3]);
  });

  it('P14 drops an event at or below the cursor', () => {
    const recorder = started(5);
    recorder.event(4, 5, 6, 6, 1, 7);
    expect(recorder.delivered).toEqual([6, 7]);
    expect(recorder.holes).toEqual([]);
  });

  it('P14 drops an event of another epoch without reset, and subscribes again', () => {
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

  it('P14 fetches a jump that no gap announced, while later events are held', () => {
    const recorder = started();
    recorder.event(1, 4, 5);
    expect(recorder.holes).toEqual([{ token: 1, epoch: 'e1', from: 2, until: 3 }]);
    expect(recorder.delivered).toEqual([1]);
    expect(recorder.cursor.position?.seq).toBe(1);
    recorder.page([2, 3]);
    recorder.event(6);
    expect(recorder.delivered).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('P14 reads a large jump page by page', () => {
    const recorder = started();
    recorder.event(10);
    recorder.page([1, 2, 3], true);
    expect(recorder.holes.at(-1)).toEqual({ token: 2, epoch: 'e1', from: 4, until: 9 });
    recorder.page([4, 5, 6], true);
    recorder.page([7, 8, 9]);
    expect(recorder.delivered).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('G3 tells the exact range of a jump that the log no longer holds', () => {
    const recorder = started();
    recorder.event(10);
    recorder.page([4, 5, 8]);
    expect(recorder.log).toEqual(['gap 1-3 expired', 4, 5, 'gap 6-7 expired', 8, 'gap 9-9 expired', 10]);
  });

  it('G3 tells a jump of which the log holds nothing, also if the server claims more', () => {
    const recorder = started();
    recorder.event(10);
    recorder.page([], true);
    expect(recorder.log).toEqual(['gap 1-9 expired', 10]);
  });

  it('P14 finds a second jump among what was held', () => {
    const recorder = started();
    recorder.event(3, 6);
    recorder.page([1, 2]);
    expect(recorder.holes.at(-1)).toMatchObject({ from: 4, until: 5 });
    recorder.event(7);
    recorder.page([4, 5]);
    expect(recorder.delivered).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  it('P14 holds gaps and resumed in their place', () => {
    const recorder = started();
    recorder.event(3);
    recorder.gap(4, 6);
    recorder.event(7);
    recorder.cursor.resumed({ epoch: 'e1', seq: 7 });
    recorder.page([1, 2]);
    expect(recorder.log).toEqual([1, 2, 3, 'gap 4-6 overflow', 7, 'resumed 7']);
  });

  it('P14 holds a bounded number, then resumes from before the jump', () => {
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
  it('P14 moves the cursor to the end of a gap', () => {
    const recorder = started();
    recorder.gap(1, 4);
    recorder.event(4, 5);
    expect(recorder.log).toEqual(['gap 1-4 overflow', 5]);
  });

  it('P14 tells of an overlapping gap only what is new', () => {
    const recorder = started(3);
    recorder.gap(1, 3);
    recorder.gap(2, 6);
    expect(recorder.log).toEqual(['gap 4-6 overflow']);
    expect(recorder.cursor.position?.seq).toBe(6);
  });

  it('P14 fetches what lies before a gap and was not announced', () => {
    const recorder = started();
    recorder.gap(4, 6);
    expect(recorder.holes).toEqual([{ token: 1, epoch: 'e1', from: 1, until: 3 }]);
    recorder.page([1, 2, 3]);
    expect(recorder.log).toEqual([1, 2, 3, 'gap 4-6 overflow']);
  });

  it('P14 a gap of another epoch is no gap of this log', () => {
    const recorder = started();
    recorder.cursor.gap('e2', { from: 1, to: 9, reason: 'overflow', recoverable: false });
    expect([recorder.resubscribes, recorder.log]).toEqual([1, []]);
  });

  it('P25 inside a partial gap seq only ascends; the cursor ends at its end', () => {
    const recorder = started();
    recorder.gap(1, 10, { partial: true, reason: 'conflated' });
    recorder.event(3, 2, 7, 7);
    expect(recorder.cursor.position?.seq).toBe(7);
    recorder.event(11);
    expect(recorder.log).toEqual(['gap 1-10 partial conflated', 3, 7, 11]);
    expect(recorder.holes).toEqual([]);
  });

  it('P25 fetches a jump beyond the end of a partial gap, and not what the gap announced', () => {
    const recorder = started();
    recorder.gap(1, 10, { partial: true });
    recorder.event(3, 13);
    expect(recorder.holes).toEqual([{ token: 1, epoch: 'e1', from: 11, until: 12 }]);
  });

  it('P25 partial gaps follow, and overlap, one another', () => {
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

  it('P25 a partial gap ends where something beyond it begins: also a gap, resumed and reset', () => {
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

  it('P25 a connection lost inside a partial gap resumes from the last event given, not from its end', () => {
    const recorder = started();
    recorder.gap(1, 10, { partial: true });
    recorder.event(4);
    recorder.cursor.stop();
    expect(recorder.cursor.position?.seq).toBe(4);
  });
});

describe('resumed (P12)', () => {
  it('P12 passes it on in its place', () => {
    const recorder = started();
    recorder.event(1);
    recorder.cursor.resumed({ epoch: 'e1', seq: 1 });
    recorder.event(2);
    expect(recorder.log).toEqual([1, 'resumed 1', 2]);
  });

  it('P12 G3 finds what the replay left out by the seq that it names', () => {
    const recorder = started();
    recorder.event(1);
    recorder.cursor.resumed({ epoch: 'e1', seq: 3 });
    expect(recorder.holes).toEqual([{ token: 1, epoch: 'e1', from: 2, until: 3 }]);
    recorder.page([2, 3]);
    expect(recorder.log).toEqual([1, 2, 3, 'resumed 3']);
  });
});

describe('reset (P10, P14)', () => {
  it('P14 lost: the new position', () => {
    const recorder = started(5);
    recorder.cursor.reset({ recovery: 'lost', position: { epoch: 'e2', seq: 2 } });
    recorder.cursor.event({ epoch: 'e2', seq: 3 });
    expect(recorder.delivered).toEqual([3]);
  });

  it('P14 complete: its own seq under the new epoch', () => {
    const recorder = started(5);
    recorder.cursor.reset({ recovery: 'complete', position: { epoch: 'e2', seq: 6 } });
    recorder.cursor.event({ epoch: 'e2', seq: 6 });
    expect(recorder.delivered).toEqual([6]);
    expect(recorder.holes).toEqual([]);
  });

  it('P14 complete while a jump is read: resumes from before the jump under the new epoch', () => {
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

describe('property', () => {
  type Op =
    | { readonly kind: 'send' | 'skip' | 'repeat' | 'gap'; readonly count: number }
    | { readonly kind: 'partial'; readonly keep: readonly boolean[] }
    | { readonly kind: 'answer'; readonly page: number }
    | { readonly kind: 'trim'; readonly count: number }
    | { readonly kind: 'drop' };

  const count = fc.integer({ min: 1, max: 6 });
  const operation: fc.Arbitrary<Op> = fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('send' as const), count }) },
    fc.record({ kind: fc.constantFrom('skip' as const, 'repeat' as const, 'gap' as const), count }),
    fc.record({
      kind: fc.constant('partial' as const),
      keep: fc.array(fc.boolean(), { minLength: 1, maxLength: 8 }),
    }),
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('answer' as const), page: count }) },
    fc.record({ kind: fc.constant('trim' as const), count }),
    fc.record({ kind: fc.constant('drop' as const) }),
  );

  it('P14 G2 G3 whatever is lost, repeated, thinned, trimmed or cut: each event once and in order, or its range told', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5 }),
        fc.array(operation, { maxLength: 60 }),
        (start, operations) => {
          const recorder = started(start, 8);
          const { cursor } = recorder;
          /** Last event of the log, and first that it still holds. */
          let tip = start;
          let first = 1;
          let answered = 0;
          let resubscribed = 0;

          const range = (from: number, to: number): number[] =>
            Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);
          const resume = (): void => {
            const own = cursor.position?.seq ?? 0;
            const trimmed = own + 1 < first;
            const gap = recorder.answer({
              position: { epoch: 'e1', seq: tip },
              recovery: trimmed ? 'truncated' : 'complete',
              ...(trimmed ? { from: first, to: tip, cause: 'trimmed' as const } : {}),
            });
            if (gap !== undefined) recorder.gaps.push(gap);
            recorder.event(...range(Math.max(own + 1, first), tip));
            cursor.resumed({ epoch: 'e1', seq: tip });
          };
          const answerOne = (page: number): void => {
            const hole = recorder.holes[answered];
            if (hole === undefined) return;
            answered++;
            const all = range(Math.max(hole.from, first), hole.until);
            const events = all.slice(0, page).map((seq) => ({ epoch: 'e1', seq }));
            cursor.page(hole.token, { epoch: 'e1', events, more: all.length > page });
          };
          const settle = (): void => {
            while (resubscribed < recorder.resubscribes) {
              resubscribed = recorder.resubscribes;
              resume();
            }
          };

          for (const operation of operations) {
            switch (operation.kind) {
              case 'send':
                for (let n = 0; n < operation.count; n++) recorder.event(++tip);
                break;
              case 'skip':
                tip += operation.count;
                break;
              case 'repeat':
                recorder.event(
                  ...range(Math.max(1, tip - operation.count), tip).filter(
                    (seq) => seq <= (recorder.delivered.at(-1) ?? 0),
                  ),
                );
                break;
              case 'gap':
                recorder.gap(tip + 1, tip + operation.count);
                tip += operation.count;
                break;
              case 'partial': {
                const from = tip + 1;
                tip += operation.keep.length;
                recorder.gap(from, tip, { partial: true });
                operation.keep.forEach((kept, index) => kept && recorder.event(from + index));
                break;
              }
              case 'answer':
                answerOne(operation.page);
                break;
              case 'trim':
                first = Math.min(tip, first + operation.count);
                break;
              case 'drop':
                cursor.stop();
                resume();
            }
            settle();
          }
          cursor.resumed({ epoch: 'e1', seq: tip });
          for (
            let round = 0;
            round < 1_000 && (answered < recorder.holes.length || resubscribed < recorder.resubscribes);
            round++
          ) {
            answerOne(3);
            settle();
          }

          const { delivered, gaps } = recorder;
          expect(delivered).toEqual([...new Set(delivered)].sort((a, b) => a - b));
          const given = new Set(delivered);
          const announced = new Set(gaps.flatMap(({ from, to }) => range(from, to)));
          expect(range(start + 1, tip).filter((seq) => !given.has(seq) && !announced.has(seq))).toEqual([]);
          const whole = new Set(
            gaps.filter(({ partial }) => !partial).flatMap(({ from, to }) => range(from, to)),
          );
          expect(delivered.filter((seq) => whole.has(seq))).toEqual([]);
          expect(Math.max(cursor.position?.seq ?? 0, ...gaps.map(({ to }) => to))).toBe(tip);
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it('P14 never goes back inside an epoch, whatever a server sends', () => {
    const seq = fc.integer({ min: 0, max: 30 });
    const epoch = fc.constantFrom('e1', 'e2');
    const message = fc.oneof(
      fc.record({ kind: fc.constant('event' as const), epoch, seq }),
      fc.record({ kind: fc.constant('gap' as const), epoch, from: seq, to: seq, partial: fc.boolean() }),
      fc.record({ kind: fc.constant('resumed' as const), epoch, seq }),
      fc.record({
        kind: fc.constant('page' as const),
        token: fc.integer({ min: 1, max: 6 }),
        seqs: fc.array(seq),
        more: fc.boolean(),
      }),
      fc.record({ kind: fc.constant('complete' as const), epoch }),
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 50 }), (messages) => {
        const recorder = started(3, 5);
        const { cursor } = recorder;
        let last = cursor.position as Position;
        for (const item of messages) {
          switch (item.kind) {
            case 'event':
              cursor.event({ epoch: item.epoch, seq: item.seq });
              break;
            case 'gap':
              if (item.to >= item.from) {
                cursor.gap(item.epoch, { ...item, reason: 'overflow', recoverable: false });
              }
              break;
            case 'resumed':
              cursor.resumed(item);
              break;
            case 'page':
              cursor.page(item.token, {
                epoch: cursor.position?.epoch ?? '',
                events: item.seqs.map((at) => ({ epoch: 'e1', seq: at })),
                more: item.more,
              });
              break;
            case 'complete':
              cursor.answer({ recovery: 'complete', position: { epoch: item.epoch, seq: last.seq } });
          }
          const now = cursor.position as Position;
          if (now.epoch === last.epoch) expect(now.seq).toBeGreaterThanOrEqual(last.seq);
          last = now;
        }
        const sorted = [...recorder.delivered].sort((a, b) => a - b);
        expect(recorder.delivered).toEqual([...new Set(sorted)]);
      }),
      { numRuns: 500 },
    );
  });
});
