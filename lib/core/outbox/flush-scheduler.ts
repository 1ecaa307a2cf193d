import type { Clock, Scheduled } from '../ports/clock.js';
import type { FlushPace } from './flush-pace.js';

/** Frames that a flush needs for a judgement whether waiting pays. */
const SIGNIFICANT = 64;
/** One of so many frames must have shared a write. */
const WORTHWHILE = 8;
/** How long the sessions of one turn of the event loop may take before the rest of them waits for the next, in milliseconds. */
const SESSIONS_MS = 8;
/** Flushes until it is tried again. */
const PROBE_AFTER = 16;

/** Something that collects work during a turn of the event loop. */
export interface Flushable {
  /** Whether so much waits in it that others are flushed first. Default: no. */
  readonly isLarge?: boolean;
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
  /** Sessions of earlier turns in which much waits. */
  private large: Flushable[] = [];
  private scheduled = false;
  private pause: Scheduled | undefined;
  private readonly run: () => void;
  /** Decides whether batches go straight to the sockets, or wait for those of other channels. */
  readonly writes = new WriteCoalescer();

  constructor(
    private readonly clock: Clock,
    private readonly pace: FlushPace,
    /** Called with a failure: it neither keeps the others of the turn from being flushed, nor ends the process. */
    private readonly onError: (error: unknown) => void,
    /** Makes a task that belongs to no command, where commands are traced. */
    detached: (task: () => void) => () => void = (task) => task,
  ) {
    this.run = detached(() => this.flushTurn());
  }

  channel(channel: FlushableChannel): void {
    this.channels.push(channel);
    // During a pause it joins those that wait already.
    if (this.pause === undefined) this.arm();
  }

  session(session: Flushable): void {
    this.sessions.push(session);
    this.arm();
  }

  /** Flushes everything now, without a pause. */
  flushNow(): void {
    this.pause?.cancel();
    this.pause = undefined;
    if (this.channels.length > 0) this.flushChannels();
    this.flushSessions(Infinity);
  }

  private arm(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(this.run);
  }

  private flushTurn(): void {
    this.scheduled = false;
    if (this.channels.length > 0 && this.pause === undefined) {
      const pauseMs = this.pace.pauseAt(this.clock.monotonic());
      if (pauseMs === 0) this.flushChannels();
      else this.wait(pauseMs);
    }
    this.flushSessions(SESSIONS_MS);
  }

  private wait(pauseMs: number): void {
    const before = this.pendingCount();
    this.pause = this.clock.schedule(pauseMs, () => {
      this.pause = undefined;
      this.pace.paused(this.pendingCount() > before);
      this.flushChannels();
      this.flushSessions(SESSIONS_MS);
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
    this.writes.begin(channels.length);
    for (const channel of channels) this.flush(channel);
    this.writes.end();
    this.pace.flushed(startedAt, this.clock.monotonic());
  }

  /**
   * A client that has read nothing for long takes megabytes at once: a hundred of them keep nobody from being served, and an answer
   * of a few bytes does not wait until they have theirs. One of them is flushed in each turn, however many others come.
   */
  private flushSessions(withinMs: number): void {
    const { sessions, large, clock } = this;
    if (sessions.length === 0 && large.length === 0) return;
    this.sessions = [];
    this.large = [];
    const startedAt = clock.monotonic();
    const isOver = (): boolean => clock.monotonic() - startedAt >= withinMs;
    let next = 0;
    while (next < sessions.length) {
      const session = sessions[next++] as Flushable;
      if (session.isLarge === true) large.push(session);
      else {
        this.flush(session);
        if (isOver()) break;
      }
    }
    let nextLarge = 0;
    while (nextLarge < large.length) {
      this.flush(large[nextLarge++] as Flushable);
      if (isOver()) break;
    }
    if (next < sessions.length) this.sessions = [...sessions.slice(next), ...this.sessions];
    if (nextLarge < large.length) this.large = large.slice(nextLarge);
    if (this.sessions.length > 0 || this.large.length > 0) this.arm();
  }

  private flush(flushable: Flushable): void {
    try {
      flushable.flush();
    } catch (error) {
      this.onError(error);
    }
  }
}

/**
 * Decides whether frames of several channels wait for the end of a flush, so that a session of more than one of them is
 * written to once. Where the channels of a turn have few sessions in common, waiting gains nothing and costs a second
 * look at each session: then it is off, and tried again every few flushes.
 */
export class WriteCoalescer {
  /** Whether frames of the present flush wait. */
  active = false;
  private frames = 0;
  private merged = 0;
  private resting = 0;

  begin(channels: number): void {
    this.active = false;
    if (channels <= 1) return;
    if (this.resting > 0) {
      this.resting--;
      return;
    }
    this.active = true;
    this.frames = 0;
    this.merged = 0;
  }

  /** @param shares whether another frame of the same session waits already. */
  note(shares: boolean): void {
    this.frames++;
    if (shares) this.merged++;
  }

  end(): void {
    if (!this.active) return;
    this.active = false;
    if (this.frames >= SIGNIFICANT && this.merged * WORTHWHILE < this.frames) this.resting = PROBE_AFTER;
  }
}
