import type {
  Broker,
  BrokerBus,
  BrokerCapabilities,
  BrokerListener,
  BrokerLog,
  BrokerPresence,
} from '../../core/ports/broker.js';
import { assertNodeMessage } from '../common/node-message.js';
import { Probes } from '../common/probes.js';
import { MemoryLog } from './log.js';
import { MemoryNode, notRunning, RunningNode } from './node.js';
import { positive, type MemoryStoreOptions } from './options.js';
import type { BrokerTransitions } from '../../core/ports/transitions.js';
import { MemoryStore } from './store.js';

/** Options of {@link memoryBroker}. */
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
 * What it holds is bounded in bytes ({@link MemoryStoreOptions.maxBytes}), and it says through the log of the application when it
 * had to forget or refuse something for that.
 *
 * An appended event is kept and delivered as it is, never copied: do not change a payload after publishing it.
 *
 * Every method but `start` and `close` rejects with `RealtimeError('unavailable')` before `start` and after `close`.
 */
export class MemoryBroker implements Broker {
  readonly name = 'memory';
  readonly capabilities: BrokerCapabilities = {
    durability: 'process',
    dedupes: true,
    presence: true,
  };
  /** What this broker holds, or shares with the others of its cluster. */
  readonly store: MemoryStore;
  readonly log: BrokerLog;
  readonly presence: BrokerPresence;
  readonly bus: BrokerBus;
  readonly transitions: BrokerTransitions;
  private readonly running = new RunningNode();
  private probes: Probes | undefined;
  private closed = false;

  /** @throws RangeError for a bound that is out of range, TypeError for `store` beside options of a store. */
  constructor(options: MemoryBrokerOptions = {}) {
    const { store, controlTimeoutMs = 5_000, ...storeOptions } = options;
    const extra = Object.keys(storeOptions);
    if (store !== undefined && extra.length > 0) {
      throw new TypeError(
        `memoryBroker: ${extra.join(', ')} cannot be given beside \`store\`. Give them to \`new MemoryStore()\` instead.`,
      );
    }
    positive('controlTimeoutMs', controlTimeoutMs);
    this.store = store ?? new MemoryStore(storeOptions);
    const { running } = this;
    const { presence, control } = this.store;
    this.log = new MemoryLog(this.store, running);
    this.presence = {
      enter: (entry, leaseMs) => running.run(() => presence.enter(entry, leaseMs)),
      update: (entry) => running.run(() => presence.update(entry)),
      leave: (entry, graceMs) => running.run(() => presence.leave(entry, graceMs)),
      renew: (entries, leaseMs) => running.run(() => presence.renew(entries, leaseMs)),
      members: (channel, page) => running.run(() => presence.members(channel, page.cursor, page.limit)),
    };
    const { transitions } = this.store;
    this.transitions = {
      hold: (holds, leaseMs) => running.run(() => transitions.hold(holds, leaseMs)),
      release: (hold, graceMs) => running.run(() => transitions.release(hold, graceMs)),
      take: (limit) => running.run((node) => transitions.take(node, limit)),
      done: (ids) => running.run(() => transitions.done(ids)),
    };
    this.bus = {
      control: (message) =>
        running.run((node) => control.send(message, node, this.store.started, controlTimeoutMs)),
      send: (to, topic, bytes) =>
        running.run((from) => {
          assertNodeMessage({ topic, bytes });
          this.store.send(from, to, topic, bytes);
        }),
      nodes: () => running.run(() => this.store.started.map(({ id }) => id)),
    };
  }

  /**
   * @param nodeId Names the node in control receipts. Default: a random name.
   * @throws Error when it was started or closed before: make a new broker, on the same store if need be.
   */
  async start(listener: BrokerListener, nodeId: string = this.store.entropy.token()): Promise<void> {
    if (this.running.current !== undefined || this.closed) {
      throw new Error(
        'A MemoryBroker is started once. Make a new one, with the same `store` to keep the logs.',
      );
    }
    const node = new MemoryNode(nodeId, listener);
    this.running.current = node;
    const { clock, entropy } = this.store;
    this.probes = new Probes(`$probe.${nodeId}`, this.log, clock, entropy);
    this.store.attach(node);
    listener.onState('up');
    await this.store.control.catchUp(node);
  }

  probe(timeoutMs: number): Promise<number> {
    return this.running.run(async () => {
      const { probes, store } = this;
      if (probes === undefined) throw notRunning();
      store.advance();
      store.subscribe(probes.channel, probes);
      try {
        return await probes.run(timeoutMs);
      } finally {
        if (probes.size === 0) store.unsubscribe(probes.channel, probes);
      }
    });
  }

  /** Forgets a channel's events and begins a new epoch; see {@link MemoryStore.clear}. */
  clear(channel: string): Promise<void> {
    return this.running.run(() => this.store.clear(channel));
  }

  async close(): Promise<void> {
    this.closed = true;
    const node = this.running.current;
    if (node === undefined) return;
    this.running.current = undefined;
    this.store.detach(node);
    this.probes?.close(notRunning());
  }
}

/**
 * Makes the embedded broker, which is also the default of `RealtimeModule`.
 *
 * @example broker: memoryBroker()
 * @example broker: memoryBroker({ maxBytes: 512 * 1024 * 1024 })
 * @throws RangeError for a bound that is out of range, TypeError for `store` beside options of a store.
 */
export function memoryBroker(options: MemoryBrokerOptions = {}): MemoryBroker {
  return new MemoryBroker(options);
}
