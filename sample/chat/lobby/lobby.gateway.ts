import { MessageBody } from '@nestjs/websockets';
import { Channel, OnRequest, PublicChannel, RealtimeService, RealtimeUser, Snapshot } from 'nestjs-realtime';
import { RoomsService } from '../rooms/rooms.service.js';
import { NewRoom } from './lobby.dto.js';

/**
 * The live list of rooms: the snapshot has the existing rooms, the events the new ones. Public means every client that may
 * connect, which needs a token here.
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
