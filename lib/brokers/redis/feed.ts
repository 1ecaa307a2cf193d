import type { Clock } from '../../core/ports/clock.js';
import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { Position } from '../../protocol/position.js';
import { guarded, type ChannelListener } from '../common/listeners.js';
import { notRunning } from './errors.js';
import type { RedisKeys } from './keys.js';
import { decodeMessage, type RedisMessage } from './wire.js';

interface Feed {
  readonly channel: string;
  readonly listener: ChannelListener;
  /** The newest position that the listener knows, by an event or by the answer of `subscribe`. */
  seen: Position | undefined;
}

/** Hands what comes over pub/sub to the listener of its channel, and remembers up to where each listener knows its channel. */
export class RedisFeeds {
  private readonly byTopic = new Map<string, Feed>();
  /** Of the node; none before `start` and after `close`. */
  private listener: ChannelListener | undefined;

  constructor(
    private readonly keys: RedisKeys,
    /** Called with a channel in which something happened that this version cannot read. */
    private readonly onUnknown: (channel: string) => void,
    private readonly clock: Pick<Clock, 'monotonic'>,
  ) {}

  start(listener: ChannelListener): void {
    this.listener = listener;
  }

  get isOpen(): boolean {
    return this.listener !== undefined;
  }

  /**
   * @param listener Default: that of the node.
   * @throws RealtimeError `unavailable` when there is none.
   */
  open(channel: string, listener = this.listener): void {
    if (listener === undefined) throw notRunning();
    const topic = this.keys.topic(channel);
    if (!this.byTopic.has(topic)) this.byTopic.set(topic, { channel, listener, seen: undefined });
  }

  close(channel: string): void {
    this.byTopic.delete(this.keys.topic(channel));
  }

  closeAll(): void {
    this.listener = undefined;
    this.byTopic.clear();
  }

  get channels(): readonly string[] {
    return [...this.byTopic.values()].map(({ channel }) => channel);
  }

  /** Channel of a topic, when it is open. */
  channelOf(topic: string): string | undefined {
    return this.byTopic.get(topic)?.channel;
  }

  seenOf(channel: string): Position | undefined {
    return this.find(channel)?.seen;
  }

  /** Notes what the caller of `subscribe` knows; events may have told the listener more already. */
  setTip(channel: string, tip: Position): void {
    const feed = this.find(channel);
    if (feed !== undefined) advance(feed, tip);
  }

  onText(topic: string, text: string): void {
    const feed = this.byTopic.get(topic);
    if (feed === undefined) return;
    const message = readable(text, feed.channel, this.clock.monotonic());
    // A newer version may publish events in another form; they are in the log all the same.
    if (message === undefined) return this.onUnknown(feed.channel);
    if (message.kind === 'events') deliver(feed, message.events);
    else if (message.kind === 'signal') guarded(() => feed.listener.onSignal?.(feed.channel, message.signal));
    else guarded(() => feed.listener.onPresence?.(feed.channel, message.diff));
  }

  /** Hands over events that were read from the log instead. */
  deliver(channel: string, events: readonly ChannelEvent[]): void {
    const feed = this.find(channel);
    if (feed !== undefined) deliver(feed, events);
  }

  private find(channel: string): Feed | undefined {
    return this.byTopic.get(this.keys.topic(channel));
  }
}

/** @returns `undefined` for what this version does not know. */
function readable(text: string, channel: string, now: number): RedisMessage | undefined {
  try {
    return decodeMessage(text, channel, now);
  } catch {
    return undefined;
  }
}

function deliver(feed: Feed, events: readonly ChannelEvent[]): void {
  const last = events.at(-1);
  if (last === undefined) return;
  advance(feed, last);
  guarded(() => feed.listener.onEvents(feed.channel, events));
}

function advance(feed: Feed, { epoch, seq }: Position): void {
  if (feed.seen?.epoch !== epoch || feed.seen.seq < seq) feed.seen = { epoch, seq };
}
