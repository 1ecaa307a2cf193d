import type { Session } from '../../../lib/core/session/session.js';
import type { WireClient } from './client.js';
import type { WireServer } from './server.js';

/** Bytes of one filler: larger than a socket takes at once, small enough not to overshoot by much. */
const FILLER_BYTES = 128 * 1024;
/** More than any kernel keeps for a connection whose other end does not read. */
const MAX_FILLERS = 1_000;

/** The server's side of a user's only connection: what a client cannot see, e.g. how much waits for it. */
export function sessionOf(server: WireServer, user: string): Session {
  const sessions = server.engine['parts'].sessions.ofUser(user);
  const [session] = sessions;
  if (session === undefined || sessions.length > 1)
    throw new Error(`${user} has ${sessions.length} sessions`);
  return session;
}

/**
 * Makes a client stop reading, and publishes large events to a channel that it subscribed until the server's socket takes
 * no more: from then on everything for it waits in its queue.
 *
 * @returns how many events that took.
 */
export async function stall(
  server: WireServer,
  { client, user, channel }: { readonly client: WireClient; readonly user: string; readonly channel: string },
): Promise<number> {
  const { outbox } = sessionOf(server, user);
  const filler = 'f'.repeat(FILLER_BYTES);
  client.stopReading();
  for (let count = 1; count <= MAX_FILLERS; count++) {
    await server.engine.application.publish(channel, 'filled', filler);
    // The turn in which the server writes, and one in which the kernel may have taken more.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
    if (outbox.isBlocked) return count;
  }
  throw new Error(`The socket took ${MAX_FILLERS} events of ${FILLER_BYTES} bytes`);
}
