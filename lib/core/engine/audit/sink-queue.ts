import type { ThrottledLog } from '../../async/throttled-log.js';
import type { TimeLeft } from '../../async/time-left.js';
import type { AuditEntry, AuditSink } from '../../ports/audit.js';
import type { Clock, Scheduled } from '../../ports/clock.js';
import { isPromise } from '../../ports/maybe-promise.js';

/** Pauses of a sink that fails, in milliseconds: the first, and the longest. */
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
/** Failures of one entry after which the next one shows whether the sink fails, or only this entry. */
const FAILURES_OF_ONE = 8;
/** Writes that a sink may leave unanswered; it is handed nothing more then. */
const MAX_UNANSWERED = 8;
/** Entries that a sink takes at once before others have their turn. */
const AT_ONCE = 256;
/** Share of the time for closing that entries leave to the sink's own `close`. */
const CLOSE_SHARE = 0.25;

/** Bounds of what waits for one sink. */
export interface SinkQueueLimits {
  /** Entries that wait. What clients cause may fill half of it. */
  readonly maxEntries: number;
  /** Bytes of them. */
  readonly maxBytes: number;
  /** How long a sink may take for one entry, in milliseconds. */
  readonly writeTimeoutMs: number;
}

export interface SinkQueueDeps extends SinkQueueLimits {
  readonly sink: AuditSink;
  /** For the log. */
  readonly name: string;
  readonly clock: Clock;
  readonly journal: Pick<ThrottledLog, 'warn' | 'error'>;
  /** Makes the entry that says how many are missing at its place. */
  readonly lost: (count: number) => SizedEntry;
}

/** What became of the entries of a sink, for metrics. */
export interface SinkStatus {
  readonly name: string;
  /** Entries that wait. */
  readonly waiting: number;
  /** Writes that failed or took too long, since the start. */
  readonly failed: number;
  /** Entries that the sink did not get, since the start. */
  readonly lost: number;
}

/** An entry, and the bytes that it counts as. */
export interface SizedEntry {
  readonly entry: AuditEntry;
  readonly bytes: number;
}

/**
 * The entries that wait for one sink. They are written one after another, and again where that fails; what finds no room is counted,
 * and an entry of the act `lost` takes its place.
 */
export class SinkQueue {
  private readonly waiting: SizedEntry[] = [];
  private bytes = 0;
  private lostCount = 0;
  /** Since the start; those that an entry told of included. */
  private lostInAll = 0;
  private failedInAll = 0;
  private isWriting = false;
  /** Failures in a row of the first entry. */
  private failures = 0;
  private unanswered = 0;
  /** Whether the sink took the entry behind the first: it refuses this one, unless it takes it now. */
  private isLastTry = false;
  private pause: Scheduled | undefined;
  private isClosed = false;
  private readonly onEmpty: (() => void)[] = [];

  constructor(private readonly deps: SinkQueueDeps) {}

  get name(): string {
    return this.deps.name;
  }

  get size(): number {
    return this.waiting.length;
  }

  get status(): SinkStatus {
    const { name, size, failedInAll, lostInAll } = this;
    return { name, waiting: size, failed: failedInAll, lost: lostInAll };
  }

  /** Bytes of what waits. */
  get weight(): number {
    return this.bytes;
  }

  /** @param isOfClient whether a client caused it: that must not push out what people did. */
  push(item: SizedEntry, isOfClient: boolean): void {
    if (this.isClosed) return;
    if (this.lostCount > 0) this.markLost(item.bytes, isOfClient);
    if (this.lostCount > 0 || !this.fits(item.bytes, isOfClient)) this.lose();
    else this.add(item);
    this.run();
  }

  /** Ends the pause of a sink that failed: the application ends, and what waits has to be written soon. */
  hurry(): void {
    this.stopPause();
    this.failures = 0;
    this.run();
  }

  /**
   * Writes what waits now, and then takes nothing more.
   *
   * @returns a promise of how many entries the sink did not take within the time.
   */
  async close(time: TimeLeft): Promise<number> {
    const { sink, name, journal } = this.deps;
    if (this.lostCount > 0) this.markLost(0, false);
    this.hurry();
    if (this.waiting.length > 0) {
      const emptied = new Promise<void>((resolve) => this.onEmpty.push(resolve));
      const keepMs = sink.close === undefined ? 0 : time.ms * CLOSE_SHARE;
      await time.share({ keepMs }).wait(emptied);
    }
    this.isClosed = true;
    this.stopPause();
    const left = this.waiting.length + this.lostCount;
    const closing = attempt(() => sink.close?.());
    if (isPromise(closing) && !(await time.wait(closing.then(ignore, ignore))))
      journal.warn(`audit_close ${name}`, () => `The audit sink ${name} did not close in time`);
    return left;
  }

  private fits(bytes: number, isOfClient: boolean): boolean {
    const { maxEntries, maxBytes } = this.deps;
    const share = isOfClient ? 0.5 : 1;
    return this.waiting.length < maxEntries * share && this.bytes + bytes <= maxBytes * share;
  }

  private add(item: SizedEntry): void {
    this.waiting.push(item);
    this.bytes += item.bytes;
  }

  private lose(): void {
    this.lostCount++;
    this.lostInAll++;
    const { name, maxEntries, maxBytes, journal } = this.deps;
    journal.warn(
      `audit_lost ${name}`,
      () =>
        `The audit sink ${name} does not keep up: ${this.waiting.length} entries wait (at most ${maxEntries}, ${maxBytes} bytes), ` +
        'and further ones are lost. An entry of the act "lost" will say how many',
    );
  }

  /** Puts the entry about those that are lost, where there is room for it and for what comes next. */
  private markLost(nextBytes: number, isOfClient: boolean): void {
    const marker = this.deps.lost(this.lostCount);
    if (this.waiting.length + 1 >= this.deps.maxEntries || !this.fits(marker.bytes + nextBytes, isOfClient))
      return;
    this.lostCount = 0;
    this.add(marker);
  }

  private run(): void {
    let taken = 0;
    while (!this.isWriting && this.pause === undefined && !this.isClosed && this.waiting.length > 0) {
      if (this.unanswered >= MAX_UNANSWERED) return;
      if (++taken > AT_ONCE) return this.later(0);
      const isProbe = this.failures >= FAILURES_OF_ONE && !this.isLastTry && this.waiting.length > 1;
      this.write(this.waiting[isProbe ? 1 : 0] as SizedEntry);
    }
  }

  private write(item: SizedEntry): void {
    const { sink, clock, writeTimeoutMs, name } = this.deps;
    this.isWriting = true;
    let result: unknown;
    try {
      result = sink.write(item.entry);
    } catch (error) {
      this.isWriting = false;
      return this.onFailure(error);
    }
    if (!isPromise(result)) {
      this.isWriting = false;
      return this.onTaken(item);
    }
    let isOverdue = false;
    const timer = clock.schedule(writeTimeoutMs, () => {
      isOverdue = true;
      this.unanswered++;
      this.isWriting = false;
      this.onFailure(new Error(`The audit sink ${name} did not answer within ${writeTimeoutMs} ms`));
    });
    const settle = (then: () => void): void => {
      if (isOverdue) this.unanswered--;
      else {
        timer.cancel();
        this.isWriting = false;
      }
      then();
      this.run();
    };
    result.then(
      () => settle(() => this.onTaken(item)),
      (error: unknown) =>
        settle(() => {
          if (!isOverdue) this.onFailure(error);
        }),
    );
  }

  /** Also of a write that was given up, and whose entry need not be written again. */
  private onTaken(item: SizedEntry): void {
    const at = this.waiting.indexOf(item);
    if (at < 0) return;
    this.remove(at);
    this.isLastTry = at > 0;
    this.failures = 0;
    this.stopPause();
    this.afterRemoval();
  }

  private afterRemoval(): void {
    if (this.waiting.length > 0) return;
    if (this.lostCount > 0) this.markLost(0, false);
    if (this.waiting.length > 0) return;
    for (const done of this.onEmpty.splice(0)) done();
  }

  private remove(at: number): void {
    const [item] = this.waiting.splice(at, 1);
    this.bytes -= item?.bytes ?? 0;
  }

  private onFailure(error: unknown): void {
    this.failures++;
    this.failedInAll++;
    const { name, journal } = this.deps;
    journal.error(
      `audit_sink ${name}`,
      () => `The audit sink ${name} failed; ${this.waiting.length} entries wait, and are written again`,
      error,
    );
    if (this.isLastTry) {
      this.isLastTry = false;
      this.failures = 0;
      this.remove(0);
      this.lose();
      return this.afterRemoval();
    }
    if (!this.isClosed) this.later(Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (this.failures - 1)));
  }

  private stopPause(): void {
    this.pause?.cancel();
    this.pause = undefined;
  }

  private later(ms: number): void {
    this.pause = this.deps.clock.schedule(ms, () => {
      this.pause = undefined;
      this.run();
    });
  }
}

function ignore(): void {
  // Nothing depends on it.
}

/** What a sink throws while it is closed changes nothing. */
function attempt(work: () => unknown): unknown {
  try {
    return work();
  } catch {
    return undefined;
  }
}
