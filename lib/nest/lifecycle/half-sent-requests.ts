import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../../core/ports/clock.js';
import type { OpenConnections } from './open-connections.js';

/** How often a server that is closing is looked at, in milliseconds. */
const LOOK_EVERY_MS = 250;

/** Node's list of the connections of an HTTP server, which `closeAllConnections` uses. It has no public name. */
interface ConnectionList {
  /** Parsers of connections on which a request has begun that is not answered. */
  active(): readonly { readonly incoming?: IncomingMessage | null; readonly socket?: Socket | null }[];
}
const CONNECTIONS = 'http.server.connections';

/**
 * Ends connections on which a request has begun whose head is not complete, once the server closes, and later those whose body is not:
 * from then on Node does not look at its time-outs, so a client that sent half of one would keep `app.close()` waiting for ever.
 * Requests that have come whole are the application's.
 *
 * @param isLate whether bodies have had the time to come.
 * @param others whose unused ones are ended, too.
 */
export function endHalfSentRequests(
  server: Server,
  clock: Clock,
  isLate: () => boolean,
  others?: OpenConnections,
): void {
  let isClosed = false;
  server.once('close', () => (isClosed = true));
  const look = (): void => {
    if (isClosed) return;
    // Before `close`, Node's own time-outs apply.
    if (!server.listening) {
      const late = isLate();
      for (const socket of halfSent(server, late)) socket.destroy();
      others?.endUnused(late);
    }
    clock.schedule(LOOK_EVERY_MS, look);
  };
  clock.schedule(LOOK_EVERY_MS, look);
}

function halfSent(server: Server, isLate: boolean): readonly Socket[] {
  const symbol = Object.getOwnPropertySymbols(server).find(({ description }) => description === CONNECTIONS);
  const list = symbol && (server as unknown as Record<symbol, Partial<ConnectionList> | undefined>)[symbol];
  const parsers = list?.active?.() ?? [];
  return parsers.flatMap(({ incoming, socket }) => {
    // A body that has not come is not being answered.
    const isHalf = incoming == null || (isLate && !incoming.complete);
    return isHalf && socket != null ? [socket] : [];
  });
}
