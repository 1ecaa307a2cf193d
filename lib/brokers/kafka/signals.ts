import { LogUnavailableError, type Reading } from '../replicated/ordered-log.js';
import type { KafkaCluster } from './cluster.js';
import { messageOf } from './codes.js';
import { partitionBounds } from './partition-bounds.js';
import type { KafkaProducer } from './producer.js';
import { KafkaReading } from './reading.js';

const LEADER_ALONE = 1;
const PARTITION = 0;
/** Signals that wait while one request is under way, and their bytes: further ones are not sent. */
const MAX_WAITING = 10_000;
const MAX_WAITING_BYTES = 16_777_216;
const RETRY_MS = 500;

/** Signals in a topic of their own, which keeps them for a minute: read from its end, by all nodes. */
export class KafkaSignals {
  private readonly listeners = new Set<(bytes: Uint8Array) => void>();
  private waiting: Uint8Array[] = [];
  private waitingBytes = 0;
  private sending: Promise<void> | undefined;
  private reading: Reading | undefined;
  private starting: Promise<void> | undefined;

  constructor(
    private readonly cluster: KafkaCluster,
    private readonly producer: KafkaProducer,
    private readonly topic: string,
  ) {}

  /** Sends with the next request; resolves when that one was answered. @throws {LogUnavailableError} */
  send(bytes: Uint8Array): Promise<void> {
    if (!this.cluster.connected)
      return Promise.reject(new LogUnavailableError('There is no connection to Kafka'));
    if (this.waiting.length >= MAX_WAITING || this.waitingBytes + bytes.length > MAX_WAITING_BYTES)
      return Promise.reject(new LogUnavailableError('Too many signals wait for Kafka'));
    this.waiting.push(bytes.slice());
    this.waitingBytes += bytes.length;
    // One request at a time: what waits goes with the next one.
    const before = this.sending ?? Promise.resolve();
    if (this.waiting.length === 1)
      this.sending = before.catch(() => undefined).then(() => this.sendWaiting());
    return this.sending ?? before;
  }

  /** @throws {LogUnavailableError} when the end of the topic cannot be found */
  async listen(listener: (bytes: Uint8Array) => void): Promise<() => void> {
    if (this.cluster.isClosed) throw new LogUnavailableError('The log is closed');
    // Wrapped, so that the same function may listen twice.
    const entry = (bytes: Uint8Array): void => listener(bytes);
    this.listeners.add(entry);
    const stop = (): void => {
      this.listeners.delete(entry);
      if (this.listeners.size > 0) return;
      this.reading?.close();
      this.reading = undefined;
    };
    try {
      await this.startReading();
    } catch (error) {
      stop();
      throw error;
    }
    return stop;
  }

  close(): void {
    this.listeners.clear();
    this.reading?.close();
    this.reading = undefined;
  }

  private async sendWaiting(): Promise<void> {
    const values = this.waiting;
    this.waiting = [];
    this.waitingBytes = 0;
    try {
      await this.producer.produce(this.topic, PARTITION, values, LEADER_ALONE);
    } catch (error) {
      throw new LogUnavailableError(`Signals were not sent: ${messageOf(error)}`, { cause: error });
    }
  }

  private startReading(): Promise<void> {
    if (this.reading !== undefined) return Promise.resolve();
    this.starting ??= this.readFromEnd().finally(() => (this.starting = undefined));
    return this.starting;
  }

  private async readFromEnd(): Promise<void> {
    const { end, incarnation } = await partitionBounds(this.cluster, this.topic, PARTITION);
    if (this.listeners.size === 0 || this.cluster.isClosed) return;
    this.reading = new KafkaReading(
      this.cluster,
      this.topic,
      PARTITION,
      { incarnation, offset: end, term: 0 },
      {
        onRecords: (records) => {
          for (const { bytes } of records) for (const listener of [...this.listeners]) listener(bytes);
        },
        // What was lost is lost; what comes is read from the new end.
        onEnd: () => {
          this.reading = undefined;
          void this.readAgain();
        },
      },
      () => undefined,
    );
  }

  private async readAgain(): Promise<void> {
    while (this.listeners.size > 0 && !this.cluster.isClosed) {
      try {
        return await this.startReading();
      } catch {
        await this.cluster.pause(RETRY_MS);
      }
    }
  }
}
