import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import type { ChannelAction } from '../../core/ports/channel-definition.js';
import type { ChannelPolicyGuard } from './channel-policy.guard.js';
import { declareHandler } from './handlers.decorator.js';

// Metadata keys are strings, not symbols: two copies of this package in one application (a nested install) would
// otherwise not see each other's decorators, and a channel would be missing without an error.
export const POLICY_METADATA = 'nestjs-realtime:policy';
export const PUBLIC_CHANNEL_METADATA = 'nestjs-realtime:public';

/** Everything that can be authorized. */
export const CHANNEL_ACTIONS: readonly ChannelAction[] = [
  'subscribe',
  'publish',
  'signal',
  'request',
  'history',
  'presence',
];

/**
 * Declares who may do what with a channel (G9).
 *
 * On a method: it decides the named actions, and returns `true`, `false` or `{ for: '5m' }`, a lease after which it is
 * called again. An error refuses with its code; in a lease only a no ends the subscription, and while the method fails nothing
 * is delivered and it is asked again.
 *
 * | action | opens | without a declaration |
 * |---|---|---|
 * | `subscribe` | new events, signals, and the snapshot with what follows the position that it states; asked at each subscribe and resume | the application does not boot |
 * | `publish` | publishing the events of `@OnPublish` | refused |
 * | `signal` | sending the declared signals | refused |
 * | `request` | the handlers of `@OnRequest`, with or without a subscription | needs a live subscription |
 * | `history` | every event of the past: `history`, with or without a subscription, and the replay of a subscribe that states a position. Denied, who subscribes gets what is new, and `lost` with `not_retained` where something was missed | comes with the subscription |
 * | `presence` | the members: `presence`, with or without a subscription, the roster of a subscribe, and every change. Denied, who subscribes is a member that sees none; deny it to everybody for presence that only the server reads | comes with the subscription |
 *
 * On the class: an injectable policy decides instead, see {@link ChannelPolicyGuard}. A method of the class itself takes
 * precedence over the policy's for the same action.
 *
 * @throws TypeError, when the class is loaded, for an action that does not exist, a policy on a method, or an action
 * name on a class.
 *
 * @example
 * @Authorize('publish', 'signal')
 * canWrite(@RealtimeUser() user: User, @ChannelParam('room') room: string) {
 *   return this.rooms.isMember(user.id, room);
 * }
 * @example
 * @Authorize(RoomMemberPolicy)
 * @Channel('rooms.:room')
 * export class RoomsChannel {}
 * @publicApi
 */
export function Authorize(...actions: [ChannelAction, ...ChannelAction[]]): MethodDecorator;
export function Authorize(policy: Type<ChannelPolicyGuard>): ClassDecorator;
export function Authorize(
  ...subjects: (ChannelAction | Type<ChannelPolicyGuard>)[]
): MethodDecorator & ClassDecorator {
  return (target: object, key?: string | symbol, descriptor?: PropertyDescriptor) => {
    const where = descriptor === undefined ? target : target.constructor;
    const place = [(where as { name?: string }).name, key].filter((part) => part !== undefined).map(String);
    const fail = (problem: string): never => {
      throw new TypeError(`${place.join('.')}: ${problem}`);
    };
    for (const subject of subjects) {
      if (typeof subject === 'function') {
        if (descriptor !== undefined) fail(misplaced(`${subject.name} on a method`));
        Reflect.defineMetadata(POLICY_METADATA, subject, target);
      } else {
        if (descriptor === undefined || key === undefined) return fail(misplaced(`'${subject}' on a class`));
        if (!CHANNEL_ACTIONS.includes(subject)) fail(`@Authorize('${String(subject)}'): ${KNOWN}`);
        declareHandler({ kind: 'authorize', action: subject })(target, key, descriptor);
      }
    }
  };
}

const KNOWN = `not an action. Use one of ${CHANNEL_ACTIONS.join(', ')}.`;

function misplaced(what: string): string {
  return `@Authorize(): ${what}. A policy class goes on the class, action names go on a method.`;
}

/**
 * Lets everybody who may connect subscribe to the channels of this class, and read their history and presence. To
 * publish and to signal still needs `@Authorize`. Guards of the class still run.
 *
 * @example
 * @PublicChannel()
 * @Channel('prices.:symbol')
 * export class PricesChannel {}
 * @publicApi
 */
export function PublicChannel(): ClassDecorator {
  return (target) => Reflect.defineMetadata(PUBLIC_CHANNEL_METADATA, true, target);
}
