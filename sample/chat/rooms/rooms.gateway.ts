import { MessageBody } from '@nestjs/websockets';
import {
  Authorize,
  Channel,
  ChannelParam,
  OnPublish,
  OnRequest,
  RealtimeError,
  RealtimeService,
  RealtimeUser,
  Snapshot,
} from 'nestjs-realtime';
import type { User } from '../login/user.js';
import { Member, MessageReference, MutedMember, NewMessage } from './rooms.dto.js';
import { RoomsService } from './rooms.service.js';

/** The code of every channel `rooms.<id>`: each room has its own log. */
@Channel('rooms.:room', {
  history: { size: 500, ttl: '1d' },
  presence: true,
  overflow: 'disconnect',
  signals: ['typing'],
})
export class RoomsGateway {
  constructor(
    private readonly rooms: RoomsService,
    private readonly realtime: RealtimeService,
  ) {}

  /** Called at each subscribe, and at each resume after a lost connection. */
  @Authorize('subscribe')
  canRead(@RealtimeUser('id') user: string, @ChannelParam('room') room: string) {
    return this.rooms.mayEnter(room, user);
  }

  @Authorize('publish', 'signal')
  canWrite(@RealtimeUser('id') user: string, @ChannelParam('room') room: string) {
    return this.rooms.maySpeak(room, user);
  }

  /** What new subscribers get before the first event. */
  @Snapshot()
  state(@ChannelParam('room') room: string) {
    return this.rooms.state(room);
  }

  /** Clients may publish this event. The DTO is validated first, and the result goes into the log. */
  @OnPublish('message.created')
  write(@MessageBody() { text }: NewMessage, @RealtimeUser() { id, name }: User) {
    return { text, author: id, name };
  }

  /** For the author and the room's owner. The log has the author of each message: `user` is the verified user. */
  @OnPublish('message.deleted')
  async delete(
    @MessageBody() { epoch, seq }: MessageReference,
    @RealtimeUser('id') user: string,
    @ChannelParam('room') room: string,
  ) {
    const { events } = await this.channel(room).history({ epoch, from: seq, until: seq });
    const message = events.find(({ event }) => event === 'message.created');
    if (message === undefined) throw new RealtimeError('bad_request', 'There is no such message any more');
    if (message.user !== user && !(await this.rooms.isOwner(room, user))) {
      throw new RealtimeError('forbidden', 'Only its author and the owner of the room may delete a message');
    }
    return { epoch, seq, by: user };
  }

  /**
   * An RPC for subscribers. From now on the authorization refuses the member; `revoke` ends the existing subscriptions. It gives
   * the client no reason, so the reason is published to the member's own channel.
   */
  @OnRequest('kick')
  async kick(
    @MessageBody() { user }: Member,
    @RealtimeUser('id') by: string,
    @ChannelParam('room') room: string,
  ) {
    await this.rooms.mayModerate(room, user, by);
    await this.rooms.kick(room, user);
    await this.channel(room).publish('member.kicked', { user, by });
    const member = this.realtime.user(user);
    const { title } = await this.rooms.state(room);
    await member.publish('removed', { room, title, by });
    await member.revoke(`rooms.${room}`, { reason: `removed by ${by}` });
  }

  @OnRequest('mute')
  async mute(
    @MessageBody() { user, muted }: MutedMember,
    @RealtimeUser('id') by: string,
    @ChannelParam('room') room: string,
  ) {
    await this.rooms.mayModerate(room, user, by);
    await this.rooms.mute(room, user, muted);
    await this.channel(room).publish('member.muted', { user, muted, by });
  }

  private channel(room: string) {
    return this.realtime.channel(`rooms.${room}`);
  }
}
