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
  subscribe?(context: RealtimeContext): AuthorizationAnswer;
  publish?(context: RealtimeContext): AuthorizationAnswer;
  signal?(context: RealtimeContext): AuthorizationAnswer;
  request?(context: RealtimeContext): AuthorizationAnswer;
  history?(context: RealtimeContext): AuthorizationAnswer;
  presence?(context: RealtimeContext): AuthorizationAnswer;
}
