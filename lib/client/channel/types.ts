import type { SubscribeOptions } from '../../protocol/commands.js';
import type { SubscribeResult } from '../../protocol/messages.js';
import type { GapReason, Position } from '../../protocol/position.js';
import type { WaitOptions } from '../promises.js';

/**
 * An event of a channel's log: the second argument of its listeners, after the payload.
 *
 * @example
 * room.on<Message>('message.created', (payload, event) => render(event.user, payload.text, event.seq));
 */
export interface ChannelEvent<Payload = unknown> {
  /** The publisher's id: the same in every delivery of this event. */
  readonly id: string;
  /** Name of the channel, e.g. `rooms.42`. */
  readonly channel: string;
  /** The application's name for what happened. */
  readonly event: string;
  /** The application's data; `undefined` when it was published with none. */
  readonly payload: Payload;
  /** Place in the log: grows by one per event inside an epoch. */
  readonly seq: number;
  /** Epoch of the log that `seq` belongs to (P10): opaque, only compared. */
  readonly epoch: string;
  /** The server's clock in milliseconds since the Unix epoch; informational. */
  readonly ts: number;
  /** Who published, as the server verified it; absent for the application itself and for anonymous clients. */
  readonly user?: string;
  /** Conflation key. */
  readonly key?: string;
  /** The application's own data beside the payload. */
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** A signal. It is never stored, has no place in an order, and its loss is not announced. */
export interface ChannelSignal<Payload = unknown> {
  /** Name of the channel, e.g. `rooms.42`. */
  readonly channel: string;
  /** The application's name for it, e.g. `typing`. */
  readonly event: string;
  /** The application's data; `undefined` when it was sent with none. */
  readonly payload: Payload;
  /** Who sent it, as the server verified it. */
  readonly user?: string;
}

/**
 * A range of the log of which nothing was delivered, or with `partial` not everything (P25). Listeners get every event
 * outside the announced ranges.
 */
export interface ChannelGap {
  /** Epoch of the log that the range belongs to (P10). */
  readonly epoch: string;
  /** First missing `seq`, inclusive. */
  readonly from: number;
  /** Last missing `seq`, inclusive. */
  readonly to: number;
  /**
   * `overflow`, `expired`: dropped by the server · `conflated`: newer events of a key replaced older ones ·
   * `trimmed`: no longer in the log when the client came back · `limit`: more was missed than the server replays ·
   * `unreadable`: the server cannot read the event, or cannot write it for this client.
   */
  readonly reason: GapReason | 'trimmed' | 'limit';
  /** Whether some events of the range follow: those that still matter. */
  readonly partial: boolean;
  /** Whether `history({ from, until: to })` can still read the range. */
  readonly recoverable: boolean;
}

/**
 * The state of a subscription: `unsubscribed` · `waiting` for a connection, for the next attempt, or behind 128 other channels
 * that subscribe · `subscribing` · `subscribed`.
 */
export type ChannelState = 'unsubscribed' | 'waiting' | 'subscribing' | 'subscribed';

/** Why the server ended or interrupted a subscription. */
export interface ChannelUnsubscribed {
  /** Error code (protocol §6), e.g. `forbidden` after a revoke. */
  readonly code: string;
  /** Why, in words. */
  readonly message: string;
  /** Whether the client subscribes again by itself, from its position. */
  readonly willRetry: boolean;
  /** With `willRetry`: milliseconds until then. */
  readonly delayMs?: number;
  /** The application's own code, where it refused. */
  readonly reason?: string;
  /** What the application said beside it. */
  readonly data?: unknown;
}

/** What a resume did: the one event to handle for those who keep state. It comes before the events that follow. */
export interface ChannelRecovered {
  /** `complete`: everything missed follows · `missing`: all but `gap` · `lost`: what is new follows, and the rest is unknown. */
  readonly outcome: 'complete' | 'missing' | 'lost';
  /** With `missing`: the range that will not come. */
  readonly gap?: ChannelGap;
  /**
   * The channel's state, to begin again from, where the channel has one and what is missing cannot be read. Absent with
   * `complete`, and with a `gap` that is `recoverable`.
   */
  readonly snapshot?: unknown;
  /** Where the room stands: what is behind it follows. */
  readonly position: Position;
}

/** Where an application keeps a position, together with the state that it belongs to. */
export interface ChannelPersist {
  /**
   * The stored position, or a promise of it; `null` or `undefined` for none. Called when the channel is subscribed without `position`;
   * the subscribe waits for it, and rejects with what it throws.
   */
  load(): Position | null | undefined | Promise<Position | null | undefined>;
  /**
   * Called after the listeners had the events up to `position`, once for those that came together and with the last one when the
   * subscription ends, and not before an earlier promise is settled. A promise that takes longer than 10 s is waited for no more, and
   * the log is told of it. What it throws is told to `client.on('error')`.
   */
  save(position: Position): void | Promise<void>;
}

/** How to subscribe. Abort `signal`, before or after the answer, to give back what `subscribe` gave. */
export interface ChannelSubscribeOptions extends Omit<SubscribeOptions, 'position'>, WaitOptions {
  /**
   * Continue from here, e.g. from a stored `room.position` (P13). Default, and for `null`: from now on, with the snapshot. Of a
   * channel that is subscribed already it is ignored.
   */
  readonly position?: Position | null;
  /** Stores the position, and begins from the stored one. */
  readonly persist?: ChannelPersist;
}

/**
 * One caller's share of a subscription, and what the server answered (P11). The channel is unsubscribed when the last share is
 * released.
 */
export interface ChannelSubscription<State = unknown> extends SubscribeResult {
  /** The channel's state, where it has one and it was wanted; every event that is not in it follows. */
  readonly snapshot?: State;
  /** With `truncated`: the range that was missed and will not follow. */
  readonly gap?: ChannelGap;
  /** Gives the share back. Idempotent. */
  readonly release: () => void;
}

/** How to publish. */
export interface PublishOptions extends WaitOptions {
  /**
   * Identifies this publish: the same id inside the server's dedupe window is appended once (P15). Default a new id.
   * Give your own to make a retry after a page reload safe.
   */
  readonly id?: string;
  /** Conflation key: under `overflow: 'conflate'` a slow client gets only the newest event of each key. */
  readonly key?: string;
  /** Milliseconds after which the event is not worth delivering; if it was not sent by then, the publish fails. */
  readonly ttl?: number;
}

/**
 * What the library itself emits on a channel, for `room.on(name, …)`. These names are reserved there; an application
 * event or signal that has one of them is received with `onEvent` or `onSignal`.
 */
export type ChannelEventMap = {
  /** The channel's state, before the events that follow it (P26). */
  snapshot: [state: unknown, answer: SubscribeResult];
  /** Events that will not come (P25). */
  gap: [gap: ChannelGap];
  /** Everything after the own position is lost (P11): read the state again, unless a snapshot follows. */
  lost: [answer: SubscribeResult];
  /** The log under the live subscription changed (P10): treat it like `lost` unless `recovery` is `complete`. */
  reset: [answer: SubscribeResult];
  /** What a resume, or a `reset`, did: complete, what is missing, or lost. */
  recovered: [recovered: ChannelRecovered];
  /** Subscribed, for the first time or again. */
  subscribed: [answer: SubscribeResult];
  /** The missed events have been delivered; live ones follow (P12). */
  resumed: [position: Position];
  /** Refused, revoked or interrupted by the server, or ended for all by `room.unsubscribe()`. */
  unsubscribed: [cause: ChannelUnsubscribed];
  /** Each change of the subscription's state. */
  state: [state: ChannelState];
  /** Any signal. */
  signal: [signal: ChannelSignal];
};

/** A reserved name of `room.on`. */
export type LibraryEvent = keyof ChannelEventMap;

/** All reserved names of `room.on`; `*` is reserved too, for every application event. */
export const LIBRARY_EVENTS: readonly LibraryEvent[] = [
  'snapshot',
  'gap',
  'lost',
  'reset',
  'recovered',
  'subscribed',
  'resumed',
  'unsubscribed',
  'state',
  'signal',
];
