import type { Flow } from '../outbox/entry.js';
import type { Outbox } from '../outbox/outbox.js';

/** A subscription as its channel and the presence feed use it. */
export interface Subscriber extends Flow {
  readonly outbox: Outbox;
  /** Everything of the epoch up to here has been queued for the client, or announced as missing. */
  readonly cursor: number;
  readonly live: boolean;
  /** Place among the live subscriptions of the channel. */
  readonly liveIndex: number;
  readonly ended: boolean;
  /** Whether nothing may be sent to it for now, whatever the channel may. */
  readonly isWithheld: boolean;
  /** Whether the client takes the number of members instead of their changes (P22a). */
  readonly takesCounts: boolean;
  /** Newest presence version that the client has; `undefined` when it does not want presence. */
  readonly presenceVersion: number | undefined;
  readonly presenceEpoch: string;
  advance(seq: number): void;
  goLive(index: number): void;
  stopLive(): void;
  notePresence(epoch: string, version: number): void;
  forgetPresence(): void;
}
