import { withTimeout } from '../../core/async/with-timeout.js';
import type {
  Broker,
  BrokerBus,
  BrokerCapabilities,
  BrokerListener,
  BrokerLog,
  BrokerPresence,
  BrokerState,
  StorageWeakness,
} from '../../core/ports/broker.js';
import { guarded } from '../common/listeners.js';
import { Probes } from '../common/probes.js';
import { RedisErasures } from './erasures.js';
import { RedisAppends } from './append/appends.js';
import { RedisBus } from './bus.js';
import { checkApplication, namelessBeside } from './application-check.js';
import { ChannelSubscriptions } from './connection/channel-subscriptions.js';
import { RedisCommands } from './connection/commands.js';
import { SentinelWatch } from './connection/sentinel-watch.js';
import { RedisTarget } from './connection/target.js';
import { RedisControl } from './control/control.js';
import { bootError, notRunning, refusesRenewals, startError, unavailable } from './errors.js';
import { RedisFeeds } from './feed.js';
import { CONTROL_CHANNEL, PROBE_CHANNELS, RedisKeys } from './keys.js';
import { RedisLog } from './log.js';
import { NodeMessages } from './messages/node-messages.js';
import { NodeHeartbeat } from './node-heartbeat.js';
import type { RedisBrokerOptions } from './options.js';
import { RedisPresence } from './presence.js';
import { Refusals } from './refusals.js';
import { checkServer, weaknessesOf } from './server-check.js';
import { ServerWatch } from './server-watch.js';
import { partitionsOfDeployment } from './partitions.js';
import { NEW_PARTITIONS, redisSettings, type RedisSettings } from './settings.js';
import { RedisTipCheck } from './tip-check.js';
import { RedisTransitions } from './transitions.js';

/** Heartbeats in a row with connections to different servers, after which the owner is warned. */
const APART_WARNED = 5;

/**
 * A broker on Redis ≥ 7: logs, dedupe, presence and control records, shared by any number of nodes. An acknowledged event
 * survives every node (`durability: 'broker'`, G1). What Redis itself loses, by asynchronous replication or with a disk, is
 * announced by a new epoch (G6); `durability: { level: 'replicated' }` makes such losses rarer.
 *
 * Every method but `start` and `close` rejects with `RealtimeError('unavailable')` before `start` and after `close`.
 */
export class RedisBroker implements Broker {
  /** Names the broker in logs and in health reports. */
  readonly name = 'redis';
  /** What it promises; `durability` is `replicated` where that was asked for, else `broker` (G1). */
  readonly capabilities: BrokerCapabilities;
  /** The logs of the channels, and what this node subscribes to. */
  readonly log: BrokerLog;
  /** Members of channels, across all nodes (G19). */
  readonly presence: BrokerPresence;
  /** Control records, to every node (G11), and messages to one of them. */
  readonly bus: BrokerBus;
  /** Which channels are held by a node, and which members by a device (G19). */
  readonly transitions: RedisTransitions;
  private readonly settings: RedisSettings;
  private readonly keys: RedisKeys;
  private readonly target: RedisTarget;
  private readonly commands: RedisCommands;
  /** The connection for appends; one of its own where `WAIT` would block everything else. */
  private readonly writer: RedisCommands;
  private readonly appends: RedisAppends;
  private readonly events: RedisLog;
  private readonly control: RedisControl;
  private readonly feeds: RedisFeeds;
  private readonly heartbeat: NodeHeartbeat;
  private readonly messages: NodeMessages;
  private readonly members: RedisPresence;
  private readonly refusals: Refusals;
  private readonly subscriptions: ChannelSubscriptions;
  /**
   * For what other nodes send to this one, on a connection of its own: Redis cuts one on which more waits than it allows, and events
   * and control records must not go with it.
   */
  private readonly inboxes: ChannelSubscriptions;
  private readonly tipCheck: RedisTipCheck;
  private readonly serverWatch: ServerWatch;
  private readonly watch: SentinelWatch;
  private probes: Probes | undefined;
  /** Topic of the confirmations that this node waits for. */
  private answers = '';
  private listener: BrokerListener | undefined;
  private state: BrokerState | undefined;
  /** Whether the listener may be notified of the state, and the other nodes know of this one. */
  private connected = false;
  private running = false;
  private released = false;
  /** The process that answered the last heartbeat. */
  private server = '';
  /** The address that the Sentinels named last, and the server that answered then. */
  private newMaster = { address: '', instead: '' };
  private movedAt = -Infinity;
  /** Heartbeats in a row at which connections led to different servers. */
  private apart = 0;
  private closing: Promise<void> | undefined;
  private onReady: (() => void) | undefined;

  /** @throws RangeError for an option that cannot be; it names the option and the remedy. */
  constructor(options: RedisBrokerOptions = {}) {
    const settings = redisSettings(options);
    const { keyPrefix, partitions, replicated } = settings;
    const keys = new RedisKeys(keyPrefix, partitions ?? NEW_PARTITIONS);
    const target = new RedisTarget(options, settings);
    const onChange = () => this.reportState();
    this.refusals = new Refusals(settings.clock, () => this.reportRefusal());
    const connect = (name: string, direct: boolean) =>
      new RedisCommands(target, settings, keys, name, onChange, direct, this.refusals);
    const commands = connect('commands', false);
    this.capabilities = {
      durability: replicated === undefined ? 'broker' : 'replicated',
      dedupes: true,
      presence: true,
    };
    this.settings = settings;
    this.keys = keys;
    this.target = target;
    this.commands = commands;
    this.writer = replicated === undefined ? commands : connect('appends', true);
    this.feeds = new RedisFeeds(keys, (channel) => this.tipCheck.checkSoon(channel), settings.clock);
    this.subscriptions = new ChannelSubscriptions('subscriber', target, settings, keys, commands, {
      onMessage: (topic, bytes) => guarded(() => this.onMessage(topic, bytes)),
      onRestored: (topics) => {
        this.tipCheck.checkNow(topics.flatMap((topic) => this.feeds.channelOf(topic) ?? []));
        if (topics.includes(this.answers)) this.control.onAnswersLost();
      },
      onChange,
    });
    this.inboxes = new ChannelSubscriptions('messages', target, settings, keys, commands, {
      onMessage: (_topic, bytes) => guarded(() => this.messages.receive(bytes)),
      onRestored: () => this.messages.onRestored(),
      onChange: () => this.onReady?.(),
    });
    this.appends = new RedisAppends(this.writer, keys, settings);
    const erasures = new RedisErasures(this.writer, keys, settings);
    const log = new RedisLog(
      commands,
      this.appends,
      this.subscriptions,
      this.feeds,
      keys,
      settings,
      erasures,
    );
    this.log = this.events = log;
    const presence = new RedisPresence(commands, keys, settings);
    this.presence = this.members = presence;
    const transitions = new RedisTransitions(commands, keys, settings);
    this.transitions = transitions;
    this.control = new RedisControl(commands, keys, log, settings);
    this.messages = new NodeMessages(commands, keys, settings);
    this.serverWatch = new ServerWatch(commands, keys, settings);
    this.tipCheck = new RedisTipCheck(this.feeds, log, settings);
    const onAway = () => {
      presence.noteAway();
      transitions.noteAway();
    };
    this.heartbeat = new NodeHeartbeat(commands, keys, settings, {
      onChange,
      onBeat: (tip, view) => this.control.onBeat(tip, view),
      onServer: (server) => this.onServer(server),
      onRefused: (text) => {
        if (refusesRenewals(text)) onAway();
        commands.noteRefusal(keys.partitionOf(CONTROL_CHANNEL), text);
      },
      onRank: (rank) => presence.noteRank(rank),
      onFailed: onAway,
    });
    // The other connections follow to the server that answers the heartbeats.
    this.watch = new SentinelWatch(target, (address) => this.onSwitch(address));
    this.bus = new RedisBus(this.control, this.messages, this.heartbeat);
  }

  /**
   * Connects, checks the server, and resolves when events can be appended and received. Called by the module.
   *
   * @param nodeId Names the node in control receipts; two nodes of a deployment may not share it. Default: a random name.
   * @throws Error when Redis cannot be reached or does not fit, with the remedy; and when it was started or closed before.
   */
  async start(listener: BrokerListener, nodeId: string = this.settings.entropy.token()): Promise<void> {
    if (this.listener !== undefined || this.isClosed)
      throw new Error('A RedisBroker is started once. Make a new one: the logs are in Redis.');
    this.listener = listener;
    try {
      await this.connect(listener, nodeId);
      if (this.isClosed) throw unavailable('The Redis broker was closed while it started');
    } catch (error) {
      await this.release();
      throw startError(error);
    }
    this.running = true;
  }

  /** Publishes through the normal path. Resolves to the milliseconds until it came back; rejects after `timeoutMs` (G20). */
  probe(timeoutMs: number): Promise<number> {
    return this.probes?.run(timeoutMs) ?? Promise.reject(notRunning());
  }

  /**
   * Looks at the server, over a connection of its own that ends with it: whether it drops keys, writes to its disk, has the
   * replicas that are waited for, and the data of an application that this node does not name. For the doctor. Rejects as `start` does.
   */
  async inspect(timeoutMs: number): Promise<readonly StorageWeakness[]> {
    const { target } = this;
    const settings = {
      ...this.settings,
      connectTimeoutMs: Math.min(this.settings.connectTimeoutMs, timeoutMs),
    };
    await target.load();
    const commands = new RedisCommands(target, settings, this.keys, 'doctor', () => undefined);
    try {
      await commands.connect();
      const found = await weaknessesOf(commands, settings);
      return [...found, ...(await namelessBeside(commands, this.keys, settings))];
    } catch (error) {
      throw startError(error);
    } finally {
      commands.close();
    }
  }

  /** Flushes what was accepted, and closes every connection. Idempotent; never rejects (G18). */
  close(): Promise<void> {
    this.closing ??= this.running ? this.release() : Promise.resolve();
    return this.closing;
  }

  private get isClosed(): boolean {
    return this.closing !== undefined;
  }

  private async connect(listener: BrokerListener, nodeId: string): Promise<void> {
    const { commands, control, feeds, inboxes, keys, settings, subscriptions } = this;
    await this.target.load();
    // Closed while that took its time: nothing is to connect any more.
    if (this.isClosed) return;
    await commands.connect();
    if (this.writer !== commands) await this.writer.connect();
    await checkServer(commands, settings);
    if (commands.db !== 0) keys.separate(`@${commands.db}`);
    if (settings.partitions === undefined || commands.db !== 0) {
      const found = await partitionsOfDeployment(commands, keys, settings);
      if (settings.partitions === undefined) keys.divide(found);
    }
    const inbox = keys.partitionOfNode(nodeId);
    subscriptions.start(Array.from({ length: keys.partitions }, (_, partition) => partition));
    inboxes.start([inbox]);
    await this.subscriptionsReady();
    await this.heartbeat.start(nodeId);
    await this.serverWatch.start();
    if (commands.db !== 0 && keys.topicsName === '') settings.onWarning(sharedTopics(commands.db));
    await checkApplication(
      commands,
      keys,
      settings,
      listener.application,
      async () => (await this.heartbeat.nodes()).length - 1,
    );
    await this.events.start();
    const { clock, entropy } = settings;
    const why = (): string | undefined => commands.trouble ?? this.appends.failure;
    const probes = new Probes(`${PROBE_CHANNELS}${nodeId}`, this.log, clock, entropy, why);
    this.probes = probes;
    this.answers = keys.answersTo(nodeId);
    this.messages.start(nodeId, listener);
    feeds.start(listener);
    feeds.open(CONTROL_CHANNEL, control.feed);
    feeds.open(probes.channel, probes.listener);
    await Promise.all([
      subscriptions.add(keys.topic(CONTROL_CHANNEL), keys.partitionOf(CONTROL_CHANNEL)),
      subscriptions.add(keys.topic(probes.channel), keys.partitionOf(probes.channel)),
      subscriptions.add(this.answers, keys.partitionOf(CONTROL_CHANNEL)),
      inboxes.add(keys.messagesTo(nodeId), inbox),
    ]);
    this.connected = true;
    this.watch.start();
    this.reportState();
    if (this.refusals.current !== undefined) this.reportRefusal();
    feeds.setTip(CONTROL_CHANNEL, await control.start(nodeId, listener));
    this.tipCheck.start();
    this.members.start();
  }

  /** Waits for the outcome of what was accepted, then releases everything. Never rejects. */
  private async release(): Promise<void> {
    this.released = true;
    this.serverWatch.close();
    this.tipCheck.close();
    this.members.close();
    this.feeds.closeAll();
    await Promise.all([this.appends.close(), this.messages.close(), this.transitions.close()]);
    await this.heartbeat.stop().catch(() => undefined);
    this.probes?.close(notRunning());
    this.control.close();
    this.watch.close();
    this.refusals.close();
    this.subscriptions.close();
    this.inboxes.close();
    this.commands.close();
    if (this.writer !== this.commands) this.writer.close();
  }

  /**
   * All connections have to lead to the server that takes the heartbeats: what is published there may be heard late on another, or
   * never, and a publish to another may be lost.
   */
  private onServer(server: string): void {
    this.server = server;
    const { clock, heartbeatMs } = this.settings;
    const now = clock.monotonic();
    // A connection that is made again brings a heartbeat at once: where that leads to another server again, it is not made in a loop.
    if (now - this.movedAt < heartbeatMs) return;
    const writer = this.writer === this.commands ? undefined : this.writer.identity;
    const moved = [this.subscriptions, this.inboxes, writer].filter((one) => one?.stayWith(server));
    if (moved.length === 0) {
      if (this.subscriptions.ready && this.inboxes.ready) this.apart = 0;
      return;
    }
    this.movedAt = now;
    this.apart += 1;
    // Once is a failover.
    if (this.apart !== APART_WARNED) return;
    this.settings.onWarning(
      `redisBroker: connections to ${this.target.where} lead to different servers, also when they are made again. Let the address lead to the master alone.`,
    );
  }

  /**
   * Each Sentinel says it once, and the one that is asked for the master may be the last to know it. Once another server has answered,
   * the others are late.
   */
  private onSwitch(address: string): void {
    if (address !== this.newMaster.address) this.newMaster = { address, instead: this.server };
    if (this.server === this.newMaster.instead) void this.commands.identity?.leave(address);
  }

  private onMessage(topic: string, bytes: Buffer): void {
    if (topic === this.answers) this.control.onAnswer(bytes.toString());
    else this.feeds.onText(topic, bytes.toString());
  }

  private async subscriptionsReady(): Promise<void> {
    const areReady = (): boolean => this.subscriptions.ready && this.inboxes.ready;
    if (areReady()) return;
    const ready = new Promise<void>((resolve) => {
      this.onReady = () => {
        if (areReady()) resolve();
      };
    });
    try {
      await withTimeout(ready, this.settings.connectTimeoutMs, this.settings.clock);
    } catch {
      throw bootError(
        `cannot subscribe at ${this.target.where}`,
        'Check that three connections are allowed, and in a Cluster two to every master.',
      );
    }
  }

  /** Notifies the listener of why a server refuses what is written to it. */
  private reportRefusal(): void {
    if (this.released || !this.connected) return;
    guarded(() => this.listener?.onRefusal?.(this.refusals.current));
  }

  /** Notifies the listener when Redis can be used in both directions, or no longer. */
  private reportState(): void {
    if (this.released) return;
    const { ready } = this.subscriptions;
    if (ready) this.onReady?.();
    if (!this.connected) return;
    const trouble =
      this.commands.trouble ??
      this.writer.trouble ??
      (ready ? undefined : `there is no connection for subscriptions to ${this.target.where}`);
    const state: BrokerState = trouble === undefined ? 'up' : 'down';
    if (state === this.state) return;
    this.state = state;
    if (state === 'up') this.heartbeat.beatNow();
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
  requireOptions(options);
  return new RedisBroker(options);
}

function sharedTopics(db: number): string {
  return (
    `redisBroker: an older version began the deployment in database ${db}, and its pub/sub channels do not carry the number: an application ` +
    'with the same `keyPrefix` in another database of this server hears them. Give each a `keyPrefix` of its own.'
  );
}

/** Without types, an address or a client is easily given alone; what it holds may be secret. */
function requireOptions(options: unknown): void {
  const isText = typeof options === 'string' || options instanceof URL;
  if (isText) throw bootError('takes an object, not an address', "Write redisBroker({ url: 'redis://…' }).");
  if (typeof options !== 'object' || options === null)
    throw bootError(`takes an object, not ${String(options)}`, "Write redisBroker({ url: 'redis://…' }).");
  if (typeof (options as { duplicate?: unknown }).duplicate === 'function')
    throw bootError('takes an object, not a client', 'Write redisBroker({ client }).');
}
