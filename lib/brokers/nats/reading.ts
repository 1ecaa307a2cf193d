import type { StreamInfo } from '@nats-io/jetstream';
import type { Subscription } from '@nats-io/transport-node';
import type { Scheduled } from '../../core/ports/clock.js';
import type {
  LogRecord,
  Reading,
  ReadingEnd,
  ReadingEvents,
  ReadPosition,
} from '../replicated/ordered-log.js';
import { apiCode, messageOf, NO_MESSAGE, NO_STREAM } from './errors.js';
import type { NatsLink } from './link.js';
import type { LogDeps } from '../replicated/log-deps.js';
import { readPulled, type PulledMessage } from './pulled-message.js';
import { ReadHistory, type RecordMark } from './read-history.js';

const NANOS_PER_MS = 1_000_000;
/** One pull: so much waits in memory at most, beside what the reader holds. */
const PULL_RECORDS = 512;
const PULL_BYTES = 4_194_304;
const PULL_MS = 10_000;
/** The server says in this time that it is alive; after {@link SILENCE_MS} without a sign the consumer is made again. */
const HEARTBEAT_MS = 500;
const SILENCE_MS = 1_500;
/** The server forgets a consumer that nobody used for so long. */
const CONSUMER_MS = 30_000;
const RETRY_MS = 150;
const MAX_RETRY_MS = 2_000;
/** How often a stream that is missing, or ends before the reader, is asked: a new leader may still be applying what it has. */
const QUESTIONS = 4;

/** A consumer on the server, and what was asked of it. */
interface Attempt {
  readonly consumer: string;
  readonly inbox: Subscription;
  /** Sequence of the message that comes next. */
  consumerSeq: number;
  /** Records that the pull may still bring; 0: no pull is open. */
  due: number;
  /** Monotonic time of the last sign of life. */
  heardAt: number;
}

/**
 * Reads a stream by a consumer of its own, which it makes again, from the next record on, after each connect and whenever the server
 * was silent: a consumer does not always survive what its server goes through.
 */
export class NatsReading implements Reading {
  private readonly history = new ReadHistory();
  /** Offset of the record that comes next. */
  private next: number;
  /** Where a gap was seen: the next consumer meets it again, and then it is none of the retention. */
  private gapAt: number | undefined;
  private waiting: LogRecord[] = [];
  private attempt: Attempt | undefined;
  /** Counts the attempts, so that an old one ends when a later one began. */
  private attempts = 0;
  /** Attempts that failed since the last sign of life. */
  private failures = 0;
  private delivering = false;
  private closed = false;
  private watchdog: Scheduled | undefined;
  private readonly unlisten: () => void;

  constructor(
    private readonly link: NatsLink,
    private readonly deps: LogDeps,
    private readonly stream: string,
    private readonly maxRecordBytes: number,
    private readonly from: ReadPosition,
    private readonly events: ReadingEvents,
    private readonly onClosed: () => void,
  ) {
    // Streams begin at 1.
    this.next = Math.max(1, from.offset);
    this.unlisten = link.onState(({ connected }) => {
      if (connected) this.restart();
      else this.drop();
    });
    this.restart();
    this.watch();
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.attempts += 1;
    this.watchdog?.cancel();
    this.unlisten();
    this.drop();
    this.onClosed();
  }

  /** Makes a consumer from the next record on. */
  private restart(): void {
    this.drop();
    const number = ++this.attempts;
    if (!this.link.isReady) return;
    this.attach(number).catch((error: unknown) => {
      if (!this.isCurrent(number)) return;
      // Said once: at the first failure of a row.
      if (this.failures === 0 && isForbidden(error))
        this.deps.onWarning?.(
          `NATS does not permit reading the stream ${this.stream}: ${messageOf(error)}. Permit what docs/nats.md lists.`,
        );
      this.restartLater();
    });
  }

  /** The first time at once, then after pauses that grow until the server gives a sign of life. */
  private restartLater(): void {
    this.drop();
    const number = ++this.attempts;
    const pauseMs = Math.min(RETRY_MS * (2 ** this.failures++ - 1), MAX_RETRY_MS);
    this.deps.clock.schedule(pauseMs, () => {
      if (this.isCurrent(number)) this.restart();
    });
  }

  private isCurrent(number: number): boolean {
    return !this.closed && number === this.attempts;
  }

  private async attach(number: number): Promise<void> {
    const end = await this.findEnd();
    if (!this.isCurrent(number)) return;
    if (end !== undefined) return this.end(end);
    const { nc, jsm } = this.link;
    const { name } = await jsm.consumers.add(this.stream, {
      deliver_policy: 'by_start_sequence',
      opt_start_seq: this.next,
      ack_policy: 'none',
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: CONSUMER_MS * NANOS_PER_MS,
    });
    // Once more, now that the consumer is there: it belongs to the stream that is asked here, or went with an earlier one.
    const late = await this.findEnd();
    if (!this.isCurrent(number) || late !== undefined) {
      this.forget(name);
      if (this.isCurrent(number) && late !== undefined) this.end(late);
      return;
    }
    const inbox = nc.subscribe(`_INBOX.${this.deps.entropy.token()}${this.deps.entropy.token()}`, {
      callback: (error, msg) => {
        if (!this.isCurrent(number)) return;
        if (error !== null) this.restartLater();
        else this.take(readPulled(msg));
      },
    });
    this.attempt = { consumer: name, inbox, consumerSeq: 1, due: 0, heardAt: this.deps.clock.monotonic() };
    this.pullIfIdle();
  }

  /** Asks whether the stream still has what was read, and what comes next. */
  private async findEnd(): Promise<ReadingEnd | undefined> {
    for (let question = 1; ; question++) {
      const info = await this.ask();
      if (info !== undefined && info.created !== this.from.incarnation)
        return { kind: 'replaced', incarnation: info.created };
      const first = info?.state.first_seq ?? 0;
      const end = info === undefined ? 0 : info.state.last_seq + 1;
      if (info !== undefined && end >= this.next) {
        const cut = await this.history.findCut(first, (mark) => this.isStored(mark));
        if (cut !== undefined) return { kind: 'cut', offset: cut };
        return this.next < first ? { kind: 'trimmed', first } : undefined;
      }
      if (question >= QUESTIONS)
        return info === undefined
          ? { kind: 'replaced', incarnation: undefined }
          : { kind: 'cut', offset: end };
      await new Promise<void>((resolve) => void this.deps.clock.schedule(RETRY_MS, resolve));
    }
  }

  /** @returns `undefined` when the stream does not exist */
  private async ask(): Promise<StreamInfo | undefined> {
    try {
      return await this.link.inquire(() => this.link.jsm.streams.info(this.stream));
    } catch (error) {
      if (apiCode(error) === NO_STREAM) return undefined;
      throw error;
    }
  }

  private async isStored({ offset, timeMs, size }: RecordMark): Promise<boolean> {
    try {
      const stored = await this.link.inquire(() =>
        this.link.jsm.streams.getMessage(this.stream, { seq: offset }),
      );
      return stored !== null && stored.time.getTime() === timeMs && stored.data.length === size;
    } catch (error) {
      if (apiCode(error) === NO_MESSAGE) return false;
      throw error;
    }
  }

  private pull(): void {
    const { attempt } = this;
    if (attempt === undefined || attempt.due > 0 || !this.link.isReady) return;
    attempt.due = PULL_RECORDS;
    attempt.heardAt = this.deps.clock.monotonic();
    const request = {
      batch: PULL_RECORDS,
      max_bytes: Math.max(PULL_BYTES, 2 * this.maxRecordBytes),
      expires: PULL_MS * NANOS_PER_MS,
      idle_heartbeat: HEARTBEAT_MS * NANOS_PER_MS,
    };
    this.link.nc.publish(
      `${this.link.js.apiPrefix}.CONSUMER.MSG.NEXT.${this.stream}.${attempt.consumer}`,
      JSON.stringify(request),
      { reply: attempt.inbox.getSubject() },
    );
  }

  private take(message: PulledMessage): void {
    const { attempt } = this;
    if (attempt === undefined) return;
    attempt.heardAt = this.deps.clock.monotonic();
    if (message.kind !== 'broken') this.failures = 0;
    if (message.kind === 'heartbeat') return;
    if (message.kind === 'record') return this.takeRecord(attempt, message.record, message.consumerSeq);
    if (message.kind === 'broken') return this.restartLater();
    const isStuck = message.kind === 'tooLarge' && attempt.due === PULL_RECORDS;
    attempt.due = 0;
    if (isStuck)
      return this.end({
        kind: 'failed',
        error: new Error(
          `Record ${this.next} of stream ${this.stream} is larger than ${Math.max(PULL_BYTES, 2 * this.maxRecordBytes)} bytes: nothing of this library wrote it`,
        ),
      });
    this.pullIfIdle();
  }

  private takeRecord(attempt: Attempt, record: LogRecord, consumerSeq: number): void {
    // One was lost on its way: it is in the stream.
    if (consumerSeq !== attempt.consumerSeq) return this.restart();
    // Records that are missing were dropped by the retention, or taken out by hand: the stream is asked which, once for each place.
    if (record.offset > this.next && this.gapAt !== this.next) {
      this.gapAt = this.next;
      return this.restart();
    }
    attempt.consumerSeq += 1;
    attempt.due -= 1;
    this.next = record.offset + 1;
    this.history.add(record);
    this.waiting.push(record);
    // Everything that came with the same packet is one batch.
    if (this.waiting.length === 1 && !this.delivering) queueMicrotask(() => void this.deliver());
  }

  private async deliver(): Promise<void> {
    this.delivering = true;
    try {
      while (this.waiting.length > 0 && !this.closed) {
        const records = this.waiting;
        this.waiting = [];
        await this.events.onRecords(records);
      }
    } catch (error) {
      this.end({ kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) });
    } finally {
      this.delivering = false;
    }
    this.pullIfIdle();
  }

  /** Asks for more once the reader has everything: what it has not taken stays at the server. */
  private pullIfIdle(): void {
    if (!this.closed && !this.delivering && this.waiting.length === 0) this.pull();
  }

  private watch(): void {
    this.watchdog = this.deps.clock.schedule(HEARTBEAT_MS, () => {
      const { attempt } = this;
      const isSilent =
        attempt !== undefined &&
        attempt.due > 0 &&
        this.deps.clock.monotonic() - attempt.heardAt > SILENCE_MS;
      if (isSilent) this.restart();
      if (!this.closed) this.watch();
    });
  }

  /** Gives up the consumer; what it sent is kept. */
  private drop(): void {
    const { attempt } = this;
    this.attempt = undefined;
    if (attempt === undefined) return;
    attempt.inbox.unsubscribe();
    this.forget(attempt.consumer);
  }

  /** Tells the server; where that fails it forgets the consumer by itself. */
  private forget(consumer: string): void {
    if (this.link.isReady) this.link.jsm.consumers.delete(this.stream, consumer).catch(() => undefined);
  }

  private end(end: ReadingEnd): void {
    if (this.closed) return;
    this.close();
    this.events.onEnd(end);
  }
}

function isForbidden(error: unknown): boolean {
  return error instanceof Error && error.name === 'PermissionViolationError';
}
