/** The public part of a room. */
export interface Room {
  readonly id: string;
  readonly title: string;
  /** The user who created it and moderates it. The lounge has none. */
  readonly owner?: string;
}

/**
 * Stores rooms: in the memory of one process, or in Redis for several. Every method is atomic, so two processes may call the
 * same one at the same time.
 */
export abstract class RoomsRepository {
  /** All rooms, the oldest first. */
  abstract list(): Promise<Room[]>;

  abstract find(id: string): Promise<Room | undefined>;

  /** Adds a room, if its id is free and there are fewer than `max`. */
  abstract add(room: Room, max: number): Promise<'added' | 'taken' | 'full'>;
}
