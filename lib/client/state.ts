import type { CloseName } from '../protocol/close-codes.js';
import type { Recovery } from '../protocol/position.js';
import type { TransportName } from './transport/fallback.js';

/**
 * What the client is doing: `idle` before the first use, `connecting`, `live` (welcomed by the server), `waiting`
 * for the next attempt, `closed` until `connect()` is called.
 */
export type ClientState = 'idle' | 'connecting' | 'live' | 'waiting' | 'closed';

/**
 * The state of the connection and what is known about it (protocol §7).
 *
 * @example
 * client.on('state', (status) => {
 *   if (status.state === 'waiting') show(`Back in ${Math.ceil((status.delayMs ?? 0) / 1000)} s`);
 *   if (status.state === 'closed') show(status.reason ?? 'Goodbye');
 * });
 */
export interface ClientStatus {
  /** What the client is doing. */
  readonly state: ClientState;
  /** With `live`: what carries the connection. Always `websocket` without the option `fallback`. */
  readonly transport?: TransportName;
  /** With `waiting`: milliseconds until the next attempt. */
  readonly delayMs?: number;
  /** With `connecting` and `waiting`: number of the attempt since the last stable connection, from 1. */
  readonly attempt?: number;
  /** With `waiting` and `closed`: the close code (protocol §7), e.g. 4811; 1006 when the server sent none. */
  readonly code?: number;
  /** The code's name, e.g. `kicked`, where it is one of this protocol. */
  readonly name?: CloseName;
  /** With `waiting` and `closed`: why, in words. Absent after `close()`. */
  readonly reason?: string;
  /** The error behind it, where there is one: what the token provider, or the platform's WebSocket class, threw. */
  readonly cause?: unknown;
}

/** What a client did since it was made, for a dashboard or a bug report. */
export interface ClientStats {
  /**
   * Milliseconds from the last ping to its answer: one is sent when the connection is in doubt. Before the first, of
   * `hello`, which includes the check of the token. So it may be old: for a figure of now, time a request. `undefined` without a
   * connection.
   */
  readonly roundTripMs: number | undefined;
  /** Times that the client was live again after a loss. */
  readonly reconnects: number;
  /** Times that a channel continued from its position, with nothing missing. */
  readonly recovered: number;
  /** Times that a channel did not: events were missing, or everything behind its position. */
  readonly lost: number;
  /** Messages of the server, those of the protocol included. */
  readonly received: number;
  /** Messages that were sent, those of the protocol included. */
  readonly sent: number;
}

/** Counts of a client, which whoever does something adds to. */
export type Counts = { -readonly [Name in Exclude<keyof ClientStats, 'roundTripMs'>]: number };

/** Counts what a subscribe, or a reset, said about the events since the own position. */
export function countRecovery(counts: Counts, recovery: Recovery): void {
  if (recovery === 'complete') counts.recovered++;
  else if (recovery !== 'new') counts.lost++;
}

/** Where an error came from that no promise carries. */
export interface ErrorContext {
  /**
   * `handler`: a listener of the application threw · `token`: the token provider failed or its token was refused ·
   * `server`: an error that answers no command · `protocol`: the server sent something that is not protocol ·
   * `connection`: the server's address answers, but not as this server would.
   */
  readonly source: 'handler' | 'token' | 'server' | 'protocol' | 'connection';
  /** The channel, where the error concerns one. */
  readonly channel?: string;
  /** The event whose listener threw. */
  readonly event?: string;
}
