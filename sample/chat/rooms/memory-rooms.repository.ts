import { RoomsRepository, type Room } from './rooms.repository.js';

/** Rooms of one process: they are lost when it ends, like the logs of the embedded broker. */
export class MemoryRooms extends RoomsRepository {
  private readonly rooms = new Map<string, Room>();

  async list(): Promise<Room[]> {
    return [...this.rooms.values()];
  }

  async find(id: string): Promise<Room | undefined> {
    return this.rooms.get(id);
  }

  async add(room: Room, max: number): Promise<'added' | 'taken' | 'full'> {
    if (this.rooms.has(room.id)) return 'taken';
    if (this.rooms.size >= max) return 'full';
    this.rooms.set(room.id, room);
    return 'added';
  }
}
