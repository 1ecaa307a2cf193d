import type { Clock, Scheduled } from '../../core/ports/clock.js';

/** How long ids, or signs of life, may be written before others are served, in milliseconds. */
const SLICE_MS = 5;

/** Least part of a spread that a client waits: a server that cannot be reached is asked again by the browser, without a backoff. */
const LEAST_PART = 0.05;

/** A random wait, in milliseconds, so that clients that are cut at the same moment do not come back at the same moment. */
export function spread(random: () => number, withinMs: number): number {
  return Math.max(LEAST_PART, random()) * withinMs;
}

/** A stream that is due to write where its client stands. */
export interface Paced {
  writeId(): void;
}

/** Calls streams back after a fixed time, in the order in which they asked: one timer for all of them. */
export class IdPace {
  private due: { readonly stream: Paced; readonly at: number }[] = [];
  /** The first of {@link due} that was not called back. */
  private next = 0;
  private timer: Scheduled | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly afterMs: number,
  ) {}

  add(stream: Paced): void {
    const at = this.clock.monotonic() + this.afterMs;
    this.due.push({ stream, at });
    this.timer ??= this.clock.schedule(this.afterMs, this.run);
  }

  private readonly run = (): void => {
    this.timer = undefined;
    const startedAt = this.clock.monotonic();
    let now = startedAt;
    for (; this.next < this.due.length; this.next++) {
      const entry = this.due[this.next];
      if (entry === undefined || entry.at > now || now - startedAt > SLICE_MS) break;
      entry.stream.writeId();
      now = this.clock.monotonic();
    }
    const first = this.due[this.next];
    // Each is moved once at most, as at least as many were called back.
    if (this.next * 2 >= this.due.length) {
      this.due = this.due.slice(this.next);
      this.next = 0;
    }
    if (first === undefined) return;
    // Others are served for as long as this took.
    this.timer ??= this.clock.schedule(Math.max(now - startedAt, first.at - now), this.run);
  };
}

/** A stream whose silence is watched. */
export interface Beating {
  /** Monotonic time of its last write, as {@link Beats.stamp} had it. */
  readonly sentAt: number;
  /** Nothing was written for the interval. */
  beat(): void;
}

/** How many times the silence of a stream is looked at in its interval. */
const LOOKS = 8;

/** Gives a sign of life to streams that have been silent for an interval: one timer for all of them. */
export class Beats {
  /** Of the last look: cheap to read with each write. */
  stamp: number;
  private readonly streams = new Set<Beating>();
  private timer: Scheduled | undefined;

  constructor(
    private readonly clock: Clock,
    private readonly intervalMs: number,
  ) {
    this.stamp = clock.monotonic();
  }

  add(stream: Beating): void {
    this.streams.add(stream);
    if (this.timer === undefined) this.wait();
  }

  remove(stream: Beating): void {
    this.streams.delete(stream);
    if (this.streams.size > 0) return;
    this.timer?.cancel();
    this.timer = undefined;
  }

  private wait(): void {
    this.stamp = this.clock.monotonic();
    this.timer = this.clock.schedule(this.intervalMs / LOOKS, () => this.look());
  }

  private look(): void {
    this.wait();
    // One look earlier than the interval, since `sentAt` may be older than the write by one.
    const since = this.stamp - this.intervalMs * (1 - 1 / LOOKS);
    const due = [...this.streams].filter(({ sentAt }) => sentAt <= since);
    this.beat(due, 0, since);
  }

  /** After a message to all of them, all are due at the same moment. */
  private beat(due: readonly Beating[], from: number, since: number): void {
    const startedAt = this.clock.monotonic();
    for (let next = from; next < due.length; next++) {
      const stream = due[next];
      // Meanwhile it may have been written to, or be gone.
      if (stream === undefined || stream.sentAt > since || !this.streams.has(stream)) continue;
      stream.beat();
      if (this.clock.monotonic() - startedAt <= SLICE_MS) continue;
      this.clock.schedule(SLICE_MS, () => this.beat(due, next + 1, since));
      return;
    }
  }
}
