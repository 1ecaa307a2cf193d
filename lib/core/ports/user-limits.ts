import type { RealtimeIdentity } from './identity.js';

/** Limits of one user, e.g. of a plan, and of the tenant that the user belongs to. What is left out is as `limits` has it. */
export interface UserLimits {
  /** Commands of one connection of this user per second, sustained; at most `framesPerCommand` times `limits.ratePerSecond`. */
  readonly ratePerSecond?: number | undefined;
  /** Commands that may come at once, above the rate; at most `framesPerCommand` times `limits.burst`. */
  readonly burst?: number | undefined;
  /** Subscriptions of one connection; at most half of `limits.maxDistinctChannels`. */
  readonly maxChannels?: number | undefined;
  /** Connections of this user to one node; one more is refused. */
  readonly maxConnections?: number | undefined;
  /** What all users of a tenant share, on each node. Every user of a tenant should be given the same numbers. */
  readonly tenant?:
    | {
        /** Names the tenant: 1 to 255 characters. */
        readonly id: string;
        /** Connections to one node; one more is refused. */
        readonly maxConnections?: number | undefined;
        /** Commands per second of all its connections to one node, sustained; twice as many may come at once. */
        readonly ratePerSecond?: number | undefined;
      }
    | undefined;
}

/** Gives the limits of a user who was verified; nothing for those of everybody. */
export type LimitsForUser = (user: RealtimeIdentity) => UserLimits | undefined;
