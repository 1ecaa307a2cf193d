import { ForbiddenException } from '@nestjs/common';
import { MessageBody } from '@nestjs/websockets';
import { Authorize, Channel, ChannelParam, OnPublish, RealtimeUser, Snapshot } from 'nestjs-realtime';

export interface User {
  id: string;
}

export interface NewMessage {
  text: string;
}

@Channel('rooms.:room', { history: { size: 100, ttl: '1h' }, presence: true })
export class RoomsGateway {
  @Authorize('subscribe')
  canRead(@RealtimeUser() user: User, @ChannelParam('room') room: string) {
    return room !== 'board' || user.id === 'ada';
  }

  @Authorize('publish')
  canWrite(@RealtimeUser() user: User, @ChannelParam('room') room: string) {
    return this.canRead(user, room);
  }

  @Snapshot()
  state(@ChannelParam('room') room: string) {
    return { title: `Room ${room}` };
  }

  @OnPublish('message.created')
  onMessage(@MessageBody() message: NewMessage, @RealtimeUser() user: User) {
    if (message.text === '') throw new ForbiddenException('Say something');
    return { ...message, author: user.id };
  }
}
