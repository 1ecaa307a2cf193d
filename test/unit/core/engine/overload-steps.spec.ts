import { beforeEach, describe, expect, it } from '@jest/globals';
import { OverloadSteps } from '../../../../lib/core/engine/overload/overload-steps.js';
import type { OverloadSample, SheddingPolicy } from '../../../../lib/core/ports/overload.js';
import { SHEDDING } from '../../../support/engine/overload.js';

const CALM: OverloadSample = { loopDelayMs: 0, memory: 0.5, queueAgeMs: 0 };

describe('the steps against an overload (G33)', () => {
  let steps: OverloadSteps;
  let now: number;
  const start = (patch: Partial<SheddingPolicy> = {}): void => {
    steps = new OverloadSteps({ ...SHEDDING, ...patch });
    now = 5_000;
  };
  beforeEach(() => start());

  /** The load for so many seconds, read once in each. @returns the steps that were taken after each change. */
  function hold(load: Partial<OverloadSample>, seconds: number): number[] {
    const changes: number[] = [];
    for (let second = 0; second < seconds; second++) {
      const change = steps.note({ ...CALM, ...load }, now);
      if (change !== undefined) changes.push(change.isMore ? change.steps : -change.steps);
      now += 1_000;
    }
    return changes;
  }

  it.each([
    ['the event loop', { loopDelayMs: 100 }, { loopDelayMs: 99.9 }],
    ['the memory', { memory: 0.9 }, { memory: 0.899 }],
    ['the queue', { queueAgeMs: 1_000 }, { queueAgeMs: 999 }],
  ])('%s alone is enough, from its threshold on', (_, at, below) => {
    expect(hold(below, 60)).toEqual([]);
    expect(hold(at, 3)).toEqual([1]);
  });

  it('they come one by one, each after its own time, up to the last', () => {
    expect(hold({ loopDelayMs: 500 }, 2)).toEqual([]);
    expect(hold({ loopDelayMs: 500 }, 1)).toEqual([1]);
    expect(hold({ loopDelayMs: 500 }, 1)).toEqual([]);
    expect(hold({ loopDelayMs: 500 }, 60)).toEqual([2, 3, 4]);
  });

  it('they end one by one in the reverse order, each after its own time', () => {
    hold({ loopDelayMs: 500 }, 60);
    expect(hold({}, 4)).toEqual([]);
    expect(hold({}, 1)).toEqual([-3]);
    expect(hold({}, 3)).toEqual([]);
    expect(hold({}, 60)).toEqual([-2, -1, -0]);
  });

  it('a load between relief and threshold changes nothing, and both times begin again behind it', () => {
    hold({ loopDelayMs: 500 }, 3);
    expect(hold({ loopDelayMs: 60 }, 60)).toEqual([]);
    expect(hold({ loopDelayMs: 500 }, 2)).toEqual([]);
    expect(hold({ loopDelayMs: 99 }, 1)).toEqual([]);
    expect(hold({ loopDelayMs: 500 }, 2)).toEqual([]);
    expect(hold({ loopDelayMs: 59 }, 4)).toEqual([]);
    expect(hold({ loopDelayMs: 60 }, 1)).toEqual([]);
    expect(hold({ loopDelayMs: 59 }, 4)).toEqual([]);
    expect(hold({ loopDelayMs: 59 }, 1)).toEqual([-0]);
  });

  it('memory relieves only where half as much again is free as at the threshold', () => {
    hold({ memory: 0.95 }, 3);
    expect(hold({ memory: 0.86 }, 60)).toEqual([]);
    expect(hold({ memory: 0.85 }, 60)).toEqual([-0]);
  });

  it('one long pause of the process is no overload, and no relief', () => {
    start({ raiseAfterMs: 3_000 });
    hold({ loopDelayMs: 500 }, 1);
    now += 600_000;
    expect(hold({ loopDelayMs: 600_000 }, 1)).toEqual([]);
    expect(hold({ loopDelayMs: 500 }, 2)).toEqual([1]);
    hold({}, 1);
    now += 600_000;
    expect(hold({}, 1)).toEqual([]);
    expect(hold({}, 3)).toEqual([-0]);
  });

  it.each([
    ['connections', [1]],
    ['history', [1, 2]],
    ['low', [1, 2, 3]],
    ['presence', [1, 2, 3, 4]],
  ] as const)('up to %s, no further one is taken', (upTo, expected) => {
    start({ upTo });
    expect(hold({ loopDelayMs: 500 }, 60)).toEqual(expected);
    expect(hold({}, 100)).toHaveLength(expected.length);
  });
});
