import type { Clock, Scheduled } from '../ports/clock.js';
import type { FlushPace } from './flush-pace.js';
import { Staging } from './write-coalescer.js';

/** Something that collects work during a turn of the event loop. */
export interface Flushable {
  flush(): void;
}

/** A channel, whose events may wait for more of them. */
export interface FlushableChannel extends Flushable {
  /** Events that wait. */
  readonly pendingCount: number;
}

/**
 * Runs collected work once at the end of the turn (hot path 2): first the channels, which hand their batches to
 * sessions, then the sessions that have something of their own queued. Under load the channels wait a little longer, as
 * the {@link FlushPace} says; sessions never do.
 */
export class FlushScheduler {
  private channels: FlushableChannel[] = [];
  private sessions: Flushable[] = [];
  private scheduled = false;
  private pause: Scheduled | undefined;
  /** Whether batches go straight to the sockets, or wait for those of other channels. */
  readonly staging = new Staging();

  constructor(
    private readonly clock: Clock,
    private readonly pace: FlushPace,
    /** Told of a failure; it must not keep the others of the turn from being flushed, nor end the process. */
    private readonly onError: (error: unknown) => void,
  ) {}

  channel(channel: FlushableChannel): void {
    this.channels.push(channel);
    // Whoever waits already is waited for together.
    if (this.pause === undefined) this.arm();
  }

  session(session: Flushable): void {
    this.sessions.push(session);
    this.arm();
  }

  /** Flushes what waits, without a pause. */
  flushNow(): void {
    this.pause?.cancel();
    this.pause = undefined;
    if (this.channels.length > 0) this.flushChannels();
    this.flushSessions();
  }

  private arm(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.run);
  }

  private readonly run = (): void => {
    this.scheduled = false;
    if (this.channels.length > 0 && this.pause === undefined) {
      const pauseMs = this.pace.pauseAt(this.clock.monotonic());
      if (pauseMs === 0) this.flushChannels();
      else this.wait(pauseMs);
    }
    this.flushSessions();
  };

  private wait(pauseMs: number): void {
    const before = this.pendingCount();
    this.pause = this.clock.schedule(pauseMs, () => {
      this.pause = undefined;
      this.pace.paused(this.pendingCount() > before);
      this.flushNow();
    });
  }

  private pendingCount(): number {
    let count = 0;
    for (const channel of this.channels) count += channel.pendingCount;
    return count;
  }

  private flushChannels(): void {
    const startedAt = this.clock.monotonic();
    const channels = this.channels;
    this.channels = [];
    this.staging.begin(channels.length);
    for (const channel of channels) this.flush(channel);
    this.staging.end();
    this.pace.flushed(startedAt, this.clock.monotonic());
  }

  private flushSessions(): void {
    const sessions = this.sessions;
    this.sessions = [];
    for (const session of sessions) this.flush(session);
  }

  private flush(flushable: Flushable): void {
    try {
      flushable.flush();
    } catch (error) {
      this.onError(error);
    }
  }
}
