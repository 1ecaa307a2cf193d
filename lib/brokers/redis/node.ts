import type { BrokerListener, BrokerState, SignalMessage } from '../../core/ports/broker.js';
import type { Position } from '../../protocol/position.js';
import { RedisAppends } from './append/appends.js';
import { RedisCommands } from './connection/commands.js';
import { RedisInterest } from './connection/channel-subscriptions.js';
import type { RedisTarget } from './connection/target.js';
import { RedisControl } from './control/control.js';
import { RedisPresence } from './presence/presence.js';
import { RedisSweeper } from './presence/sweeper.js';
import { bootError } from './errors.js';
import { RedisFeeds, guarded } from './feed.js';
import { RedisHeart } from './node-heartbeat.js';
import { CONTROL_CHANNEL, type RedisKeys } from './keys.js';
import { RedisLog } from './log.js';
import { RedisProbes } from './probe.js';
import { checkServer } from './server-check.js';
import type { RedisSettings } from './settings.js';
import { RedisTipCheck } from './tip-check.js';
import { encodeSignal } from './wire.js';

/** One broker that is started: its connections, and what runs over them. */
export class RedisNode {
  readonly appends: RedisAppends;
  readonly control: RedisControl;
  readonly log: RedisLog;
  readonly presence: RedisPresence;
  readonly probes: RedisProbes;
  private readonly commands: RedisCommands;
  /** Connection for appends where `WAIT` would hold up everything else. */
  private readonly writer: RedisCommands;
  private readonly feeds: RedisFeeds;
  private readonly heart: RedisHeart;
  private readonly interest: RedisInterest;
  private readonly sweeper: RedisSweeper;
  private readonly tipCheck: RedisTipCheck;
  private state: BrokerState | undefined;
  private started = false;
  private closed = false;
  private whenReady: (() => void) | undefined;

  constructor(
    private readonly id: string,
    private readonly listener: BrokerListener,
    private readonly target: RedisTarget,
    private readonly keys: RedisKeys,
    private readonly settings: RedisSettings,
  ) {
    const onChange = () => this.tellState();
    this.commands = new RedisCommands(target, settings, keys, 'commands', onChange);
    this.writer =
      settings.replicated === undefined
        ? this.commands
        : new RedisCommands(target, settings, keys, 'appends', onChange, true);
    this.appends = new RedisAppends(this.writer, keys, settings);
    this.log = new RedisLog(this.commands, keys, settings);
    this.feeds = new RedisFeeds(keys, (channel) => this.tipCheck.checkSoon(channel));
    this.tipCheck = new RedisTipCheck(this.feeds, this.log, settings);
    this.control = new RedisControl(id, listener, this.commands, keys, this.log, settings);
    this.probes = new RedisProbes(id, this.appends, settings);
    this.presence = new RedisPresence(this.commands, keys, settings);
    this.sweeper = new RedisSweeper(this.commands, keys, settings, this.presence);
    this.heart = new RedisHeart(id, this.commands, keys, settings, {
      onChange,
      onControlTip: (tip, askedAt) => this.control.onTip(tip, askedAt),
    });
    const answers = keys.answersTo(id);
    this.interest = new RedisInterest(target, settings, keys, this.commands, {
      onText: (topic, text) =>
        guarded(() => (topic === answers ? this.control.onAnswer(text) : this.feeds.onText(topic, text))),
      onRestored: (topics) =>
        this.tipCheck.checkNow(topics.flatMap((topic) => this.feeds.channelOf(topic) ?? [])),
      onChange,
    });
  }

  /** @throws Error that says what is wrong and what to do. */
  async start(): Promise<void> {
    await this.commands.connect();
    if (this.writer !== this.commands) await this.writer.connect();
    await checkServer(this.commands, this.settings.onWarning);
    this.interest.start();
    await this.subscriptionsReady();
    await this.heart.start();
    this.feeds.open(CONTROL_CHANNEL, this.control.listener);
    this.feeds.open(this.probes.channel, this.probes.listener);
    await Promise.all([
      this.interest.add(this.keys.topic(CONTROL_CHANNEL), CONTROL_CHANNEL),
      this.interest.add(this.keys.topic(this.probes.channel), this.probes.channel),
      this.interest.add(this.keys.answersTo(this.id), CONTROL_CHANNEL),
    ]);
    this.started = true;
    this.tellState();
    await this.control.start();
    this.feeds.setTip(CONTROL_CHANNEL, await this.log.tip(CONTROL_CHANNEL));
    this.tipCheck.start();
    this.sweeper.start();
  }

  /** Interest first, the tip after it: whatever is appended between the two is told. */
  async subscribe(channel: string): Promise<Position> {
    this.feeds.open(channel, this.listener);
    try {
      await this.interest.add(this.keys.topic(channel), channel);
      const tip = await this.log.tip(channel);
      this.feeds.setTip(channel, tip);
      return tip;
    } catch (error) {
      this.unsubscribe(channel);
      throw error;
    }
  }

  unsubscribe(channel: string): void {
    this.feeds.close(channel);
    this.interest.remove(this.keys.topic(channel));
  }

  async signal(channel: string, message: SignalMessage): Promise<void> {
    const partition = this.keys.partitionOf(channel);
    await this.commands.command(partition, 'spublish', [this.keys.topic(channel), encodeSignal(message)]);
  }

  /** Lets what was accepted finish, then lets go of everything. Never rejects. */
  async close(): Promise<void> {
    this.closed = true;
    this.tipCheck.close();
    this.sweeper.close();
    this.feeds.clear();
    await this.appends.idle();
    if (this.started) await this.heart.stop().catch(() => undefined);
    this.probes.close();
    this.control.close();
    this.interest.close();
    this.commands.close();
    if (this.writer !== this.commands) this.writer.close();
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
    if (this.closed) return;
    if (this.interest.ready) {
      this.whenReady?.();
      this.whenReady = undefined;
    }
    if (!this.started) return;
    const trouble =
      this.commands.trouble ??
      this.writer.trouble ??
      (this.interest.ready ? undefined : `there is no connection for subscriptions to ${this.target.where}`);
    const state: BrokerState = trouble === undefined ? 'up' : 'down';
    if (state === this.state) return;
    this.state = state;
    if (state === 'up') this.heart.beatNow();
    guarded(() => this.listener.onState(state, trouble));
  }
}
