import type { AnnouncedLimits } from './envelope.js';
import type { GapReason, LostReason, Position, Recovery, TruncationCause } from './position.js';

/** The reconnect policy that the server announces (P19), all in milliseconds. */
export interface RetryPolicy {
  readonly baseMs: number;
  readonly maxMs: number;
  /** The first attempt after a connection is lost without an announcement waits `random() × firstSpreadMs`. */
  readonly firstSpreadMs: number;
  /** After this long a live connection the backoff is reset. */
  readonly stableMs: number;
}

/** Payload of `welcome`. */
export interface WelcomePayload {
  readonly version: number;
  /** Session ticket (P28): opaque; keep it in memory only. */
  readonly session: string;
  /** Over HTTP: the secret name of this connection, which its requests carry (P21). */
  readonly connection?: string;
  readonly user?: string;
  readonly features: readonly string[];
  readonly heartbeat: { readonly intervalMs: number; readonly timeoutMs: number };
  readonly limits: AnnouncedLimits;
  readonly retry: RetryPolicy;
  readonly tokenExpiresInMs?: number;
  /** The server's clock in milliseconds; informational. */
  readonly serverTime: number;
}

/** Answer to `subscribe`, and body of `reset` (P11). */
export interface SubscribeResult {
  /** The tip of the log at commit, or the position of the snapshot (P26). */
  readonly position: Position;
  /** What happens to the events after the requested position; `new` when there was none. */
  readonly recovery: Recovery;
  /** With `lost`: why. */
  readonly reason?: LostReason;
  /** With `truncated`: first `seq` of the range that follows; `to` + 1 where the snapshot has all of it (P26f). */
  readonly from?: number;
  /** Last `seq` of that range, inclusive. */
  readonly to?: number;
  /** With `truncated`: why the beginning is missing. */
  readonly cause?: TruncationCause;
  /** The channel's state at `position` (P26), where it has a snapshot and it was wanted. */
  readonly snapshot?: unknown;
  /** First page of the members, where the subscriber receives presence (G19). */
  readonly presence?: PresencePage;
}

/** Answer to `snapshot` (P26e). */
export interface SnapshotResult {
  /** The events behind it follow. The state has those up to it, and may have some of the others. */
  readonly position: Position;
  /** The channel's state; absent where the channel has none. */
  readonly snapshot?: unknown;
}

/** Answer to `publish` (P15). */
export interface PublishResult {
  /** Number of the event in its log. */
  readonly seq: number;
  /** Epoch of the log that `seq` belongs to (P10). */
  readonly epoch: string;
  /** Whether the same id was appended before: then `seq` is that of the first append. */
  readonly duplicate: boolean;
}

/** Payload of `gap` (P25): nothing of the range was delivered, or with `partial` not everything. */
export interface GapPayload {
  readonly from: number;
  readonly to: number;
  readonly reason: GapReason;
  readonly partial?: boolean;
  /** Whether `history` can still read the range. */
  readonly recoverable: boolean;
}

/** One member of a channel; several devices of a user are one member (G19). */
export interface PresenceMember {
  /** The user; for an anonymous client its session. */
  readonly id: string;
  /** Connected devices of the member. */
  readonly devices: number;
  /** The member's own data: the last that any of its devices gave. */
  readonly data?: unknown;
}

/** A page of members, with the version that later diffs continue. */
export interface PresencePage {
  /** Versions of another epoch are not comparable. */
  readonly epoch: string;
  /** Version of the list. The diff whose `previous` is this version follows the page. */
  readonly version: number;
  /** Members of this page. */
  readonly members: readonly PresenceMember[];
  /** Number of all members. */
  readonly count: number;
  /** Cursor of the next page, when there is one. */
  readonly more?: string;
  /** Changes reach this subscriber as counts; only with the feature `presence-count` (P22a). */
  readonly counted?: true;
}

/** Payload of `presence`: a diff that follows `previous`. A client that misses a version reads the list again. */
export interface PresenceDiff {
  /** Versions of another epoch are not comparable. */
  readonly epoch: string;
  /** Version of the list after the diff. */
  readonly version: number;
  /** Version of the list before the diff. */
  readonly previous: number;
  /** The new members. */
  readonly join: readonly PresenceMember[];
  /** Members whose data or number of devices changed, as they are now. */
  readonly update: readonly PresenceMember[];
  /** Ids of the members that left. */
  readonly leave: readonly string[];
  /** Number of all members after the diff. Older servers leave it out. */
  readonly count?: number;
}

/** Payload of `presence` in a large channel: how many members there are at a version (P22a). */
export interface PresenceCount {
  /** Versions of another epoch are not comparable. */
  readonly epoch: string;
  /** Version of the list that was counted. */
  readonly version: number;
  /** Number of all members. */
  readonly count: number;
}

/** An event as `history` returns it. */
export interface HistoryEvent {
  /** The publisher's id: the same in every delivery of this event. */
  readonly id: string;
  /** The server's clock in milliseconds since the Unix epoch; informational. */
  readonly ts: number;
  /** Place in the log, under the epoch of the answer's `position`. */
  readonly seq: number;
  /** The application's name for what happened. */
  readonly event: string;
  /** The application's data. */
  readonly payload?: unknown;
  /** Who published, as the server verified it; absent for the application itself and for anonymous clients. */
  readonly user?: string;
  /** Conflation key (P25). */
  readonly key?: string;
  /** The application's own data beside the payload. */
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** Answer to `history`. */
export interface HistoryResult {
  /** The events of the page, oldest first; newest first with `reverse`. */
  readonly events: readonly HistoryEvent[];
  /** The tip of the log. */
  readonly position: Position;
  /** Whether the requested range holds more than `limit` events. */
  readonly more: boolean;
}

/** Payload of the server's `bye`. */
export interface ByePayload {
  readonly code: number;
  readonly retryAfterMs: number;
  readonly spreadMs: number;
}
