import type { ChannelEvent } from '../../core/ports/channel-event.js';
import type { BrokerListener } from '../../core/ports/broker.js';
import type { Position } from '../../protocol/position.js';
import { notRunning } from './errors.js';
import type { RedisKeys } from './keys.js';
import { decodeMessage, type RedisMessage } from './wire.js';

/** Whoever is told what happens in a channel. */
export type FeedListener = Pick<BrokerListener, 'onEvents' | 'onSignal' | 'onPresence'>;

interface Feed {
  readonly channel: string;
  readonly listener: FeedListener;
  /** The newest position that the listener was told, by an event or by the answer of `subscribe`. */
  seen: Position | undefined;
}

/** Hands what comes over pub/sub to whom it is for, and remembers how far each channel was told. */
export class RedisFeeds {
  private readonly byTopic = new Map<string, Feed>();
  /** Of the node; none before `start` and after `close`. */
  private listener: FeedListener | undefined;

  constructor(
    private readonly keys: RedisKeys,
    /** Told of a channel in which something happened that this version cannot read. */
    private readonly onUnknown: (channel: string) => void,
  ) {}

  start(listener: FeedListener): void {
    this.listener = listener;
  }

  get isOpen(): boolean {
    return this.listener !== undefined;
  }

  /** @param listener Default: the node's. @throws RealtimeError `unavailable` when there is none. */
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

  /** The caller of `subscribe` knows this much; what was told meanwhile may already be more. */
  setTip(channel: string, tip: Position): void {
    const feed = this.find(channel);
    if (feed === undefined) return;
    if (feed.seen === undefined || feed.seen.epoch !== tip.epoch || feed.seen.seq < tip.seq) feed.seen = tip;
  }

  onText(topic: string, text: string): void {
    const feed = this.byTopic.get(topic);
    if (feed === undefined) return;
    const message = readable(text, feed.channel);
    // It may have been the word of events: a newer version may tell them otherwise, and the log has them all the same.
    if (message === undefined) return this.onUnknown(feed.channel);
    if (message.kind === 'events') tell(feed, message.events);
    else if (message.kind === 'signal') guarded(() => feed.listener.onSignal(feed.channel, message.signal));
    else guarded(() => feed.listener.onPresence(feed.channel, message.diff));
  }

  /** Hands over events that were read instead. */
  deliver(channel: string, events: readonly ChannelEvent[]): void {
    const feed = this.find(channel);
    if (feed !== undefined) tell(feed, events);
  }

  private find(channel: string): Feed | undefined {
    return this.byTopic.get(this.keys.topic(channel));
  }
}

/** @returns nothing for what this version does not know. */
function readable(text: string, channel: string): RedisMessage | undefined {
  try {
    return decodeMessage(text, channel);
  } catch {
    return undefined;
  }
}

function tell(feed: Feed, events: readonly ChannelEvent[]): void {
  const last = events.at(-1);
  if (last === undefined) return;
  const { seen } = feed;
  if (seen === undefined || seen.epoch !== last.epoch || seen.seq < last.seq)
    feed.seen = { epoch: last.epoch, seq: last.seq };
  guarded(() => feed.listener.onEvents(feed.channel, events));
}

/** Listeners must not throw. One that does has a bug that must be seen, but the other channels go on. */
export function guarded(run: () => void): void {
  try {
    run();
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
