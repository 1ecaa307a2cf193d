import { RealtimeClient } from '../../../../lib/client/index.js';

let user: string | undefined;

/** One client for the whole page, and for every user who logs in. Made here, it connects with its first use. */
export const client = new RealtimeClient('/realtime', { token: () => user ?? '' });

export function logIn(name: string): void {
  user = name;
  // Opens a client that was closed, too.
  void client.connect();
}

/** `close()` forgets who the user was; the next one is asked for a token. */
export async function logOut(): Promise<void> {
  user = undefined;
  await client.close();
}
