import { describe, expect, it } from '@jest/globals';
import { FlushPace } from '../../../../lib/core/outbox/flush-pace.js';
import { FlushScheduler, type FlushableChannel } from '../../../../lib/core/outbox/flush-scheduler.js';
import { ManualClock, settle } from '../../../support/engine/manual-clock.js';

const FLUSH_MS = 8;

/** A pace that has just seen `count` flushes, each of which new events waited for. */
function saturated(
  pace: FlushPace,
  count: number,
  from = 0,
  flushMs = FLUSH_MS,
): { readonly now: number; readonly pauses: number[] } {
  let now = from;
  const pauses: number[] = [];
  for (let index = 0; index < count; index++) {
    pauses.push(pace.pauseAt(now));
    pace.flushed(now, now + flushMs);
    now += flushMs;
  }
  return { now, pauses };
}

describe('the pause between flushes', () => {
  it('the pause is 0 while the node keeps up', () => {
    const pace = new FlushPace(25);
    for (let now = 0; now < 1_000; now += 20) {
      expect(pace.pauseAt(now)).toBe(0);
      pace.flushed(now, now + FLUSH_MS);
    }
  });

  it('the pause is 0 for short flushes, however many there are', () => {
    const pace = new FlushPace(25);
    for (let now = 0; now < 100; now += 0.5) {
      expect(pace.pauseAt(now)).toBe(0);
      pace.flushed(now, now + 0.5);
    }
  });

  it('the pause is three times as long as the flush on a saturated node', () => {
    expect(saturated(new FlushPace(25), 5).pauses).toEqual([0, 0, 0, 24, 24]);
    expect(saturated(new FlushPace(0), 5).pauses).toEqual([0, 0, 0, 0, 0]);
  });

  it('the pause delays nothing for more than twice the bound, and is 0 for a node at its limit', () => {
    for (const [flushMs, pauseMs] of [
      [10, 22.5],
      [16, 13.5],
      [20, 7.5],
      [25, 0],
      [60, 0],
    ] as const) {
      expect(saturated(new FlushPace(25), 4, 0, flushMs).pauses.at(-1)).toBe(pauseMs);
      // Who came too late for a flush waits for it, for the pause, and for the next.
      if (flushMs <= 25) expect(2 * flushMs + pauseMs).toBeLessThanOrEqual(50);
    }
  });

  it('the pause counts the time since the last flush', () => {
    const pace = new FlushPace(25);
    const { now } = saturated(pace, 4);
    expect(pace.pauseAt(now + 3)).toBe(21);
  });

  it('the pause ends when the load ends', () => {
    const pace = new FlushPace(25);
    const { now } = saturated(pace, 6);
    expect(pace.pauseAt(now + 100)).toBe(0);
    pace.flushed(now + 100, now + 101);
    expect(pace.pauseAt(now + 101)).toBe(0);
  });

  it('a pause that gains nothing is skipped, and tried again at growing intervals', () => {
    const pace = new FlushPace(25);
    const until = (from: number): { now: number; flushes: number } => {
      let now = from;
      for (let flushes = 0; ; flushes++) {
        const pause = pace.pauseAt(now);
        if (pause > 0) {
          pace.paused(false);
          pace.flushed(now + pause, now + pause + FLUSH_MS);
          return { now: now + pause + FLUSH_MS, flushes };
        }
        pace.flushed(now, now + FLUSH_MS);
        now += FLUSH_MS;
      }
    };
    const first = until(0);
    const second = until(first.now);
    const third = until(second.now);
    expect([first.flushes, second.flushes, third.flushes]).toEqual([3, 32, 64]);
  });
});

describe('the flush scheduler', () => {
  class Channel implements FlushableChannel {
    pendingCount = 0;
    readonly flushed: number[] = [];

    constructor(private readonly clock: ManualClock) {}

    flush(): void {
      this.flushed.push(this.pendingCount);
      this.pendingCount = 0;
      this.clock.advance(FLUSH_MS);
    }
  }

  /** A scheduler under load: what comes now waits. */
  async function loaded() {
    const clock = new ManualClock();
    const scheduler = new FlushScheduler(clock, new FlushPace(25), (error) => {
      throw error;
    });
    const channel = new Channel(clock);
    const publish = (): void => {
      if (channel.pendingCount++ === 0) scheduler.channel(channel);
    };
    for (let turn = 0; turn < 3; turn++) {
      publish();
      await settle();
    }
    expect(channel.flushed).toEqual([1, 1, 1]);
    return { clock, scheduler, channel, publish };
  }

  it('collects the events of a pause in one flush', async () => {
    const { clock, channel, publish } = await loaded();
    for (let turn = 0; turn < 5; turn++) {
      publish();
      await settle();
    }
    clock.advance(23);
    expect(channel.flushed).toEqual([1, 1, 1]);
    clock.advance(1);
    expect(channel.flushed).toEqual([1, 1, 1, 5]);
  });

  it('flushes sessions without a pause', async () => {
    const { scheduler, publish } = await loaded();
    publish();
    await settle();
    let flushes = 0;
    scheduler.session({ flush: () => void flushes++ });
    await settle();
    expect(flushes).toBe(1);
  });

  it('flushes at once on request, and not a second time', async () => {
    const { clock, scheduler, channel, publish } = await loaded();
    publish();
    await settle();
    scheduler.flushNow();
    expect(channel.flushed).toEqual([1, 1, 1, 1]);
    expect(clock.pending).toBe(0);
    clock.advance(100);
    expect(channel.flushed).toHaveLength(4);
  });

  it('sessions have a part of the turn: the rest waits for the next one, before those that came later', async () => {
    const clock = new ManualClock();
    const scheduler = new FlushScheduler(clock, new FlushPace(25), (error) => {
      throw error;
    });
    const turns: string[][] = [];
    let flushed: string[] = [];
    const session = (name: string, ms: number, then = (): void => undefined) =>
      scheduler.session({
        flush: () => {
          flushed.push(name);
          clock.advance(ms);
          then();
        },
      });
    for (const name of ['a', 'b', 'c', 'd', 'e']) session(name, 4);
    session('f', 4, () => session('g', 0));
    for (let turn = 0; turn < 4; turn++) {
      await new Promise((resolve) => setImmediate(resolve));
      turns.push(flushed);
      flushed = [];
      if (turn === 0) session('later', 1);
    }
    expect(turns).toEqual([
      ['a', 'b'],
      ['c', 'd'],
      ['e', 'f'],
      ['later', 'g'],
    ]);
    session('h', 4);
    session('i', 4);
    session('j', 4);
    scheduler.flushNow();
    expect(flushed).toEqual(['h', 'i', 'j']);
  });

  it('sessions in which little waits go first, and of the others one has its turn in any case', async () => {
    const clock = new ManualClock();
    const scheduler = new FlushScheduler(clock, new FlushPace(25), (error) => {
      throw error;
    });
    const turns: string[][] = [];
    let flushed: string[] = [];
    const session = (name: string, ms: number, isLarge?: boolean): void =>
      scheduler.session({
        ...(isLarge === undefined ? {} : { isLarge }),
        flush: () => {
          flushed.push(name);
          clock.advance(ms);
        },
      });
    const turn = async (): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve));
      turns.push(flushed);
      flushed = [];
    };
    for (const name of ['A', 'B', 'C', 'D', 'E', 'F']) session(name, 4, true);
    session('a', 1, false);
    await turn();
    session('b', 1);
    await turn();
    for (const name of ['c', 'd', 'e']) session(name, 4);
    await turn();
    await turn();
    await turn();
    expect(turns).toEqual([['a', 'A', 'B'], ['b', 'C', 'D'], ['c', 'd', 'E'], ['e', 'F'], []]);
    // Nobody else comes: they have turns nevertheless.
    for (const name of ['A', 'B', 'C', 'D', 'E']) session(name, 8, true);
    for (let count = 0; count < 5; count++) await turn();
    expect(turns.splice(-5)).toEqual([['A'], ['B'], ['C'], ['D'], ['E']]);
    for (const name of ['A', 'B', 'C']) session(name, 4, true);
    session('a', 8);
    await turn();
    session('b', 1);
    scheduler.flushNow();
    expect(turns.pop()).toEqual(['a', 'A']);
    expect(flushed).toEqual(['b', 'B', 'C']);
  });

  it('flushes the others when one flush fails', async () => {
    const errors: unknown[] = [];
    const scheduler = new FlushScheduler(
      new ManualClock(),
      new FlushPace(25),
      (error) => void errors.push(error),
    );
    let flushes = 0;
    scheduler.session({
      flush: () => {
        throw new Error('broken');
      },
    });
    scheduler.session({ flush: () => void flushes++ });
    await settle();
    expect([errors.length, flushes]).toEqual([1, 1]);
  });
});
