import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import type { ChannelAction } from '../../core/ports/channel-definition.js';
import { POLICY_METADATA, PUBLIC_CHANNEL_METADATA } from '../constants.js';
import type { ChannelPolicyGuard } from './channel-policy.guard.js';
import { declareHandler } from './handler-metadata.js';

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
 * Declares who may do what with a channel (G9, G10).
 *
 * On a method: it decides the named actions, and returns `true`, `false` or `{ for: '5m' }`, a lease after which it
 * is asked again. What it throws refuses with the code of the error. `subscribe` is asked at each subscribe and
 * resume. `publish` and `signal` are refused unless declared. `request`, `history` and `presence` need a live
 * subscription unless declared.
 *
 * On the class: an injectable policy decides instead, see {@link ChannelPolicyGuard}. A method on the class itself
 * wins over the policy's for its action.
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
    for (const subject of subjects) {
      if (typeof subject === 'function') {
        if (descriptor !== undefined) throw new TypeError(misplaced(`${subject.name} on a method`));
        Reflect.defineMetadata(POLICY_METADATA, subject, target);
      } else {
        if (descriptor === undefined || key === undefined)
          throw new TypeError(misplaced(`'${subject}' on a class`));
        if (!CHANNEL_ACTIONS.includes(subject))
          throw new TypeError(`@Authorize('${String(subject)}'): ${KNOWN}`);
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
 * Everybody who may connect may subscribe to the channels of this class, and so read their history and presence.
 * Publishing and signalling still need `@Authorize`. Guards of the class still run.
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
