import type { Session } from './session.js';

/** This user was removed from a room. */
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
  // The user, and so the name of the channel, is known when the server has accepted the connection.
  const me = await client.me;
  me.on<Removal>('removed', removed);
  await me.subscribe();
}
