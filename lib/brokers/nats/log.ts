import type { Msg, Subscription } from '@nats-io/transport-node';
import { AppendGate, assertPartition } from '../replicated/append-gate.js';
import {
  LogUnavailableError,
  type AppendResult,
  type Checkpoint,
  type CheckpointHead,
  type LogBounds,
  type LogState,
  type LogWeakness,
  type OrderedLog,
  type Reading,
  type ReadingEvents,
  type ReadPosition,
} from '../replicated/ordered-log.js';
import type { MaybePromise } from '../../core/ports/maybe-promise.js';
import { NatsCheckpoints } from './checkpoints.js';
import { loadNats } from './driver.js';
import { appendError, unavailable } from './errors.js';
import { NatsLink } from './link.js';
import type { LogDeps } from '../replicated/log-deps.js';
import { natsSettings, type NatsLogOptions, type NatsLogSettings } from './options.js';
import { NatsReading } from './reading.js';
import { NatsNames, prepareStreams } from './streams.js';

/** What the headers and the subject of a record take of the server's `max_payload`, amply. */
const HEAD_BYTES = 1_024;

/**
 * Opens a log in NATS JetStream: connects, makes or checks the streams.
 *
 * @throws LogSetupError with the remedy: no connection, no JetStream, streams that cannot be made or do not fit
 * @throws RangeError for an option that is not valid
 * @example
 * const log = await openNatsLog({ servers: 'nats.internal:4222', replicas: 3, credentials }, { clock, entropy });
 */
export async function openNatsLog(options: NatsLogOptions, deps: LogDeps): Promise<OrderedLog> {
  const settings = natsSettings(options);
  const link = await NatsLink.open(await loadNats(), settings, deps);
  try {
    const names = new NatsNames(settings.name);
    return new NatsLog(link, deps, names, settings, await prepareStreams(link, names, settings));
  } catch (error) {
    await link.close();
    throw error;
  }
}

class NatsLog implements OrderedLog {
  readonly name = 'nats';
  /** A new leader is elected among those that have everything; what a stream lost beside that, its readers find out. */
  readonly detectsCuts = 'readers';
  readonly firstOffset = 1;
  readonly maxRecordBytes: number;
  readonly acknowledgedCopies: number;
  private readonly gate: AppendGate;
  private readonly checkpoints: NatsCheckpoints;
  private readonly readings = new Set<NatsReading>();
  /** Listeners, and what listens for each on the connection that is open. */
  private readonly signals = new Map<(bytes: Uint8Array) => void, Subscription>();
  private closing: Promise<void> | undefined;

  constructor(
    private readonly link: NatsLink,
    private readonly deps: LogDeps,
    private readonly names: NatsNames,
    private readonly settings: NatsLogSettings,
    readonly weaknesses: readonly LogWeakness[],
  ) {
    const maxPayload = link.nc.info?.max_payload ?? settings.maxRecordBytes + HEAD_BYTES;
    this.maxRecordBytes = Math.min(settings.maxRecordBytes, maxPayload - HEAD_BYTES);
    // The leader answers when a majority has it.
    this.acknowledgedCopies = (settings.replicas + 1) / 2;
    this.gate = new AppendGate(this, link);
    this.checkpoints = new NatsCheckpoints(link, deps, names, this.maxRecordBytes);
  }

  get partitions(): number {
    return this.settings.partitions;
  }

  get connected(): boolean {
    return this.link.connected;
  }

  get session(): number {
    return this.link.session;
  }

  onState(listener: (state: LogState) => void): () => void {
    return this.link.onState(listener);
  }

  append(partition: number, bytes: Uint8Array, session: number): Promise<AppendResult> {
    return this.gate.run(partition, bytes, session, () => this.publish(partition, bytes));
  }

  consume(partition: number, from: ReadPosition, events: ReadingEvents): Reading {
    assertPartition(partition, this.partitions);
    const { deps, link, maxRecordBytes, names } = this;
    const reading: NatsReading = new NatsReading(
      link,
      deps,
      names.stream(partition),
      maxRecordBytes,
      from,
      events,
      () => this.readings.delete(reading),
    );
    this.readings.add(reading);
    if (this.closing !== undefined) reading.close();
    return reading;
  }

  async bounds(partition: number): Promise<LogBounds> {
    assertPartition(partition, this.partitions);
    try {
      const stream = this.names.stream(partition);
      const { created, state } = await this.link.inquire(() => this.link.jsm.streams.info(stream));
      const end = state.last_seq + 1;
      return { first: state.messages === 0 ? end : state.first_seq, end, incarnation: created };
    } catch (error) {
      throw unavailable(error);
    }
  }

  async saveCheckpoint(partition: number, checkpoint: Checkpoint): Promise<void> {
    assertPartition(partition, this.partitions);
    return this.checkpoints.save(partition, checkpoint);
  }

  async loadCheckpoint(
    partition: number,
    accept: (head: CheckpointHead) => MaybePromise<boolean> = () => true,
  ): Promise<Checkpoint | undefined> {
    assertPartition(partition, this.partitions);
    return this.checkpoints.load(partition, accept);
  }

  async signal(bytes: Uint8Array): Promise<void> {
    this.link.assertReady();
    try {
      this.link.nc.publish(this.names.signals, bytes);
    } catch (error) {
      throw unavailable(error);
    }
  }

  async onSignal(listener: (bytes: Uint8Array) => void): Promise<() => void> {
    if (this.closing !== undefined) throw new LogUnavailableError('The log is closed');
    this.link.assertReady();
    // Wrapped, so that the same function may listen twice.
    const entry = (bytes: Uint8Array): void => listener(bytes);
    const callback = (error: Error | null, msg: Msg): void => {
      if (error === null) entry(msg.data);
    };
    const listen = (): void => {
      const { nc } = this.link;
      this.signals.set(entry, nc.subscribe(this.names.signals, { callback }));
    };
    listen();
    const { nc } = this.link;
    // The client subscribes again after a reconnect; a client that was replaced knows nothing of it.
    const unlisten = this.link.onState(({ connected }) => {
      if (connected && this.link.nc !== nc && this.signals.get(entry)?.isClosed()) listen();
    });
    const stop = (): void => {
      unlisten();
      this.signals.get(entry)?.unsubscribe();
      this.signals.delete(entry);
    };
    try {
      await this.link.ask(() => nc.flush());
    } catch (error) {
      stop();
      throw unavailable(error);
    }
    return stop;
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async publish(partition: number, bytes: Uint8Array): Promise<AppendResult> {
    try {
      this.link.assertReady();
      const { seq } = await this.link.js.publish(this.names.subject(partition), bytes, {
        expect: { streamName: this.names.stream(partition) },
      });
      return { offset: seq };
    } catch (error) {
      throw appendError(error);
    }
  }

  private async end(): Promise<void> {
    this.gate.close();
    for (const reading of [...this.readings]) reading.close();
    this.signals.clear();
    await this.link.close().catch(() => undefined);
  }
}
