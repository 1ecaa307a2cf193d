import type { PresenceDiff, PresencePage } from '../../protocol/messages.js';
import type { Position } from '../../protocol/position.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import type { ChannelEvent, EventDraft } from './channel-event.js';
import type { ControlMessage, ControlReceipt } from './control.js';
import type { EraseRequest } from './erasure.js';
import type { MaybePromise } from './maybe-promise.js';
import type { RestrictionName } from './moderation.js';
import type { BrokerTransitions } from './transitions.js';

/** How far an acknowledged event survives (G1). */
export type Durability = 'process' | 'broker' | 'replicated';

/** What a broker can promise. A channel that asks for more is refused at boot. */
export interface BrokerCapabilities {
  /** How far an acknowledged event survives: the process, the storage, or the loss of one of its copies (G1). */
  readonly durability: Durability;
  /** Whether the same (channel, producer, id) is appended once inside a window (P15). */
  readonly dedupes: boolean;
  /** Whether membership is kept (G19). */
  readonly presence: boolean;
}

/** What the channel's policy asks of the log at an append. */
export interface LogPolicy {
  /** Whether events are kept at all; without it the log only counts (P27). */
  readonly retain: boolean;
  /** Most events kept. */
  readonly size: number;
  /**
   * Most bytes kept, as {@link AppendRequest.bytes} counts them: the oldest events go first. An event that is larger than this
   * alone is numbered and delivered, but neither it nor anything before it is kept, as without `retain`.
   */
  readonly maxBytes: number;
  /** Longest time an event is kept, in milliseconds. */
  readonly ttlMs: number;
  /** How long ids are remembered, in milliseconds; 0 remembers none. */
  readonly dedupeMs: number;
}

/** One append. */
export interface AppendRequest {
  /** Name of the channel, as clients write it. */
  readonly channel: string;
  /** Who is responsible for the id: the user, the session's lineage or the application's name (P15). */
  readonly producer: string;
  /** Digest of event name and payload as the client sent them: tells a retry from a conflict (P15). */
  readonly fingerprint: string;
  /** Id of this producer's previous unacknowledged publish to the channel (P16). */
  readonly after?: string;
  /** What is appended; the broker adds `seq`, `epoch` and `ts`. */
  readonly event: EventDraft;
  /**
   * Size of the event: the UTF-8 bytes of `payload` and `meta` as JSON, and of `event`, `id`, `user`, `key` and `trace`. At
   * most `limits.maxEventBytes` of the engine.
   */
  readonly bytes: number;
  /** How long the event and its id are kept. */
  readonly policy: LogPolicy;
}

/** Result of one append; the items of a batch succeed and fail each on its own. */
export type AppendOutcome =
  | { readonly ok: true; readonly position: Position; readonly duplicate: boolean }
  | {
      readonly ok: false;
      /**
       * `message_too_large`: more than the storage takes of one event. `rate_limited`: as many ids of this producer are remembered
       * as may be (G4); a broker bounds them for each producer, so that none spends the memory of the others. Of `timeout` the
       * outcome is unknown (P17).
       */
      readonly code: Extract<
        ErrorCode,
        'conflict' | 'out_of_order' | 'message_too_large' | 'rate_limited' | 'unavailable' | 'timeout'
      >;
      /** When the same append may succeed, in milliseconds from now. Given with `rate_limited`; otherwise optional. */
      readonly retryAfterMs?: number;
      /** What happened, in words, for people. Default: the meaning of the code. */
      readonly message?: string;
    };

/** A ranged read of a log. */
export interface ReadRequest {
  /** Name of the channel whose log is read. */
  readonly channel: string;
  /** The epoch that `from − 1` was learned in; left out, the current one. */
  readonly epoch?: string;
  /** First `seq` wanted, inclusive. */
  readonly from: number;
  /** Last `seq` wanted, inclusive; left out, the tip. */
  readonly until?: number;
  /** Most events returned. */
  readonly limit: number;
  /** Newest first, counted down from `until`. Default false. */
  readonly reverse?: boolean;
}

/** Result of a ranged read. */
export interface ReadResult {
  /** Tip of the log at the moment of the read. */
  readonly tip: Position;
  /** Whether `{epoch, from − 1}` lies in a true prefix of this log (P10, G6). Without it `events` is empty. */
  readonly continuous: boolean;
  /** Smallest `seq` that is still kept; `tip.seq + 1` when nothing is. */
  readonly oldest: number;
  /** The events of the range that are still kept, at most `limit`, in the order that was asked for. */
  readonly events: readonly ChannelEvent[];
}

/** Result of {@link BrokerLog.erase}. */
export interface EraseResult {
  /** Tip of the log at that moment. */
  readonly tip: Position;
  /** Those of the request that the log keeps: it holds nothing but their places now. */
  readonly seqs: readonly number[];
}

/** An ephemeral message: never stored, never sequenced. */
export interface SignalMessage {
  /** Name of the signal. */
  readonly event: string;
  /** Data of the sender, as {@link EventDraft.payload}. */
  readonly payload?: unknown;
  /** Id of the user it comes from; absent for anonymous clients. */
  readonly user?: string;
}

/**
 * The logs of the channels, and their delivery to the nodes that subscribed. Every log is dense: `seq` grows by exactly
 * one with each event, on whichever node it was appended (P10).
 */
export interface BrokerLog {
  /** Appends in the order given; calls for one channel take effect in the order of the calls (P16). */
  appendMany(requests: readonly AppendRequest[]): Promise<readonly AppendOutcome[]>;
  /**
   * Reads a range of a log. Every event carries the epoch of `tip`, whichever it was appended under: a client that
   * resumes continues under the current one (P14).
   *
   * An event that is stored and cannot be read, e.g. because another program changed it, is returned at its place as
   * {@link ChannelEvent.unreadable}, and the others beside it as they are. Left out or thrown, it would stop every client that
   * reads past it; so it becomes a gap of its own `seq` (P25f).
   */
  read(request: ReadRequest): Promise<ReadResult>;
  /**
   * Erases events: from when it resolves, no read of any node returns anything of them but their `seq` and `ts`. In their places it
   * returns what `tombstoneOf` makes, so that the log stays dense (P10, P31), and its bounds keep what they kept. Idempotent: what
   * is erased counts as erased once more. Ids stay remembered: a retry of an erased publish is still a duplicate.
   *
   * Rejects with `unavailable` when nothing was erased, and with `timeout` when that is not known, or copies of the log that the
   * durability speaks of may not have it; the same call is then to be repeated. Optional: a broker that keeps no events for longer
   * than a delivery needs none.
   */
  erase?(request: EraseRequest): Promise<EraseResult>;
  /** Tips of many logs, in the order asked; an empty log has a tip too (P11). */
  tips(channels: readonly string[]): Promise<readonly Position[]>;
  /**
   * Subscribes the node to a channel: every event after the returned tip reaches the listener. The caller counts its
   * subscribers, and calls this once per channel until it unsubscribes.
   */
  subscribe(channel: string): Promise<Position>;
  /** Nothing of the channel reaches the listener afterwards. Idempotent, also for a channel that was not subscribed. */
  unsubscribe(channel: string): Promise<void>;
  /** Reaches the listener of every node that subscribed, this one's included; nothing is stored. */
  signal(channel: string, message: SignalMessage): Promise<void>;
}

/** One device of a member of a channel. */
export interface PresenceEntry {
  /** Name of the channel. */
  readonly channel: string;
  /** The member: user id, or lineage of an anonymous session. */
  readonly member: string;
  /** The device: lineage of its session. */
  readonly device: string;
  /** Generation of the session; an older one can neither change nor end a newer one's membership (P28). */
  readonly generation: number;
  /** What the member shows to the others: a wire value, as {@link EventDraft.payload}. */
  readonly data?: unknown;
}

/** Membership of channels (G19). Diffs come through {@link BrokerListener.onPresence}. */
export interface BrokerPresence {
  /**
   * Makes the device a member, or renews it; a pending leave of the same device is forgotten. Lives `leaseMs` unless
   * renewed. `data`, when given, replaces the member's.
   */
  enter(entry: PresenceEntry, leaseMs: number): Promise<void>;
  /** Replaces the member's data. */
  update(entry: PresenceEntry): Promise<void>;
  /** Ends the device's membership after `graceMs`, unless it enters again in time. */
  leave(entry: PresenceEntry, graceMs: number): Promise<void>;
  /**
   * Extends the leases of many devices at once. One that is not there (its lease ran out while the node stood still) is
   * entered again; one that is leaving stays leaving.
   */
  renew(entries: readonly PresenceEntry[], leaseMs: number): Promise<void>;
  /**
   * Members in a stable order, a page at a time. Rejects with `bad_request` for a `cursor` that is no `more` of a page.
   */
  members(channel: string, page: { readonly cursor?: string; readonly limit: number }): Promise<PresencePage>;
}

/** Messages between nodes. */
export interface BrokerBus {
  /**
   * Sends a durable, ordered record to every node, this one included; resolves when all confirmed or the missing ones
   * are known. Listeners are called in order, without waiting for the confirmation of the record before.
   */
  control(message: ControlMessage): Promise<ControlReceipt>;
  /**
   * Sends bytes to the listener of one node ({@link BrokerListener.onMessage}), which may be this one. Nothing is stored: when the
   * node cannot be reached they are lost without an error. Those of this node to another arrive in the order of the calls. The
   * bytes may not change before it resolves. A message of up to 8 MiB is carried; a broker refuses a larger one with
   * `message_too_large`, and bounds what waits to be sent, beyond which it refuses with `unavailable`. Optional, with `nodes`: a
   * broker that cannot do this leaves both out, and HTTP sessions then need sticky sessions.
   */
  send?(node: string, topic: string, bytes: Uint8Array): Promise<void>;
  /** Ids of the nodes that are alive, this one included. A node that ended without a word is left out after a time. */
  nodes?(): Promise<readonly string[]>;
}

/** State of the way to the broker. */
export type BrokerState = 'up' | 'down';

/** What a broker notifies its node of. Called synchronously, in the broker's order; implementations must not throw. */
export interface BrokerListener {
  /**
   * A fingerprint of a secret that all nodes of the application share, and no other application has: too short to find the secret
   * by. Optional: without it nothing is compared.
   */
  readonly application?: string | undefined;
  /**
   * Events of a subscribed channel, in the order of the log. The node reads from the log what was lost on the way (G5). One that
   * arrived and cannot be read is {@link ChannelEvent.unreadable} at its place, or is treated as lost.
   */
  onEvents(channel: string, events: readonly ChannelEvent[]): void;
  /** A signal of a subscribed channel. */
  onSignal(channel: string, signal: SignalMessage): void;
  /** A change of the members of a subscribed channel. */
  onPresence(channel: string, diff: PresenceDiff): void;
  /**
   * A record of `control`; the returned promise is its confirmation. One that the node does not know is refused by throwing:
   * the receipt then names the node.
   */
  onControl(message: ControlMessage): MaybePromise<void>;
  /**
   * The node's view of `control` was proved (G11): every record that was stored up to the moment of the proof has been
   * handed to `onControl`. For `forMs` more milliseconds that counts as current. Once this was called, a node whose last
   * proof has run out withholds the events of channels that are not public until the next one. Called before `start`
   * resolves, with 0 where nothing is proved yet, and often enough; never by a broker whose records cannot be late, as within one process.
   */
  onControlCurrent(forMs: number): void;
  /**
   * Records of `control` are lost that the node may not know: their log was lost, or trimmed before it was read. The bans
   * that hold were handed to `onControl` again. The view counts as proved only when the returned promise has settled.
   */
  onControlLost(): MaybePromise<void>;
  /**
   * Called before `onControlLost` where only records are lost, and not what the broker stores of them: all bans of users and
   * restrictions that hold. What else the node has of them was lifted by a record that it missed. Optional: without it that stays
   * in force on this node.
   */
  onRestrictions?(kept: readonly RestrictionName[]): void;
  /**
   * Called with bytes that a node sent to this one ({@link BrokerBus.send}), which are the listener's own. Optional: without it
   * they are dropped.
   *
   * @param fromNode Id of the node that sent them.
   * @param topic What they are about.
   */
  onMessage?(fromNode: string, topic: string, bytes: Uint8Array): void;
  /** The broker can be reached, or no longer. `reason` says why, for the log. */
  onState(state: BrokerState, reason?: string): void;
  /**
   * The broker is reached and refuses what is written to it, for this reason, in its words; `undefined` when it takes writes
   * again. For status, health and the log. Optional: without it only what fails says so.
   */
  onRefusal?(reason: string | undefined): void;
  /**
   * Something that the operator should know, for the log: what the broker dropped or refused to protect itself, with the remedy.
   * The broker bounds how often it calls this, and names nothing that only a client chose. Optional: without it nothing is said.
   */
  onWarning?(message: string): void;
}

/** A setting of a broker's storage that weakens what it promises. */
export interface StorageWeakness {
  /** What is weak, and what it costs: a sentence. */
  readonly problem: string;
  /** What to set instead: a sentence. */
  readonly remedy: string;
}

/**
 * The port that every broker implements: a log, a presence and a bus, which start and close together.
 * `describeBrokerContract` of `lib/brokers/contract` tests it.
 *
 * Every method of the three, and `probe`, may reject with a `RealtimeError` of code `unavailable` or `timeout`, and with
 * nothing else. Before `start` and after `close` they reject with `unavailable`. The three are there from the beginning
 * and stay the same objects: the node takes them before it calls `start`.
 */
export interface Broker {
  /** For logs and health checks: lower-case letters, digits and hyphens. */
  readonly name: string;
  /** What it promises. A channel that asks for more is refused when the application starts. */
  readonly capabilities: BrokerCapabilities;
  /** The logs of the channels, and the delivery of their events to this node. */
  readonly log: BrokerLog;
  /** Where `capabilities.presence` is false, only `members` is called; reject with `unavailable` then. */
  readonly presence: BrokerPresence;
  /** Control records, and messages between nodes. */
  readonly bus: BrokerBus;
  /** Transitions over the whole cluster, which channels are held, and which members. Optional. */
  readonly transitions?: BrokerTransitions;
  /**
   * Resolves once the broker was reached. Before that the listener is notified of `up`, and of the bans that hold, also those
   * for abuse, as records of `control`: they may be older than this node.
   *
   * @param nodeId Names this node in the receipts of `control`. Default: a name that the broker makes.
   */
  start(listener: BrokerListener, nodeId?: string): Promise<void>;
  /** Publishes through the normal path and waits until it came back (G20). Resolves to the round trip in milliseconds. */
  probe(timeoutMs: number): Promise<number>;
  /**
   * Looks at the storage without starting, at any time: connects by itself, asks for the settings that weaken what the broker promises,
   * and disconnects; other nodes do not see it. For the doctor, which calls it and no other method. Rejects, with the remedy in the
   * message, where `start` would, and within `timeoutMs`. Optional: without it nothing outside of this process is asked.
   */
  inspect?(timeoutMs: number): Promise<readonly StorageWeakness[]>;
  /** Flushes what was accepted, then releases every resource. Idempotent; never rejects. */
  close(): Promise<void>;
}
