import type { Handshake } from '../../../lib/core/ports/connection.js';

/** The handshake of a client at 127.0.0.1, or at the given address, but for what is given. */
export function handshakeOf(given: Partial<Handshake> = {}): Handshake {
  const { ip = '127.0.0.1' } = given;
  return { transport: 'websocket', headers: {}, url: '/realtime', ip, network: ip, secure: false, ...given };
}
