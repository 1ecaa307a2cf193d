import type { BrokerListener } from '../../core/ports/broker.js';
import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { PresenceDiff } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import { guarded, type ChannelListener } from '../common/listeners.js';
import { tipNotice } from '../common/tip-notice.js';
import type { ChannelFeed } from '../machine/feed.js';

/** The channels that this node is subscribed to: what a record does in them is gathered, and delivered when it was applied. */
export class Feeds {
  private readonly open = new Map<string, Feed>();
  private touched: Feed[] = [];
  private readonly touch = (feed: Feed): void => void this.touched.push(feed);

  /** Names of the channels. */
  get channels(): IterableIterator<string> {
    return this.open.keys();
  }

  get(channel: string): ChannelFeed | undefined {
    return this.open.get(channel);
  }

  /** The feed of a channel, for the machine. Idempotent. */
  add(channel: string, listener: ChannelListener): ChannelFeed {
    const found = this.open.get(channel);
    if (found !== undefined) return found;
    const feed = new Feed(channel, listener, this.touch);
    this.open.set(channel, feed);
    return feed;
  }

  /** Nothing of the channel reaches its listener afterwards. */
  delete(channel: string): void {
    this.open.get(channel)?.close();
    this.open.delete(channel);
  }

  clear(): void {
    for (const channel of [...this.open.keys()]) this.delete(channel);
  }

  /**
   * Notes that the log of a channel is another one, or that events of it were not gathered: where its tip is not what the listener knows,
   * that is made to read the log.
   */
  notice(channel: string, tip: Position): void {
    this.open.get(channel)?.notice(tip);
  }

  /** Notes what the caller of `subscribe` knows. */
  setTip(channel: string, tip: Position): void {
    this.open.get(channel)?.setTip(tip);
  }

  /** Hands a signal to the subscriber of its channel, if there is one. */
  signal(channel: string, signal: Parameters<BrokerListener['onSignal']>[1]): void {
    this.open.get(channel)?.signal(signal);
  }

  /** Delivers what was gathered. */
  deliver(): void {
    while (this.touched.length > 0) {
      const { touched } = this;
      this.touched = [];
      for (const feed of touched) feed.deliver();
    }
  }
}

class Feed implements ChannelFeed {
  private events: ChannelEvent[] = [];
  private diffs: PresenceDiff[] = [];
  private isTouched = false;
  /** What the listener knows of the log. */
  private seen: Position | undefined;
  private closed = false;

  constructor(
    private readonly channel: string,
    private readonly listener: ChannelListener,
    private readonly onTouched: (feed: Feed) => void,
  ) {}

  onAppended(event: ChannelEvent): void {
    this.events.push(event);
    this.touch();
  }

  onPresence(diff: PresenceDiff): void {
    this.diffs.push(diff);
    this.touch();
  }

  signal(signal: Parameters<BrokerListener['onSignal']>[1]): void {
    guarded(() => this.listener.onSignal?.(this.channel, signal));
  }

  setTip({ epoch, seq }: Position): void {
    const { seen } = this;
    if (seen?.epoch !== epoch || seen.seq < seq) this.seen = { epoch, seq };
  }

  notice(tip: Position): void {
    const { seen } = this;
    this.seen = tip;
    // A log that was empty and is empty has nothing to deliver, whatever its epoch is called by now.
    const isSame = seen?.epoch === tip.epoch ? seen.seq === tip.seq : (seen?.seq ?? 0) === 0 && tip.seq === 0;
    if (isSame) return;
    this.events = [tipNotice(this.channel, tip)];
    this.touch();
  }

  deliver(): void {
    const { channel, diffs, events, listener } = this;
    this.isTouched = false;
    this.events = [];
    this.diffs = [];
    const last = events.at(-1);
    if (last !== undefined && last.epoch !== '') this.setTip(last);
    if (events.length > 0 && !this.closed) guarded(() => listener.onEvents(channel, events));
    for (const diff of diffs) if (!this.closed) guarded(() => listener.onPresence?.(channel, diff));
  }

  close(): void {
    this.closed = true;
  }

  private touch(): void {
    if (this.isTouched) return;
    this.isTouched = true;
    this.onTouched(this);
  }
}
