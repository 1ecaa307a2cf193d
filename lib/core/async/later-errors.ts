import type { EventEmitter } from 'node:events';

/**
 * To be called at each error of a client whose package listens to the first error of a connection alone, as `ioredis` does. One over TLS
 * that is ended in its handshake has two, the certificate that is not trusted and then the alert of the server: the second would end the
 * process.
 *
 * @param connection The one of now, which may have ended; `undefined` where there was none yet.
 */
export function hearLaterErrors(connection: EventEmitter | undefined): void {
  if (connection?.listenerCount('error') === 0) connection.on('error', () => undefined);
}
