import type { LogLink } from './log-link.js';
import { AppendError, type AppendResult } from './ordered-log.js';

/** What every driver refuses by itself. */
interface AppendLimits {
  readonly partitions: number;
  readonly maxRecordBytes: number;
}

/** What all drivers do around an append: one in flight per partition, for the connection that is open, and an end with it. */
export class AppendGate {
  /** Of each partition, what fails the append that is in flight. */
  private readonly inFlight = new Map<number, (reason: string) => void>();
  private closed = false;

  constructor(
    private readonly limits: AppendLimits,
    private readonly link: LogLink,
  ) {
    link.onState(({ connected, reason }) => {
      if (!connected) this.failAll(reason ?? 'the connection was lost');
    });
  }

  /**
   * Sends a record, unless it must be refused.
   *
   * @param send Called at once; rejects with an {@link AppendError}.
   */
  run(
    partition: number,
    bytes: Uint8Array,
    session: number,
    send: () => Promise<AppendResult>,
  ): Promise<AppendResult> {
    const refusal = this.refusal(partition, bytes, session);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => {
      const fail = (reason: string): void => settle(() => reject(new AppendError('unknown', reason)));
      const settle = (how: () => void): void => {
        if (this.inFlight.get(partition) !== fail) return;
        this.inFlight.delete(partition);
        how();
      };
      this.inFlight.set(partition, fail);
      send().then(
        (result) => settle(() => resolve(result)),
        (error: AppendError) => settle(() => reject(error)),
      );
    });
  }

  /** Fails what is in flight, and refuses everything from now on. */
  close(): void {
    this.closed = true;
    this.failAll('the log was closed');
  }

  private refusal(partition: number, bytes: Uint8Array, session: number): AppendError | undefined {
    const { partitions, maxRecordBytes } = this.limits;
    if (this.closed) return new AppendError('refused', 'The log is closed', false);
    if (!isPartition(partition, partitions))
      return new AppendError(
        'refused',
        `There is no partition ${partition}: they are 0 to ${partitions - 1}`,
        false,
      );
    if (bytes.length === 0 || bytes.length > maxRecordBytes)
      return new AppendError(
        'refused',
        `A record has 1 to ${maxRecordBytes} bytes, not ${bytes.length}`,
        false,
      );
    if (!this.link.connected) return new AppendError('refused', 'There is no connection to the log');
    if (session !== this.link.session)
      return new AppendError('refused', 'The record was meant for an earlier connection');
    if (this.inFlight.has(partition))
      return new AppendError('refused', `Another append of partition ${partition} is in flight`);
    return undefined;
  }

  private failAll(reason: string): void {
    for (const fail of [...this.inFlight.values()]) fail(`The append was not answered: ${reason}`);
  }
}

/** Whether a number names one of `count` partitions. */
export function isPartition(partition: number, count: number): boolean {
  return Number.isInteger(partition) && partition >= 0 && partition < count;
}

/** @throws RangeError for a partition that does not exist */
export function assertPartition(partition: number, count: number): void {
  if (!isPartition(partition, count)) throw new RangeError(`There is no partition ${partition} of ${count}`);
}
