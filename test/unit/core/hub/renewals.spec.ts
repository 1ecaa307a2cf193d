import { beforeEach, describe, expect, it } from '@jest/globals';
import { RetryQueue } from '../../../../lib/core/async/retry-queue.js';
import { Renewals } from '../../../../lib/core/hub/renewals.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

const LEASE_MS = 30_000;
const PERIOD_MS = LEASE_MS / 3;
const BATCH = 1_000;
/** Parts of a round. */
const STEPS = 100;

interface Call {
  readonly at: number;
  readonly things: readonly number[];
}

describe('leases that are renewed (G19, G32)', () => {
  let clock: ManualClock;
  let retries: RetryQueue;
  let calls: Call[];
  let warnings: string[];
  let all: Set<number>;
  let answer: (things: readonly number[]) => Promise<void>;
  let startedAt: number;
  let renewals: Renewals<number>;

  beforeEach(() => {
    clock = new ManualClock();
    retries = new RetryQueue(clock);
    calls = [];
    warnings = [];
    all = new Set();
    answer = () => Promise.resolve();
    startedAt = clock.monotonic();
    renewals = new Renewals({
      clock,
      retries,
      journal: { warn: (_, message) => void warnings.push(message()) },
      leaseMs: LEASE_MS,
      what: 'things',
      all,
      has: (one) => all.has(one),
      bytesOf: () => 10,
      renew: (things) => {
        calls.push({ at: clock.monotonic() - startedAt, things: [...things] });
        return answer(things);
      },
    });
    renewals.start();
  });

  function fill(count: number, from = 0): void {
    for (let index = from; index < from + count; index++) all.add(index);
  }

  function taken(): readonly Call[] {
    return calls.splice(0);
  }

  /** How many are renewed within each of so many parts of the time of a round. */
  function spread(made: readonly Call[], from: number, parts: number): readonly number[] {
    const sums = Array.from({ length: parts }, () => 0);
    for (const { at, things } of made) {
      const part = Math.floor(((at - from) * parts) / PERIOD_MS);
      sums[part] = (sums[part] ?? 0) + things.length;
    }
    return sums;
  }

  it('are spread evenly over a third of their time, each once', async () => {
    fill(100_000);
    await clock.advanceAsync(2 * PERIOD_MS - 1);
    const made = taken();
    expect(spread(made, PERIOD_MS, STEPS)).toEqual(Array.from({ length: STEPS }, () => BATCH));
    expect(new Set(made.flatMap(({ things }) => things)).size).toBe(100_000);
    await clock.advanceAsync(PERIOD_MS);
    expect(spread(taken(), 2 * PERIOD_MS, STEPS)).toEqual(Array.from({ length: STEPS }, () => BATCH));
    expect(warnings).toEqual([]);
  });

  it('are renewed in several calls of one part where there are more than one call takes', async () => {
    fill(300_000);
    await clock.advanceAsync(2 * PERIOD_MS - 1);
    const made = taken();
    expect(spread(made, PERIOD_MS, STEPS)).toEqual(Array.from({ length: STEPS }, () => 3 * BATCH));
    expect(Math.max(...made.map(({ things }) => things.length))).toBe(BATCH);
  });

  it('are renewed in few calls where there are few of them', async () => {
    fill(1_001);
    await clock.advanceAsync(2 * PERIOD_MS - 1);
    expect(taken().map(({ at, things }) => [at - PERIOD_MS, things.length])).toEqual([
      [0, 200],
      [100, 200],
      [200, 200],
      [300, 200],
      [400, 200],
      [500, 1],
    ]);
  });

  it('are renewed in time although others come and end all the time', async () => {
    fill(10_000);
    const renewedAt = new Map([...all].map((one) => [one, 0]));
    let next = 10_000;
    for (let ms = 0; ms < 4 * LEASE_MS; ms += 250) {
      // Five thousand a second that end half a second later, and every tenth one ends for good.
      for (let index = 0; index < 1_250; index++) all.add(next++);
      for (let index = next - 3_750; index < next - 2_500; index++) if (index >= 10_000) all.delete(index);
      await clock.advanceAsync(250);
      for (const { at, things } of taken()) for (const one of things) renewedAt.set(one, at);
      for (let one = 0; one < 10_000; one++)
        if (ms + 250 - (renewedAt.get(one) ?? 0) > 2 * PERIOD_MS + 250) throw new Error(`${one} at ${ms}`);
    }
    expect(renewedAt.size).toBeGreaterThan(10_000);
    expect(warnings).toEqual([]);
  });

  it('are renewed once more soon where the broker did not take them, and the rest at once after it', async () => {
    fill(100_000);
    let isAway = true;
    answer = () => (isAway ? Promise.reject(new Error('away')) : Promise.resolve());
    await clock.advanceAsync(PERIOD_MS + 2_000);
    isAway = false;
    taken();
    retries.wake();
    await clock.advanceAsync(500);
    const made = taken();
    expect(new Set(made.flatMap(({ things }) => things)).size).toBe(100_000);
    expect(made.flatMap(({ things }) => things)).toHaveLength(100_000);
  });

  it('are tried again twice a second, no more often, while the broker is away', async () => {
    fill(100);
    answer = () => Promise.reject(new Error('away'));
    await clock.advanceAsync(PERIOD_MS + 5_000);
    expect(taken()).toHaveLength(11);
    answer = () => Promise.resolve();
    await clock.advanceAsync(500);
    expect(taken()).toHaveLength(1);
    await clock.advanceAsync(PERIOD_MS - 5_500 - 1);
    expect(taken()).toEqual([]);
    await clock.advanceAsync(1);
    expect(taken()).toHaveLength(1);
  });

  it('are renewed in their time although the broker refuses one of each call', async () => {
    fill(100_000);
    answer = () => Promise.reject(new Error('one is refused'));
    await clock.advanceAsync(2 * PERIOD_MS - 1);
    expect(new Set(taken().flatMap(({ things }) => things)).size).toBe(100_000);
    await clock.advanceAsync(PERIOD_MS);
    expect(new Set(taken().flatMap(({ things }) => things)).size).toBe(100_000);
    expect(warnings).toEqual([]);
  });

  it('are not tried again after they ended', async () => {
    fill(10);
    answer = () => Promise.reject(new Error('away'));
    await clock.advanceAsync(PERIOD_MS);
    taken();
    for (const one of [...all]) if (one > 2) all.delete(one);
    await clock.advanceAsync(500);
    expect(taken().map(({ things }) => things)).toEqual([[0, 1, 2]]);
    all.clear();
    await clock.advanceAsync(PERIOD_MS);
    expect(taken()).toEqual([]);
  });

  it('that are late are renewed as fast as the broker answers, and the log says so once', async () => {
    fill(100_000);
    const slow = (): Promise<void> => new Promise((done) => clock.schedule(1_000, done));
    answer = slow;
    await clock.advanceAsync(PERIOD_MS + 60_000);
    const made = taken();
    expect(made.map(({ at }) => at)).toEqual(made.map((_, index) => PERIOD_MS + 1_000 * index));
    expect(warnings).toEqual([
      'Renewing 100000 things takes longer than a third of their lease (30000 ms): some may end although they are ' +
        'still there. Check that the broker answers, give a longer `presenceLease`, or use more nodes',
    ]);
    answer = () => Promise.resolve();
    await clock.advanceAsync(4 * PERIOD_MS);
    expect(warnings).toHaveLength(1);
    answer = slow;
    await clock.advanceAsync(4 * PERIOD_MS);
    expect(warnings).toHaveLength(2);
  });

  it('are renewed in one call at a time', async () => {
    fill(20_000);
    answer = () => new Promise(() => undefined);
    await clock.advanceAsync(3 * LEASE_MS);
    expect(taken()).toHaveLength(1);
  });

  it('are not renewed any more after close()', async () => {
    fill(20_000);
    await clock.advanceAsync(PERIOD_MS + 1_000);
    taken();
    renewals.close();
    await clock.advanceAsync(LEASE_MS);
    expect(taken()).toEqual([]);
    expect(clock.pending).toBe(0);
  });

  it('are not renewed any more where it was closed during a call', async () => {
    fill(20_000);
    let end = (): void => undefined;
    answer = () => new Promise((resolve) => (end = resolve));
    await clock.advanceAsync(PERIOD_MS);
    taken();
    renewals.close();
    end();
    await settle();
    await clock.advanceAsync(LEASE_MS);
    expect(taken()).toEqual([]);
    expect(clock.pending).toBe(0);
  });
});
