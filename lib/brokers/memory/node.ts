import type { BrokerListener } from '../../core/ports/broker.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { FULL_RETRY_MS, FULL_TEXT } from '../machine/full.js';
import type { MemorySubscriber } from './feed.js';

/** One broker that is started on a store: a node of the cluster that the store is. */
export class MemoryNode implements MemorySubscriber {
  /** Channels that it is subscribed to, so that closing finds them. */
  readonly channels = new Set<string>();
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

/** The refusal of what would have to stay: what is there may be dropped for nothing. */
export function full(): RealtimeError {
  return new RealtimeError('unavailable', FULL_TEXT, { retryAfterMs: FULL_RETRY_MS });
}
