import type { PublishResult } from '../../protocol/messages.js';
import type { Clock } from './clock.js';
import type { Entropy } from './entropy.js';
import type { EngineLogger } from './logger.js';

/** What a record of the application's own topics becomes. */
export interface ConsumedEvent {
  /** Name of the channel, such as `orders.42`; a `@Channel` of the application must match it. */
  readonly channel: string;
  /** Name of the event. */
  readonly event: string;
  /** Any wire value. What depends on the time or on chance differs when the record is read once more, and is not published again. */
  readonly payload?: unknown;
  /**
   * Id of the event, 1–64 characters; one id is appended to a channel once (P15). Default: made of where the record stands. Give one
   * only where the writer of the records repeats itself and has an id of its own for each.
   */
  readonly id?: string | undefined;
  /** Conflation key. Default: none. */
  readonly key?: string | undefined;
  /** Milliseconds after which the event is not worth delivering. Default: without end. */
  readonly ttl?: number | undefined;
  /** W3C `traceparent` of the trace that the event continues. Default: none. */
  readonly trace?: string | undefined;
  /** Id of the user that subscribers see as the author. Default: none. */
  readonly user?: string | undefined;
  /** Anything that subscribers receive beside the payload. Default: none. */
  readonly meta?: Readonly<Record<string, unknown>> | undefined;
}

/** An event that was checked, and may be sent any number of times: it is appended once. */
export interface PreparedPublish {
  readonly channel: string;
  readonly id: string;
  /** What it counts as. */
  readonly bytes: number;
  /**
   * Appends it, or finds it there.
   *
   * @param after id of the publish to the same channel that must be there before it (P16).
   * @throws RealtimeError as a publish of the application does
   */
  send(after: string | undefined): Promise<PublishResult>;
}

/** What consumers run on. */
export interface ConsumerSite {
  /** Checks an event as a publish of the application is checked. @throws RealtimeError that says what is wrong with it */
  prepare(event: ConsumedEvent & { readonly id: string }): PreparedPublish;
  /** How long the broker remembers an id, in milliseconds (P15). */
  readonly dedupeMs: number;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly logger: EngineLogger;
}

/** What became of records, since the start of the node. */
export interface ConsumedCounts {
  /** Their events were appended. */
  published: number;
  /** Their events were there already. */
  duplicate: number;
  /** `to` made nothing of them. */
  ignored: number;
  /** They cannot be published, and went to the dead letters. */
  dead: number;
}

/** How a consumer is, for logs, metrics and health. */
export interface ConsumerStatus {
  readonly name: string;
  /**
   * `working`; `retrying`: the broker or the source is away, and it is tried again; `stopped`: a record cannot be published, and what
   * is behind it in its partition waits for the application to be mended; `closed`.
   */
  readonly state: 'working' | 'retrying' | 'stopped' | 'closed';
  /** Why it does not work; names no payload. */
  readonly reason?: string;
  /** Records that wait in what this node reads; `undefined` where that is not known yet. */
  readonly lag: number | undefined;
  readonly counts: Readonly<ConsumedCounts>;
}

/** A consumer that was opened. */
export interface ConsumerRun {
  /** Begins to read. */
  start(): void;
  status(): ConsumerStatus;
  /** Ends what is under way, commits it, and gives back what it read from; another node continues. Never rejects, ends within the time. */
  close(ms: number): Promise<void>;
}

/** A topic or stream, and the group for which it is read. */
export interface ConsumedPlace {
  /** Names the server, for `===`; may hold secrets, and is shown nowhere. */
  readonly server: unknown;
  /** Such as `the topic orders with the group realtime`. */
  readonly what: string;
}

/** What `fromKafka()`, `fromJetStream()` and `fromRedisStreams()` make, for the option `consumers` of the module. */
export interface RealtimeConsumer {
  /** For logs, metrics and health; unique in an application. */
  readonly name: string;
  /** @internal What it reads; two of an application that read the same would take records from one another. Default: not known. */
  readonly reads?: readonly ConsumedPlace[];
  /** @internal */
  open(site: ConsumerSite): ConsumerRun;
}
