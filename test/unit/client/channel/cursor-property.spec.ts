import { describe, expect, it } from '@jest/globals';
import type { Position } from '../../../../lib/protocol/position.js';
import fc from '../../../support/property.js';
import { started } from './cursor-recorder.js';

describe('the client cursor under any behaviour of a server', () => {
  type Op =
    | { readonly kind: 'send' | 'skip' | 'repeat' | 'gap'; readonly count: number }
    | { readonly kind: 'partial'; readonly keep: readonly boolean[] }
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
    fc.record({ kind: fc.constant('trim' as const), count }),
    fc.record({ kind: fc.constant('drop' as const) }),
  );

  it('delivers each event once and in order, or announces its range, for any loss, repeat, trimming or cut (P14, G2, G3)', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5 }),
        fc.array(operation, { maxLength: 60 }),
        (start, operations) => {
          const recorder = started(start);
          const { cursor } = recorder;
          /** Last event of the log, and first that it still holds. */
          let tip = start;
          let first = 1;
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
          settle();

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

  it('never moves back inside an epoch (P14)', () => {
    const seq = fc.integer({ min: 0, max: 30 });
    const epoch = fc.constantFrom('e1', 'e2');
    const message = fc.oneof(
      fc.record({ kind: fc.constant('event' as const), epoch, seq }),
      fc.record({ kind: fc.constant('gap' as const), epoch, from: seq, to: seq, partial: fc.boolean() }),
      fc.record({ kind: fc.constant('resumed' as const), epoch, seq }),
      fc.record({ kind: fc.constant('complete' as const), epoch }),
    );
    fc.assert(
      fc.property(fc.array(message, { maxLength: 50 }), (messages) => {
        const recorder = started(3);
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
