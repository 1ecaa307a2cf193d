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

describe('the pace of flushes', () => {
  it('lets nothing wait while the node keeps up', () => {
    const pace = new FlushPace(25);
    for (let now = 0; now < 1_000; now += 20) {
      expect(pace.pauseAt(now)).toBe(0);
      pace.flushed(now, now + FLUSH_MS);
    }
  });

  it('lets nothing wait for short flushes, however many', () => {
    const pace = new FlushPace(25);
    for (let now = 0; now < 100; now += 0.5) {
      expect(pace.pauseAt(now)).toBe(0);
      pace.flushed(now, now + 0.5);
    }
  });

  it('lets a saturated node rest three times as long as it wrote', () => {
    expect(saturated(new FlushPace(25), 5).pauses).toEqual([0, 0, 0, 24, 24]);
    expect(saturated(new FlushPace(0), 5).pauses).toEqual([0, 0, 0, 0, 0]);
  });

  it('lets nobody wait longer than twice the bound, and a node at its limit not rest at all', () => {
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

  it('counts the time that passed since the flush as rest', () => {
    const pace = new FlushPace(25);
    const { now } = saturated(pace, 4);
    expect(pace.pauseAt(now + 3)).toBe(21);
  });

  it('ends with the load', () => {
    const pace = new FlushPace(25);
    const { now } = saturated(pace, 6);
    expect(pace.pauseAt(now + 100)).toBe(0);
    pace.flushed(now + 100, now + 101);
    expect(pace.pauseAt(now + 101)).toBe(0);
  });

  it('gives up what gains nothing, and tries it again ever more seldom', () => {
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

describe('the scheduler of flushes', () => {
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

  it('gathers the events of a pause into one flush', async () => {
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

  it('does not let sessions wait', async () => {
    const { scheduler, publish } = await loaded();
    publish();
    await settle();
    let flushes = 0;
    scheduler.session({ flush: () => void flushes++ });
    await settle();
    expect(flushes).toBe(1);
  });

  it('flushes at once when it is told to, and not a second time', async () => {
    const { clock, scheduler, channel, publish } = await loaded();
    publish();
    await settle();
    scheduler.flushNow();
    expect(channel.flushed).toEqual([1, 1, 1, 1]);
    clock.advance(100);
    expect(channel.flushed).toHaveLength(4);
  });

  it('does not let one that fails keep the others from being flushed', async () => {
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
