import { describe, expect, it } from '@jest/globals';
import { ReadWindow } from '../../../../../lib/brokers/redis/connection/read-window.js';
import { ManualClock, settle } from '../../../../support/engine/manual-clock.js';

const PLACES = 32;

/** A promise that the test settles. */
function deferred() {
  let resolve: (value: string) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<string>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  promise.catch(() => undefined);
  return { promise, resolve, reject };
}

function windowOf() {
  let idle = 0;
  const late = new Map<unknown, Promise<unknown>>();
  const clock = new ManualClock();
  const window = new ReadWindow(clock, () => {
    idle += 1;
  });
  const reads: ReturnType<typeof deferred>[] = [];
  const read = () => {
    const outcome = window.run(
      () => {
        const one = deferred();
        reads.push(one);
        return one.promise;
      },
      (error) => late.get(error),
    );
    outcome.catch(() => undefined);
    return outcome;
  };
  return { clock, window, late, reads, read, idle: () => idle };
}

describe('the reads under way on one connection', () => {
  it('a place passes on with the answer, and with a refusal', async () => {
    const { reads, read, idle } = windowOf();
    const outcomes = Array.from({ length: PLACES + 2 }, read);
    expect(reads.length).toBe(PLACES);
    reads[0]?.resolve('a');
    reads[1]?.reject(new Error('refused'));
    expect(await outcomes[0]).toBe('a');
    await expect(outcomes[1]).rejects.toThrow('refused');
    await settle();
    expect(reads.length).toBe(PLACES + 2);
    for (const { resolve } of reads) resolve('b');
    await settle();
    expect(idle()).toBe(1);
  });

  it.each(['comes', 'is lost with the connection'])(
    'a read that timed out keeps its place until its answer %s, the second time too',
    async (end) => {
      const { late, reads, read, idle } = windowOf();
      for (const time of [1, 2]) {
        reads.length = 0;
        const answer = deferred();
        const timedOut = new Error('timeout');
        late.set(timedOut, answer.promise);
        const outcomes = Array.from({ length: PLACES + 1 }, read);
        reads[0]?.reject(timedOut);
        await expect(outcomes[0]).rejects.toBe(timedOut);
        await settle();
        expect(reads.length).toBe(PLACES);
        if (end === 'comes') answer.resolve('late');
        else answer.reject(new Error('closed'));
        await settle();
        expect(reads.length).toBe(PLACES + 1);
        for (const { resolve } of reads) resolve('b');
        await settle();
        expect(idle()).toBe(time);
      }
    },
  );

  it('a read whose turn does not come within 10 s is answered with timeout, and not begun', async () => {
    const { clock, reads, read, idle } = windowOf();
    void Array.from({ length: PLACES }, read);
    const first = read();
    clock.advance(4_000);
    const second = read();
    const third = read();
    clock.advance(5_999);
    // The line moves: its first one is now another.
    reads[0]?.resolve('a');
    await settle();
    expect(reads.length).toBe(PLACES + 1);
    clock.advance(4_000);
    await settle();
    reads[1]?.resolve('b');
    await settle();
    expect(reads.length).toBe(PLACES + 2);
    clock.advance(1);
    await expect(third).rejects.toMatchObject({ code: 'timeout', retryable: true });
    const last = read();
    for (const { resolve } of reads) resolve('c');
    await settle();
    reads.at(-1)?.resolve('c');
    expect(await Promise.all([first, second, last])).toEqual(['c', 'c', 'c']);
    await settle();
    expect(reads.length).toBe(PLACES + 3);
    expect(idle()).toBe(1);
    expect(clock.pending).toBe(0);
  });

  it('the timer of what waits ends with the line, also where it is refused', async () => {
    const { clock, window, read } = windowOf();
    void Array.from({ length: PLACES + 2 }, read);
    expect(clock.pending).toBe(1);
    window.refuseWaiting(new Error('stalled'));
    expect(clock.pending).toBe(0);
    const again = read();
    clock.advance(10_000);
    await expect(again).rejects.toMatchObject({ code: 'timeout' });
    expect(clock.pending).toBe(0);
  });

  it('what waits can be refused; what is under way keeps its places', async () => {
    const { window, reads, read, idle } = windowOf();
    const outcomes = Array.from({ length: PLACES + 2 }, read);
    window.refuseWaiting(new Error('stalled'));
    for (const outcome of outcomes.slice(PLACES)) await expect(outcome).rejects.toThrow('stalled');
    const later = read();
    await settle();
    expect(reads.length).toBe(PLACES);
    reads[0]?.resolve('a');
    await settle();
    expect(reads.length).toBe(PLACES + 1);
    for (const { resolve } of reads) resolve('b');
    expect(await later).toBe('b');
    await settle();
    expect(idle()).toBe(1);
  });
});
