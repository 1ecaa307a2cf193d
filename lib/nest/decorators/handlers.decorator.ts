import type { Position } from '../../protocol/position.js';
import { declareHandler, type RequestAuthorization } from './handler-metadata.js';

/**
 * Handles a publish of a client, after `@Authorize('publish')` and before the log. The event names declared so are
 * the only ones that clients may publish (G9). What is returned is appended; nothing (or null) appends the payload
 * as it came; anything thrown refuses. It may run again for one `@MessageId()` when a client retries (G4).
 *
 * @example
 * @OnPublish('message.created')
 * store(@MessageBody() message: NewMessage, @RealtimeUser('id') author: string) {
 *   return { ...message, author };
 * }
 * @publicApi
 */
export function OnPublish(event: string): MethodDecorator {
  return declareHandler({ kind: 'publish', event });
}

/** Where a request can be called from, and by whom. */
export interface OnRequestOptions {
  /**
   * `'channel'` (default): with a channel's name, by a live subscriber or whom `@Authorize('request')` admits.
   * `'connection'`: without a channel, by whom `authorize` admits.
   */
  readonly scope?: 'channel' | 'connection';
  /** Needed with scope `'connection'` (G10): a policy with a `request` method, `'public'`, or `'authenticated'`. */
  readonly authorize?: RequestAuthorization;
}

/**
 * Answers a request (RPC) of a client: what is returned is the reply, of an Observable the last value.
 *
 * @example
 * @OnRequest('rename')
 * rename(@MessageBody() dto: Rename, @ChannelParam('room') room: string) {
 *   return this.rooms.rename(room, dto.title);
 * }
 * @publicApi
 */
export function OnRequest(event: string, options: OnRequestOptions = {}): MethodDecorator {
  const { scope = 'channel', authorize } = options;
  return declareHandler({ kind: 'request', event, scope, ...(authorize === undefined ? {} : { authorize }) });
}

/**
 * Runs once when a client's subscription has begun. An error is logged, or given to the filters, and changes nothing.
 *
 * @example
 * @OnSubscribe()
 * joined(@RealtimeUser('id') user: string, @ChannelParam('room') room: string) {
 *   this.audit.joined(user, room);
 * }
 * @publicApi
 */
export function OnSubscribe(): MethodDecorator {
  return declareHandler({ kind: 'subscribed' });
}

/**
 * Runs once when a client's subscription has ended, however it ended. No guard runs before it: an end cannot be
 * refused.
 *
 * @example
 * @OnUnsubscribe()
 * left(@RealtimeUser('id') user: string, @ChannelParam('room') room: string) {
 *   this.audit.left(user, room);
 * }
 * @publicApi
 */
export function OnUnsubscribe(): MethodDecorator {
  return declareHandler({ kind: 'unsubscribed' });
}

/**
 * Gives the state of a channel to newcomers and to those whose position was lost (P26). It may already contain some
 * of the events that follow, so clients apply them idempotently, unless the handler says with {@link snapshotAt}
 * which events it contains. A handler that takes nothing but `@ChannelParam`s, with no guard or interceptor in front
 * of it, runs once for all that subscribe at one moment.
 *
 * @example
 * @Snapshot()
 * state(@ChannelParam('room') room: string) {
 *   return this.rooms.load(room);
 * }
 * @publicApi
 */
export function Snapshot(): MethodDecorator {
  return declareHandler({ kind: 'snapshot' });
}

/** A state together with the position that it contains. */
export class PositionedSnapshot {
  constructor(
    readonly position: Position,
    readonly state: unknown,
  ) {}
}

/**
 * Says up to which event a snapshot is complete: replay starts right behind it (P26).
 *
 * @param position Of the last event that the state contains; at or before the tip of the log.
 * @example return snapshotAt({ epoch: row.epoch, seq: row.seq }, row.state);
 * @publicApi
 */
export function snapshotAt(position: Position, state: unknown): PositionedSnapshot {
  return new PositionedSnapshot(position, state);
}
