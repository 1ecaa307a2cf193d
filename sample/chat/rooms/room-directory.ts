import { Authorize, Channel, RealtimeUser } from 'nestjs-realtime';
import { isModerator, type User } from '../login/user.js';

/** The channel that {@link LogRooms} keeps the rooms in. Only the application writes it. */
export const DIRECTORY = 'directory';

@Channel(DIRECTORY, { history: { size: 1_000, ttl: '30d' } })
export class RoomDirectory {
  /** The lobby is for everybody; this is for who wants to know how it came about. */
  @Authorize('subscribe')
  mayLook(@RealtimeUser() user: User): boolean {
    return isModerator(user);
  }
}
