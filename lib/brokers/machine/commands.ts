import type { AppendOutcome, AppendRequest, EraseResult, PresenceEntry } from '../../core/ports/broker.js';
import type { ControlMessage } from '../../core/ports/control.js';
import type { EraseRequest } from '../../core/ports/erasure.js';
import type { Hold, Transition } from '../../core/ports/transitions.js';
import type { MachineSettings } from './settings.js';

/**
 * Everything that changes the channels, ids, members, holders and restrictions of a partition, by its kind. A command is plain data:
 * what a log carries is read back as an equal one. Durations are in milliseconds of machine time ({@link Moment.now}).
 */
export interface StateCommandMap {
  /** Appends in the order given; each request succeeds or fails on its own. */
  append: { readonly requests: readonly AppendRequest[] };
  /** Erases events of one channel; idempotent. */
  erase: EraseRequest;
  /** Forgets the events of a channel, and begins an epoch at `seq` 0. Ids stay remembered. */
  clear: { readonly channel: string };
  /** Loses everything of a channel after `keep`, ids included, and begins an epoch that continues from there (G6). */
  cut: { readonly channel: string; readonly keep: number };
  /**
   * Keeps the record of a channel, and the versions of its roster, until `unpin`. Counted: each `pin` needs an `unpin`. For a driver
   * all of whose subscribers are in one process. Where subscriptions are each node's own, as over a log, nothing is pinned.
   */
  pin: {
    readonly channel: string;
    /** Whether it is pinned even where there is no room: for the few channels of the library itself. Default false. */
    readonly always?: boolean;
  };
  unpin: { readonly channel: string };
  /** Makes a device a member, or renews it. */
  enter: { readonly entry: PresenceEntry } & Leased;
  /** Replaces the data of a member; nothing when its device is not there. */
  update: { readonly entry: PresenceEntry };
  /** Ends the membership of a device after `graceMs`; a second one may bring the end forward, never put it off. */
  leave: { readonly entry: PresenceEntry; readonly graceMs: number };
  /** Extends leases; enters what is not there, and leaves alone what is leaving. */
  renew: { readonly entries: readonly PresenceEntry[] } & Leased;
  /** Adds holders of things, or renews them. */
  hold: { readonly holds: readonly Hold[] } & Leased;
  /** Ends a holder after `graceMs`. */
  release: { readonly hold: Hold; readonly graceMs: number };
  /** Makes the node the consumer of transitions where nobody is, and hands over what it was not handed yet, oldest first. */
  take: { readonly node: string; readonly limit: number };
  /** The transitions of these ids were dealt with. */
  done: { readonly ids: readonly string[] };
  /** Keeps what a record puts on somebody, for nodes that start later. Handing it to the nodes is the driver's. */
  control: { readonly message: ControlMessage };
  /** Begins or extends the lease of a node. */
  heartbeat: Heartbeat;
  /** Ends the lease of a node at once, and that it is the consumer of transitions. */
  goodbye: { readonly node: string };
  /** Changes nothing: lets time pass. */
  tick: object;
}

/** Commands about the log itself. Only a {@link Partition} knows them. */
export interface LogCommandMap {
  /** The first command of a log: what every node must agree on. */
  genesis: Genesis;
  /** What a node that connected has read: shows whether the log has lost its end since. */
  hello: Hello;
  /** Makes the partition apply the semantics of a version from here on; refused unless every node with a lease runs it. */
  activate: { readonly version: number };
}

/** All commands, by their kind. */
export type CommandMap = StateCommandMap & LogCommandMap;

/** What is answered, by the kind of the command. */
export interface OutcomeMap {
  genesis: GenesisOutcome;
  hello: HelloOutcome;
  /** One for each request, in their order. */
  append: readonly AppendOutcome[];
  erase: EraseResult;
  clear: Done;
  cut: Done;
  pin: Done | Full;
  unpin: Done;
  enter: Done | Full;
  update: Done | Full;
  leave: Done;
  /** {@link Full}: something that was no longer there had no room; the others are renewed. */
  renew: Done | Full;
  /** {@link Full}: a new holder had no room; the others are kept. */
  hold: Done | Full;
  release: Done;
  take: Taken;
  done: Done;
  control: Done;
  heartbeat: HeartbeatOutcome;
  goodbye: Done;
  activate: ActivateOutcome;
  tick: Done;
}

export type CommandKind = keyof CommandMap;
export type StateCommandKind = keyof StateCommandMap;

/** One command; without a parameter, of any kind. */
export type Command<K extends CommandKind = CommandKind> = {
  [Kind in K]: { readonly kind: Kind } & CommandMap[Kind];
}[K];

/** What was answered to a command of a kind. {@link Skipped} is possible for each. */
export type Outcome<K extends CommandKind = CommandKind> = OutcomeMap[K] | Skipped;

/** When a command is applied. */
export interface Moment {
  /** Machine time: whole milliseconds that never go back. All that ends does so by it. */
  readonly now: number;
  /** The record's own time, in milliseconds since the Unix epoch: `ts` of events and `at` of transitions. May jump. */
  readonly ts: number;
  /**
   * What the monotonic clock of this node showed at that moment: for `expiresAt` of events alone, by which this node stops to
   * deliver them. No outcome depends on it, so it may differ between nodes.
   */
  readonly local: number;
  /**
   * Number of the first request of an `append` among all of the log: what an event is found again by where it is read from the log
   * after a checkpoint. 0 where nothing is read again.
   */
  readonly place: number;
}

/** How long something is kept that must be renewed. */
export interface Leased {
  /** Ends so long after now, or, with `node`, after the lease of that node has ended: its grace. */
  readonly leaseMs: number;
  /**
   * The node whose lease keeps it: its heartbeats renew all that it entered. A node without a lease keeps nothing: then it is as if
   * this were left out.
   */
  readonly node?: string;
}

/** What the first record of a log fixes for all nodes that read it. */
export interface Genesis {
  /** Number of the form of records and of the names of topics. */
  readonly layout: number;
  /** How many partitions the channels are spread over. */
  readonly partitions: number;
  /** Which function spreads them. */
  readonly hash: string;
  /** Names this log: epochs begin with it. Different for each log that is made, also where one takes the name of another. */
  readonly incarnation: string;
  /** Version of the semantics that the log begins with. */
  readonly version: number;
  /** All that decides an outcome. */
  readonly settings: MachineSettings;
}

/** A place in the log, and the digest of all records up to it, itself included. */
export interface Mark {
  readonly offset: number;
  readonly digest: string;
}

/** What a node has read, when it connects to the log: its first record there, and nothing else of it before that. */
export interface Hello {
  readonly node: string;
  /** Places that it has read, newest first, as {@link Partition.marks} gives them; none where it has read nothing. */
  readonly marks: readonly Mark[];
}

/** A sign of life of a node. */
export interface Heartbeat {
  readonly node: string;
  /** The lease ends so long after now unless another heartbeat comes. */
  readonly leaseMs: number;
  /** Versions of the semantics that the node can run. */
  readonly versions: readonly number[];
}

/** It was done, or there was nothing to do. */
export interface Done {
  readonly ok: true;
}

/** There is no room; what is there may be dropped for nothing. */
export interface Full {
  readonly ok: false;
  readonly code: 'unavailable';
  /** When to try again, in milliseconds. */
  readonly retryAfterMs: number;
  readonly message: string;
}

/** The command made the code throw: it is a bug, or the command was none. The same on every node. */
export interface Skipped {
  readonly ok: false;
  readonly code: 'skipped';
  /** What was thrown, for the log of the operator; may quote the command. No part of a digest. */
  readonly error: unknown;
}

/** `ok: false`: this machine was made with another value of what `differs` names; its node must not serve. */
export type GenesisOutcome =
  Done | { readonly ok: false; readonly code: 'mismatch'; readonly differs: string };

export interface HelloOutcome {
  readonly ok: true;
  /**
   * Offset after which what the node read is not in this log, -1 where all may not be. Every channel began an epoch that continues
   * from there; the node itself is to read the log again. Absent: as far as the log remembers it, all that it read is in the log.
   */
  readonly lostAfter?: number;
}

export interface Taken {
  readonly ok: true;
  readonly transitions: readonly Transition[];
}

export interface HeartbeatOutcome {
  readonly ok: true;
  /** Whether the node had no lease: what its lease kept is to be renewed. */
  readonly isNew: boolean;
}

export type ActivateOutcome =
  | Done
  | {
      readonly ok: false;
      readonly code: 'not_ready';
      /** Nodes with a lease that do not run the version. */
      readonly nodes: readonly string[];
    };
