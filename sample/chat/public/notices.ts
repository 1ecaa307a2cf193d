import type { Session } from './session.js';

/** Somebody took this user out of a room. */
export interface Removal {
  readonly room: string;
  readonly title: string;
  readonly by: string;
}

/** The channel of the user alone, on all of their devices: `realtime.user(id)` on the server, `client.me` here. */
export async function listenForNotices(
  { client }: Session,
  removed: (removal: Removal) => void,
): Promise<void> {
  // Whose channel it is, is known once the server has said who this is.
  await client.connect();
  client.me.on<Removal>('removed', removed);
  await client.me.subscribe();
}
