import { MessageBody } from '@nestjs/websockets';
import {
  Authorize,
  Channel,
  ChannelParam,
  OnPublish,
  OnRequest,
  RealtimeUser,
  Snapshot,
} from 'nestjs-realtime';
import type { User } from '../login/user.js';
import { Member, MessageReference, MutedMember, NewMessage, SlowMode } from './rooms.dto.js';
import { RoomsModeration } from './rooms.moderation.js';
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
    private readonly moderation: RoomsModeration,
  ) {}

  /**
   * Called at each subscribe, and at each resume after a lost connection. Who is banned from the room, or muted in it, is refused by the
   * library: nothing here has to know.
   */
  @Authorize('subscribe', 'publish', 'signal')
  async may(@ChannelParam('room') room: string) {
    await this.rooms.find(room);
    return true;
  }

  /** What new subscribers get before the first event. */
  @Snapshot()
  async state(@ChannelParam('room') room: string) {
    return { ...(await this.rooms.find(room)), ...this.moderation.inForce(room) };
  }

  /** Clients may publish this event. The DTO is validated first, and the result goes into the log. */
  @OnPublish('message.created')
  write(@MessageBody() { text }: NewMessage, @RealtimeUser() { id, name }: User) {
    return { text, author: id, name };
  }

  /** An RPC for subscribers, like the others below. */
  @OnRequest('delete')
  delete(
    @MessageBody() message: MessageReference,
    @RealtimeUser() by: User,
    @ChannelParam('room') room: string,
  ) {
    return this.moderation.erase(room, message, by);
  }

  @OnRequest('kick')
  kick(@MessageBody() { user }: Member, @RealtimeUser() by: User, @ChannelParam('room') room: string) {
    return this.moderation.kick(room, user, by);
  }

  @OnRequest('ban')
  ban(@MessageBody() { user }: Member, @RealtimeUser() by: User, @ChannelParam('room') room: string) {
    return this.moderation.ban(room, user, by);
  }

  @OnRequest('mute')
  mute(
    @MessageBody() { user, muted }: MutedMember,
    @RealtimeUser() by: User,
    @ChannelParam('room') room: string,
  ) {
    return this.moderation.mute(room, user, muted, by);
  }

  @OnRequest('slow')
  slow(@MessageBody() { everyMs }: SlowMode, @RealtimeUser() by: User, @ChannelParam('room') room: string) {
    return this.moderation.slow(room, everyMs, by);
  }
}
