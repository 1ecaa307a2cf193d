import type {
  Broker,
  BrokerBus,
  BrokerCapabilities,
  BrokerListener,
  BrokerLog,
  BrokerPresence,
  Durability,
  StorageWeakness,
} from '../../core/ports/broker.js';
import type { BrokerTransitions } from '../../core/ports/transitions.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { Probes } from '../common/probes.js';
import { ReplicatedNode } from './node.js';
import type { LogDeps } from './log-deps.js';
import type { OrderedLog } from './ordered-log.js';
import { replicatedSettings, type ReplicatedOptions, type ReplicatedSettings } from './settings.js';

/** What makes a replicated broker one of a kind of log. */
export interface ReplicatedDriver {
  /** Name of the broker: lower-case letters. */
  readonly name: string;
  readonly durability: Durability;
  /** How many partitions the log has: bounds of memory are divided by it. */
  readonly partitions: number;
  /** Opens the log: makes or checks its topics. Called once. @throws LogSetupError with the remedy */
  open(deps: LogDeps): Promise<OrderedLog>;
}

/**
 * A broker over an ordered log: every node reads all records, in the same order, and computes the same state from them.
 *
 * Every method but `start` and `close` rejects with `RealtimeError('unavailable')` before `start` and after `close`.
 */
export class ReplicatedBroker implements Broker {
  /** Name of the kind of log, such as `kafka`. */
  readonly name: string;
  /** What the broker promises; its durability follows from the replicas of the log (G1). */
  readonly capabilities: BrokerCapabilities;
  /** Logs of channels. Refuses with `unavailable` while the broker does not run. */
  readonly log: BrokerLog = {
    appendMany: async (requests) => this.running.log.appendMany(requests),
    read: async (request) => this.running.log.read(request),
    erase: async (request) => this.running.log.erase(request),
    tips: async (channels) => this.running.log.tips(channels),
    subscribe: async (channel) => this.running.log.subscribe(channel),
    unsubscribe: async (channel) => this.running.log.unsubscribe(channel),
    signal: async (channel, message) => this.running.log.signal(channel, message),
  };
  /** Members of channels (G19). */
  readonly presence: BrokerPresence = {
    enter: async (entry, leaseMs) => this.running.presence.enter(entry, leaseMs),
    update: async (entry) => this.running.presence.update(entry),
    leave: async (entry, graceMs) => this.running.presence.leave(entry, graceMs),
    renew: async (entries, leaseMs) => this.running.presence.renew(entries, leaseMs),
    members: async (channel, page) => this.running.presence.members(channel, page),
  };
  /** Control records and messages between nodes. */
  readonly bus: BrokerBus = {
    control: async (message) => this.running.bus.control(message),
    send: async (node, topic, bytes) => this.running.bus.send(node, topic, bytes),
    nodes: async () => this.running.bus.nodes(),
  };
  /** First holders and last ends, for hooks (G19). */
  readonly transitions: BrokerTransitions = {
    hold: async (holds, leaseMs) => this.running.transitions.hold(holds, leaseMs),
    release: async (hold, graceMs) => this.running.transitions.release(hold, graceMs),
    take: async (limit) => this.running.transitions.take(limit),
    done: async (ids) => this.running.transitions.done(ids),
  };
  private node: ReplicatedNode | undefined;
  private storage: OrderedLog | undefined;
  private probes: Probes | undefined;
  private begun = false;
  private closing: Promise<void> | undefined;

  private readonly settings: ReplicatedSettings;

  /** @throws RangeError for an option that cannot be; it names the option. */
  constructor(
    private readonly driver: ReplicatedDriver,
    options: ReplicatedOptions,
  ) {
    this.name = driver.name;
    this.capabilities = { durability: driver.durability, dedupes: true, presence: true };
    this.settings = replicatedSettings(driver.name, options, driver.partitions);
  }

  /**
   * Opens the log and resolves when events can be appended and received.
   *
   * @throws Error when the log cannot be reached or does not fit, with the remedy; and when it was started or closed before.
   */
  async start(listener: BrokerListener, nodeId?: string): Promise<void> {
    if (this.begun || this.closing !== undefined)
      throw new Error(`A ${this.name} broker is started once. Make a new one: the logs are kept.`);
    this.begun = true;
    const { settings } = this;
    const { clock, entropy, onWarning } = settings;
    const warn = (message: string): void => {
      onWarning(message);
      listener.onWarning?.(message);
    };
    const storage = await this.driver.open({ clock, entropy, onWarning: warn });
    this.storage = storage;
    const node = new ReplicatedNode(storage, settings, nodeId ?? entropy.token(), listener);
    try {
      await node.start();
      if (this.isClosed) throw notRunning();
      const probes = new Probes(`$probe.${entropy.token()}`, node.log, clock, entropy);
      node.log.follow(probes.channel, probes.listener);
      this.probes = probes;
    } catch (error) {
      await node.close();
      throw error;
    }
    this.node = node;
  }

  /** Publishes through the normal path and waits until it came back (G20). */
  async probe(timeoutMs: number): Promise<number> {
    if (this.probes === undefined || this.node === undefined) throw notRunning();
    return this.probes.run(timeoutMs);
  }

  /** What weakens the storage. For the doctor. */
  inspect(): Promise<readonly StorageWeakness[]> {
    return Promise.resolve(this.storage?.weaknesses ?? []);
  }

  /** Flushes what was accepted, then releases everything. Idempotent; never rejects. */
  close(): Promise<void> {
    this.closing ??= this.release();
    return this.closing;
  }

  private get isClosed(): boolean {
    return this.closing !== undefined;
  }

  private get running(): ReplicatedNode {
    if (this.node === undefined || this.isClosed) throw notRunning();
    return this.node;
  }

  private async release(): Promise<void> {
    const { node } = this;
    this.probes?.close(notRunning());
    await node?.close();
    this.node = undefined;
  }
}

function notRunning(): RealtimeError {
  return new RealtimeError('unavailable', 'The broker is not running: it was closed, or not started yet');
}
