import type { ControlReceipt } from './control.js';
import type { MaybePromise } from './maybe-promise.js';

/** Whom or what an act was about. */
export interface AuditSubject {
  /** What `id` names. */
  readonly of: 'user' | 'session' | 'address' | 'everybody';
  /** The id of the user or session, or the address as limits count addresses; `''` for everybody. */
  readonly id: string;
}

/** How an act ended: on every node, on some, on none, or it was not allowed. */
export type AuditResult = 'applied' | 'partial' | 'failed' | 'refused';

/** A value of JSON. */
export type AuditValue =
  string | number | boolean | null | readonly AuditValue[] | { readonly [name: string]: AuditValue };

/**
 * One line of the audit: who did what to whom, why, when, and with which result. It has no token, no ticket and no payload (G23), and
 * at most 8 KiB of JSON. Frozen: all sinks are handed the same one.
 */
export interface AuditEntry {
  /** Unique. A sink that is handed the same entry again, as its answer was lost, knows it by that. */
  readonly id: string;
  /** When the result was known, in milliseconds since the Unix epoch, by the wall clock of `node`. */
  readonly ts: number;
  /** The node that did it. */
  readonly node: string;
  /**
   * What was done: `disconnect`, `revoke`, `reauthorize`, `kick`, `ban`, `unban`, `mute`, `unmute`, `slow`, `end_slow`, `erase`; `warn`, `throttle` and
   * `abuse_close` for what the node did by itself; `authorize`, `connect` for what a client was refused, `refusals` for how many more
   * were; `lost` for entries that a sink did not take; `publish`, `read_history` and `read_audit` of the admin API; or a name of the
   * application's own.
   */
  readonly act: string;
  /** Who did it, as the application names people; `spam` or `abuse` where the node did it by itself. */
  readonly by?: string;
  /** Absent where the act is about nobody. */
  readonly whom?: AuditSubject;
  /** Name of a channel, or a pattern. */
  readonly channel?: string;
  /** Why, in the words of who did it; at most 1024 characters. */
  readonly reason?: string;
  /** How it ended. */
  readonly result: AuditResult;
  /** Which nodes confirmed it, and which did not in time. */
  readonly receipt?: ControlReceipt;
  /** Code of the error, of what failed or was refused. */
  readonly error?: string;
  /** What else belongs to it, e.g. `forMs` of a ban. */
  readonly data?: Readonly<Record<string, AuditValue>>;
}

/** What is recorded; the recorder adds the rest. */
export interface AuditDraft extends Omit<AuditEntry, 'id' | 'ts' | 'node' | 'result'> {
  /** Default `'applied'`. */
  readonly result?: AuditResult;
}

/** Which entries are listed: those that have all that is named. */
export interface AuditFilter {
  /** What was done. */
  readonly act?: string | undefined;
  /** Who did it. */
  readonly by?: string | undefined;
  /** Id of the user, session or address. */
  readonly whom?: string | undefined;
  /** Exactly as it is in the entry. */
  readonly channel?: string | undefined;
  /** How it ended. */
  readonly result?: AuditResult | undefined;
}

/** Which page of a list: the newest entries come first. */
export interface AuditQuery extends AuditFilter {
  /** `more` of the page before. Default: the first page. */
  readonly cursor?: string | undefined;
  /** Most entries of the page. */
  readonly limit: number;
}

/** One page. It may have fewer entries than `limit`, or none, and be followed by another: a sink looks at so many at once. */
export interface AuditPage {
  /** Newest first. */
  readonly entries: readonly AuditEntry[];
  /** The `cursor` of the next page; absent on the last. */
  readonly more?: string;
}

/**
 * Where audit entries go: a log, a table, a topic. Entries come one at a time, in order; the next comes when the one before was taken.
 *
 * @example
 * const table: AuditSink = {
 *   write: (entry) => db.query('INSERT INTO audit (id, ts, entry) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING', [
 *     entry.id, new Date(entry.ts), JSON.stringify(entry),
 *   ]),
 * };
 */
export interface AuditSink {
  /** For messages of the log. Default: its place among the sinks. */
  readonly name?: string;
  /**
   * Takes one entry. What it throws, rejects with, or does not answer in time is written again later, under the same `id`: an entry
   * can come twice, and never silently not at all.
   */
  write(entry: AuditEntry): MaybePromise<unknown>;
  /** Lists entries, newest first. Default: the sink cannot be read. */
  read?(query: AuditQuery): MaybePromise<AuditPage>;
  /** Called once, after the last write. */
  close?(): MaybePromise<void>;
}

/** Whether an entry has all that a filter names. */
export function matchesFilter(entry: AuditEntry, { act, by, whom, channel, result }: AuditFilter): boolean {
  return (
    (act === undefined || entry.act === act) &&
    (by === undefined || entry.by === by) &&
    (whom === undefined || entry.whom?.id === whom) &&
    (channel === undefined || entry.channel === channel) &&
    (result === undefined || entry.result === result)
  );
}
