import type { PresenceMember } from '../../protocol/messages.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { CommandQueue } from '../command-queue.js';
import type { AnyListener, Off } from '../emitter.js';
import type { WaitOptions } from '../promises.js';
import type { ClientSubscription } from './subscription.js';

/**
 * Who is in a channel (G19), as `room.presence`. Known while subscribed, to channels that have presence.
 *
 * @example
 * room.presence.on('change', (members) => renderAvatars(members));
 * await room.subscribe({ presence: { data: { name: 'Ada' } } });
 */
export class ChannelPresence {
  constructor(
    private readonly current: () => ClientSubscription,
    private readonly commands: CommandQueue,
  ) {}

  /**
   * The members as last known; a new array each time. Several devices of a user are one member. In a large channel
   * (`maxMembers` on the server, 200 unless set) these are the first ones, as they were when they were read, and changes
   * of them are not followed until the channel is small again: use {@link count} for how many there are.
   */
  get members(): readonly PresenceMember[] {
    return this.current().presence.list.all;
  }

  /** Number of members, also in channels so large that they are only counted; then it is at most about a second old. */
  get count(): number {
    return this.current().presence.list.count;
  }

  /** Whether `members` are all of them. False in channels so large that they are only counted, and above `maxPresenceMembers`. */
  get complete(): boolean {
    return this.current().presence.list.complete;
  }

  /**
   * Calls `listener` with each member who joined, changed (`update`: its data or devices), or left. Who is there already at the
   * first answer does not join, and when the channel is unsubscribed nobody leaves. In a channel so large that members are only
   * counted nobody is told.
   *
   * @returns Removes the listener.
   * @example
   * room.presence.on('join', ({ id }) => greet(id));
   */
  on(name: 'join' | 'update' | 'leave', listener: (member: PresenceMember) => unknown): Off;
  /**
   * Calls `listener` with {@link members} whenever one joined, changed or left, and whenever {@link count} changed.
   *
   * @returns Removes the listener.
   */
  on(name: 'change', listener: (members: readonly PresenceMember[]) => unknown): Off;
  on(name: string, listener: AnyListener): Off {
    return this.current().listeners.add('presence', name, listener);
  }

  /** Removes a listener; without one, all of the name. */
  off(name: 'change' | 'join' | 'update' | 'leave', listener?: AnyListener): void {
    this.current().listeners.off(name, listener, ['presence']);
  }

  /**
   * Changes the data of the own membership, now and for every later reconnect.
   *
   * @throws RealtimeError `not_subscribed` when the channel is not subscribed: subscribe first, with
   * `presence: { data }`. Also any error of the server.
   * @example
   * await room.presence.update({ typing: true });
   */
  async update(data: unknown, { signal, timeoutMs }: WaitOptions = {}): Promise<void> {
    const subscription = this.current();
    if (!subscription.wanted) throw new RealtimeError('not_subscribed');
    subscription.remember(data);
    // While the channel is not subscribed, the next `subscribe` carries the data.
    if (subscription.state !== 'subscribed') return;
    try {
      await this.commands.request(
        {
          type: 'presence_update',
          channel: subscription.channel,
          payload: { data },
          immediate: true,
          timeoutMs,
        },
        signal,
        () => undefined,
      );
    } catch (error) {
      const interrupted =
        error instanceof RealtimeError && (error.code === 'outcome_unknown' || error.code === 'unavailable');
      if (!interrupted) throw error;
    }
  }
}
