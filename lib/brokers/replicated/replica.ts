import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import type { Clock, Scheduled } from '../../core/ports/clock.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Outcome } from '../machine/commands.js';
import type { Partition } from '../machine/partition.js';
import { decodeRecord } from './record-codec.js';
import type { RecordContent } from '../machine/record.js';
import {
  LogSetupError,
  type LogBounds,
  type LogRecord,
  type OrderedLog,
  type Reading,
  type ReadingEnd,
} from './ordered-log.js';

/** Before a reading that failed begins again, in milliseconds: doubled each time, up to the last. */
const RETRY_MS = 250;
const MAX_RETRY_MS = 5_000;

/** Why the state can be read now: it was made when the node started, or again as the log lost its end, dropped what was not read, or is another. */
export type Beginning = 'start' | 'cut' | 'trimmed' | 'replaced';

/** What a replica calls. None may throw. */
export interface ReplicaEvents {
  /** A record was read, and applied unless it had to be skipped. */
  onRead(state: Partition): void;
  /** A record was applied; after `onRead`. */
  onApplied(content: RecordContent, outcomes: readonly Outcome[], offset: number): void;
  /**
   * The state is made, and everything that the log had at that time is applied. Nothing else is applied, and no read answered, while a
   * promise that is returned is pending.
   */
  onBegin(why: Beginning): MaybePromise<void>;
  /** This node has read what the log lost, and nobody but its readers knows. The replica waits for `rebuild`. */
  onLost(): void;
  /** The replica can be read, or no longer: then with the reason, for the log of the application. */
  onServing(serving: boolean, reason?: string): void;
}

/** What a replica needs of its node. */
export interface ReplicaSettings {
  readonly clock: Clock;
  /** How long a read waits for the log's end and for what lies before it, in milliseconds. */
  readonly readTimeoutMs: number;
  /** Makes the state of a partition up to some place of the log: from a checkpoint, or empty. */
  readonly restore: (partition: number, bounds: LogBounds) => Promise<Restored>;
}

/** A state, and where the log is read from. */
export interface Restored {
  readonly partition: Partition;
  readonly offset: number;
  readonly term: number;
}

/** Waits until the replica has applied everything below an offset. */
interface Waiter {
  readonly end: number;
  resolve(): void;
}

/**
 * One partition on this node: reads the log and applies every record, in order, to the state. It answers reads when it has applied all
 * that the log had acknowledged before they came.
 */
export class Replica {
  private state: Partition | undefined;
  private reading: Reading | undefined;
  /** Offset behind the last record that was applied. */
  private next = 0;
  private term = 0;
  private timeMs = 0;
  private life = '';
  private waiters: Waiter[] = [];
  /** The question for the log's end that those share who ask in one turn. */
  private asking: Promise<void> | undefined;
  private retry: Scheduled | undefined;
  private watch: Scheduled | undefined;
  private failures = 0;
  /** Why the state is made, and up to where it has to come; `undefined` once it has. */
  private beginning: { readonly end: number; done(): void } | undefined;
  /** Why the state is another one than those who follow it know, until they have been called: also where a reading ended before. */
  private owed: Beginning | undefined;
  private isServing = false;
  private closed = false;
  /** Of the opening that runs: an older one that comes back is left. */
  private attempt = 0;

  constructor(
    readonly index: number,
    private readonly log: OrderedLog,
    private readonly settings: ReplicaSettings,
    private readonly events: ReplicaEvents,
  ) {}

  /** The state, where it can be read. @throws RealtimeError `unavailable` */
  get partition(): Partition {
    if (this.state === undefined || !this.isServing) throw notServing();
    return this.state;
  }

  /** The state also while it cannot be read, for what has to be prepared before. */
  get current(): Partition | undefined {
    return this.state;
  }

  /** Which life of the log the state is of; '' before it was opened. */
  get incarnation(): string {
    return this.life;
  }

  /** Offset of the last record that was applied; -1 for none. */
  get position(): number {
    return this.state?.position ?? -1;
  }

  /** When the log took the last record that was applied, by its wall clock; 0 before the first. */
  get lastTimeMs(): number {
    return this.timeMs;
  }

  /** Term of the last record that was applied. */
  get lastTerm(): number {
    return this.term;
  }

  get serving(): boolean {
    return this.isServing;
  }

  /**
   * Makes the state and reads the log up to its end of now.
   *
   * @throws LogUnavailableError when the log does not answer
   */
  start(): Promise<void> {
    return this.open('start');
  }

  /** Neither reads nor answers until `rebuild`: this node has read what is not in the log. */
  halt(reason: string): void {
    this.stop();
    this.serve(false, reason);
  }

  /** Makes the state again. */
  rebuild(): void {
    this.stop();
    void this.again('cut');
  }

  /**
   * Resolves when everything that the log had acknowledged before is applied here.
   *
   * @throws RealtimeError `unavailable` when the log does not answer in time, or this node does not follow
   */
  async caughtUp(): Promise<void> {
    if (!this.isServing) throw notServing();
    this.asking ??= this.askEnd();
    await this.asking;
  }

  close(): void {
    this.closed = true;
    this.stop();
    this.serve(false);
    this.waiters = [];
  }

  private async askEnd(): Promise<void> {
    // Those who come in this turn share the question: it is sent behind all of them.
    await Promise.resolve();
    const attempt = this.attempt;
    const asked = this.log.bounds(this.index);
    this.asking = undefined;
    let found: LogBounds;
    try {
      found = await asked;
    } catch {
      throw notServing();
    }
    if (attempt !== this.attempt || found.incarnation !== this.life) throw notServing();
    await this.reached(found.end);
  }

  private reached(end: number): Promise<void> {
    if (this.next >= end) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        end,
        resolve: () => {
          timer.cancel();
          resolve();
        },
      };
      const timer = this.settings.clock.schedule(this.settings.readTimeoutMs, () => {
        this.waiters = this.waiters.filter((other) => other !== waiter);
        reject(notServing());
      });
      this.waiters.push(waiter);
    });
  }

  private async open(why: Beginning): Promise<void> {
    this.stop();
    // A log that was missing for a while may be the same: only its incarnation says that it is another one.
    this.owe(why === 'replaced' ? 'cut' : why);
    const attempt = this.attempt;
    const bounds = await this.log.bounds(this.index);
    const { partition, offset, term } = await this.settings.restore(this.index, bounds);
    if (attempt !== this.attempt) return;
    if (this.life !== '' && this.life !== bounds.incarnation) this.owe('replaced');
    this.state = partition;
    this.life = bounds.incarnation;
    this.next = offset;
    this.term = term;
    await this.readUpTo(bounds.end);
  }

  private owe(why: Beginning): void {
    if (this.owed === undefined || WEIGHTS[why] > WEIGHTS[this.owed]) this.owed = why;
  }

  /** Reads on with the state as it is: it is as good as before. */
  private async resume(): Promise<void> {
    this.stop();
    const attempt = this.attempt;
    const { end, incarnation } = await this.log.bounds(this.index);
    if (attempt !== this.attempt) return;
    if (incarnation !== this.life) return this.open('replaced');
    await this.readUpTo(end);
  }

  private async readUpTo(end: number): Promise<void> {
    const { attempt } = this;
    await new Promise<void>((resolve) => {
      this.beginning = { end, done: resolve };
      this.watch = this.settings.clock.schedule(this.settings.readTimeoutMs, () => void this.look());
      if (this.next < end) return this.read();
      void Promise.resolve(this.begin()).then(() => {
        if (attempt === this.attempt) this.read();
      });
    });
  }

  /** Whether the log still has the end that is to be reached: one that was cut since would be waited for in vain. */
  private async look(): Promise<void> {
    const { attempt } = this;
    let end = Infinity;
    try {
      ({ end } = await this.log.bounds(this.index));
    } catch {
      // Asked again below.
    }
    const { beginning } = this;
    if (attempt !== this.attempt || beginning === undefined) return;
    if (end < beginning.end) return this.again(this.owed);
    this.watch = this.settings.clock.schedule(this.settings.readTimeoutMs, () => void this.look());
  }

  private read(): void {
    const from = { incarnation: this.life, offset: this.next, term: this.term };
    this.reading = this.log.consume(this.index, from, {
      onRecords: (records) => this.apply(records),
      onEnd: (end) => this.onEnd(end),
    });
  }

  private apply(records: readonly LogRecord[]): MaybePromise<void> {
    for (let at = 0; at < records.length; at += 1) {
      const record = records[at];
      if (record === undefined || this.closed) break;
      this.applyOne(record);
      if (this.beginning !== undefined && this.next >= this.beginning.end)
        return (
          this.begin()?.then(() => this.apply(records.slice(at + 1))) ?? this.apply(records.slice(at + 1))
        );
    }
    this.wake();
  }

  private applyOne(record: LogRecord): void {
    const { state, settings } = this;
    if (state === undefined) return;
    const content = decodeRecord(record.bytes);
    const outcome = state.apply({ ...record, content }, settings.clock.monotonic());
    this.next = record.offset + 1;
    this.term = record.term;
    this.timeMs = record.timeMs;
    if (state.stopped !== undefined) return this.serve(false, stoppedText(state.stopped));
    this.events.onRead(state);
    if (!outcome.applied || content === undefined) return;
    this.events.onApplied(content, outcome.outcomes, record.offset);
  }

  /** The state has come to where the log was when it was made. */
  private begin(): Promise<void> | undefined {
    const { beginning } = this;
    if (beginning === undefined) return undefined;
    this.beginning = undefined;
    this.watch?.cancel();
    this.watch = undefined;
    const finish = (): void => {
      this.failures = 0;
      const stopped = this.state?.stopped;
      if (stopped !== undefined) this.events.onServing(false, stoppedText(stopped));
      else if (!this.closed) this.serve(true);
      beginning.done();
    };
    const { owed } = this;
    this.owed = undefined;
    const waits = owed === undefined ? undefined : this.events.onBegin(owed);
    if (waits === undefined) return void finish();
    return waits.then(finish);
  }

  private wake(): void {
    if (this.waiters.length === 0) return;
    const ready = this.waiters.filter(({ end }) => end <= this.next);
    this.waiters = this.waiters.filter(({ end }) => end > this.next);
    for (const waiter of ready) waiter.resolve();
  }

  private onEnd(end: ReadingEnd): void {
    this.reading = undefined;
    if (end.kind === 'failed') this.serve(false, `the log cannot be read: ${end.error.message}`);
    else this.serve(false, ENDS[end.kind]);
    if (end.kind === 'failed') this.later(undefined);
    else if (end.kind === 'cut' && this.log.detectsCuts === 'readers') this.events.onLost();
    else void this.again(end.kind);
  }

  /** Makes the state again, or reads on with it, until that succeeds. */
  private async again(why: Beginning | undefined): Promise<void> {
    if (this.closed) return;
    try {
      if (why !== undefined || this.state === undefined) await this.open(why ?? 'start');
      else await this.resume();
    } catch (error) {
      // Another remedy than to wait: it replaces the reason that was said.
      if (error instanceof LogSetupError) this.events.onServing(false, error.message);
      this.later(why);
    }
  }

  private later(why: Beginning | undefined): void {
    if (this.closed) return;
    const delayMs = this.delayMs();
    this.failures += 1;
    this.retry = this.settings.clock.schedule(delayMs, () => {
      this.retry = undefined;
      void this.again(why);
    });
  }

  private delayMs(): number {
    return Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(this.failures, 10));
  }

  private serve(serving: boolean, reason?: string): void {
    if (serving === this.isServing) return;
    this.isServing = serving;
    this.events.onServing(serving, reason);
  }

  private stop(): void {
    this.attempt += 1;
    this.beginning?.done();
    this.beginning = undefined;
    this.watch?.cancel();
    this.watch = undefined;
    this.reading?.close();
    this.reading = undefined;
    this.retry?.cancel();
    this.retry = undefined;
  }
}

/** Of two reasons the heavier one counts: what it asks for includes what the other one does. */
const WEIGHTS: Readonly<Record<Beginning, number>> = { cut: 0, trimmed: 1, replaced: 2, start: 3 };

const ENDS = {
  cut: 'the log lost its end: this node reads it again',
  trimmed: 'the log has dropped what this node had not read: it begins anew',
  replaced: 'the log was deleted, or made again: this node begins anew',
} as const;

function notServing(): RealtimeError {
  return new RealtimeError('unavailable', 'This node does not follow the log at the moment; try again later');
}

/** What an operator does where a node must not serve a partition. */
export function stoppedText(stopped: 'settings' | 'version'): string {
  return stopped === 'settings'
    ? 'the log was made with other settings: give every node of it the same ones, or another topic'
    : 'the log has a version that this release cannot run: update this node';
}
