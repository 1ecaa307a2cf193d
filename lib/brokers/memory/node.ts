import type { BrokerListener } from '../../core/ports/broker.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { MemoryChannel, MemorySubscriber } from './channel.js';

/** One broker that is started on a store: a node of the cluster that the store is. */
export class MemoryNode implements MemorySubscriber {
  /** Channels that it is subscribed to, so that closing finds them. */
  readonly channels = new Set<MemoryChannel>();
  /** Whether its broker is closed; then what is queued for it is dropped. */
  closed = false;

  constructor(
    /** Names it in control receipts. */
    readonly id: string,
    readonly listener: BrokerListener,
  ) {}
}

/** The node of a broker while it runs; none before `start` and after `close`, when every call is refused. */
export class RunningNode {
  current: MemoryNode | undefined;

  /** Runs `work`; rejects with `unavailable` when the broker does not run. */
  async run<T>(work: (node: MemoryNode) => T | Promise<T>): Promise<T> {
    if (this.current === undefined) throw notRunning();
    return work(this.current);
  }
}

export function notRunning(): RealtimeError {
  return new RealtimeError(
    'unavailable',
    'The memory broker is not running: it was closed, or not started yet',
  );
}

/** When what was refused for lack of room may be tried again, in milliseconds. */
export const FULL_RETRY_MS = 1_000;

export const FULL_TEXT = 'The memory of the server is full; try again later';

/** The refusal of what would have to stay: what is there may be dropped for nothing. */
export function full(): RealtimeError {
  return new RealtimeError('unavailable', FULL_TEXT, { retryAfterMs: FULL_RETRY_MS });
}
