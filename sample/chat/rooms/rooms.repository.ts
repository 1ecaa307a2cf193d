/** The public part of a room. */
export interface Room {
  readonly id: string;
  readonly title: string;
  /** The user who created it and moderates it. The lounge has none. */
  readonly owner?: string;
}

/** A room, with the users who may only read in it. */
export interface RoomState extends Room {
  readonly muted: readonly string[];
}

/**
 * Stores rooms: in the memory of one process, or in Redis for several. Every method is atomic, so two processes may call the
 * same one at the same time.
 */
export abstract class RoomsRepository {
  /** All rooms, the oldest first. */
  abstract list(): Promise<Room[]>;

  abstract find(id: string): Promise<RoomState | undefined>;

  /** Adds a room, if its id is free and there are fewer than `max`. */
  abstract add(room: Room, max: number): Promise<'added' | 'taken' | 'full'>;

  abstract setMuted(id: string, user: string, muted: boolean): Promise<void>;

  /** Keeps a user out of the room for `ms` milliseconds. */
  abstract keepOut(id: string, user: string, ms: number): Promise<void>;

  /** For how many more milliseconds a user is kept out; 0 for a user who is not. */
  abstract keptOutFor(id: string, user: string): Promise<number>;
}
