import { CLOSE_CODES, type CloseName } from '../../protocol/close-codes.js';
import type { SubjectBuckets } from '../access/subject-buckets.js';
import type { DrainSwitch } from '../access/drain-switch.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { Clock } from '../ports/clock.js';
import type { Connection, ConnectionHandler, Handshake } from '../ports/connection.js';
import type { Verifications } from '../access/verifications.js';
import type { Credentials, Verified } from '../ports/identity.js';
import { clientNetwork } from '../ports/ip-address.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import type { Observer } from '../ports/observer.js';
import type { EngineSettings } from '../ports/settings.js';
import type { Opening, Refusal, TransportHost } from '../ports/transport-host.js';
import type { SessionRegistry } from '../session/registry.js';
import { Session, type SessionDeps } from '../session/session.js';

/** Advice to a client that is refused for lack of room, in milliseconds. */
const RETRY_AFTER_MS = 2_000;
/** Refusals that say something of the node, not of the client alone. */
const LOGGED: ReadonlySet<number> = new Set<number>([429, 503]);
const BEHIND_PROXY = 'Behind a proxy, set trustProxy: without it all clients have the address of the proxy';

export interface AdmissionDeps {
  readonly verifications: Pick<Verifications, 'verify'>;
  readonly sessions: SessionRegistry;
  readonly sessionDeps: SessionDeps;
  /** New connections of addresses. */
  readonly connects: SubjectBuckets;
  readonly drain: DrainSwitch;
  readonly clock: Clock;
  readonly observer: Observer;
  readonly journal: ThrottledLog;
  readonly settings: Pick<EngineSettings, 'nodeId' | 'limits'>;
}

/** Decides which connections may come, and makes their sessions (P18, G16, G17). */
export class Admission implements TransportHost {
  private opened = false;

  constructor(private readonly deps: AdmissionDeps) {}

  get nodeId(): string {
    return this.deps.settings.nodeId;
  }

  get maxFrameBytes(): number {
    return this.deps.settings.limits.maxFrameBytes;
  }

  get unfinished(): TransportHost['unfinished'] {
    return this.deps.sessionDeps.unfinished;
  }

  get frames(): TransportHost['frames'] {
    const { framesPerCommand, ratePerSecond, burst, maxChannels } = this.deps.settings.limits;
    // A client that resumes may subscribe to each of its channels in a frame of its own.
    return {
      perSecond: framesPerCommand * ratePerSecond,
      burst: framesPerCommand * burst + 2 * maxChannels,
      control: framesPerCommand,
    };
  }

  /** Whether connections may come, as far as the broker is concerned. */
  get isOpen(): boolean {
    return this.opened;
  }

  /** The broker has started: connections may come. */
  start(): void {
    this.opened = true;
  }

  authenticate(credentials: Credentials): MaybePromise<Verified> {
    return this.deps.verifications.verify(credentials);
  }

  onRefused(refusal: Refusal, ip: string): void {
    const { code, status } = refusal;
    this.deps.observer.onRefusal?.('upgrade', code ?? status, ip);
    if (LOGGED.has(status)) this.log(refusal, ip, status);
  }

  open(connection: Connection, opening: Opening): ConnectionHandler {
    const session = new Session(this.deps.sessionDeps, connection, opening);
    // Asked again: of connections that were admitted together, the last may be above a limit once it is authenticated.
    const refusal = this.judge(connection.handshake);
    this.deps.sessions.add(session);
    this.deps.observer.onConnectionOpen?.(session.view);
    if (refusal === undefined) return session;
    const name = this.closeOf(refusal);
    this.log(refusal, session.ip, CLOSE_CODES[name].code);
    session.close(name, refusal.retryAfterMs);
    return session;
  }

  admit(handshake: Handshake): Refusal | undefined {
    const refusal = this.judge(handshake);
    if (refusal !== undefined) return refusal;
    const { connects, clock, settings } = this.deps;
    const { connectsPerSecond, ipv6Prefix } = settings.limits;
    const address = clientNetwork(handshake.ip, ipv6Prefix);
    const now = clock.monotonic();
    // Also of those that are refused after this: a handshake costs more than what most connections do afterwards.
    if (connects.take(address, 1, now)) return undefined;
    return {
      status: 429,
      message: 'Too many new connections from this address',
      retryAfterMs: Math.max(RETRY_AFTER_MS, connects.waitFor(address, 1, now)),
      hint: `limits.connectsPerSecond is ${connectsPerSecond}. ${BEHIND_PROXY}`,
    };
  }

  /** The names of these lines are few: a status, and a hint with fixed numbers. */
  private log({ status, message, hint }: Refusal, ip: string, answer: number): void {
    const more = hint === undefined ? '' : ` (${hint})`;
    this.deps.journal.warn(
      `refused ${status} ${hint}`,
      () => `A connection of address ${ip} was refused with ${answer}: ${message}${more}`,
    );
  }

  private judge(handshake: Handshake): Refusal | undefined {
    const { sessions, settings, drain } = this.deps;
    const { maxConnections, maxConnectionsPerAddress, ipv6Prefix } = settings.limits;
    if (!this.opened || drain.isDraining) {
      return { status: 503, message: 'This node is not taking connections', retryAfterMs: RETRY_AFTER_MS };
    }
    if (sessions.size >= maxConnections) {
      return {
        status: 503,
        message: 'This node is full',
        retryAfterMs: RETRY_AFTER_MS,
        hint: `limits.maxConnections is ${maxConnections}`,
      };
    }
    if (sessions.connectionsOf(clientNetwork(handshake.ip, ipv6Prefix)) >= maxConnectionsPerAddress) {
      return {
        status: 429,
        message: 'Too many connections from this address',
        retryAfterMs: RETRY_AFTER_MS,
        hint: `limits.maxConnectionsPerAddress is ${maxConnectionsPerAddress}. ${BEHIND_PROXY}`,
      };
    }
    return undefined;
  }

  locate(connectionId: string): string | undefined {
    return this.deps.sessions.has(connectionId) ? this.nodeId : undefined;
  }

  private closeOf({ status }: Refusal): CloseName {
    if (status === 429) return 'too_many_connections';
    return this.deps.drain.isDraining ? 'drain' : 'overloaded';
  }
}
