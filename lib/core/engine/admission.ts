import { CLOSE_CODES, type CloseName } from '../../protocol/close-codes.js';
import type { ConnectRate } from '../access/connect-rate.js';
import type { NodeConnects } from '../access/node-connects.js';
import type { TurnClient } from '../async/turns.js';
import type { DrainSwitch } from '../access/drain-switch.js';
import type { ThrottledLog } from '../async/throttled-log.js';
import type { ErasedListener, Erasures } from '../log/erasures.js';
import type { Clock } from '../ports/clock.js';
import type { Connection, ConnectionHandler, Handshake } from '../ports/connection.js';
import type { Verifications } from '../access/verifications.js';
import type { Credentials, Verified } from '../ports/identity.js';
import { BEHIND_PROXY, clientNetwork } from '../ports/ip-address.js';
import type { LogSubject } from '../ports/logger.js';
import { whenReady, type MaybePromise } from '../ports/maybe-promise.js';
import type { Observer } from '../ports/observer.js';
import type { EngineSettings } from '../ports/settings.js';
import type { EngineTracer } from '../ports/tracer.js';
import { LEAVING, type Opening, type Refusal, type TransportHost } from '../ports/transport-host.js';
import { anonymousOf } from '../ports/user-id.js';
import type { SessionRegistry } from '../session/registry.js';
import { Session, type SessionDeps } from '../session/session.js';

/** Advice to a client that is refused for lack of room, in milliseconds. */
const RETRY_AFTER_MS = 2_000;
/** Refusals that say something of the node, not of the client alone. */
const LOGGED: ReadonlySet<number> = new Set<number>([429, 503]);

export interface AdmissionDeps {
  readonly verifications: Pick<Verifications, 'verify' | 'leave'>;
  readonly sessions: SessionRegistry;
  readonly sessionDeps: SessionDeps;
  readonly unfinished: TransportHost['unfinished'];
  readonly relayed: TransportHost['relayed'];
  readonly erasures: Pick<Erasures, 'listen'>;
  readonly connects: Pick<ConnectRate, 'enter' | 'enterAtOnce' | 'leave'>;
  readonly nodeConnects: Pick<NodeConnects, 'enter' | 'leave'>;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly drain: DrainSwitch;
  readonly nodes: TransportHost['nodes'];
  readonly observer: Observer;
  readonly journal: ThrottledLog;
  /** Absent where nothing is traced. */
  readonly tracer?: EngineTracer | undefined;
  readonly settings: Pick<EngineSettings, 'nodeId' | 'limits'>;
}

/** A client that waits for the turn of the event loop in which its connection is opened. */
class Newcomer implements TurnClient {
  isClosed = false;

  constructor(readonly client: string) {}
}

/** Decides which connections may come, and makes their sessions (P18, G16, G17). */
export class Admission implements TransportHost {
  private opened = false;
  private readonly newcomers = new Map<Handshake, Newcomer>();

  constructor(private readonly deps: AdmissionDeps) {}

  get nodeId(): string {
    return this.deps.settings.nodeId;
  }

  get maxFrameBytes(): number {
    return this.deps.settings.limits.maxFrameBytes;
  }

  get maxFirstBytes(): number {
    const { maxFrameBytes, maxMessageBytes } = this.deps.settings.limits;
    return Math.min(maxFrameBytes, maxMessageBytes);
  }

  get unfinished(): TransportHost['unfinished'] {
    return this.deps.unfinished;
  }

  get relayed(): TransportHost['relayed'] {
    return this.deps.relayed;
  }

  onErased(listener: ErasedListener): void {
    this.deps.erasures.listen(listener);
  }

  get nodes(): TransportHost['nodes'] {
    return this.deps.nodes;
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

  networkOf(ip: string): string {
    return clientNetwork(ip, this.deps.settings.limits.ipv6Prefix);
  }

  onRefused(refusal: Refusal, ip: string): void {
    const { code, status, hint } = refusal;
    this.deps.observer.onRefusal?.('upgrade', code ?? status, ip);
    // Those with a code are the authenticator's, or were logged by who bounds the verifications.
    if (code === undefined && (LOGGED.has(status) || hint !== undefined)) this.log(refusal, ip, status);
  }

  onRequestRefused(status: number, ip: string): void {
    // Never logged: a client has as many requests refused as its rate allows.
    this.deps.observer.onRefusal?.('request', status as Refusal['status'], ip);
  }

  open(connection: Connection, opening: Opening): ConnectionHandler {
    const session = new Session(this.deps.sessionDeps, connection, opening);
    // Asked again: of connections that were admitted together, the last may be above a limit once it is authenticated.
    const refusal = this.judge(connection.handshake);
    this.deps.sessions.add(session);
    this.deps.tracer?.opened(session.view, connection.handshake);
    this.deps.observer.onConnectionOpen?.(session.view);
    if (refusal === undefined) return session;
    const name = this.closeOf(refusal);
    this.log(refusal, session.view.ip, CLOSE_CODES[name].code, session.view.about);
    session.close(name, refusal.retryAfterMs);
    return session;
  }

  admit(handshake: Handshake): Refusal | undefined {
    return this.judge(handshake, this.newcomers.size);
  }

  enter(handshake: Handshake, bytes: number, ticket?: string): MaybePromise<Refusal | undefined> {
    const { connects, nodeConnects, clock } = this.deps;
    const since = clock.monotonic();
    // First its address: what is refused there takes nothing from the others of this node.
    const ofAddress = connects.enter(handshake, bytes);
    const now = whenReady(ofAddress, (late) => late ?? nodeConnects.enter(handshake, bytes, ticket, since));
    const refusal = whenReady(now, (late) => late ?? this.turnOf(handshake));
    // Asked again: while it waited, the node may have filled, or have begun to drain.
    return refusal === undefined ? undefined : whenReady(refusal, (late) => late ?? this.judge(handshake));
  }

  enterAtOnce(sender: Pick<Handshake, 'network'>): Refusal | undefined {
    if (this.deps.sessionDeps.turns.isOver(false))
      return { status: 503, message: 'This node is busy', retryAfterMs: RETRY_AFTER_MS };
    return this.deps.connects.enterAtOnce(sender);
  }

  /** Throws or rejects where too much waits. */
  private turnOf(handshake: Handshake): Promise<undefined> | undefined {
    const newcomer = new Newcomer(anonymousOf(handshake.network));
    const turn = this.deps.sessionDeps.turns.turn(newcomer, false);
    if (turn === undefined) return undefined;
    this.newcomers.set(handshake, newcomer);
    return turn.then(() => void this.newcomers.delete(handshake));
  }

  leave(handshake: Handshake): void {
    const newcomer = this.newcomers.get(handshake);
    if (newcomer !== undefined) newcomer.isClosed = true;
    this.newcomers.delete(handshake);
    this.deps.connects.leave(handshake);
    this.deps.nodeConnects.leave(handshake);
    this.deps.verifications.leave(handshake);
  }

  /** The names of these lines are few: a status, and a hint with fixed numbers. */
  private log({ status, message, hint }: Refusal, ip: string, answer: number, about?: LogSubject): void {
    const more = hint === undefined ? '' : ` (${hint})`;
    this.deps.journal.warn(
      `refused ${status} ${hint}`,
      () => `A connection of address ${ip} was refused with ${answer}: ${message}${more}`,
      about,
    );
  }

  /** @param ahead connections that were admitted and are not open yet. */
  private judge({ network }: Handshake, ahead = 0): Refusal | undefined {
    const { sessions, settings, drain } = this.deps;
    const { maxConnections, maxConnectionsPerAddress } = settings.limits;
    if (drain.isDraining) return LEAVING;
    if (!this.opened) return { ...LEAVING, retryAfterMs: RETRY_AFTER_MS };
    if (sessions.size + ahead >= maxConnections) {
      return {
        status: 503,
        message: 'This node is full',
        retryAfterMs: RETRY_AFTER_MS,
        hint: `limits.maxConnections is ${maxConnections}`,
      };
    }
    if (sessions.connectionsOf(network) >= maxConnectionsPerAddress) {
      return {
        status: 429,
        message: 'Too many connections from this address',
        retryAfterMs: RETRY_AFTER_MS,
        hint: `limits.maxConnectionsPerAddress is ${maxConnectionsPerAddress}. ${BEHIND_PROXY}`,
      };
    }
    return undefined;
  }

  private closeOf({ status }: Refusal): CloseName {
    if (status === 429) return 'too_many_connections';
    return this.deps.drain.isDraining ? 'drain' : 'overloaded';
  }
}
