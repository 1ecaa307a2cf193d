import type { Duplex } from 'node:stream';
import type { Clock } from '../../core/ports/clock.js';
import { writeRefusal } from './refusal.js';

/** As long as Engine.IO waits (`destroyUpgradeTimeout`). */
const STRAY_AFTER_MS = 1_000;

/**
 * Watches the socket of an upgrade that other listeners may or may not want. Some of them (GraphQL) leave what they do
 * not know open for ever; so if a second later nobody has touched the socket, it is answered with 404.
 *
 * Whoever wrote, read or listened took it, and may take as long over it as it likes: bytes alone would not tell a
 * neighbour whose authentication is slow, and a connection that was kept alive has written before.
 */
export function watchStray(socket: Duplex, clock: Clock): void {
  const timer = clock.schedule(STRAY_AFTER_MS, () => {
    if (!socket.destroyed && traceOf(socket) === before) {
      writeRefusal(socket, { status: 404, message: 'Nothing here takes upgrades' }, clock);
    }
  });
  socket.once('close', () => timer.cancel());
  const before = traceOf(socket);
}

/** Changes as soon as anybody does anything with the socket. */
function traceOf(socket: Duplex & { readonly bytesWritten?: number }): string {
  const listeners = socket.eventNames().map((event) => `${String(event)}:${socket.listenerCount(event)}`);
  return [socket.bytesWritten, socket.readableFlowing, socket.writableEnded, ...listeners.sort()].join();
}
