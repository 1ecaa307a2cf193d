import { beforeEach, describe, expect, it } from '@jest/globals';
import { Lag, MAX_BEHIND_MS } from '../../../../lib/brokers/replicated/lag.js';
import type { LogBounds } from '../../../../lib/brokers/replicated/ordered-log.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

describe('how far a node is behind', () => {
  let clock: ManualClock;
  let lag: Lag;
  let end: number | undefined;
  let next: number;
  let asked: number;

  beforeEach(() => {
    clock = new ManualClock();
    [end, next, asked] = [10, 10, 0];
    lag = new Lag(clock, async (): Promise<LogBounds> => {
      asked += 1;
      if (end === undefined) throw new Error('away');
      return { first: 0, end, incarnation: 'life' };
    });
  });

  /** A second passes, and the node looks. */
  const second = async (): Promise<void> => {
    clock.advance(1_000);
    lag.look(() => next);
    await settle();
  };
  const seconds = async (count: number): Promise<void> => {
    for (let passed = 0; passed < count; passed += 1) await second();
  };
  const read = (to: number): void => {
    next = to;
    lag.onRead(to);
  };

  it('the log is asked once in five seconds while the node has read all of it', async () => {
    await seconds(4);
    expect(asked).toBe(0);
    await second();
    expect([asked, lag.behindMs]).toEqual([1, 0]);
    await seconds(10);
    expect(asked).toBe(3);
  });

  it('counts from the question whose end was not read, until that is', async () => {
    end = 12;
    await seconds(5 + 7);
    expect(lag.behindMs).toBe(7_000);
    end = 50;
    read(11);
    expect(lag.behindMs).toBe(7_000);
    read(12);
    expect(lag.behindMs).toBe(0);
    await second();
    expect([asked, lag.behindMs]).toEqual([3, 0]);
    await seconds(3);
    expect(lag.behindMs).toBe(3_000);
  });

  it('an end that went back is the one that counts: what was lost is waited for by nobody', async () => {
    end = 30;
    await seconds(5 + 4);
    end = 15;
    await second();
    read(14);
    expect(lag.behindMs).toBe(5_000);
    read(15);
    expect(lag.behindMs).toBe(0);
  });

  it('a log that does not answer is asked again, and the time until it does counts', async () => {
    end = undefined;
    await seconds(5 + 11);
    expect(lag.behindMs).toBeGreaterThan(MAX_BEHIND_MS);
    expect(asked).toBe(12);
    end = 10;
    await second();
    expect(lag.behindMs).toBe(0);
  });

  it('one question is under way at a time', async () => {
    let answer: (bounds: LogBounds) => void = () => undefined;
    lag = new Lag(clock, () => {
      asked += 1;
      return new Promise((resolve) => (answer = resolve));
    });
    await seconds(9);
    expect([asked, lag.behindMs]).toEqual([1, 4_000]);
    answer({ first: 0, end: 10, incarnation: 'life' });
    await settle();
    expect(lag.behindMs).toBe(0);
  });

  it('a state that was made again is up to date', async () => {
    end = 20;
    await seconds(5 + 12);
    lag.reset();
    expect([asked, lag.behindMs]).toEqual([3, 0]);
    await seconds(4);
    expect(asked).toBe(3);
  });
});
