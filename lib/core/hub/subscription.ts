import type { HandlerCall } from '../ports/channel-definition.js';
import type { LocalChannel } from './local-channel.js';
import type { PresenceEntry } from '../ports/broker.js';
import type { Scheduled } from '../ports/clock.js';
import type { Outbox } from '../outbox/outbox.js';

/** Events that were dropped at the end of a queue and are announced when it drains (P25). */
export interface DroppedRange {
  from: number;
  to: number;
}

/** One session's place in one channel. */
export class Subscription {
  /** Everything of `epoch` up to here has been queued for the client, or announced as missing. */
  cursor = 0;
  epoch = '';
  /** Whether live events go to this subscription; until then its catch-up reads the log. */
  live = false;
  /** Place among the live subscriptions of the channel. */
  liveIndex = -1;
  ended = false;
  /** Whether it is being moved to another log: what is read of the old one meanwhile is not for it. */
  moving = false;
  /** `seq` after which `resumed` is due (P12). */
  resumedAt: number | undefined;
  dropped: DroppedRange | undefined;
  /** Membership, when the subscriber is a member. */
  presence: PresenceEntry | undefined;
  /** Newest presence version that the client has; `undefined` when it does not want presence. */
  presenceVersion: number | undefined;
  presenceEpoch = '';
  /** Whether the client takes the number of members instead of their changes (P22a). */
  takesCounts = false;
  /** A presence diff did not fit: the client will be made to ask again (P25). */
  presenceStale = false;
  leaseTimer: Scheduled | undefined;

  constructor(
    readonly outbox: Outbox,
    readonly channel: LocalChannel,
    /** What the application's handlers of this subscription are given. */
    readonly call: HandlerCall,
    /** Whether the client wants the channel's snapshot where it would be given. */
    readonly wantsSnapshot: boolean,
  ) {}
}
