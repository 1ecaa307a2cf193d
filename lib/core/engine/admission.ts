import type { CloseName } from '../../protocol/close-codes.js';
import { remainingMs, type BanList } from '../access/ban-list.js';
import type { DrainSwitch } from '../access/drain-switch.js';
import type { Clock } from '../ports/clock.js';
import type { Connection, ConnectionHandler, Handshake } from '../ports/connection.js';
import type { Observer } from '../ports/observer.js';
import type { InboundLimits } from '../ports/settings.js';
import type { Opening, Refusal } from '../ports/transport-host.js';
import type { SessionRegistry } from '../session/registry.js';
import { Session, type SessionDeps } from '../session/session.js';

/** Advice to a client that was refused for lack of room, in milliseconds. */
const RETRY_AFTER_MS = 2_000;

export interface AdmissionDeps {
  readonly sessions: SessionRegistry<Session>;
  readonly sessionDeps: SessionDeps;
  /** Addresses that are refused. */
  readonly addressBans: BanList;
  readonly drain: DrainSwitch;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly settings: { readonly limits: InboundLimits };
}

/** Decides which connections may come, and makes their sessions (P18, G16, G17). */
export class Admission {
  private isOpen = false;

  constructor(private readonly deps: AdmissionDeps) {}

  /** The broker is there: connections may come. */
  open(): void {
    this.isOpen = true;
  }

  get opened(): boolean {
    return this.isOpen;
  }

  /** @returns why a connection may not come now; `undefined` admits it. */
  admit(handshake: Handshake): Refusal | undefined {
    const refusal = this.judge(handshake);
    if (refusal !== undefined) this.deps.observer.onRefusal?.(handshake, 'upgrade', this.closeOf(refusal));
    return refusal;
  }

  /** Makes the session of a connection. */
  accept(connection: Connection, opening: Opening): ConnectionHandler {
    const session = new Session(this.deps.sessionDeps, connection, opening);
    // One that was admitted before may be one too many, or banned, by the time that its upgrade is authenticated.
    const refusal = this.admit(connection.handshake);
    this.deps.sessions.add(session);
    this.deps.observer.onConnectionOpen?.(session.view);
    if (refusal !== undefined) session.close(this.closeOf(refusal), refusal.retryAfterMs);
    return session;
  }

  private judge(handshake: Handshake): Refusal | undefined {
    const { sessions, settings, addressBans, drain, clock } = this.deps;
    if (!this.isOpen || drain.isDraining) {
      return { status: 503, message: 'This node is not taking connections', retryAfterMs: RETRY_AFTER_MS };
    }
    const now = clock.now();
    const ban = addressBans.find(handshake.ip, now);
    if (ban !== undefined) {
      const retryAfterMs = remainingMs(ban, now);
      return { status: 403, message: 'This address is banned', code: 'banned', retryAfterMs };
    }
    if (sessions.size >= settings.limits.maxConnections) {
      return { status: 503, message: 'This node is full', retryAfterMs: RETRY_AFTER_MS };
    }
    if (sessions.connectionsOf(handshake.ip) >= settings.limits.maxConnectionsPerAddress) {
      return { status: 429, message: 'Too many connections from this address', retryAfterMs: RETRY_AFTER_MS };
    }
    return undefined;
  }

  private closeOf({ status }: Refusal): CloseName {
    if (status === 403) return 'banned';
    if (status === 429) return 'too_many_connections';
    return this.deps.drain.isDraining ? 'drain' : 'overloaded';
  }
}
