import type { Restriction, RestrictionName } from './moderation.js';

/** Why and by whom an act is done; for the log and the audit, never for clients. */
export interface Why {
  readonly reason?: string | undefined;
  readonly by?: string | undefined;
}

/** A record that reaches every node, in one order (G11). */
export type ControlMessage =
  | {
      /** Closes the user's connections. */
      readonly kind: 'disconnect';
      readonly user: string;
      readonly reason?: string;
      readonly by?: string;
    }
  | {
      /** Ends subscriptions of the user: of one channel, or of all. */
      readonly kind: 'revoke';
      readonly user: string;
      readonly channel?: string;
      readonly reason?: string;
      readonly by?: string;
    }
  | {
      /**
       * The same of the channels that a pattern matches. A kind of its own: a node that does not know patterns reports that it did not
       * apply it, and would take it for the name of a channel otherwise.
       */
      readonly kind: 'revoke_pattern';
      readonly user: string;
      readonly pattern: string;
      readonly reason?: string;
      readonly by?: string;
    }
  | {
      /**
       * Asks the authorizations of subscriptions again: those of a user, of a channel or pattern, of both; without either, all.
       * A node has applied it when each was answered, or is withheld until it is.
       */
      readonly kind: 'reauthorize';
      readonly user?: string;
      readonly channel?: string;
      readonly reason?: string;
      readonly by?: string;
    }
  | {
      /**
       * Refuses the user, and closes the connections: the same as a `restrict` of a ban everywhere, in the form that nodes of the last
       * version know too.
       */
      readonly kind: 'ban';
      readonly user: string;
      /**
       * How long, in milliseconds; left out, for good. What is left when the record is handed to a listener: a broker that hands
       * it over late takes its age off, by a clock of its own, and never by the wall clocks of two nodes.
       */
      readonly forMs?: number;
      readonly reason?: string;
      readonly by?: string;
    }
  | {
      /** Closes sessions: one, everybody of a channel, or of an address. */
      readonly kind: 'disconnect_sessions';
      readonly of: 'session' | 'channel' | 'address';
      /** The id of the session, the name of the channel, or the address as limits count addresses. */
      readonly id: string;
      readonly reason?: string;
      readonly by?: string;
    }
  | RestrictRecord
  | LiftRecord
  | { readonly kind: 'unban'; readonly user: string; readonly by?: string }
  | {
      /**
       * A node refuses a client that kept exceeding its rates, for a time, and closes its connections. It neither shortens nor
       * replaces a ban that lasts longer. A node that starts later is handed what is left of it. Clients cause these records: a
       * broker may bound how many it keeps, and drop the oldest.
       */
      readonly kind: 'abuse';
      /** Whether the client is a user, or the anonymous clients of an address. */
      readonly of: 'user' | 'address';
      /** The id of the user, or the address as limits count addresses. */
      readonly id: string;
      /** As of a ban. */
      readonly forMs: number;
    }
  | {
      /**
       * Events were erased from a log, which has been done when it is sent: a node drops what it still holds of them. When a node has
       * applied it, it delivers nothing more of them (G29).
       */
      readonly kind: 'erase';
      readonly channel: string;
      /** Incarnation of the log in which these were their places. */
      readonly epoch: string;
      /** Their places, ascending. */
      readonly seqs: readonly number[];
      readonly reason?: string;
      readonly by?: string;
    }
  | {
      /** A newer generation of a session exists; older ones are closed (P28). */
      readonly kind: 'supersede';
      readonly lineage: string;
      readonly generation: number;
    };

/** Which channels an act concerns. */
export interface ConcernedChannels {
  /** Equal for the same channels; empty for all. Never the name of a channel for several. */
  readonly key: string;
  readonly isPattern: boolean;
  has(channel: string): boolean;
}

/**
 * Puts a restriction on somebody. It takes the place of one with the same act, subject and channels. A node that starts later is
 * handed what is left of it. A node of an older version refuses it, and its sender's receipt names that node as missing.
 */
export type RestrictRecord = { readonly kind: 'restrict' } & Restriction;

/** Ends a restriction, if there is one. */
export type LiftRecord = { readonly kind: 'lift' } & RestrictionName & {
    readonly reason?: string;
    readonly by?: string;
  };

/** The record of a ban. */
export type BanRecord = Extract<ControlMessage, { kind: 'ban' }>;

/** The end of a {@link BanRecord}. */
export type UnbanRecord = Extract<ControlMessage, { kind: 'unban' }>;

/** The record of events that were erased. */
export type EraseRecord = Extract<ControlMessage, { kind: 'erase' }>;

/** The record that closes sessions. */
export type DisconnectRecord = Extract<ControlMessage, { kind: 'disconnect_sessions' }>;

/** The record of what a node does against a client that keeps exceeding its rates. */
export type AbuseRecord = Extract<ControlMessage, { kind: 'abuse' }>;

/** Which nodes applied a control record, and which did not answer in time. */
export interface ControlReceipt {
  /** Ids of the nodes that applied it. */
  readonly confirmed: readonly string[];
  /** Ids of the nodes that did not answer in time. The record is stored: they apply it once they can be reached. */
  readonly missing: readonly string[];
}

/** The receipt of the end of a restriction. */
export interface LiftReceipt extends ControlReceipt {
  /**
   * What else of the same act and person is still in force in channels that were meant, on the node that was asked: the ban of a
   * pattern that has the channel, or one everywhere. At most 100, with what is left of their time. Empty: nothing.
   */
  readonly remains: readonly Restriction[];
}
