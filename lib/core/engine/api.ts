import type { HistoryResult, PresencePage, PublishResult } from '../../protocol/messages.js';
import type { ConnectionRequest } from '../ports/channel-definition.js';
import type { ControlReceipt } from '../ports/control.js';
import type { TransportHost } from '../ports/transport-host.js';
import type { ConnectionListener } from '../ports/realtime-connection.js';
import type { RealtimeIdentity } from '../ports/identity.js';

/** What the application may say beside event and payload. */
export interface ApplicationPublishOptions {
  /** Idempotency key; the same id inside the dedupe window is appended once (G4). Default: a new id. */
  readonly id?: string;
  /** Conflation key. */
  readonly key?: string;
  /** Milliseconds after which delivery is pointless. */
  readonly ttlMs?: number;
  /** Shown to subscribers as the author. Default: none. */
  readonly user?: string;
  readonly trace?: string;
  readonly meta?: Readonly<Record<string, unknown>>;
}

/** One live connection, as `sessions()` lists it. */
export interface SessionInfo {
  readonly id: string;
  readonly user: RealtimeIdentity | undefined;
  readonly ip: string;
  readonly transport: string;
  /** Milliseconds since the Unix epoch. */
  readonly connectedAt: number;
  readonly channels: readonly string[];
}

/** State of the engine on this node. */
export interface EngineStatus {
  readonly started: boolean;
  readonly draining: boolean;
  readonly broker: 'up' | 'down';
  /** Whether events of channels that are not public are kept back, for a revoke may not be known here yet (G11). */
  readonly withholding: boolean;
  readonly sessions: number;
  readonly channels: number;
}

/** What the Nest layer uses of the engine. */
export interface EngineApi extends TransportHost {
  /** Starts the broker. Rejects when the broker cannot start. */
  start(): Promise<void>;
  /** Refuses new connections from now on (503) and turns readiness red (G18). Idempotent. */
  beginDrain(): void;
  /** Says `bye` to every session in paced batches, flushes queues, closes; resolves at the deadline at the latest (G18). */
  drain(deadlineMs: number): Promise<void>;
  /** Ends whatever is left and closes the broker. Idempotent. */
  stop(): Promise<void>;

  readonly status: EngineStatus;
  /** Round trip of a probe through the normal publish path, in milliseconds (G20). */
  probe(timeoutMs: number): Promise<number>;

  /** @throws RealtimeError `unknown_channel`, `bad_request`, `conflict`, `unavailable`, `timeout`. */
  publish(
    channel: string,
    event: string,
    payload: unknown,
    options?: ApplicationPublishOptions,
  ): Promise<PublishResult>;
  signal(channel: string, event: string, payload: unknown, user?: string): Promise<void>;
  history(
    channel: string,
    query?: { from?: number; until?: number; limit?: number; reverse?: boolean; epoch?: string },
  ): Promise<HistoryResult>;
  members(channel: string, page?: { cursor?: string; limit?: number }): Promise<PresencePage>;

  /** Connections of a user on this node. */
  sessionsOf(user: string): readonly SessionInfo[];
  disconnect(user: string, reason?: string): Promise<ControlReceipt>;
  revoke(user: string, channel?: string, reason?: string): Promise<ControlReceipt>;
  ban(user: string, options?: { forMs?: number; reason?: string; by?: string }): Promise<ControlReceipt>;
  unban(user: string, by?: string): Promise<ControlReceipt>;

  /** Adds a request without a channel, e.g. of a plain gateway that rides these connections. */
  addRequest(event: string, request: ConnectionRequest): void;
  addConnectionListener(listener: ConnectionListener): () => void;
}
