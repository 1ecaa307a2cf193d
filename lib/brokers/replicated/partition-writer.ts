import type { Clock, Scheduled } from '../../core/ports/clock.js';
import { guarded } from '../common/listeners.js';
import type { Command, Outcome } from '../machine/commands.js';
import { AppendError, type OrderedLog } from './ordered-log.js';
import { encodeCommand, encodeRecord, recordOverhead } from './record-codec.js';
import type { WriteRoom } from './write-room.js';

/** What became of a command that got no outcome of the machine. */
export type WriteFailure =
  /** It is not in the log, and will not be. */
  | 'unavailable'
  /** It may be in the log, now or later. */
  | 'timeout'
  /** No record is large enough for it. */
  | 'too_large';

/** Where a command stands in the log. */
export interface Place {
  readonly offset: number;
  /** Its number in the record, from 0. */
  readonly index: number;
}

/** Called once, with the outcome of the machine on this node and its place, or with why there is none. */
export type Settle = (outcome: Outcome | WriteFailure, place?: Place) => void;

/** What a writer needs of its node. */
export interface WriterSettings {
  readonly clock: Clock;
  /** Different at each start of a node. */
  readonly writer: string;
  /** After so long without an outcome a command fails, in milliseconds. */
  readonly timeoutMs: number;
  /** Before a record that was refused, or whose outcome is unknown, is sent again, in milliseconds. */
  readonly retryMs: number;
}

/** What a node says of itself, outside the order of its other records. */
export interface Hello {
  /** Ascends with each that is said; the same where one is said again. */
  readonly n: number;
  readonly command: Command;
}

/** The record of a {@link Hello}. */
export function helloRecord(writer: string, incarnation: string, { n, command }: Hello): Uint8Array {
  return encodeRecord({ writer: `${writer}.hello`, n, incarnation }, [encodeCommand(command)]);
}

interface Pending {
  readonly text: string;
  readonly bytes: number;
  readonly until: number;
  settle: Settle | undefined;
}

/** A record that was made, with the commands in it. Sent again, its bytes and its number are the same. */
interface Sent {
  readonly n: number;
  readonly bytes: Uint8Array;
  readonly items: readonly Pending[];
  /** Whether it may be in the log. */
  mayBeStored: boolean;
  acknowledged: boolean;
  /** What this node's machine answered, when it has read the record. */
  outcomes: readonly Outcome[] | undefined;
  offset: number;
}

/**
 * Writes the commands of this node to one partition, in their order. Those of a turn of the event loop travel as one record; one append is
 * in flight, and what comes meanwhile waits for the next one. A record is sent again, under its number, until the log has
 * acknowledged it: readers skip every copy but the first.
 *
 * A command has its outcome when its record was acknowledged *and* this node has applied it: reading it back alone would promise less
 * than the log was asked for.
 */
export class PartitionWriter {
  private waiting: Pending[] = [];
  /** What is to be said first in this connection, and was not acknowledged yet. */
  private greeting: Sent | undefined;
  /** In flight, or to be sent again. */
  private current: Sent | undefined;
  /** Acknowledged, and not read yet, by their number. Ascending. */
  private readonly unread = new Map<number, Sent>();
  private last = 0;
  /** The connection that it writes in. */
  private session = 0;
  private open = false;
  private sending = false;
  private scheduled = false;
  private retry: Scheduled | undefined;
  private overdue: Scheduled | undefined;
  private readonly overhead: number;
  private readonly onTurn = () => {
    this.scheduled = false;
    this.flush();
  };

  constructor(
    private readonly partition: number,
    private readonly log: Pick<OrderedLog, 'append' | 'maxRecordBytes'>,
    private readonly incarnation: string,
    private readonly room: WriteRoom,
    private readonly settings: WriterSettings,
  ) {
    this.overhead = recordOverhead(settings.writer, incarnation);
  }

  /** Whether every command has its outcome. */
  get idle(): boolean {
    return this.waiting.length === 0 && this.current === undefined && this.unread.size === 0;
  }

  /**
   * Writes from now on, in this connection. Until then, and between `pause` and here, commands wait.
   *
   * @param first What a node must say first in each connection: goes before everything else, also before a record that has to be sent
   * again. So it is of a writer of its own.
   */
  resume(session: number, first?: Hello): void {
    this.open = true;
    this.session = session;
    if (first !== undefined) {
      const { incarnation, settings } = this;
      this.greeting = sentOf(first.n, helloRecord(settings.writer, incarnation, first), []);
    }
    this.flush();
  }

  /** Sends nothing from now on. What is in flight runs on. */
  pause(): void {
    this.open = false;
    this.greeting = undefined;
    this.retry?.cancel();
    this.retry = undefined;
  }

  /** Adds a command. `settle` is called in a later turn, or at once where it is refused. */
  push(command: Command, settle: Settle): void {
    let text: string;
    try {
      text = encodeCommand(command);
    } catch {
      // What JSON cannot hold fails alone.
      return settle('unavailable');
    }
    const { clock, timeoutMs } = this.settings;
    const until = clock.monotonic() + timeoutMs;
    const item: Pending = { text, bytes: Buffer.byteLength(text) + 1, until, settle };
    if (item.bytes + this.overhead > this.log.maxRecordBytes) return settle('too_large');
    if (!this.room.take(item.bytes)) return settle('unavailable');
    this.waiting.push(item);
    this.watch();
    if (this.scheduled || this.sending) return;
    this.scheduled = true;
    queueMicrotask(this.onTurn);
  }

  /** A record of this writer was read, and applied unless it was a copy. */
  onRead(n: number, outcomes: readonly Outcome[], offset: number): void {
    // What was acknowledged before and does not stand before this one was lost by the log.
    for (const [number, sent] of this.unread) {
      if (number >= n) break;
      this.unread.delete(number);
      this.fail(sent.items, 'timeout');
    }
    const sent = this.current?.n === n ? this.current : this.unread.get(n);
    if (sent === undefined) return;
    if (sent.outcomes === undefined) {
      sent.outcomes = outcomes;
      sent.offset = offset;
    }
    if (sent.acknowledged) this.complete(sent);
  }

  /** The log is another one now, or is left: nothing that was written and not read will be. Fails everything. */
  abandon(): void {
    this.pause();
    this.overdue?.cancel();
    this.overdue = undefined;
    const { current, waiting } = this;
    this.current = undefined;
    this.waiting = [];
    if (current !== undefined)
      this.fail(current.items, this.mayBeStored(current) ? 'timeout' : 'unavailable');
    for (const sent of this.unread.values()) this.fail(sent.items, 'timeout');
    this.unread.clear();
    this.fail(waiting, 'unavailable');
  }

  private flush(): void {
    if (!this.open || this.sending || this.retry !== undefined) return;
    if (this.greeting === undefined) this.current ??= this.take();
    const next = this.greeting ?? this.current;
    if (next !== undefined) void this.send(next);
  }

  /** The next record: as many of the commands that wait as it has room for. */
  private take(): Sent | undefined {
    const { waiting, overhead } = this;
    let bytes = overhead;
    let count = 0;
    for (const item of waiting) {
      bytes += item.bytes;
      if (count > 0 && bytes > this.log.maxRecordBytes) break;
      count += 1;
    }
    if (count === 0) return undefined;
    const items = waiting.slice(0, count);
    this.waiting = waiting.slice(count);
    this.last += 1;
    const head = { writer: this.settings.writer, n: this.last, incarnation: this.incarnation };
    const texts = items.map(({ text }) => text);
    return sentOf(this.last, encodeRecord(head, texts), items);
  }

  private async send(sent: Sent): Promise<void> {
    this.sending = true;
    let failure: AppendError | undefined;
    try {
      await this.log.append(this.partition, sent.bytes, this.session);
    } catch (error) {
      failure = error instanceof AppendError ? error : new AppendError('unknown', String(error));
    }
    this.sending = false;
    // Left while it was in flight: by `abandon`, or as the connection that it greeted is over.
    if (this.current !== sent && this.greeting !== sent) return this.flush();
    if (failure === undefined) {
      if (this.greeting === sent) this.greeting = undefined;
      else this.onAcknowledged(sent);
    } else {
      if (failure.outcome === 'unknown') sent.mayBeStored = true;
      this.again(sent, failure);
    }
    this.flush();
  }

  private onAcknowledged(sent: Sent): void {
    this.current = undefined;
    sent.acknowledged = sent.mayBeStored = true;
    if (sent.outcomes === undefined) this.unread.set(sent.n, sent);
    else this.complete(sent);
  }

  private again(sent: Sent, { retryable }: AppendError): void {
    const isWanted = sent === this.greeting || sent.items.some(({ settle }) => settle !== undefined);
    if (sent !== this.greeting && !sent.mayBeStored && (!retryable || !isWanted)) {
      // Nobody has seen its number, and nobody waits for it.
      this.current = undefined;
      this.fail(sent.items, 'unavailable');
      return;
    }
    if (!this.open || this.retry !== undefined) return;
    this.retry = this.settings.clock.schedule(this.settings.retryMs, () => {
      this.retry = undefined;
      this.flush();
    });
  }

  private mayBeStored(sent: Sent): boolean {
    return sent.mayBeStored || (this.sending && this.greeting === undefined);
  }

  private complete(sent: Sent): void {
    this.unread.delete(sent.n);
    sent.items.forEach((item, index) => {
      const outcome = sent.outcomes?.[index];
      this.settle(item, outcome ?? 'timeout', { offset: sent.offset, index });
    });
  }

  private fail(items: readonly Pending[], failure: WriteFailure): void {
    for (const item of items) this.settle(item, failure);
  }

  private settle(item: Pending, outcome: Outcome | WriteFailure, place?: Place): void {
    const { settle } = item;
    if (settle === undefined) return;
    item.settle = undefined;
    this.room.give(item.bytes);
    // One that throws must not leave the others of its record without an answer.
    guarded(() => settle(outcome, place));
  }

  /** Sees to it that nothing waits longer than it may. */
  private watch(): void {
    if (this.overdue !== undefined) return;
    const oldest = this.oldest();
    if (oldest === undefined) return;
    const { clock } = this.settings;
    this.overdue = clock.schedule(Math.max(0, oldest - clock.monotonic()), () => {
      this.overdue = undefined;
      this.expire(clock.monotonic());
      this.watch();
    });
  }

  private oldest(): number | undefined {
    const sets = [
      ...[...this.unread.values()].map(({ items }) => items),
      this.current?.items ?? [],
      this.waiting,
    ];
    for (const items of sets) {
      const found = items.find(({ settle }) => settle !== undefined);
      if (found !== undefined) return found.until;
    }
    return undefined;
  }

  private expire(now: number): void {
    const late = ({ until }: Pending): boolean => until <= now;
    for (const sent of this.unread.values()) {
      this.fail(sent.items.filter(late), 'timeout');
      if (sent.items.every(({ settle }) => settle === undefined)) this.unread.delete(sent.n);
    }
    const { current } = this;
    if (current !== undefined) {
      this.fail(current.items.filter(late), this.mayBeStored(current) ? 'timeout' : 'unavailable');
    }
    const waited = this.waiting.filter((item) => late(item) && item.settle !== undefined);
    if (waited.length === 0) return;
    this.waiting = this.waiting.filter((item) => !waited.includes(item));
    this.fail(waited, 'unavailable');
  }
}

function sentOf(n: number, bytes: Uint8Array, items: readonly Pending[]): Sent {
  return { n, bytes, items, mayBeStored: false, acknowledged: false, outcomes: undefined, offset: -1 };
}
