import { firstEnding, type Ending, type Room } from './first-ending.js';

/** What takes room of its owner. */
export interface Owned<O> extends Ending {
  readonly owner: O;
}

/** Counts what is kept of several owners: each has a room of its own, and takes none of another's. */
export class OwnedRooms<O extends string> {
  private readonly taken = new Map<O, { count: number; bytes: number }>();

  constructor(private readonly rooms: Readonly<Record<O, Room>>) {}

  /** What all of them take. */
  get bytes(): number {
    let sum = 0;
    for (const { bytes } of this.taken.values()) sum += bytes;
    return sum;
  }

  add({ owner, bytes }: Pick<Owned<O>, 'owner' | 'bytes'>): void {
    const { count, bytes: before } = this.of(owner);
    this.taken.set(owner, { count: count + 1, bytes: before + bytes });
  }

  remove({ owner, bytes }: Pick<Owned<O>, 'owner' | 'bytes'>): void {
    const { count, bytes: before } = this.of(owner);
    this.taken.set(owner, { count: count - 1, bytes: before - bytes });
  }

  isOver(owner: O): boolean {
    const { count, bytes } = this.of(owner);
    const room = this.rooms[owner];
    return count > room.count || bytes > room.bytes;
  }

  /** What of an owner has to go, as {@link firstEnding}. */
  excess(owner: O, entries: ReadonlyMap<string, Owned<O>>): readonly string[] {
    const own = new Map([...entries].filter(([, entry]) => entry.owner === owner));
    return firstEnding(own, this.rooms[owner]);
  }

  private of(owner: O): { readonly count: number; readonly bytes: number } {
    return this.taken.get(owner) ?? { count: 0, bytes: 0 };
  }
}
