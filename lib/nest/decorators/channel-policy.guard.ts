import type { RealtimeContext } from './realtime-context.js';
import type { Duration } from '../options/duration.js';

/** Yes, no, or yes for a while, after which the method is called again. Anything else refuses. */
export type AuthorizationVerdict = boolean | { readonly for: Duration };

/** A verdict, or a promise of one. */
export type AuthorizationAnswer = AuthorizationVerdict | Promise<AuthorizationVerdict>;

/**
 * An injectable that decides for whole channel classes: `@Authorize(RoomMemberPolicy)`. A method that is left out
 * declares nothing, as if the class had no `@Authorize(action)` for it (G9); `subscribe` is needed.
 *
 * @example
 * @Injectable()
 * export class RoomMemberPolicy implements ChannelPolicyGuard {
 *   constructor(private readonly rooms: RoomsService) {}
 *   subscribe({ user, params }: RealtimeContext) {
 *     return user !== undefined && this.rooms.isMember(user.id, params.room);
 *   }
 * }
 */
export interface ChannelPolicyGuard {
  /** Called before a client subscribes, and again when a verdict `{ for }` has expired. */
  subscribe?(context: RealtimeContext): AuthorizationAnswer;
  /** Called before each publish of a client. */
  publish?(context: RealtimeContext): AuthorizationAnswer;
  /** Called before each signal of a client. */
  signal?(context: RealtimeContext): AuthorizationAnswer;
  /** Called before each request of a client. */
  request?(context: RealtimeContext): AuthorizationAnswer;
  /** Called before each read of the history, and before a subscribe replays what its client missed. */
  history?(context: RealtimeContext): AuthorizationAnswer;
  /** Called before the members are shown: to a subscriber, and in answer to `presence`. */
  presence?(context: RealtimeContext): AuthorizationAnswer;
}
