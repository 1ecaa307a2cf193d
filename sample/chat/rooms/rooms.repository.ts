/** What everybody may know of a room. */
export interface Room {
  readonly id: string;
  readonly title: string;
  /** Who created it, and so moderates it. The lounge belongs to nobody. */
  readonly owner?: string;
}

/** A room, and who may only read in it. */
export interface RoomState extends Room {
  readonly muted: readonly string[];
}

/**
 * Where rooms are kept: in the memory of one process, or in Redis for several. Every method is one step, done wholly or not at
 * all, so that two processes may do the same at the same moment.
 */
export abstract class RoomsRepository {
  /** All rooms, the oldest first. */
  abstract list(): Promise<Room[]>;

  abstract find(id: string): Promise<RoomState | undefined>;

  /** Adds a room, if its id is free and there are fewer than `max`. */
  abstract add(room: Room, max: number): Promise<'added' | 'taken' | 'full'>;

  abstract setMuted(id: string, user: string, muted: boolean): Promise<void>;

  /** Somebody may not come back to the room, for `ms` milliseconds from now. */
  abstract keepOut(id: string, user: string, ms: number): Promise<void>;

  /** For how many milliseconds more somebody may not come back; 0 for whoever may. */
  abstract keptOutFor(id: string, user: string): Promise<number>;
}
