import type { Scheduled } from '../../../core/ports/clock.js';
import { unavailable } from '../errors.js';
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

/** A pub/sub channel that this node listens to, or did a moment ago. */
interface Topic {
  readonly name: string;
  readonly partition: number;
  wanted: boolean;
  /** Where it is subscribed, or is being. */
  on: RedisSubscriber | undefined;
  confirmed: boolean;
  /** Whether it was confirmed before: then what was published meanwhile may be missing. */
  established: boolean;
  waiters: Waiter[];
  linger: Scheduled | undefined;
}

/** What the interest tells its owner. */
export interface InterestOwner {
  onText(topic: string, text: string): void;
  /** Topics that are subscribed again after they were not for a while. */
  onRestored(topics: readonly string[]): void;
  onChange(): void;
}

/**
 * The topics that this node listens to, kept on whatever connection serves them now. Subscriptions of one turn travel
 * together, and so do those that end.
 */
export class RedisInterest {
  private readonly shards: RedisShards;
  private readonly topics = new Map<string, Topic>();
  private readonly dirty = new Set<Topic>();
  private readonly ending: Topic[] = [];
  private readonly moved = new Set<RedisSubscriber>();
  private scheduled = false;
  private retry: Scheduled | undefined;
  private closed = false;

  constructor(
    target: RedisTarget,
    private readonly settings: RedisSettings,
    private readonly keys: RedisKeys,
    commands: RedisCommands,
    private readonly owner: InterestOwner,
  ) {
    this.shards = new RedisShards(target, settings, keys, commands, {
      onMessage: (topic, text) => {
        if (this.topics.get(topic)?.wanted === true) this.owner.onText(topic, text);
      },
      onReady: () => {
        this.onTopology();
        this.owner.onChange();
      },
      onLost: (subscriber) => {
        for (const topic of this.topics.values()) if (topic.on === subscriber) this.drop(topic);
        this.owner.onChange();
      },
      onMoved: (subscriber) => this.onMoved(subscriber),
      onTopology: () => this.onTopology(),
    });
  }

  get ready(): boolean {
    return this.shards.ready;
  }

  start(): void {
    this.shards.start();
  }

  /** Resolves when messages of the topic arrive. */
  add(name: string, channel: string): Promise<void> {
    if (this.closed) return Promise.reject(unavailable('The broker was closed'));
    let topic = this.topics.get(name);
    if (topic === undefined) {
      const partition = this.keys.partitionOf(channel);
      topic = {
        name,
        partition,
        wanted: true,
        on: undefined,
        confirmed: false,
        established: false,
        waiters: [],
        linger: undefined,
      };
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

  /** Nothing more of the topic is told from now on; the server is told a little later. */
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
      for (const waiter of topic.waiters.splice(0)) waiter.reject(unavailable('The broker was closed'));
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
      this.flushEnding();
      this.flushDirty();
    });
  }

  private flushEnding(): void {
    for (const [subscriber, batch] of grouped(this.ending.splice(0))) {
      // Whatever still comes is not told; a connection that is lost has forgotten it anyway.
      subscriber.unsubscribe(batch.map(({ name }) => name)).catch(() => undefined);
    }
  }

  private flushDirty(): void {
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
          for (const waiter of topic.waiters.splice(0)) waiter.resolve();
        }
        if (restored.length > 0) this.owner.onRestored(restored);
      },
      (error: Error) => {
        for (const topic of batch) {
          if (topic.on !== subscriber) continue;
          topic.on = undefined;
          this.refuse(topic, error);
        }
        this.shards.refresh();
        this.lookAgain();
      },
    );
  }

  /** Who waits is told at once (G21); what was served before is tried again as soon as there is a connection. */
  private refuse(topic: Topic, error: Error): void {
    for (const waiter of topic.waiters.splice(0)) waiter.reject(error);
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

  /** A server ended subscriptions because their slot left it. Which ones is not told, so all are made again. */
  private onMoved(subscriber: RedisSubscriber): void {
    this.shards.refresh();
    this.moved.add(subscriber);
    this.lookAgain();
  }

  private lookAgain(): void {
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
        if (topic.on.ready) this.ending.push({ ...topic, waiters: [] });
        this.drop(topic);
      }
      if (this.topics.get(topic.name) === topic && subscriber.ready) this.touch(topic);
    }
  }
}

/** By connection and partition, in commands of bounded size. */
function* grouped(topics: readonly Topic[]): Generator<[RedisSubscriber, readonly Topic[]]> {
  const groups = new Map<RedisSubscriber, Map<number, Topic[]>>();
  for (const topic of topics) {
    if (topic.on === undefined) continue;
    const partitions = groups.get(topic.on) ?? new Map<number, Topic[]>();
    groups.set(topic.on, partitions);
    const batch = partitions.get(topic.partition) ?? [];
    partitions.set(topic.partition, batch);
    batch.push(topic);
  }
  for (const [subscriber, partitions] of groups) {
    for (const batch of partitions.values()) {
      for (let start = 0; start < batch.length; start += BATCH)
        yield [subscriber, batch.slice(start, start + BATCH)];
    }
  }
}
