import { Injectable, type OnModuleInit } from '@nestjs/common';
import { RealtimeError } from 'nestjs-realtime';
import { RoomsRepository, type Room, type RoomState } from './rooms.repository.js';

const LOUNGE: Room = { id: 'lounge', title: 'Lounge' };
const MAX_ROOMS = 100;
const KICK_MS = 5 * 60_000;

/** Rooms and permissions: plain application code. It knows nothing about connections and channels. */
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

  /** What a new subscriber needs to know. */
  async state(id: string): Promise<RoomState> {
    const room = await this.rooms.find(id);
    if (room === undefined) throw new RealtimeError('no_such_room', 'There is no such room');
    return room;
  }

  async isOwner(id: string, user: string): Promise<boolean> {
    return (await this.state(id)).owner === user;
  }

  /** Admits every user who is not kept out. */
  async mayEnter(id: string, user: string): Promise<boolean> {
    await this.state(id);
    return this.mayCome(id, user);
  }

  async maySpeak(id: string, user: string): Promise<boolean> {
    const { muted } = await this.state(id);
    if (muted.includes(user)) throw new RealtimeError('muted', 'You are muted in this room');
    return this.mayCome(id, user);
  }

  async mayModerate(id: string, user: string, moderator: string): Promise<void> {
    if (!(await this.isOwner(id, moderator)))
      throw new RealtimeError('forbidden', 'Only the owner of the room may do that');
    if (user === moderator) throw new RealtimeError('forbidden', 'You cannot do that to yourself');
  }

  mute(id: string, user: string, muted: boolean): Promise<void> {
    return this.rooms.setMuted(id, user, muted);
  }

  kick(id: string, user: string): Promise<void> {
    return this.rooms.keepOut(id, user, KICK_MS);
  }

  private async mayCome(id: string, user: string): Promise<boolean> {
    const minutes = Math.ceil((await this.rooms.keptOutFor(id, user)) / 60_000);
    if (minutes > 0)
      throw new RealtimeError('forbidden', `You were removed from this room. Try again in ${minutes} min`);
    return true;
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
