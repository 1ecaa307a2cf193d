import { Authorize, Channel } from 'nestjs-realtime';

/** The channel that {@link LogRooms} keeps the rooms in. Only the application reads and writes it. */
export const DIRECTORY = 'directory';

@Channel(DIRECTORY, { history: { size: 1_000, ttl: '30d' } })
export class RoomDirectory {
  @Authorize('subscribe')
  nobody(): boolean {
    return false;
  }
}
