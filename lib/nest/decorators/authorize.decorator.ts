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
 * called again. An error refuses with its code. The method for `subscribe` is called at each subscribe and resume.
 * Without a declaration, `publish` and `signal` are refused, and `request`, `history` and `presence` need a live
 * subscription.
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
