import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import type { ChannelAction } from '../../core/ports/channel-definition.js';
import type { Position } from '../../protocol/position.js';
import type { ChannelPolicyGuard } from './channel-policy.guard.js';

const HANDLERS_METADATA = 'nestjs-realtime:handlers';

/** Who may call a request that needs no channel: a policy, everybody, or every client with a verified user. */
export type RequestAuthorization = Type<ChannelPolicyGuard> | 'public' | 'authenticated';

/** What a method of a channel class is for. One method may have several declarations. */
export type HandlerDeclaration =
  | { readonly kind: 'authorize'; readonly action: ChannelAction }
  | { readonly kind: 'publish'; readonly event: string }
  | {
      readonly kind: 'request';
      readonly event: string;
      readonly scope: 'channel' | 'connection';
      readonly authorize?: RequestAuthorization;
    }
  | { readonly kind: 'snapshot' | 'subscribed' | 'unsubscribed' };

/** Stores a declaration on the method itself, where Nest stores its own, so that inheritance works as with Nest. */
export function declareHandler(declaration: HandlerDeclaration): MethodDecorator {
  return (_target, _key, descriptor) => {
    const method = descriptor.value as object;
    Reflect.defineMetadata(HANDLERS_METADATA, [...handlersOf(method), declaration], method);
  };
}

/** The declarations of a method; none for an ordinary one. */
export function handlersOf(method: object): readonly HandlerDeclaration[] {
  return (Reflect.getOwnMetadata(HANDLERS_METADATA, method) as HandlerDeclaration[] | undefined) ?? [];
}

/**
 * Handles a publish of a client, after `@Authorize('publish')` and before the log. Clients may publish only events with
 * such a handler (G9). The result is appended; `undefined` or `null` appends the client's payload unchanged; an error
 * refuses the publish. When a client retries, the handler may run again with the same `@MessageId()`.
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
   * `'channel'` (default): clients name a channel, and must be live subscribers of it or be admitted by
   * `@Authorize('request')`. `'connection'`: clients name no channel, and `authorize` decides.
   */
  readonly scope?: 'channel' | 'connection';
  /** Needed with scope `'connection'`: a policy with a `request` method, `'public'`, or `'authenticated'` (G10). */
  readonly authorize?: RequestAuthorization;
}

/**
 * Answers a request (RPC) of a client. The result is the reply; of an Observable, its last value.
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
 * Runs once when a client's subscription has begun. An error goes to the filters or the log, and changes nothing.
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
 * Runs once when a client's subscription has ended, for whatever reason. Guards do not run before it, because an end
 * cannot be refused; on the method they are a boot error.
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
 * Returns the state of a channel, for new subscribers and those whose position was lost (P26). The state may already
 * contain some of the events that follow, so clients must apply events idempotently, unless the handler states with
 * {@link snapshotAt} which events it contains. A handler that takes only `@ChannelParam`s, without guards and
 * interceptors, runs once for all clients that subscribe at the same moment.
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

/** A state, and the position of the last event that it contains. */
export class PositionedSnapshot {
  constructor(
    readonly position: Position,
    readonly state: unknown,
  ) {}
}

/**
 * States up to which event a snapshot is complete; replay starts right after it (P26). From a position that the log cannot
 * continue, nobody can subscribe: the answer is `unavailable` until the handler states another. The log of the memory broker
 * ends with its process, so a position that was stored must not outlive it: state one only with a broker that keeps its log,
 * or store the state and its position in the process.
 *
 * @param position Position of the last event that the state contains, at or before the tip of the log.
 * @example return snapshotAt({ epoch: row.epoch, seq: row.seq }, row.state);
 * @publicApi
 */
export function snapshotAt(position: Position, state: unknown): PositionedSnapshot {
  return new PositionedSnapshot(position, state);
}
