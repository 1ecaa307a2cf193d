import { MessageBody } from '@nestjs/websockets';
import { Channel, OnRequest, PublicChannel, RealtimeService, RealtimeUser, Snapshot } from 'nestjs-realtime';
import { RoomsService } from '../rooms/rooms.service.js';
import { NewRoom } from './lobby.dto.js';

/**
 * The list of rooms, live: the snapshot has those that are there, the events those that come. Public means everybody who may
 * connect, and that takes a token here.
 */
@PublicChannel()
@Channel('lobby', { history: { size: 100 } })
export class LobbyGateway {
  constructor(
    private readonly rooms: RoomsService,
    private readonly realtime: RealtimeService,
  ) {}

  @Snapshot()
  async state() {
    return { rooms: await this.rooms.list() };
  }

  @OnRequest('create')
  async create(@MessageBody() { title }: NewRoom, @RealtimeUser('id') owner: string) {
    const room = await this.rooms.create(title, owner);
    await this.realtime.channel('lobby').publish('room.created', room, { user: owner });
    return room;
  }
}
