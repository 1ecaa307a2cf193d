import { Injectable } from '@nestjs/common';
import { RealtimeError, RealtimeService } from 'nestjs-realtime';
import type { User } from '../login/user.js';
import { RoomsService } from './rooms.service.js';

/** How long a member who was removed stays away, and how long a member who was muted may only read. In milliseconds. */
const KICK_MS = 5 * 60_000;
const MUTE_MS = 10 * 60_000;
/** A ban from a room. */
const BAN_MS = 24 * 60 * 60_000;
/** As many as one page of restrictions has. */
const MAX_SHOWN = 1_000;

/** A member who may only read, and for how much longer. */
export interface Muted {
  readonly user: string;
  readonly forMs?: number;
}

/**
 * What a moderator of a room does. `realtime.moderation` applies it on every process, refuses the commands, and records who did it; here is
 * only who may, for how long, and what the room is shown of it.
 */
@Injectable()
export class RoomsModeration {
  constructor(
    private readonly rooms: RoomsService,
    private readonly realtime: RealtimeService,
  ) {}

  /** What is in force in a room, for the page. Every process knows all of it. */
  inForce(room: string): { readonly muted: readonly Muted[]; readonly slowMs: number } {
    const { restrictions } = this.realtime.moderation.restrictions(
      { channel: nameOf(room) },
      { limit: MAX_SHOWN },
    );
    return {
      muted: restrictions
        .filter(({ act, whom }) => act === 'mute' && whom.of === 'user')
        .map(({ whom, forMs }) => ({ user: whom.id, ...(forMs === undefined ? {} : { forMs }) })),
      slowMs: Math.max(0, ...restrictions.map(({ everyMs }) => everyMs ?? 0)),
    };
  }

  /** Ends the subscriptions of the member on every process, and refuses new ones for a while. */
  kick(room: string, member: string, by: User): Promise<void> {
    return this.remove(room, member, by, 'member.kicked', () =>
      this.realtime.moderation.kick(member, nameOf(room), { for: KICK_MS, by: by.id }),
    );
  }

  ban(room: string, member: string, by: User): Promise<void> {
    return this.remove(room, member, by, 'member.banned', () =>
      this.realtime.moderation.ban({ user: member }, { channel: nameOf(room), for: BAN_MS, by: by.id }),
    );
  }

  async mute(room: string, member: string, muted: boolean, by: User): Promise<void> {
    await this.rooms.requireModeratorOf(room, member, by);
    const { moderation } = this.realtime;
    const where = { channel: nameOf(room), by: by.id };
    if (muted) await moderation.mute({ user: member }, { ...where, for: MUTE_MS });
    else await moderation.lift('mute', { user: member }, where);
    await this.announce(
      room,
      muted ? 'member.muted' : 'member.unmuted',
      muted ? { user: member, forMs: MUTE_MS, by: by.id } : { user: member, by: by.id },
    );
  }

  /** Slow mode: one message of each user in `everyMs`; 0 ends it. */
  async slow(room: string, everyMs: number, by: User): Promise<void> {
    await this.rooms.requireModerator(room, by);
    const { moderation } = this.realtime;
    if (everyMs === 0) await moderation.endSlow(nameOf(room), { by: by.id });
    else await moderation.slow(nameOf(room), { every: everyMs, by: by.id });
    await this.announce(room, 'room.slowed', { everyMs, by: by.id });
  }

  /**
   * For the author and who moderates. The log has the author of each message: `user` is the verified user. Subscribers are sent `$erased`,
   * and the text is gone from the log and from whatever waits for somebody.
   */
  async erase(room: string, { epoch, seq }: { epoch: string; seq: number }, by: User): Promise<void> {
    const { events } = await this.realtime.channel(nameOf(room)).history({ epoch, from: seq, until: seq });
    const message = events.find(({ event }) => event === 'message.created');
    if (message === undefined) throw new RealtimeError('bad_request', 'There is no such message any more');
    if (message.user !== by.id && !(await this.rooms.moderates(room, by)))
      throw new RealtimeError('forbidden', 'Only its author and who moderates the room may delete a message');
    await this.realtime.moderation.erase(nameOf(room), { seq }, { by: by.id });
  }

  /** Clients are given no reason for the end of a subscription, so it is published to the member's own channel. */
  private async remove(
    room: string,
    member: string,
    by: User,
    event: string,
    act: () => Promise<unknown>,
  ): Promise<void> {
    await this.rooms.requireModeratorOf(room, member, by);
    await act();
    const { title } = await this.rooms.find(room);
    await this.announce(room, event, { user: member, by: by.id });
    await this.realtime.user(member).publish('removed', { room, title, by: by.id });
  }

  private async announce(room: string, event: string, payload: object): Promise<void> {
    await this.realtime.channel(nameOf(room)).publish(event, payload);
  }
}

function nameOf(room: string): string {
  return `rooms.${room}`;
}
