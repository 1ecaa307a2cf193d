import type { Msg, Subscription } from '@nats-io/transport-node';
import { delay, LaneEnd, type Lane, type SourceRecord } from '../../../consumers/index.js';
import type { Clock } from '../../../core/ports/clock.js';
import type { Entropy } from '../../../core/ports/entropy.js';
import type { NatsLink } from '../link.js';
import { readPulled } from '../pulled-message.js';
import type { StreamPosition } from './position.js';
import type { JetStreamRecord } from './record.js';

const NANOS_PER_MS = 1_000_000;
const PULL_MS = 10_000;
/** The server says in this time that it is alive; after {@link SILENCE_MS} without a sign the session begins again. */
const HEARTBEAT_MS = 500;
const SILENCE_MS = 2_000;
/** The server forgets a consumer that nobody used for so long. */
const CONSUMER_MS = 60_000;
/** Part of a lease after which it is renewed. */
const RENEW_PART = 0.3;

export interface JetStreamLaneDeps {
  readonly link: NatsLink;
  readonly position: StreamPosition;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly stream: string;
  /** Names this life of the stream. */
  readonly created: string;
  readonly subjects: readonly string[] | undefined;
  readonly maxBatch: number;
  readonly maxBatchBytes: number;
  /** The beginning of the ids of its events. */
  readonly ids: string;
  /** How long this node may be silent before another one reads, in milliseconds. */
  readonly leaseMs: number;
}

/** A stream while this node reads it: by a consumer without acknowledgements, as the position says what was dealt with. */
export class JetStreamLane implements Lane<JetStreamRecord> {
  readonly name: string;
  private readonly end: LaneEnd;
  private ready: SourceRecord<JetStreamRecord>[] = [];
  private consumer = '';
  private inbox: Subscription | undefined;
  /** Number of the next message that the consumer sends. */
  private consumerSeq = 1;
  /** Messages that the pull may still bring; 0: none is open. */
  private due = 0;
  private heardAt: number;
  private wake: () => void = () => undefined;
  private failure: Error | undefined;
  /** Messages that were sent by the server and not committed, and those behind them. */
  private sent = 0;
  private behind: number | undefined;

  /** @param seq of the last record that was dealt with. */
  constructor(
    private seq: number,
    private readonly deps: JetStreamLaneDeps,
    session: AbortSignal,
  ) {
    this.name = `stream ${deps.stream}`;
    this.heardAt = deps.clock.monotonic();
    this.end = new LaneEnd(session);
    this.signal.addEventListener('abort', () => this.wake(), { once: true });
  }

  get signal(): AbortSignal {
    return this.end.signal;
  }

  get lag(): number | undefined {
    return this.behind === undefined ? undefined : this.behind + this.sent;
  }

  isHeld(): boolean {
    return this.deps.position.isHeld();
  }

  /** Makes the consumer. */
  async open(): Promise<void> {
    const { entropy, link, stream, subjects } = this.deps;
    const { name, num_pending } = await link.ask(() =>
      link.jsm.consumers.add(stream, {
        deliver_policy: 'by_start_sequence',
        opt_start_seq: this.seq + 1,
        ack_policy: 'none',
        mem_storage: true,
        num_replicas: 1,
        inactive_threshold: CONSUMER_MS * NANOS_PER_MS,
        // Servers before 2.10 know one.
        ...(subjects?.length === 1
          ? { filter_subject: subjects[0] ?? '' }
          : subjects !== undefined && { filter_subjects: [...subjects] }),
      }),
    );
    this.consumer = name;
    this.behind = num_pending;
    this.inbox = link.nc.subscribe(`_INBOX.${entropy.token()}${entropy.token()}`, {
      callback: (error, message) => (error === null ? this.take(message) : this.fail(error.message)),
    });
  }

  async next(): Promise<readonly SourceRecord<JetStreamRecord>[]> {
    if (this.ready.length === 0) {
      this.pull();
      await this.somethingHappens();
    }
    if (this.failure !== undefined) throw this.failure;
    const taken = this.ready.slice(0, this.deps.maxBatch);
    this.ready = this.ready.slice(taken.length);
    return taken;
  }

  async commit({ raw }: SourceRecord<JetStreamRecord>): Promise<void> {
    const { created, position } = this.deps;
    // Before it is stored: a renewal that comes behind it stores no less.
    this.seq = raw.seq;
    if (!(await position.write(raw.seq, created))) {
      this.end.end();
      throw new Error('another node reads the stream');
    }
    this.sent = this.ready.length;
  }

  /** Says that it still reads, until it ends. @throws Error of the connection */
  async keepLease(): Promise<void> {
    const { clock, created, leaseMs, position } = this.deps;
    while (!this.signal.aborted) {
      await delay(clock, leaseMs * RENEW_PART, this.signal);
      if (this.signal.aborted) return;
      if (!(await position.write(this.seq, created))) this.end.end();
    }
  }

  /** Ends it, and lets others read. Never rejects. */
  async release(): Promise<void> {
    this.end.end();
    const { created, link, position, stream } = this.deps;
    this.inbox?.unsubscribe();
    if (this.consumer !== '') void link.jsm.consumers.delete(stream, this.consumer).catch(() => undefined);
    await position.release(this.seq, created);
  }

  private pull(): void {
    const { clock, link, maxBatch, maxBatchBytes, stream } = this.deps;
    if (this.due > 0 || this.signal.aborted) return;
    if (!link.isReady) return this.fail('the connection was lost');
    this.due = maxBatch;
    this.heardAt = clock.monotonic();
    const request = {
      batch: maxBatch,
      // At least one message.
      max_bytes: Math.max(maxBatchBytes, 2 * (link.nc.info?.max_payload ?? 0)),
      expires: PULL_MS * NANOS_PER_MS,
      idle_heartbeat: HEARTBEAT_MS * NANOS_PER_MS,
    };
    link.nc.publish(
      `${link.js.apiPrefix}.CONSUMER.MSG.NEXT.${stream}.${this.consumer}`,
      JSON.stringify(request),
      { reply: this.inbox?.getSubject() ?? '' },
    );
  }

  private take(message: Msg): void {
    this.heardAt = this.deps.clock.monotonic();
    const pulled = readPulled(message);
    if (pulled.kind === 'heartbeat') return;
    if (pulled.kind === 'broken') return this.fail(`the server ends the reading: ${pulled.reason}`);
    if (pulled.kind === 'record') {
      // One was lost on its way: it is in the stream.
      if (pulled.consumerSeq !== this.consumerSeq) return this.fail('a message was lost on its way');
      this.consumerSeq += 1;
      this.due -= 1;
      this.sent += 1;
      this.behind = Number((message.reply ?? '').split('.').at(-1)) || 0;
      this.ready.push(this.recordOf(message, pulled.record));
    } else this.due = 0;
    this.wake();
  }

  private recordOf(
    message: Msg,
    { offset: seq, timeMs: timestampMs }: { readonly offset: number; readonly timeMs: number },
  ): SourceRecord<JetStreamRecord> {
    const { ids, stream } = this.deps;
    const { data, subject } = message;
    return {
      raw: { stream, subject, seq, timestampMs, data, headers: headersOf(message) },
      id: `${ids}:${seq}`,
      place: `${stream} ${seq}`,
    };
  }

  /** Until a message came, the pull is over, it failed, or nothing was heard for too long. */
  private async somethingHappens(): Promise<void> {
    const { clock, link } = this.deps;
    while (this.ready.length === 0 && this.due > 0 && this.failure === undefined && !this.signal.aborted) {
      const woken = new AbortController();
      this.wake = () => woken.abort();
      await delay(clock, HEARTBEAT_MS, woken.signal);
      if (!link.isReady) this.fail('the connection was lost');
      else if (clock.monotonic() - this.heardAt > SILENCE_MS) this.fail('the server does not answer');
    }
  }

  private fail(reason: string): void {
    this.failure ??= new Error(`Reading the stream ${this.deps.stream} failed: ${reason}`);
    this.wake();
  }
}

/** The last value of each. Those of a form that NATS does not have cannot be read: the record has none then. */
function headersOf(message: Msg): ReadonlyMap<string, string> {
  try {
    const { headers } = message;
    return new Map((headers?.keys() ?? []).map((name) => [name, headers?.last(name) ?? '']));
  } catch {
    return new Map();
  }
}
