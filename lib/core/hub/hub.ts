import type { PresenceDiff } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { ChannelMatch } from '../channel/registry.js';
import type { ChannelEvent } from '../ports/channel-event.js';
import { OrderKeeper, type OrderKeeperDeps, type OrderKeeperEvents } from './order-keeper.js';
import type { ServedChannel, Subscription } from './subscription.js';
import type { BrokerLog, SignalMessage } from '../ports/broker.js';
import type { Scheduled } from '../ports/clock.js';
import { spreadWait, type Entropy } from '../ports/entropy.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import { LocalChannel, type LocalChannelDeps } from './local-channel.js';

/** Most events, and bytes of them, that wait until the tip is known; the others are read from the log. */
const MAX_EARLY = 1_024;
const MAX_EARLY_BYTES = 4 * 1024 * 1024;
/** Advice to a client whose channel this node has no room for, in milliseconds. */
const RETRY_AFTER_MS = 2_000;

/** A served channel with its order keeper; `ready` settles when this node is subscribed to it at the broker. */
interface Served {
  readonly channel: ServedChannel;
  readonly keeper: OrderKeeper;
  readonly ready: Promise<void>;
  /** Events that arrived before the tip was known; `undefined` from then on. */
  early: ChannelEvent[] | undefined;
  earlyBytes: number;
  /** Whether more arrived than may wait. */
  missedEarly: boolean;
  /** How many keep the channel served: subscriptions, and subscribes that are under way. */
  interest: number;
  lingering: Scheduled | undefined;
}

export interface HubDeps extends LocalChannelDeps<Subscription>, OrderKeeperDeps {
  readonly log: BrokerLog;
  readonly entropy: Pick<Entropy, 'random'>;
  /** How long a channel is served after its last subscription ended, in milliseconds. */
  readonly lingerMs: number;
  /** Most channels that are served at the same time. */
  readonly maxServedChannels: number;
}

/**
 * The channels that this node serves. The node subscribes once per channel at the broker, however many sessions share it,
 * and keeps that for a while after the last of them left: a page that reloads must not cost a round trip.
 */
export class Hub {
  private readonly served = new Map<string, Served>();
  private closed = false;

  constructor(
    private readonly options: HubDeps,
    private readonly owner: OrderKeeperEvents,
  ) {}

  get size(): number {
    return this.served.size;
  }

  /**
   * Serves a channel, and waits until no event after its tip can be missed. Each call is matched by a {@link release}.
   *
   * @throws RealtimeError `unavailable` when the broker cannot be reached, or the node serves as many channels as it may; nothing
   * needs a release then.
   */
  acquire(match: ChannelMatch): MaybePromise<ServedChannel> {
    const served = this.served.get(match.channel) ?? this.serve(match);
    served.interest++;
    served.lingering?.cancel();
    served.lingering = undefined;
    return served.early === undefined ? served.channel : this.whenServed(served);
  }

  private async whenServed(served: Served): Promise<ServedChannel> {
    // Where this fails, nothing of it is left: `open` has forgotten the channel.
    await served.ready;
    return served.channel;
  }

  release(channel: ServedChannel): void {
    const served = this.served.get(channel.name);
    // After the engine stopped, a subscribe that was under way still releases its channel.
    if (this.closed || served?.channel !== channel) return;
    served.interest--;
    if (served.interest > 0) return;
    served.lingering = this.options.clock.schedule(this.options.lingerMs, () => this.stopServing(served));
  }

  /** Compares a served channel with its log, and calls back when they agree (G6). */
  verify(channel: ServedChannel, then: () => void): void {
    const served = this.served.get(channel.name);
    if (served?.channel === channel) served.keeper.verify(then);
  }

  /** The channel, when this node serves it. */
  find(name: string): ServedChannel | undefined {
    return this.served.get(name)?.channel;
  }

  /** The channels that are served now. */
  channels(): readonly ServedChannel[] {
    return [...this.served.values()].map(({ channel }) => channel);
  }

  onEvents(name: string, events: readonly ChannelEvent[]): void {
    const served = this.served.get(name);
    if (served === undefined) return;
    // The broker's message of an event may arrive behind the record of its erasure.
    const clean = this.options.erasures.cleanse(name, events);
    if (served.early === undefined) return served.keeper.onEvents(clean);
    for (const event of clean) this.keepEarly(served, served.early, event);
  }

  /** Events of a channel were erased, as {@link Erasures} knows. @returns the channel, when this node serves it. */
  erase(name: string): ServedChannel | undefined {
    const served = this.served.get(name);
    if (served === undefined) return undefined;
    const { erasures } = this.options;
    const { early } = served;
    if (early !== undefined) served.early = [...erasures.cleanse(name, early)];
    served.keeper.erase();
    served.channel.erase((event) => erasures.covers(event));
    return served.channel;
  }

  /** Erasures may have been missed: what follows is read from the logs again (G29). */
  forgetEvents(): void {
    for (const { channel } of this.served.values()) channel.forgetEvents();
  }

  onSignal(name: string, signal: SignalMessage): void {
    this.served.get(name)?.channel.signal(signal);
  }

  onPresence(name: string, diff: PresenceDiff): void {
    this.served.get(name)?.channel.presence?.onDiff(diff);
  }

  close(): void {
    this.closed = true;
    for (const { channel, keeper, lingering } of this.served.values()) {
      lingering?.cancel();
      channel.close();
      keeper.close();
    }
    this.served.clear();
  }

  private keepEarly(served: Served, early: ChannelEvent[], event: ChannelEvent): void {
    served.earlyBytes += event.size;
    if (early.length < MAX_EARLY && served.earlyBytes <= MAX_EARLY_BYTES) early.push(event);
    else served.missedEarly = true;
  }

  private serve(match: ChannelMatch): Served {
    const { maxServedChannels } = this.options;
    if (this.served.size >= maxServedChannels) {
      throw new RealtimeError(
        'unavailable',
        `This node serves ${maxServedChannels} channels, as many as limits.maxServedChannels allows. Try again later`,
        { retryAfterMs: spreadWait(RETRY_AFTER_MS, this.options.entropy) },
      );
    }
    const channel = new LocalChannel<Subscription>(match.channel, match.definition, this.options);
    const keeper = new OrderKeeper(channel, this.options, this.owner);
    const served: Served = {
      channel,
      keeper,
      ready: this.open(channel),
      early: [],
      earlyBytes: 0,
      missedEarly: false,
      interest: 0,
      lingering: undefined,
    };
    this.served.set(match.channel, served);
    return served;
  }

  private async open(channel: ServedChannel): Promise<void> {
    try {
      const tip = await this.options.log.subscribe(channel.name);
      channel.moveTo(tip);
    } catch (error) {
      // The next subscribe tries again.
      this.forget(channel);
      throw error;
    }
    const served = this.served.get(channel.name);
    if (served?.channel !== channel) return;
    const early = served.early ?? [];
    served.early = undefined;
    served.keeper.onEvents(
      early.filter((event) => event.epoch !== channel.tip.epoch || event.seq > channel.tip.seq),
    );
    if (served.missedEarly) served.keeper.verify(() => undefined);
  }

  private stopServing({ channel, interest }: Served): void {
    if (interest > 0 || this.served.get(channel.name)?.channel !== channel) return;
    this.forget(channel);
    this.options.log.unsubscribe(channel.name).catch((error: unknown) => {
      this.options.logger.debug(`Unsubscribing from a channel at the broker failed: ${String(error)}`);
    });
  }

  private forget(channel: ServedChannel): void {
    const served = this.served.get(channel.name);
    if (served?.channel !== channel) return;
    served.keeper.close();
    channel.close();
    this.served.delete(channel.name);
  }
}
