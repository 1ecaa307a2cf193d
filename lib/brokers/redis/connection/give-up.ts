import type { Redis } from 'ioredis';

/** Connections that were given up and have not closed yet. */
const closing = new WeakSet<Redis>();

/**
 * Ends a connection on which nothing comes back; until it has closed, doing so again does nothing. A server that stands
 * still does not close its side, so that takes as long as ioredis waits for it, and ioredis keeps a timer and a listener
 * for every time it is asked.
 *
 * @param reconnect whether another one is made.
 */
export function giveUp(connection: Redis, reconnect: boolean): void {
  if (closing.has(connection)) return;
  closing.add(connection);
  connection.once('close', () => closing.delete(connection));
  connection.disconnect(reconnect);
}
