/** Channels of everybody, to which the server publishes. */
export const FEEDS = ['feeds.0', 'feeds.1', 'feeds.2'];
/** Clients of one room, which publish to one another. */
export const ROOM_SIZE = 10;

/** The room of a client, by its number. */
export const roomOf = (client) => `rooms.${Math.floor(client / ROOM_SIZE)}`;

/** Who is in the room of a client, itself included. */
export function membersOf(client, players) {
  const first = client - (client % ROOM_SIZE);
  return players.slice(first, first + ROOM_SIZE);
}
