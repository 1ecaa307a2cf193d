import type { MaybePromise } from '../core/ports/maybe-promise.js';
import type {
  ChannelHookEvent,
  HookEvent,
  HookTarget,
  MemberHookEvent,
  OfflineHookEvent,
} from './hook-event.js';

/**
 * What a provider may have to be called by hooks; each is optional. A promise that rejects, and one that takes too long, is a failed
 * attempt: the method is called once more with the same event, and nothing of this channel comes before that. An event may come
 * twice, with the same `id`.
 *
 * @example
 * @Injectable()
 * export class RoomHooks implements HookProvider {
 *   constructor(private readonly recordings: RecordingsService) {}
 *   onOccupied({ channel }: ChannelHookEvent) {
 *     return this.recordings.start(channel);
 *   }
 *   onVacated({ channel }: ChannelHookEvent) {
 *     return this.recordings.stop(channel);
 *   }
 * }
 */
export interface HookProvider {
  /** A channel got its first subscriber on any node. */
  onOccupied?(event: ChannelHookEvent): MaybePromise<void>;
  /** It lost its last. */
  onVacated?(event: ChannelHookEvent): MaybePromise<void>;
  /** A user became a member of a channel, with the first device. */
  onMemberJoined?(event: MemberHookEvent): MaybePromise<void>;
  /** The user is no member any more, with any device. */
  onMemberLeft?(event: MemberHookEvent): MaybePromise<void>;
  /** `realtime.user(id).publish()` found the user offline. */
  onOffline?(event: OfflineHookEvent): MaybePromise<void>;
}

const METHODS: Readonly<Record<HookEvent['type'], keyof HookProvider>> = {
  'channel.occupied': 'onOccupied',
  'channel.vacated': 'onVacated',
  'member.joined': 'onMemberJoined',
  'member.left': 'onMemberLeft',
  'user.offline': 'onOffline',
};

/** Names of the methods, for errors at boot. */
export const HOOK_METHODS: readonly string[] = Object.values(METHODS);

/** Delivers to a provider; it wants what it has methods for. */
export function providerTarget(name: string, instance: object): HookTarget {
  const methods = instance as Readonly<Record<string, unknown>>;
  const types = (Object.keys(METHODS) as HookEvent['type'][]).filter(
    (type) => typeof methods[METHODS[type]] === 'function',
  );
  return {
    name,
    types: new Set(types),
    deliver: async (event) => {
      // Looked up by its name, so that the method has its `this`.
      await (instance as Record<string, (event: HookEvent) => MaybePromise<void>>)[METHODS[event.type]]?.(
        event,
      );
    },
  };
}
