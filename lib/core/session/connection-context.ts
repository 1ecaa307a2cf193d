import type { IncomingHttpHeaders } from 'node:http';
import type { Handshake } from './connection.js';
import type { RealtimeIdentity } from './identity.js';

/**
 * The connection as guards, pipes and handlers see it. It looks like an HTTP request where that helps:
 * `headers`, `url`, `ip` of the handshake and a settable `user`, so a JWT guard written for HTTP runs unchanged.
 * `headers.authorization` is the current token, which a browser cannot send itself.
 */
export class RealtimeConnection {
  readonly id: string;
  readonly transport: Handshake['transport'];
  readonly headers: IncomingHttpHeaders;
  readonly url: string;
  readonly ip: string;
  readonly secure: boolean;
  /** What the engine verified, until a guard sets something else. */
  user: RealtimeIdentity | undefined;
  /** The application's own state of this connection. */
  readonly data: Record<string, unknown> = {};

  constructor(
    id: string,
    handshake: Handshake,
    /** Ends the connection with 4811 `kicked`. */
    readonly disconnect: (reason?: string) => void,
  ) {
    this.id = id;
    this.transport = handshake.transport;
    // A copy: the synthesised `authorization` must not leak into the request that other listeners of the upgrade see.
    this.headers = { ...handshake.headers };
    this.url = handshake.url;
    this.ip = handshake.ip;
    this.secure = handshake.secure;
  }
}
