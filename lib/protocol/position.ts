/** A place in a channel's log (P10), behind everything up to and including `seq` of `epoch`. */
export interface Position {
  /** Names one incarnation of the log. Opaque: compare for equality only. */
  readonly epoch: string;
  /** Number of the last event behind the position; 0 is the start of an empty log. */
  readonly seq: number;
}

/** Whether a subscription continues from the position that the client sent (P11). */
export type Recovery = 'new' | 'complete' | 'truncated' | 'lost';

/** Why a position could not be continued (P11). */
export type LostReason = 'epoch_changed' | 'expired' | 'not_retained' | 'unavailable';

/** Why only the newest part of what was missed follows (P11). */
export type TruncationCause = 'trimmed' | 'limit';

/** Why events were not delivered (P25). */
export type GapReason = 'overflow' | 'conflated' | 'expired' | 'unreadable';
