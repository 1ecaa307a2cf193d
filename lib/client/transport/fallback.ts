import type { Codec } from '../../protocol/codecs/codec.js';
import type { ClientClock } from '../clock.js';
import type { ConnectionEnd } from '../connection/reconnect-policy.js';
import type { ClientLog } from '../log.js';
import type { ClientFetch, ProbeAnswer } from './probe.js';
import type { OpenTransport } from './websocket.js';

/** A transport: a WebSocket, an event stream with `POST` (SSE), or long-poll. */
export type TransportName = 'websocket' | 'sse' | 'polling';

/** What one attempt to connect uses. */
export interface Route {
  readonly transport: TransportName;
  readonly open: OpenTransport;
  readonly codec: Codec;
}

/** Chooses the transport of each attempt, and learns from how it ended. */
export interface Ladder {
  choose(): Route;
  /**
   * The connection of the last choice ended.
   *
   * @param answer What the server answered when it was asked why, where it was (P18).
   * @param reason Why, in words.
   */
  ended(end: ConnectionEnd, answer?: ProbeAnswer, reason?: string): void;
  /** The application uses the client: a connection that a hidden page released is wanted again. */
  needed(): void;
}

/** What a ladder needs of its client. */
export interface LadderDeps {
  /** Opens WebSockets. */
  readonly open: OpenTransport;
  /** The application's WebSocket class, where it passed one. */
  readonly webSocket?: unknown;
  /** For WebSockets. */
  readonly codec: Codec;
  readonly clock: ClientClock;
  readonly random: () => number;
  readonly log: ClientLog;
  readonly fetch: ClientFetch | false;
  readonly network: boolean;
  readonly tokenIn: 'hello' | 'subprotocol';
  readonly connectTimeoutMs: number;
  /** A token to connect with; `undefined` for clients without tokens. */
  readonly token: () => Promise<{ readonly token: string }> | undefined;
  /** Ends a wait for the next attempt. */
  readonly retryNow: () => void;
  /** Tells the application, which has to mend it. */
  readonly report: (message: string) => void;
}

/** What `httpFallback()` of `nestjs-realtime/client/http` returns: other transports for networks that break WebSocket. */
export type Fallback = (deps: LadderDeps) => Ladder;
