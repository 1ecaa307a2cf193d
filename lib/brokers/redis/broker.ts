import type {
  Broker,
  BrokerBus,
  BrokerCapabilities,
  BrokerListener,
  BrokerLog,
  BrokerPresence,
  BrokerState,
} from '../../core/ports/broker.js';
import { RedisAppends } from './append/appends.js';
import { RedisInterest } from './connection/channel-subscriptions.js';
import { RedisCommands } from './connection/commands.js';
import { RedisTarget } from './connection/target.js';
import { RedisControl } from './control/control.js';
import { bootError, unavailable } from './errors.js';
import { guarded, RedisFeeds } from './feed.js';
import { CONTROL_CHANNEL, RedisKeys } from './keys.js';
import { RedisLog } from './log.js';
import { RedisHeart } from './node-heartbeat.js';
import type { RedisBrokerOptions } from './options.js';
import { RedisPresence } from './presence/presence.js';
import { RedisSweeper } from './presence/sweeper.js';
import { RedisProbes } from './probe.js';
import { checkServer } from './server-check.js';
import { redisSettings, type RedisSettings } from './settings.js';
import { RedisTipCheck } from './tip-check.js';

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
  /** The channels' logs, and what this node subscribes to. */
  readonly log: BrokerLog;
  /** Members of channels, across all nodes (G19). */
  readonly presence: BrokerPresence;
  /** Control records, to every node (G11). */
  readonly bus: BrokerBus;
  private readonly settings: RedisSettings;
  private readonly keys: RedisKeys;
  private readonly target: RedisTarget;
  private readonly commands: RedisCommands;
  /** Connection for appends where `WAIT` would hold up everything else. */
  private readonly writer: RedisCommands;
  private readonly appends: RedisAppends;
  private readonly control: RedisControl;
  private readonly feeds: RedisFeeds;
  private readonly heart: RedisHeart;
  private readonly interest: RedisInterest;
  private readonly probes: RedisProbes;
  private readonly sweeper: RedisSweeper;
  private readonly tipCheck: RedisTipCheck;
  /** Topic of the confirmations that this node waits for. */
  private answers = '';
  private listener: BrokerListener | undefined;
  private state: BrokerState | undefined;
  /** Whether `start` has come so far that the state may be told, and that the other nodes know of this one. */
  private connected = false;
  private running = false;
  private released = false;
  private closing: Promise<void> | undefined;
  private whenReady: (() => void) | undefined;

  /** @throws RangeError for an option that cannot be; it names the option and the remedy. */
  constructor(options: RedisBrokerOptions = {}) {
    const settings = redisSettings(options);
    const { keyPrefix, partitions, replicated } = settings;
    const keys = new RedisKeys(keyPrefix, partitions);
    const target = new RedisTarget(options, settings);
    this.capabilities = {
      durability: replicated === undefined ? 'broker' : 'replicated',
      dedupes: true,
      presence: true,
    };
    const onChange = () => this.tellState();
    const commands = new RedisCommands(target, settings, keys, 'commands', onChange);
    this.settings = settings;
    this.keys = keys;
    this.target = target;
    this.commands = commands;
    this.writer =
      replicated === undefined
        ? commands
        : new RedisCommands(target, settings, keys, 'appends', onChange, true);
    this.feeds = new RedisFeeds(keys, (channel) => this.tipCheck.checkSoon(channel));
    this.interest = new RedisInterest(target, settings, keys, commands, {
      onText: (topic, text) => guarded(() => this.onText(topic, text)),
      onRestored: (topics) =>
        this.tipCheck.checkNow(topics.flatMap((topic) => this.feeds.channelOf(topic) ?? [])),
      onChange,
    });
    this.appends = new RedisAppends(this.writer, keys, settings);
    const log = new RedisLog(commands, this.appends, this.interest, this.feeds, keys, settings);
    const presence = new RedisPresence(commands, keys, settings);
    this.control = new RedisControl(commands, keys, log, settings);
    this.log = log;
    this.presence = presence;
    this.bus = this.control;
    this.tipCheck = new RedisTipCheck(this.feeds, log, settings);
    this.probes = new RedisProbes(this.appends, settings);
    this.sweeper = new RedisSweeper(commands, keys, settings, presence);
    this.heart = new RedisHeart(commands, keys, settings, {
      onChange,
      onControlTip: (tip, askedAt) => this.control.onTip(tip, askedAt),
    });
  }

  /**
   * Connects, checks the server, and resolves when events can be appended and received. Called by the module.
   *
   * @param nodeId Names the node in control receipts; two nodes of a deployment may not share it. Default: a random name.
   * @throws Error when Redis cannot be reached or is not fit, with the remedy; and when it was started or closed before.
   */
  async start(listener: BrokerListener, nodeId: string = this.settings.entropy.token()): Promise<void> {
    if (this.listener !== undefined || this.closing !== undefined)
      throw new Error('A RedisBroker is started once. Make a new one: the logs are in Redis.');
    this.listener = listener;
    this.answers = this.keys.answersTo(nodeId);
    try {
      await this.connect(listener, nodeId);
    } catch (error) {
      await this.release();
      throw error;
    }
    // Closed while it was started.
    if (this.isClosed) {
      await this.release();
      throw unavailable('The Redis broker was closed');
    }
    this.running = true;
  }

  /** Publishes through the normal path. Resolves to the milliseconds until it came back; rejects after `timeoutMs` (G20). */
  probe(timeoutMs: number): Promise<number> {
    return this.probes.run(timeoutMs);
  }

  /** Flushes what was accepted, and closes every connection. Idempotent; never rejects (G18). */
  close(): Promise<void> {
    this.closing ??= this.running ? this.release() : Promise.resolve();
    return this.closing;
  }

  private get isClosed(): boolean {
    return this.closing !== undefined;
  }

  /** @throws Error that says what is wrong and what to do. */
  private async connect(listener: BrokerListener, nodeId: string): Promise<void> {
    const { commands, control, feeds, interest, keys, probes } = this;
    await commands.connect();
    if (this.writer !== commands) await this.writer.connect();
    await checkServer(commands, this.settings.onWarning);
    interest.start();
    await this.subscriptionsReady();
    await this.heart.start(nodeId);
    feeds.start(listener);
    probes.start(nodeId);
    feeds.open(CONTROL_CHANNEL, control.listener);
    feeds.open(probes.channel, probes.listener);
    await Promise.all([
      interest.add(keys.topic(CONTROL_CHANNEL), CONTROL_CHANNEL),
      interest.add(keys.topic(probes.channel), probes.channel),
      interest.add(this.answers, CONTROL_CHANNEL),
    ]);
    this.connected = true;
    this.tellState();
    feeds.setTip(CONTROL_CHANNEL, await control.start(nodeId, listener));
    this.tipCheck.start();
    this.sweeper.start();
  }

  /** Lets what was accepted finish, then releases everything. Never rejects. */
  private async release(): Promise<void> {
    this.released = true;
    this.tipCheck.close();
    this.sweeper.close();
    this.feeds.closeAll();
    await this.appends.close();
    if (this.connected) await this.heart.stop().catch(() => undefined);
    this.probes.close();
    this.control.close();
    this.interest.close();
    this.commands.close();
    if (this.writer !== this.commands) this.writer.close();
  }

  private onText(topic: string, text: string): void {
    if (topic === this.answers) this.control.onAnswer(text);
    else this.feeds.onText(topic, text);
  }

  private async subscriptionsReady(): Promise<void> {
    if (this.interest.ready) return;
    const { clock, connectTimeoutMs } = this.settings;
    await new Promise<void>((resolve, reject) => {
      const timer = clock.schedule(connectTimeoutMs, () =>
        reject(
          bootError(
            `cannot subscribe at ${this.target.where}`,
            'Check that a second connection is allowed, and in a Cluster one to every master.',
          ),
        ),
      );
      this.whenReady = () => {
        timer.cancel();
        resolve();
      };
    });
  }

  /** Tells the listener when the way to Redis, in either direction, opens or closes. */
  private tellState(): void {
    if (this.released) return;
    if (this.interest.ready) {
      this.whenReady?.();
      this.whenReady = undefined;
    }
    if (!this.connected) return;
    const trouble =
      this.commands.trouble ??
      this.writer.trouble ??
      (this.interest.ready ? undefined : `there is no connection for subscriptions to ${this.target.where}`);
    const state: BrokerState = trouble === undefined ? 'up' : 'down';
    if (state === this.state) return;
    this.state = state;
    if (state === 'up') this.heart.beatNow();
    guarded(() => this.listener?.onState(state, trouble));
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
