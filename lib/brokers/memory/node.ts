import type { BrokerListener } from '../../core/ports/broker.js';
import type { MemoryChannel, MemorySubscriber } from './channel.js';

/** One broker that is started on a store: a node of the cluster that the store is. */
export class MemoryNode implements MemorySubscriber {
  /** Channels that it is subscribed to, so that closing finds them. */
  readonly channels = new Set<MemoryChannel>();
  /** Set for good when its broker is closed: what still waits for it is not told any more. */
  closed = false;

  constructor(
    /** Names it in control receipts. */
    readonly id: string,
    readonly listener: BrokerListener,
  ) {}
}
