import { RoomsRepository, type Room, type RoomState } from './rooms.repository.js';

interface StoredRoom {
  readonly room: Room;
  readonly muted: Set<string>;
  /** Until when a user is kept out, by user. */
  readonly keptOut: Map<string, number>;
}

/** Rooms of one process: they are lost when it ends, like the logs of the embedded broker. */
export class MemoryRooms extends RoomsRepository {
  private readonly rooms = new Map<string, StoredRoom>();

  async list(): Promise<Room[]> {
    return [...this.rooms.values()].map(({ room }) => room);
  }

  async find(id: string): Promise<RoomState | undefined> {
    const stored = this.rooms.get(id);
    return stored && { ...stored.room, muted: [...stored.muted] };
  }

  async add(room: Room, max: number): Promise<'added' | 'taken' | 'full'> {
    if (this.rooms.has(room.id)) return 'taken';
    if (this.rooms.size >= max) return 'full';
    this.rooms.set(room.id, { room, muted: new Set(), keptOut: new Map() });
    return 'added';
  }

  async setMuted(id: string, user: string, muted: boolean): Promise<void> {
    if (muted) this.rooms.get(id)?.muted.add(user);
    else this.rooms.get(id)?.muted.delete(user);
  }

  async keepOut(id: string, user: string, ms: number): Promise<void> {
    this.rooms.get(id)?.keptOut.set(user, Date.now() + ms);
  }

  async keptOutFor(id: string, user: string): Promise<number> {
    return Math.max(0, (this.rooms.get(id)?.keptOut.get(user) ?? 0) - Date.now());
  }
}
