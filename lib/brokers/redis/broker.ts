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
import { RedisTarget } from './connection/target.js';
import { unavailable } from './errors.js';
import { RedisKeys } from './keys.js';
import { RedisNode } from './node.js';
import type { RedisBrokerOptions } from './options.js';
import { redisSettings, type RedisSettings } from './settings.js';

/**
 * A broker on Redis ≥ 7: logs, dedupe, presence and control shared by any number of nodes, which may come and go. An
 * acknowledged event survives every node (`durability: 'broker'`, G1); what asynchronous replication or a lost disk can
 * take from Redis itself is announced by a new epoch (G6), and `durability: { level: 'replicated' }` narrows it.
 *
 * Every method but `start` and `close` rejects with `RealtimeError('unavailable')` before `start` and after `close`.
 */
export class RedisBroker implements Broker {
  /** Names the broker in logs and in health reports. */
  readonly name = 'redis';
  /** What it promises; `durability` is `replicated` where that was asked for, else `broker` (G1). */
  readonly capabilities: BrokerCapabilities;
  /** Members of channels, across all nodes (G19). */
  readonly presence: BrokerPresence = {
    enter: (entry, leaseMs) => this.attempt((node) => node.presence.enter(entry, leaseMs)),
    update: (entry) => this.attempt((node) => node.presence.update(entry)),
    leave: (entry, graceMs) => this.attempt((node) => node.presence.leave(entry, graceMs)),
    renew: (entries, leaseMs) => this.attempt((node) => node.presence.renew(entries, leaseMs)),
    members: (channel, page) => this.attempt((node) => node.presence.members(channel, page)),
  };
  private readonly settings: RedisSettings;
  private readonly keys: RedisKeys;
  private readonly target: RedisTarget;
  private node: RedisNode | undefined;
  private starting = false;
  private closing: Promise<void> | undefined;

  /** @throws RangeError for an option that cannot be; it names the option and the remedy. */
  constructor(options: RedisBrokerOptions = {}) {
    this.settings = redisSettings(options);
    this.keys = new RedisKeys(this.settings.keyPrefix, this.settings.partitions);
    this.target = new RedisTarget(options, this.settings);
    this.capabilities = {
      durability: this.settings.replicated === undefined ? 'broker' : 'replicated',
      dedupes: true,
      denseSeq: true,
      presence: true,
    };
  }

  /**
   * Connects, checks the server, and resolves when events can be appended and received. Called by the module.
   *
   * @param nodeId Names the node in control receipts; two nodes of a deployment may not share it. Default: a random name.
   * @throws Error when Redis cannot be reached or is not fit, with the remedy; and when it was started or closed before.
   */
  async start(listener: BrokerListener, nodeId: string = this.settings.entropy.token()): Promise<void> {
    if (this.starting || this.closing !== undefined)
      throw new Error('A RedisBroker is started once. Make a new one: the logs are in Redis.');
    this.starting = true;
    const node = new RedisNode(nodeId, listener, this.target, this.keys, this.settings);
    try {
      await node.start();
    } catch (error) {
      await node.close();
      throw error;
    }
    // Closed while it was started.
    if (this.isClosed) {
      await node.close();
      throw unavailable('The Redis broker was closed');
    }
    this.node = node;
  }

  /**
   * Appends in the order given. Of each request the outcome says whether it is in the log; it is `timeout` when that is not
   * known, and `unavailable` when nothing was appended. No command that may have run is sent again (G21).
   */
  appendMany(requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]> {
    // Not `attempt`: the hot path makes no closure.
    return this.node === undefined ? refuse() : this.node.appends.append(requests);
  }

  /** A range of a channel's log. Events carry the epoch of `tip`, whichever they were appended under (P14). */
  read(request: ReadRequest): Promise<ReadResult> {
    return this.attempt((node) => node.log.read(request));
  }

  /** Ends of many logs, in the order asked; an empty log has one too (P11). */
  tips(channels: readonly string[]): Promise<readonly Position[]> {
    return this.attempt((node) => node.log.tips(channels));
  }

  /**
   * Turns interest in a channel on: from before the returned tip on, every event reaches the listener, and what a lost
   * message took is read from the log (G5). To be called once per channel.
   */
  subscribe(channel: string): Promise<Position> {
    return this.attempt((node) => node.subscribe(channel));
  }

  /** Turns interest in a channel off. */
  unsubscribe(channel: string): Promise<void> {
    return this.attempt(async (node) => node.unsubscribe(channel));
  }

  /** Sends an ephemeral message to every node that is subscribed, this one included; nothing is stored. */
  signal(channel: string, message: SignalMessage): Promise<void> {
    return this.attempt((node) => node.signal(channel, message));
  }

  /** Sends a durable record to every node, this one included; resolves when all have confirmed, or names who has not (G11). */
  control(message: ControlMessage): Promise<ControlReceipt> {
    return this.attempt((node) => node.control.send(message));
  }

  /** Publishes through the normal path. Resolves to the milliseconds until it came back; rejects after `timeoutMs` (G20). */
  probe(timeoutMs: number): Promise<number> {
    return this.attempt((node) => node.probes.run(timeoutMs));
  }

  /** Flushes what was accepted, and closes every connection. Idempotent; never rejects (G18). */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private get isClosed(): boolean {
    return this.closing !== undefined;
  }

  private async end(): Promise<void> {
    const { node } = this;
    this.node = undefined;
    await node?.close();
  }

  private attempt<T>(work: (node: RedisNode) => Promise<T>): Promise<T> {
    return this.node === undefined ? refuse() : work(this.node);
  }
}

/**
 * Makes a broker on Redis, which several nodes share.
 *
 * @example broker: redisBroker({ url: 'redis://127.0.0.1:6379' })
 * @example broker: redisBroker({ cluster: { nodes: [{ host: 'redis-1', port: 6379 }] }, tls: {} })
 * @example broker: redisBroker({ sentinel: { name: 'main', sentinels: [{ host: 'sentinel-1', port: 26379 }] } })
 * @throws RangeError for an option that cannot be; it names the option and the remedy.
 */
export function redisBroker(options: RedisBrokerOptions = {}): RedisBroker {
  return new RedisBroker(options);
}

function refuse(): Promise<never> {
  return Promise.reject(unavailable('The Redis broker is not running: it was closed, or not started yet'));
}
