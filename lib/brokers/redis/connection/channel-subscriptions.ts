import type { Scheduled } from '../../../core/ports/clock.js';
import { unavailable } from '../errors.js';
import { groupBy } from '../group-by.js';
import type { RedisKeys } from '../keys.js';
import type { RedisSettings } from '../settings.js';
import type { RedisCommands } from './commands.js';
import { RedisShards } from './shards.js';
import type { RedisSubscriber } from './subscriber.js';
import type { RedisTarget } from './target.js';

/** Most topics in one command. */
const BATCH = 200;
const RETRY_MS = 100;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** A topic that this node subscribes to, or did a moment ago. */
class Topic {
  wanted = true;
  /** The connection on which it is subscribed, or is being subscribed. */
  on: RedisSubscriber | undefined;
  confirmed = false;
  /** Whether it was confirmed before: when it is confirmed again, messages may be missing. */
  established = false;
  linger: Scheduled | undefined;
  readonly waiters: Waiter[] = [];

  constructor(
    readonly name: string,
    readonly partition: number,
  ) {}

  /** Settles what `add` returned. */
  settle(error?: Error): void {
    for (const { resolve, reject } of this.waiters.splice(0)) {
      if (error === undefined) resolve();
      else reject(error);
    }
  }
}

type Subscribed = Pick<Topic, 'name' | 'partition' | 'on'>;

/** What the subscriptions notify their owner of. */
export interface SubscriptionsEvents {
  /** A message of a subscribed topic. */
  onMessage(topic: string, bytes: Buffer): void;
  /** Topics that are subscribed again after an interruption: messages may be missing. */
  onRestored(topics: readonly string[]): void;
  /** `ready` may have changed. */
  onChange(): void;
}

/**
 * The pub/sub channels ("topics") that this node subscribes to, each on the connection that serves it now. Subscriptions of
 * one turn of the event loop travel together, and so do those that end.
 */
export class ChannelSubscriptions {
  private readonly shards: RedisShards;
  private readonly topics = new Map<string, Topic>();
  private readonly dirty = new Set<Topic>();
  /** Subscriptions to end, as the topic may be on another connection by then. */
  private readonly ending: Subscribed[] = [];
  private readonly moved = new Set<RedisSubscriber>();
  private scheduled = false;
  private retry: Scheduled | undefined;
  private closed = false;

  /** @param purpose what the connections are for, as in {@link RedisTarget.create}. */
  constructor(
    purpose: string,
    target: RedisTarget,
    private readonly settings: RedisSettings,
    keys: RedisKeys,
    commands: RedisCommands,
    private readonly events: SubscriptionsEvents,
  ) {
    this.shards = new RedisShards(purpose, target, settings, keys, commands, {
      onMessage: (topic, bytes) => {
        if (this.topics.get(topic)?.wanted === true) this.events.onMessage(topic, bytes);
      },
      onReady: () => {
        this.onTopology();
        this.events.onChange();
      },
      onLost: (subscriber) => {
        for (const topic of this.topics.values()) if (topic.on === subscriber) this.drop(topic);
        this.events.onChange();
      },
      onMoved: (subscriber) => this.onMoved(subscriber),
      onTopology: () => this.onTopology(),
    });
  }

  get ready(): boolean {
    return this.shards.ready;
  }

  /** @param partitions those of the topics that will be subscribed. */
  start(partitions: readonly number[]): void {
    this.shards.start(partitions);
  }

  /** As {@link RedisShards.stayWith}. */
  stayWith(server: string): boolean {
    return this.shards.stayWith(server);
  }

  /** Resolves when the topic is subscribed. @param partition in which it lies. */
  add(name: string, partition: number): Promise<void> {
    if (this.closed) return Promise.reject(unavailable('The broker was closed'));
    let topic = this.topics.get(name);
    if (topic === undefined) {
      topic = new Topic(name, partition);
      this.topics.set(name, topic);
    }
    topic.wanted = true;
    topic.linger?.cancel();
    topic.linger = undefined;
    if (topic.confirmed) return Promise.resolve();
    const { waiters } = topic;
    this.touch(topic);
    return new Promise((resolve, reject) => waiters.push({ resolve, reject }));
  }

  /** Drops later messages of the topic at once; unsubscribes at the server a little later. */
  remove(name: string): void {
    const topic = this.topics.get(name);
    if (topic === undefined || !topic.wanted) return;
    topic.wanted = false;
    topic.linger = this.settings.clock.schedule(this.settings.unsubscribeLingerMs, () => this.end(topic));
  }

  close(): void {
    this.closed = true;
    this.retry?.cancel();
    for (const topic of this.topics.values()) {
      topic.linger?.cancel();
      topic.settle(unavailable('The broker was closed'));
    }
    this.topics.clear();
    this.shards.close();
  }

  private end(topic: Topic): void {
    this.topics.delete(topic.name);
    this.dirty.delete(topic);
    if (topic.on !== undefined) this.ending.push(topic);
    this.schedule();
  }

  private touch(topic: Topic): void {
    this.dirty.add(topic);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled || this.closed) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      if (this.closed) return;
      this.unsubscribeEnding();
      this.subscribeDirty();
    });
  }

  private unsubscribeEnding(): void {
    for (const [subscriber, batch] of grouped(this.ending.splice(0))) {
      // Later messages are dropped anyway, and a lost connection has no subscriptions.
      subscriber.unsubscribe(batch.map(({ name }) => name)).catch(() => undefined);
    }
  }

  private subscribeDirty(): void {
    const toAsk: Topic[] = [];
    for (const topic of this.dirty) {
      this.dirty.delete(topic);
      const subscriber = this.shards.subscriberOf(topic.partition);
      if (topic.on !== undefined) continue;
      if (subscriber?.ready === true) {
        topic.on = subscriber;
        toAsk.push(topic);
      } else {
        this.refuse(topic, unavailable('There is no connection to Redis'));
      }
    }
    for (const [subscriber, batch] of grouped(toAsk)) this.ask(subscriber, batch);
  }

  private ask(subscriber: RedisSubscriber, batch: readonly Topic[]): void {
    subscriber.subscribe(batch.map(({ name }) => name)).then(
      () => {
        const restored: string[] = [];
        for (const topic of batch) {
          if (topic.on !== subscriber) continue;
          topic.confirmed = true;
          if (topic.established && topic.wanted) restored.push(topic.name);
          topic.established = true;
          topic.settle();
        }
        if (restored.length > 0) this.events.onRestored(restored);
      },
      (error: Error) => {
        for (const topic of batch) {
          if (topic.on !== subscriber) continue;
          topic.on = undefined;
          this.refuse(topic, error);
        }
        this.shards.refresh();
        this.retryLater();
      },
    );
  }

  /** Fails the waiters at once (G21); a topic that was established before is tried again with the next connection. */
  private refuse(topic: Topic, error: Error): void {
    topic.settle(error);
    if (!topic.established && this.topics.get(topic.name) === topic) {
      topic.linger?.cancel();
      this.topics.delete(topic.name);
    }
  }

  private drop(topic: Topic): void {
    topic.on = undefined;
    topic.confirmed = false;
    if (!topic.established) this.refuse(topic, unavailable('The connection to Redis was lost'));
  }

  /** A server ended subscriptions because their slot left it. It does not say which, so all of them are made again. */
  private onMoved(subscriber: RedisSubscriber): void {
    this.shards.refresh();
    this.moved.add(subscriber);
    this.retryLater();
  }

  private retryLater(): void {
    this.retry ??= this.settings.clock.schedule(RETRY_MS, () => {
      this.retry = undefined;
      for (const topic of this.topics.values())
        if (topic.on !== undefined && this.moved.has(topic.on)) this.drop(topic);
      this.moved.clear();
      this.onTopology();
    });
  }

  /** Moves every topic to the connection that serves its partition now. */
  private onTopology(): void {
    for (const topic of this.topics.values()) {
      const subscriber = this.shards.subscriberOf(topic.partition);
      if (subscriber === undefined || (topic.on === subscriber && subscriber.ready)) continue;
      if (topic.on !== undefined) {
        if (topic.on.ready) this.ending.push({ name: topic.name, partition: topic.partition, on: topic.on });
        this.drop(topic);
      }
      if (this.topics.get(topic.name) === topic && subscriber.ready) this.touch(topic);
    }
  }
}

/** Groups topics by connection and partition, in batches for one command. */
function* grouped<T extends Subscribed>(topics: readonly T[]): Generator<[RedisSubscriber, readonly T[]]> {
  for (const [subscriber, ofConnection] of groupBy(topics, ({ on }) => on)) {
    if (subscriber === undefined) continue;
    for (const batch of groupBy(ofConnection, ({ partition }) => partition).values()) {
      for (let start = 0; start < batch.length; start += BATCH)
        yield [subscriber, batch.slice(start, start + BATCH)];
    }
  }
}
