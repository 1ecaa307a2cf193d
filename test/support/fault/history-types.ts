import type { GapPayload, SubscribeResult } from '../../../lib/protocol/messages.js';
import type { Position } from '../../../lib/protocol/position.js';

/** What a client was told of one channel, in the order it was told. `at` is monotonic, in milliseconds. */
export type StreamRecord =
  | { readonly kind: 'answer' | 'reset'; readonly at: number; readonly answer: HistoryAnswer }
  | {
      readonly kind: 'event';
      readonly at: number;
      readonly epoch: string;
      readonly seq: number;
      readonly id: string;
    }
  | { readonly kind: 'gap'; readonly at: number; readonly epoch: string; readonly gap: HistoryGap };

/** As much of a subscribe answer (P11) as decides where the client stands after it. */
export type HistoryAnswer = Pick<SubscribeResult, 'position' | 'recovery' | 'from' | 'to'>;

export type HistoryGap = Pick<GapPayload, 'from' | 'to' | 'partial'>;

/** What became of a publish: `unknown` may have been appended, `refused` may not. */
export type PublishOutcome =
  | { readonly kind: 'acknowledged'; readonly at: number; readonly position: Position }
  | { readonly kind: 'unknown' | 'refused'; readonly at: number; readonly code: string };

export interface PublishRecord {
  readonly id: string;
  readonly channel: string;
  readonly publisher: string;
  readonly invokedAt: number;
  outcome: PublishOutcome | undefined;
}

export interface StreamHistory {
  readonly client: string;
  readonly channel: string;
  readonly records: StreamRecord[];
}

/** A log as it is once everything is quiet, read past the library. */
export interface FinalLog {
  readonly channel: string;
  /** The tip. */
  readonly position: Position;
  /** What is still kept, ascending. */
  readonly events: readonly { readonly seq: number; readonly id: string }[];
}

/** What a history can be guilty of. */
export type HistoryRule =
  /** An event, a gap or a recovery that nothing led to: without a subscription, of another epoch, behind the cursor. */
  | 'protocol'
  /** `seq` did not grow by one, and nothing announced the range. */
  | 'hole'
  /** A `seq` or an id was given twice. */
  | 'repeat'
  /** Two saw different events at one place, or one saw another event than the log holds there. */
  | 'order'
  /** An acknowledged event was neither delivered nor announced as missing. */
  | 'undelivered'
  /** An acknowledged event is not in the log, and no new epoch says that the log lost its end. */
  | 'vanished'
  /** An event is in the log twice, at another place than acknowledged, or although it was refused. */
  | 'log'
  /** An event that nobody published. */
  | 'phantom'
  /** When everything was quiet, a client was not at the end of the log. */
  | 'behind'
  /** A publish that was never answered. */
  | 'silence'
  /** A publisher's acknowledged events are in the log in another order than it published them (P16). */
  | 'publish-order';

export interface Violation {
  readonly rule: HistoryRule;
  readonly channel: string;
  readonly client?: string;
  readonly what: string;
  /** What the client was told last, newest last. */
  readonly trace: readonly string[];
}

export interface HistoryReport {
  readonly violations: readonly Violation[];
  readonly published: number;
  readonly acknowledged: number;
  readonly unknown: number;
  readonly refused: number;
  readonly delivered: number;
  /** Announcements, summed over clients and channels. */
  readonly gaps: number;
  readonly losses: number;
  readonly truncations: number;
  readonly resets: number;
  /** Acknowledged events that the broker lost, as a new epoch says. */
  readonly lostByBroker: number;
}
