import type {
  Broker,
  BrokerBus,
  BrokerCapabilities,
  BrokerListener,
  BrokerLog,
  BrokerPresence,
} from '../../core/ports/broker.js';
import { placeOf } from '../common/member-cursor.js';
import { assertNodeMessage } from '../common/node-message.js';
import { Probes } from '../common/probes.js';
import { MemoryLog } from './log.js';
import type { Done, Full } from '../machine/commands.js';
import { full, MemoryNode, notRunning, RunningNode } from './node.js';
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
    const { store: made } = this;
    this.log = new MemoryLog(made, running);
    this.presence = {
      enter: (entry, leaseMs) => running.run(() => needRoom(made.apply({ kind: 'enter', entry, leaseMs }))),
      update: (entry) => running.run(() => needRoom(made.apply({ kind: 'update', entry }))),
      leave: (entry, graceMs) => running.run(() => needRoom(made.apply({ kind: 'leave', entry, graceMs }))),
      renew: (entries, leaseMs) =>
        running.run(() => needRoom(made.apply({ kind: 'renew', entries, leaseMs }))),
      members: (channel, { cursor, limit }) =>
        running.run(() => {
          const after = placeOf(cursor);
          made.advance();
          return made.machine.members(channel, after, limit);
        }),
    };
    this.transitions = {
      hold: (holds, leaseMs) => running.run(() => needRoom(made.apply({ kind: 'hold', holds, leaseMs }))),
      release: (hold, graceMs) => running.run(() => needRoom(made.apply({ kind: 'release', hold, graceMs }))),
      take: (limit) => running.run(({ id }) => made.apply({ kind: 'take', node: id, limit }).transitions),
      done: (ids) => running.run(() => needRoom(made.apply({ kind: 'done', ids }))),
    };
    this.bus = {
      control: (message) => running.run((node) => made.sendControl(message, node, controlTimeoutMs)),
      send: (to, topic, bytes) =>
        running.run((from) => {
          assertNodeMessage({ topic, bytes });
          made.send(from, to, topic, bytes);
        }),
      nodes: () => running.run(() => made.started.map(({ id }) => id)),
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
    await this.store.attach(node);
  }

  probe(timeoutMs: number): Promise<number> {
    return this.running.run(async () => {
      const { probes, store } = this;
      if (probes === undefined) throw notRunning();
      store.subscribe(probes.channel, probes, true);
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

/** @throws RealtimeError `unavailable` when there was no room. */
function needRoom({ ok }: Done | Full): void {
  if (!ok) throw full();
}
