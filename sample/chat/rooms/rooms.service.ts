import { Injectable } from '@nestjs/common';
import { RealtimeError } from 'nestjs-realtime';

/** What everybody may know of a room. */
export interface Room {
  readonly id: string;
  readonly title: string;
  /** Who created it, and so moderates it. The lounge belongs to nobody. */
  readonly owner?: string;
}

interface RoomState extends Room {
  readonly muted: Set<string>;
  /** Until when somebody may not come back. */
  readonly kicked: Map<string, number>;
}

const MAX_ROOMS = 100;
const KICK_MS = 5 * 60_000;

/** Rooms and who may do what in them: plain application code, in memory. It knows nothing of connections and channels. */
@Injectable()
export class RoomsService {
  private readonly rooms = new Map<string, RoomState>();

  constructor() {
    this.add({ id: 'lounge', title: 'Lounge' });
  }

  list(): Room[] {
    return [...this.rooms.values()].map(({ id, title, owner }) => ({ id, title, owner }));
  }

  /** The first who creates a room owns it. */
  create(title: string, owner: string): Room {
    if (this.rooms.size >= MAX_ROOMS) throw new RealtimeError('forbidden', 'There are enough rooms');
    return this.add({ id: this.freeId(title), title, owner });
  }

  /** What a newcomer needs to know. */
  state(id: string) {
    const { title, owner, muted } = this.get(id);
    return { id, title, owner, muted: [...muted] };
  }

  isOwner(id: string, user: string): boolean {
    return this.get(id).owner === user;
  }

  /** Everybody, but those who were shown the door. */
  mayEnter(id: string, user: string): boolean {
    const until = this.get(id).kicked.get(user) ?? 0;
    const minutes = Math.ceil((until - Date.now()) / 60_000);
    if (minutes > 0)
      throw new RealtimeError('forbidden', `You were removed from this room. Try again in ${minutes} min`);
    return true;
  }

  maySpeak(id: string, user: string): boolean {
    if (this.get(id).muted.has(user)) throw new RealtimeError('muted', 'You are muted in this room');
    return this.mayEnter(id, user);
  }

  mayModerate(id: string, user: string, moderator: string): void {
    if (!this.isOwner(id, moderator))
      throw new RealtimeError('forbidden', 'Only the owner of the room may do that');
    if (user === moderator) throw new RealtimeError('forbidden', 'You cannot do that to yourself');
  }

  mute(id: string, user: string, muted: boolean): void {
    if (muted) this.get(id).muted.add(user);
    else this.get(id).muted.delete(user);
  }

  kick(id: string, user: string): void {
    this.get(id).kicked.set(user, Date.now() + KICK_MS);
  }

  private get(id: string): RoomState {
    const room = this.rooms.get(id);
    if (room === undefined) throw new RealtimeError('unknown_channel', 'There is no such room');
    return room;
  }

  private add(room: Room): Room {
    this.rooms.set(room.id, { ...room, muted: new Set(), kicked: new Map() });
    return room;
  }

  /** The title as a segment of a channel name: "Tea & Biscuits" becomes `tea-biscuits`, a second one `tea-biscuits-2`. */
  private freeId(title: string): string {
    const slug =
      title
        .toLowerCase()
        .replace(/[^a-z0-9]+/g, '-')
        .replace(/^-|-$/g, '') || 'room';
    let id = slug;
    for (let n = 2; this.rooms.has(id); n++) id = `${slug}-${n}`;
    return id;
  }
}
