import type { RealtimeService } from 'nestjs-realtime';
import { DIRECTORY } from './room-directory.js';
import { RoomsRepository, type Room } from './rooms.repository.js';

/** What is appended for a room that somebody wants to add. */
interface Wish {
  readonly room: Room;
  /** How many rooms there may be. */
  readonly max: number;
}

/**
 * Rooms in the log of a channel, for a broker beside which no other store runs. All processes read the same events in the same order,
 * so the order decides: of two that add the same id at once, the first event makes the room, and the second is void everywhere.
 */
export class LogRooms extends RoomsRepository {
  constructor(private readonly realtime: RealtimeService) {
    super();
  }

  async list(): Promise<Room[]> {
    return [...(await this.read()).values()].map(({ room }) => room);
  }

  async find(id: string): Promise<Room | undefined> {
    return (await this.read()).get(id)?.room;
  }

  async add(room: Room, max: number): Promise<'added' | 'taken' | 'full'> {
    const before = await this.read();
    if (before.has(room.id)) return 'taken';
    if (before.size >= max) return 'full';
    const wish: Wish = { room, max };
    const { seq } = await this.realtime.channel(DIRECTORY).publish('room.wanted', wish);
    const made = (await this.read()).get(room.id);
    if (made === undefined) return 'full';
    return made.seq === seq ? 'added' : 'taken';
  }

  /** The rooms that the log makes, by id, each with the event that made it. */
  private async read(): Promise<Map<string, { readonly room: Room; readonly seq: number }>> {
    const rooms = new Map<string, { readonly room: Room; readonly seq: number }>();
    const log = this.realtime.channel(DIRECTORY);
    for (let from = 0; ;) {
      const page = await log.history({ limit: 1_000, ...(from === 0 ? {} : { from }) });
      for (const { seq, payload } of page.events) {
        const { room, max } = payload as Wish;
        if (rooms.size < max && !rooms.has(room.id)) rooms.set(room.id, { room, seq });
        from = seq + 1;
      }
      if (!page.more) return rooms;
    }
  }
}
