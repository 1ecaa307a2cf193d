import type { Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/ports/clock.js';
import type { Refusal } from '../../core/ports/transport-host.js';
import type { PathClaims, UpgradeHandler } from '../../core/ports/transport.js';
import { PathRouter, type RouterListener } from './path-router.js';
import { writeRefusal } from './refusal.js';

/** How long an upgrade may stay untouched, in milliseconds; as Engine.IO waits (`destroyUpgradeTimeout`). */
const STRAY_AFTER_MS = 1_000;

const NOT_FOUND: Refusal = { status: 404, message: 'Nothing here takes upgrades' };

const ROUTER = Symbol.for('nestjs-realtime.upgrade-router.v1');
type RoutedServer = Server & { [ROUTER]?: UpgradeRouter };

/**
 * Shares the `'upgrade'` event of one HTTP server, as {@link PathRouter} says, with a gateway's WsAdapter, Socket.IO, GraphQL.
 *
 * @example
 * const release = UpgradeRouter.of(server, systemClock).claim('/realtime', (req, socket, head) => …);
 */
export class UpgradeRouter
  extends PathRouter<[socket: Duplex, head: Buffer]>
  implements PathClaims<UpgradeHandler>
{
  private constructor(
    server: Server,
    private readonly clock: Clock,
  ) {
    super(server, 'upgrade', ROUTER);
  }

  /** The router of a server; a new one does nothing until a path is claimed. */
  static of(server: Server, clock: Clock): UpgradeRouter {
    return (server as RoutedServer)[ROUTER] ?? new UpgradeRouter(server, clock);
  }

  protected readonly dispatch: RouterListener<[socket: Duplex, head: Buffer]> = (req, socket, head) => {
    // Node has removed its own listener: a reset while a client is verified, or before a listener takes the socket, would
    // be an unhandled 'error' and end the process (CVE-2020-7693).
    socket.on('error', ignore);
    const handler = this.handlerOf(req);
    if (handler !== undefined) {
      // Node would write the answer into the stream of frames; a refusal would be taken for that answer.
      if (isAnswering(socket)) socket.destroy();
      else handler(req, socket, head);
    }
    // `dispatch` is always the first listener, so the others are about to run.
    else if (this.server.listenerCount('upgrade') > 1) watchStray(socket, this.clock);
    // Of one to something else, such as the h2c that HttpClient of Java offers, a server may take no notice (RFC 9110 §7.8). This one cannot
    // where anybody listens to 'upgrade': Node has stopped to parse the connection by then, and has no request to go on with.
    else writeRefusal(socket, NOT_FOUND, this.clock);
  };
}

/**
 * Watches the socket of an upgrade that other listeners may or may not want. Some of them (GraphQL) leave what they do
 * not know open for ever; so an upgrade that no listener has touched for a second is answered with 404.
 *
 * A listener that wrote, read or listened took it, and may take as long as it likes: bytes alone would not tell a
 * neighbour whose authentication is slow, and a connection that was kept alive has written before.
 */
function watchStray(socket: Duplex, clock: Clock): void {
  const timer = clock.schedule(STRAY_AFTER_MS, () => {
    if (!socket.destroyed && traceOf(socket) === before) writeRefusal(socket, NOT_FOUND, clock);
  });
  socket.once('close', () => timer.cancel());
  const before = traceOf(socket);
}

/** Changes as soon as a listener does anything with the socket. */
function traceOf(socket: Duplex & { readonly bytesWritten?: number }): string {
  const listeners = socket.eventNames().map((event) => `${String(event)}:${socket.listenerCount(event)}`);
  return [socket.bytesWritten, socket.readableFlowing, socket.writableEnded, ...listeners.sort()].join();
}

/** Whether a request came before on the same connection that has no complete answer yet. Node names it nowhere else. */
function isAnswering(socket: Duplex & { readonly _httpMessage?: ServerResponse | null }): boolean {
  return (socket._httpMessage ?? null) !== null;
}

function ignore(): void {
  // 'close' follows.
}
