import type { RealtimeContext } from './realtime-context.js';
import type { Duration } from '../options/duration.js';

/**
 * What an authorization says: yes, no, or yes for a while, after which it is asked again. Anything else counts as no.
 */
export type AuthorizationVerdict = boolean | { readonly for: Duration };

/** A verdict, now or later. */
export type AuthorizationAnswer = AuthorizationVerdict | Promise<AuthorizationVerdict>;

/**
 * An injectable that decides for whole channel classes: `@Authorize(RoomMemberPolicy)`. A method that is left out
 * declares nothing, exactly as if the class had no `@Authorize(action)` for it (G9, G10); `subscribe` is needed.
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
  /** Asked before a client subscribes, and again when a verdict `{ for }` has run out. */
  subscribe?(context: RealtimeContext): AuthorizationAnswer;
  /** Asked before each publish of a client. */
  publish?(context: RealtimeContext): AuthorizationAnswer;
  /** Asked before each signal of a client. */
  signal?(context: RealtimeContext): AuthorizationAnswer;
  /** Asked before each request of a client. */
  request?(context: RealtimeContext): AuthorizationAnswer;
  /** Asked before each read of the history, where the channel exposes it. */
  history?(context: RealtimeContext): AuthorizationAnswer;
  /** Asked before the members are shown, where the channel exposes them. */
  presence?(context: RealtimeContext): AuthorizationAnswer;
}
