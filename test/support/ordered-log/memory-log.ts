import {
  AppendError,
  LogUnavailableError,
  MAX_ABOUT_BYTES,
  type AppendResult,
  type Checkpoint,
  type CheckpointHead,
  type LogBounds,
  type LogState,
  type LogWeakness,
  type OrderedLog,
  type Reading,
  type ReadingEnd,
  type ReadingEvents,
  type ReadPosition,
} from '../../../lib/brokers/replicated/ordered-log.js';
import type { MaybePromise } from '../../../lib/core/ports/maybe-promise.js';
import type { MemoryLogServer } from './memory-server.js';

/** A client of a {@link MemoryLogServer}. A test disconnects and connects it; everything else is the port. */
export class MemoryOrderedLog implements OrderedLog {
  readonly name = 'memory log';
  readonly firstOffset = 0;
  readonly acknowledgedCopies = 1;
  readonly weaknesses: readonly LogWeakness[] = [];
  session = 1;
  connected = true;
  private closed = false;
  private readonly readings = new Set<MemoryReading>();
  private readonly listeners = new Set<(state: LogState) => void>();
  private readonly signalListeners = new Set<(bytes: Uint8Array) => void>();
  /** Appends that wait for an answer, by partition. */
  private readonly inFlight = new Map<number, (error: AppendError) => void>();

  constructor(private readonly server: MemoryLogServer) {}

  get partitions(): number {
    return this.server.options.partitions;
  }

  get maxRecordBytes(): number {
    return this.server.options.maxRecordBytes;
  }

  get detectsCuts(): 'log' | 'readers' {
    return this.server.options.detectsCuts;
  }

  onState(listener: (state: LogState) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Loses the connection: what is in flight is unknown, readings wait. */
  disconnect(reason = 'the connection was lost'): void {
    if (!this.connected) return;
    this.connected = false;
    for (const fail of [...this.inFlight.values()]) fail(new AppendError('unknown', reason));
    this.tell(reason);
  }

  /** Connects again; readings compare their place with the log. */
  reconnect(): void {
    if (this.connected || this.closed) return;
    this.connected = true;
    this.session += 1;
    this.tell();
    for (const reading of this.readings) reading.wake();
  }

  append(partition: number, bytes: Uint8Array, session: number): Promise<AppendResult> {
    const refusal = this.refusal(partition, bytes, session);
    if (refusal !== undefined) return Promise.reject(refusal);
    const copy = bytes.slice();
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        if (this.inFlight.get(partition) !== fail) return;
        this.inFlight.delete(partition);
        timer.cancel();
        settle();
      };
      const fail = (error: AppendError): void => finish(() => reject(error));
      this.inFlight.set(partition, fail);
      const { clock, requestTimeoutMs } = this.server.options;
      const timer = clock.schedule(requestTimeoutMs, () =>
        fail(new AppendError('unknown', 'no answer in time')),
      );
      this.server.whenRunning(() => {
        const { offset, fate } = this.server.take(partition, copy);
        const answer = (): void => {
          if (fate === 'refused') fail(new AppendError('refused', 'the log refused the record'));
          else if (offset !== undefined && fate !== 'unanswered') finish(() => resolve({ offset }));
        };
        this.later(answer);
        // Known without waiting for the time-out, so that a test needs to move no clock.
        if (fate === 'lost' || fate === 'late' || fate === 'unanswered')
          this.later(() => fail(new AppendError('unknown', 'the connection broke before the answer')));
      });
    });
  }

  consume(partition: number, from: ReadPosition, events: ReadingEvents): Reading {
    if (!(partition >= 0 && partition < this.partitions))
      throw new RangeError(`There is no partition ${partition}`);
    const reading = new MemoryReading(this.server, this, partition, from, events, () =>
      this.readings.delete(reading),
    );
    if (!this.closed) this.readings.add(reading);
    else reading.close();
    reading.wake();
    return reading;
  }

  async bounds(partition: number): Promise<LogBounds> {
    return this.ask(() => {
      const found = this.server.partition(partition);
      if (found === undefined) throw new LogUnavailableError(`There is no partition ${partition}`);
      return found.bounds();
    });
  }

  async saveCheckpoint(partition: number, checkpoint: Checkpoint): Promise<void> {
    if (checkpoint.about.length > MAX_ABOUT_BYTES) throw new RangeError('`about` is too long');
    const copy = { ...checkpoint, about: checkpoint.about.slice(), bytes: checkpoint.bytes.slice() };
    return this.ask(() => {
      const found = this.server.partition(partition);
      if (found === undefined) throw new LogUnavailableError(`There is no partition ${partition}`);
      found.checkpoints.push(copy);
    });
  }

  async loadCheckpoint(
    partition: number,
    accept: (head: CheckpointHead) => MaybePromise<boolean> = () => true,
  ): Promise<Checkpoint | undefined> {
    const all = await this.ask(() => [...(this.server.partition(partition)?.checkpoints ?? [])]);
    for (const { bytes, ...head } of all.reverse()) {
      if (await accept({ ...head, about: head.about.slice() })) return { ...head, bytes: bytes.slice() };
    }
    return undefined;
  }

  async signal(bytes: Uint8Array): Promise<void> {
    const copy = bytes.slice();
    await this.ask(() => {
      for (const client of this.server.clients) client.hear(copy);
    });
  }

  async onSignal(listener: (bytes: Uint8Array) => void): Promise<() => void> {
    await this.ask(() => this.signalListeners.add(listener));
    return () => void this.signalListeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.closed) return;
    this.disconnect('closed');
    this.closed = true;
    for (const reading of [...this.readings]) reading.close();
    this.signalListeners.clear();
    this.listeners.clear();
    this.server.clients.delete(this);
  }

  /** There may be something new for the readers of a partition. */
  wake(partition: number): void {
    for (const reading of this.readings) if (reading.partition === partition) reading.wake();
  }

  /** Runs a task after a delay of the server's weather; never in this turn. */
  later(task: () => void): void {
    const delayMs = this.server.drawDelay();
    if (delayMs > 0) this.server.options.clock.schedule(delayMs, task);
    else setImmediate(task);
  }

  /** A signal that some client sent. Lost while this one is away. */
  private hear(bytes: Uint8Array): void {
    if (!this.connected) return;
    this.later(() => {
      for (const listener of [...this.signalListeners]) listener(bytes.slice());
    });
  }

  private refusal(partition: number, bytes: Uint8Array, session: number): AppendError | undefined {
    if (!(partition >= 0 && partition < this.partitions))
      return new AppendError('refused', `there is no partition ${partition}`, false);
    if (bytes.length === 0 || bytes.length > this.maxRecordBytes)
      return new AppendError('refused', `a record has 1 to ${this.maxRecordBytes} bytes`, false);
    if (!this.connected) return new AppendError('refused', 'not connected');
    if (session !== this.session) return new AppendError('refused', 'meant for an earlier connection');
    if (this.inFlight.has(partition)) return new AppendError('refused', 'another append is in flight');
    return undefined;
  }

  /** Asks the server; fails when this client is away, or the answer does not come in time. */
  private ask<T>(question: () => T): Promise<T> {
    if (!this.connected) return Promise.reject(new LogUnavailableError('not connected'));
    return new Promise((resolve, reject) => {
      const { clock, requestTimeoutMs } = this.server.options;
      const fail = (): void => reject(new LogUnavailableError('no answer in time'));
      const timer = clock.schedule(requestTimeoutMs, fail);
      this.server.whenRunning(() =>
        this.later(() => {
          timer.cancel();
          if (!this.connected) return reject(new LogUnavailableError('the connection was lost'));
          try {
            resolve(question());
          } catch (error) {
            reject(error instanceof Error ? error : new Error(String(error)));
          }
        }),
      );
    });
  }

  private tell(reason?: string): void {
    const { connected, session } = this;
    for (const listener of [...this.listeners])
      listener({ connected, session, ...(reason !== undefined && { reason }) });
  }
}

class MemoryReading implements Reading {
  private offset: number;
  private term: number;
  private busy = false;
  private closed = false;

  constructor(
    private readonly server: MemoryLogServer,
    private readonly client: MemoryOrderedLog,
    readonly partition: number,
    private readonly from: ReadPosition,
    private readonly events: ReadingEvents,
    private readonly onClosed: () => void,
  ) {
    this.offset = from.offset;
    this.term = from.term;
  }

  wake(): void {
    if (this.busy || this.closed) return;
    this.busy = true;
    this.client.later(() => void this.pump());
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.onClosed();
  }

  private async pump(): Promise<void> {
    try {
      while (this.isReading()) {
        const end = this.findEnd();
        if (end !== undefined) return this.end(end);
        const { maxBatch, entropy } = this.server;
        const records =
          this.server.partition(this.partition)?.read(this.offset, 1 + entropy.int(maxBatch)) ?? [];
        const last = records.at(-1);
        if (last === undefined) return;
        this.offset = last.offset + 1;
        this.term = last.term;
        // Every reader owns its bytes.
        await this.events.onRecords(records.map((record) => ({ ...record, bytes: record.bytes.slice() })));
        await new Promise<void>((resolve) => this.client.later(resolve));
      }
    } catch (error) {
      this.end({ kind: 'failed', error: error instanceof Error ? error : new Error(String(error)) });
    } finally {
      this.busy = false;
    }
  }

  private isReading(): boolean {
    return !this.closed && this.client.connected && !this.server.paused;
  }

  private findEnd(): ReadingEnd | undefined {
    const partition = this.server.partition(this.partition);
    if (partition?.incarnation !== this.from.incarnation)
      return { kind: 'replaced', incarnation: partition?.incarnation };
    const { first, end } = partition;
    const agreed = this.client.detectsCuts === 'log' && this.term > 0 ? partition.endOf(this.term) : end;
    if (agreed < this.offset) return { kind: 'cut', offset: agreed };
    return this.offset < first ? { kind: 'trimmed', first } : undefined;
  }

  private end(end: ReadingEnd): void {
    if (this.closed) return;
    this.close();
    this.events.onEnd(end);
  }
}
