import type {
  AppendOutcome,
  AppendRequest,
  Broker,
  BrokerCapabilities,
  BrokerListener,
  BrokerPresence,
  ReadRequest,
  ReadResult,
  SignalMessage,
} from '../../core/ports/broker.js';
import type { ControlMessage, ControlReceipt } from '../../core/ports/control.js';
import type { Position } from '../../protocol/position.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { MemoryNode } from './node.js';
import { positive, type MemoryStoreOptions } from './options.js';
import { MemoryProbe } from './probe.js';
import { MemoryStore } from './store.js';

/** What {@link memoryBroker} can be told. */
export interface MemoryBrokerOptions extends MemoryStoreOptions {
  /**
   * A store that this broker shares with others of the same process, which are then nodes of one cluster. It has its
   * own clock and bounds, so the other options of a store may not be given beside it. Default: a store of its own.
   */
  readonly store?: MemoryStore;
  /** How long `control` waits for a node's confirmation before it counts as missing, in milliseconds. Default 5 000. */
  readonly controlTimeoutMs?: number;
}

/**
 * The embedded broker: logs, dedupe, presence and control inside the process. For one node, and for tests; its events
 * survive a client's absence but not the process (`durability: 'process'`, G1).
 *
 * An appended event is kept and handed out as it is, never copied: do not change a payload after publishing it.
 *
 * Every method but `start` and `close` rejects with `RealtimeError('unavailable')` before `start` and after `close`.
 */
export class MemoryBroker implements Broker {
  readonly name = 'memory';
  readonly capabilities: BrokerCapabilities = {
    durability: 'process',
    dedupes: true,
    denseSeq: true,
    presence: true,
  };
  readonly presence: BrokerPresence = {
    enter: (entry, leaseMs) => this.attempt(() => this.store.presence.enter(entry, leaseMs)),
    update: (entry) => this.attempt(() => this.store.presence.update(entry)),
    leave: (entry, graceMs) => this.attempt(() => this.store.presence.leave(entry, graceMs)),
    renew: (entries, leaseMs) => this.attempt(() => this.store.presence.renew(entries, leaseMs)),
    members: (channel, page) =>
      this.attempt(() => this.store.presence.members(channel, page.cursor, page.limit)),
  };
  /** What this broker holds, or shares with the others of its cluster. */
  readonly store: MemoryStore;
  private readonly controlTimeoutMs: number;
  private readonly probes = new Set<MemoryProbe>();
  private node: MemoryNode | undefined;
  private closed = false;

  /** @throws RangeError for a bound that is not positive, TypeError for `store` beside options of a store. */
  constructor(options: MemoryBrokerOptions = {}) {
    const { store, controlTimeoutMs = 5_000, ...storeOptions } = options;
    const extra = Object.keys(storeOptions);
    if (store !== undefined && extra.length > 0) {
      throw new TypeError(
        `memoryBroker: \`store\` has its own ${extra.join(', ')}. Give them to \`new MemoryStore()\` instead.`,
      );
    }
    this.controlTimeoutMs = positive('controlTimeoutMs', controlTimeoutMs);
    this.store = store ?? new MemoryStore(storeOptions);
  }

  /**
   * @param nodeId Names the node in control receipts. Default: a random name.
   * @throws Error when it was started or closed before: make a new broker, on the same store if need be.
   */
  async start(listener: BrokerListener, nodeId: string = this.store.entropy.token()): Promise<void> {
    if (this.node !== undefined || this.closed) {
      throw new Error(
        'A MemoryBroker is started once. Make a new one; `store` lets it go on with the same logs.',
      );
    }
    const node = new MemoryNode(nodeId, listener);
    this.node = node;
    this.store.attach(node);
    listener.onState('up');
    await this.store.control.catchUp(node);
  }

  appendMany(requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    // Not `attempt`: the hot path makes no closure.
    return this.node === undefined ? refuse() : Promise.resolve(this.store.append(requests));
  }

  read(request: ReadRequest): Promise<ReadResult> {
    return this.attempt(() => this.store.read(request));
  }

  tips(channels: readonly string[]): Promise<readonly Position[]> {
    return this.attempt(() => channels.map((channel) => this.store.tip(channel)));
  }

  subscribe(channel: string): Promise<Position> {
    return this.attempt((node) => {
      const found = this.store.subscribe(channel, node);
      node.channels.add(found);
      return found.log.position;
    });
  }

  unsubscribe(channel: string): Promise<void> {
    return this.attempt((node) => {
      const found = this.store.unsubscribe(channel, node);
      if (found !== undefined) node.channels.delete(found);
    });
  }

  signal(channel: string, message: SignalMessage): Promise<void> {
    return this.attempt(() => this.store.signal(channel, message));
  }

  async control(message: ControlMessage): Promise<ControlReceipt> {
    if (this.node === undefined) return refuse();
    return this.store.control.send(message, this.node, this.store.started, this.controlTimeoutMs);
  }

  probe(timeoutMs: number): Promise<number> {
    if (this.node === undefined) return refuse();
    const probe = new MemoryProbe(this.store, `$probe.${this.node.id}`, timeoutMs, () =>
      this.probes.delete(probe),
    );
    this.probes.add(probe);
    probe.run();
    return probe.result;
  }

  /** Forgets a channel's events and begins a new epoch; see {@link MemoryStore.clear}. */
  clear(channel: string): Promise<void> {
    return this.attempt(() => this.store.clear(channel));
  }

  async close(): Promise<void> {
    this.closed = true;
    const node = this.node;
    if (node === undefined) return;
    this.node = undefined;
    this.store.detach(node);
    for (const probe of [...this.probes]) probe.fail(unavailable());
  }

  private async attempt<T>(work: (node: MemoryNode) => T): Promise<T> {
    if (this.node === undefined) throw unavailable();
    return work(this.node);
  }
}

/**
 * Makes the embedded broker, which is also the default of `RealtimeModule`.
 *
 * @example broker: memoryBroker()
 * @example broker: memoryBroker({ maxIdleChannels: 10_000 })
 * @throws RangeError for a bound that is not positive, TypeError for `store` beside options of a store.
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): MemoryBroker {
  return new MemoryBroker(options);
}

function unavailable(): RealtimeError {
  return new RealtimeError(
    'unavailable',
    'The memory broker is not running: it was closed, or not started yet',
  );
}

function refuse(): Promise<never> {
  return Promise.reject(unavailable());
}
