import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Handshake } from './connection.js';

/** Takes the upgrades of one path. The socket has an `'error'` listener already. */
export type UpgradeHandler = (req: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Takes the requests of one path, before a route, body parser or CORS of the application sees them. */
export type HttpRequestHandler = (req: IncomingMessage, res: ServerResponse) => void;

/** Shares one event of an HTTP server, `'upgrade'` or `'request'`, between the transports and everybody else who listens. */
export interface PathClaims<Handler extends UpgradeHandler | HttpRequestHandler> {
  /**
   * Takes a path over, with and without one trailing slash. Other paths reach the other listeners.
   *
   * @returns Releases the path; idempotent.
   * @throws Error when the path is taken.
   */
  claim(path: string, handler: Handler): () => void;
}

/** One way in for clients. Several transports share an HTTP server, each with paths of its own. */
export interface Transport {
  /** As in {@link Handshake.transport}. */
  readonly name: Handshake['transport'];
  /** Whether clients can come in: it is attached to a server, and not closed. */
  readonly attached: boolean;
  /**
   * Claims the transport's paths on a server, by {@link PathClaims}; may be called for several servers.
   *
   * @throws Error when a path is taken on that server, or after `close`.
   */
  attach(server: Server): void;
  /**
   * Refuses new clients, and those that are still authenticating; releases the paths, those of plain requests when the server has
   * closed, or another transport claims them. Open connections are the engine's to close. Idempotent.
   */
  close(): void;
  /**
   * Resolves when what was ended has left the process: answers that were written to their ends, connections whose close the client has to
   * answer; left out where the transport has none. Until then the HTTP server must not close, which would cut them.
   */
  whenLeft?(): Promise<void>;
  /** Destroys what {@link whenLeft} waits for. @returns how many those were. */
  cut?(): number;
}
