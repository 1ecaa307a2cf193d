import { Injectable, type OnModuleInit } from '@nestjs/common';
import { RealtimeError } from 'nestjs-realtime';
import { isModerator, MODERATOR, type User } from '../login/user.js';
import { RoomsRepository, type Room } from './rooms.repository.js';

const LOUNGE: Room = { id: 'lounge', title: 'Lounge' };
const MAX_ROOMS = 100;

/** Rooms, and who may moderate them: plain application code. It knows nothing about connections and channels. */
@Injectable()
export class RoomsService implements OnModuleInit {
  constructor(private readonly rooms: RoomsRepository) {}

  /** Opens the lounge, unless another process did. */
  async onModuleInit(): Promise<void> {
    await this.rooms.add(LOUNGE, MAX_ROOMS);
  }

  list(): Promise<Room[]> {
    return this.rooms.list();
  }

  /** Creates a room for its owner: "Tea & Biscuits" becomes `tea-biscuits`, a second one `tea-biscuits-2`. */
  async create(title: string, owner: string): Promise<Room> {
    const segment = segmentOf(title);
    for (let n = 1; ; n++) {
      const room: Room = { id: n === 1 ? segment : `${segment}-${n}`, title, owner };
      const outcome = await this.rooms.add(room, MAX_ROOMS);
      if (outcome === 'added') return room;
      if (outcome === 'full') throw new RealtimeError('rooms_full', 'There are enough rooms');
    }
  }

  /** @throws RealtimeError `no_such_room`. */
  async find(id: string): Promise<Room> {
    const room = await this.rooms.find(id);
    if (room === undefined) throw new RealtimeError('no_such_room', 'There is no such room');
    return room;
  }

  /** The owner of the room, and the moderator of the whole chat. */
  async moderates(id: string, user: User): Promise<boolean> {
    return (await this.find(id)).owner === user.id || isModerator(user);
  }

  /** @throws RealtimeError `forbidden` for who does not moderate the room. */
  async requireModerator(id: string, user: User): Promise<void> {
    if (!(await this.moderates(id, user)))
      throw new RealtimeError('forbidden', 'Only the owner of the room and the moderator may do that');
  }

  /** @throws RealtimeError `forbidden`, also for who acts on themselves, or on the moderator. */
  async requireModeratorOf(id: string, member: string, user: User): Promise<void> {
    await this.requireModerator(id, user);
    if (member === user.id) throw new RealtimeError('forbidden', 'You cannot do that to yourself');
    if (member === MODERATOR) throw new RealtimeError('forbidden', 'Nobody can do that to the moderator');
  }
}

/** The title as a segment of a channel name. */
function segmentOf(title: string): string {
  const slug = title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '');
  return slug || 'room';
}
