import { CLOSE_CODES, closeReason, type CloseName } from '../../protocol/close-codes.js';
import type { Encoded } from '../../protocol/codecs/codec.js';
import type { ClientCommand, HelloCommand } from '../../protocol/commands.js';
import type { Position } from '../../protocol/position.js';
import type { RealtimeError } from '../../protocol/realtime-error.js';
import type { CommandValidation } from '../../protocol/validation/validate-command.js';
import { NO_ALLOWANCE, type Allowance } from '../access/allowances.js';
import type { Timed, TimerWheel } from '../async/timer-wheel.js';
import { Outbox, type OutboxSession, type OutboxShared } from '../outbox/outbox.js';
import type { Flow, Holding } from '../outbox/entry.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import {
  ACCEPTED,
  PAUSED,
  type Connection,
  type ConnectionHandler,
  type FrameVerdict,
} from '../ports/connection.js';
import type { Entropy } from '../ports/entropy.js';
import { Overseer, type RealtimeIdentity, type Verified } from '../ports/identity.js';
import type { EngineLogger } from '../ports/logger.js';
import type { MaybePromise } from '../ports/maybe-promise.js';
import type { Outcome } from '../ports/observer.js';
import { RealtimeConnection, type ConnectionListener } from '../ports/realtime-connection.js';
import type { EngineSettings } from '../ports/settings.js';
import type { Opening } from '../ports/transport-host.js';
import { anonymousOf } from '../ports/user-id.js';
import { noRoom, type AnswerSizes } from './answers.js';
import { errorEnvelope, toClientError } from './client-errors.js';
import { SessionChannels } from './channels.js';
import { CommandFlow, type CommandFlowDeps, type FlowSession } from './command-flow.js';
import type { FrameReader, FrameSession } from './frame-reader.js';
import { Heartbeat, type HeartbeatSession } from './heartbeat.js';
import { InboundLimiter, type InboundDeps } from './inbound-limiter.js';
import { requireRetainable, type RetainedMemoryDeps } from './memory.js';
import { PublishLanes } from './publish-lanes.js';
import { ReadingPause } from './reading-pause.js';
import { TokenWatch, type TokenSession } from './token-watch.js';
import type { SessionState, SessionStates } from './session-states.js';
import type { Standing } from './standing.js';
import type { UnparsedFrames } from './unparsed-frames.js';

// Shared, so that an idle session has no objects of its own for what it does not use.
const NO_FEATURES: readonly string[] = [];
const NO_OPENING: Opening = {};

/** When a client that is ended for lack of room may try again, in milliseconds. */
const RETRY_AFTER_MS = 1_000;
type ErrorLane = 'pushData' | 'pushControl';

/** What runs the commands of a session. */
export interface SessionCommands {
  /** `hello`: ends in {@link Session.goLive}, or in the end of the session. */
  greet(session: Session, command: HelloCommand): MaybePromise<void>;
  /** Any other command. It answers itself; what it throws becomes the `error` answer (P7). */
  run(session: Session, command: ClientCommand): MaybePromise<void>;
  /** Takes a session that ended with this code out of its channels. */
  leave(session: Session, code: number): void;
}

/** What the sessions of one engine share. */
export interface SessionDeps extends InboundDeps, CommandFlowDeps, Pick<RetainedMemoryDeps, 'retained'> {
  readonly commands: SessionCommands;
  readonly settings: EngineSettings;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly logger: EngineLogger;
  readonly wheel: TimerWheel;
  readonly outboxes: OutboxShared;
  readonly answers: AnswerSizes;
  readonly frames: FrameReader;
  readonly states: Pick<SessionStates, 'move'>;
  readonly sessions: { remove(session: Session): void };
  readonly rotation: {
    begin(session: Session): Scheduled | undefined;
    end(session: Session): void;
  };
  readonly listeners: ConnectionListener;
  /** Called before queued bytes are written: a proof of the revokes that has expired must be noticed first (G11). */
  readonly beforeWrite: () => void;
}

/**
 * One client: who it is, what it may do, how much it can take. A state machine from `hello` over `live` to closed;
 * the commands themselves live in `commands/`.
 */
export class Session
  implements
    ConnectionHandler,
    HeartbeatSession,
    TokenSession,
    FlowSession,
    OutboxSession,
    FrameSession,
    Timed
{
  readonly id: string;
  readonly outbox: Outbox;
  readonly view: RealtimeConnection;
  readonly connectedAt: number;
  /** As of its handshake. */
  readonly network: string;
  readonly channels = new SessionChannels();
  readonly heartbeat: Heartbeat;
  readonly tokenWatch: TokenWatch;
  readonly reading: ReadingPause;
  readonly flow: CommandFlow;
  readonly inbound: InboundLimiter;
  unparsed: UnparsedFrames | undefined;
  /** Where the limit of connections of its user has it; `undefined` where nothing was asked. */
  standing: Standing | undefined;
  private state: SessionState = 'hello';
  private identity: RealtimeIdentity | undefined;
  private verifiedId: string | undefined;
  /** What came with the handshake, until it is verified: an idle session keeps no more than it must. */
  private unverified: Opening;
  private allowed = NO_ALLOWANCE;
  private agreed = NO_FEATURES;
  private lineageId = '';
  // Made when they are asked for: to make and hash them costs more than to look something up by them.
  private anonymousName: string | undefined;
  private producerName: string | undefined;
  private generationNumber = 0;
  private serialNumber = 0;
  /** Bytes that the node keeps for it for as long as it lives. */
  private retained = 0;
  private closeCode: number | undefined;
  /** Until `welcome` that of `hello`, then that of its age, where connections have a longest one. */
  private lifeTimer: Scheduled | undefined;
  private publishLanes: PublishLanes | undefined;

  constructor(
    private readonly deps: SessionDeps,
    readonly connection: Connection,
    opening: Opening,
  ) {
    this.unverified = opening;
    const { settings, clock, entropy, wheel, outboxes } = deps;
    this.id = entropy.id();
    this.connectedAt = clock.now();
    this.network = connection.handshake.network;
    this.view = new RealtimeConnection(this.id, connection.handshake, this);
    this.outbox = new Outbox(connection, this, outboxes);
    this.outbox.traffic.opened++;
    this.outbox.traffic.open++;
    deps.states.move(undefined, 'hello');
    this.inbound = new InboundLimiter(deps);
    this.reading = new ReadingPause(connection, deps);
    this.flow = new CommandFlow(deps, this, this.inbound);
    this.tokenWatch = new TokenWatch(deps, this);
    this.heartbeat = new Heartbeat(wheel, settings.heartbeat, this);
    this.lifeTimer = wheel.schedule(settings.helloTimeoutMs, this);
  }

  /** Who the client was verified to be; `undefined` for an anonymous one. */
  get user(): RealtimeIdentity | undefined {
    return this.identity;
  }

  /** The id of that user. */
  get userId(): string | undefined {
    return this.verifiedId;
  }

  get opening(): Opening {
    return this.unverified;
  }

  /** Optional features that both sides named (P22). */
  get features(): readonly string[] {
    return this.agreed;
  }

  /** Names the session through all its connections (P28). */
  get lineage(): string {
    return this.lineageId;
  }

  /** Counts these connections. */
  get generation(): number {
    return this.generationNumber;
  }

  /** Counts the sessions of this process, from 1 on. */
  get serial(): number {
    return this.serialNumber;
  }

  /** Called once, when it is registered. */
  number(serial: number): void {
    this.serialNumber = serial;
  }

  /** The close code that it ended with; `undefined` while it is open. */
  get closedWith(): number | undefined {
    return this.closeCode;
  }

  get isLive(): boolean {
    return this.state === 'live';
  }

  get awaitsHello(): boolean {
    return this.state === 'hello';
  }

  get isClosed(): boolean {
    return this.state === 'closed';
  }

  /** Whether the client waits for the answer of a command; never before `welcome`. */
  get isAnswering(): boolean {
    return this.isLive && this.reading.inFlight > 0;
  }

  /** Whom limits over several connections count: the user, or the address of an anonymous client. */
  get client(): string {
    return this.verifiedId ?? (this.anonymousName ??= anonymousOf(this.network));
  }

  /** Keeps publishes in order; made at the first one, as most connections never publish. */
  get lanes(): PublishLanes {
    return (this.publishLanes ??= new PublishLanes());
  }

  /** In whose name the ids of this session's publishes are unique (P15). */
  get producer(): string {
    return (this.producerName ??= this.userId === undefined ? `s:${this.lineage}` : `u:${this.userId}`);
  }

  /** Whether the application itself looks on: nobody is asked, and nobody notices. */
  get oversees(): boolean {
    return this.identity instanceof Overseer;
  }

  /** Takes over a verified credential: in `hello`, and again in every `auth` (G12). */
  identify(authentication: Verified, token: string | undefined): void {
    this.identity = authentication.user;
    this.verifiedId = authentication.user?.id;
    this.producerName = undefined;
    // What a guard changed in place, as on an HTTP request, is over.
    this.view.verified();
    this.unverified = NO_OPENING;
    this.tokenWatch.follow(authentication);
    if (token !== undefined) this.view.setToken(token);
  }

  /** What its user may beside what everybody may. */
  get allowance(): Allowance {
    return this.allowed;
  }

  allow(allowance: Allowance): void {
    this.allowed = allowance;
    this.inbound.allow(allowance);
  }

  agreeOn(features: readonly string[]): void {
    this.agreed = features;
  }

  continueLineage(lineage: string, generation: number): void {
    this.lineageId = lineage;
    this.producerName = undefined;
    this.generationNumber = generation;
  }

  /**
   * Counts what the node keeps for this connection from now on.
   *
   * @param bytes negative for what it no longer keeps.
   * @throws RealtimeError `rate_limited`, as {@link requireRetainable}; nothing is counted then.
   */
  retain(bytes: number): void {
    if (bytes > 0) requireRetainable(this.deps, this, this.retained, bytes);
    // -0 would make V8 keep a field as an object of its own.
    if (this.isClosed || bytes === 0) return;
    this.retained += bytes;
    this.deps.retained.change(this.client, bytes);
  }

  onFrame(frame: Encoded, size?: number): FrameVerdict {
    if (!this.isClosed) {
      this.heartbeat.received();
      this.deps.frames.read(this, frame, size);
    }
    if (this.closeCode !== undefined) return { outcome: 'refused', code: this.closeCode };
    return this.reading.isPaused ? PAUSED : ACCEPTED;
  }

  onPart(): void {
    this.deps.frames.part(this);
  }

  onMuch(bytes: number, read: () => void): boolean {
    return this.deps.frames.much(this, bytes, read);
  }

  positions(): ReadonlyMap<string, Position> {
    return this.channels.positions(this.outbox.positions());
  }

  onDrain(): void {
    this.deps.beforeWrite();
    this.outbox.onDrain();
  }

  /** Ends the session on this side, whichever side closed. */
  onClose(code: number): void {
    if (!this.isClosed) this.end(code, 'client');
    this.outbox.gone();
  }

  private enter(state: SessionState): void {
    this.deps.states.move(this.state, state);
    this.state = state;
  }

  private end(code: number, by: 'node' | 'client'): void {
    const wasLive = this.isLive;
    // What is given back later was given back here.
    this.retain(-this.retained);
    this.enter('closed');
    this.outbox.traffic.open--;
    this.closeCode = code;
    this.lifeTimer?.cancel();
    this.heartbeat.stop();
    this.tokenWatch.stop();
    this.reading.stop();
    this.unparsed?.end();
    this.unparsed = undefined;
    this.flow.clear();
    this.outbox.close();
    this.deps.sessions.remove(this);
    this.deps.commands.leave(this, code);
    this.deps.watch?.closed(this.view);
    this.deps.observer.onConnectionClose?.(this.view, code, by);
    if (wasLive) this.deps.listeners.closed(this.view, code);
  }

  sendPing(): void {
    const { clock, entropy } = this.deps;
    this.inbound.expectPong();
    this.outbox.pushControl({ type: 'ping', id: entropy.id(), ts: clock.now() });
  }

  /** The time for `hello` has passed, or it is old. */
  onTimer(): void {
    if (this.isLive) this.deps.rotation.end(this);
    else if (this.state === 'hello') this.endUngreeted();
    else if (this.state === 'authenticating') this.close('internal');
  }

  /** `hello` did not come in time, or the node had no time to read it: then the client is not to blame. */
  private endUngreeted(): void {
    if (this.reading.isPaused || this.unparsed?.next !== undefined) this.close('overloaded', RETRY_AFTER_MS);
    else this.close('protocol_error');
  }

  requireAuth(withinMs: number): void {
    this.outbox.pushControl({ type: 'auth_required', ts: this.deps.clock.now(), payload: { withinMs } });
  }

  /**
   * Answers a command in the channel lane.
   *
   * @param handler that made the answer, for the log.
   * @param flow what it is withdrawn with.
   * @returns the bytes of the answer, for {@link chargeAnswer}.
   * @throws RealtimeError `message_too_large` for an answer of a handler above `limits.maxAnswerBytes`; nothing was queued then.
   */
  reply(ref: string, payload: unknown, handler?: string, flow?: Flow): number {
    const bytes = this.deps.answers.encode(this.outbox, ref, payload, handler);
    if (!this.outbox.pushAnswer(bytes, ref, flow)) this.close('slow_consumer');
    this.answered(ref, 'ok');
    return bytes.length;
  }

  /**
   * Answers a command that only reads, and can be sent again.
   *
   * @param flow the subscription that it is dropped with.
   * @param holds what it has that can be erased.
   * @throws RealtimeError as {@link reply}, and `rate_limited` where so much waits for the client already that there is no room
   * for it; nothing was queued then.
   */
  replyRead(
    ref: string,
    payload: unknown,
    flow: Flow | undefined,
    handler?: string,
    holds?: Holding,
  ): number {
    const bytes = this.deps.answers.encode(this.outbox, ref, payload, handler);
    if (!this.outbox.pushAnswer(bytes, ref, flow, holds)) throw noRoom();
    this.answered(ref, 'ok');
    return bytes.length;
  }

  /** Answers a command in the connection lane (P24). */
  replyControl(ref: string, payload: unknown): void {
    this.outbox.pushControl({ type: 'reply', ref, ts: this.deps.clock.now(), payload });
    this.answered(ref, 'ok');
  }

  /** Answers a command with an error, as {@link toClientError} has it. */
  fail(ref: string | undefined, error: unknown, lane: ErrorLane = 'pushData'): void {
    this.answered(ref, this.sendError(ref, error, lane));
  }

  /** Called with each answer to a command; the methods above call it themselves. */
  answered(ref: string | undefined, outcome: Outcome | undefined): void {
    if (ref !== undefined && outcome !== undefined) this.deps.watch?.end(this.view, ref, outcome);
  }

  /** Called after `welcome`. */
  goLive(): void {
    this.enter('live');
    this.lifeTimer?.cancel();
    this.lifeTimer = this.deps.rotation.begin(this);
    if (this.connection.oneWay !== true) this.heartbeat.start(this.deps.entropy.random());
    this.deps.listeners.opened(this.view);
    this.deps.frames.welcome(this);
  }

  execute(command: ClientCommand): MaybePromise<void> {
    return this.deps.commands.run(this, command);
  }

  /** More frames than allowed came, whether or not they hold commands (G16). @param waitMs until they are paid. */
  onExcess(waitMs: number): void {
    if (!this.isClosed) this.inbound.onExcess(waitMs, this);
  }

  /**
   * Charges the client for an answer that costs more than its command (G16): a page of history or of members, a snapshot, the
   * reply to a request, an error. Called once the answer is encoded. What a client missed is no abuse: replayed events are not charged.
   *
   * @param bytes of the answer, as it is sent.
   */
  chargeAnswer(bytes: number): void {
    if (!this.isClosed) this.inbound.chargeAnswer(bytes, this);
  }

  /**
   * Charges the client for a message to so many subscribers of this node, in commands. Never more than half a burst, so that
   * even in the largest channel a client that does little else can send one.
   */
  chargeDeliveries(subscribers: number): void {
    this.inbound.chargeDeliveries(subscribers, this);
  }

  /** Channels that a client has to subscribe to when it continues the session elsewhere. */
  get heldChannels(): number {
    return this.channels.size + this.inbound.unusedResume;
  }

  /** The session continues one that held this many channels: to subscribe to them again is free. */
  allowResume(channels: number): void {
    this.inbound.allowResume(channels, this);
  }

  onRepeat(bytes: number, isRefusable: boolean): number {
    if (this.isClosed) return 0;
    const waitMs = isRefusable ? this.inbound.answerWaitMs(this) : 0;
    if (waitMs === 0) this.chargeAnswer(bytes);
    return waitMs;
  }

  /** Others need the memory that what came before `welcome` takes. */
  shed(): void {
    this.close('overloaded', RETRY_AFTER_MS);
  }

  /** Flushes what waits, ends the session at once on this side, and tells the client why in a close frame. */
  close(name: CloseName, retryAfterMs = 0): void {
    if (this.isClosed) return;
    this.outbox.flush();
    this.connection.onEnding?.();
    const { code } = CLOSE_CODES[name];
    this.end(code, 'node');
    this.connection.close(code, closeReason(name, retryAfterMs));
  }

  greet(first: CommandValidation): void {
    // Anything but `hello` comes from no client of this protocol: it gets no answer (P3).
    if (!('command' in first) || first.command.type !== 'hello') return this.close('protocol_error');
    const { command } = first;
    const { turns, watch, commands } = this.deps;
    this.enter('authenticating');
    this.deps.frames.defer(this);
    const observed = watch?.start(this.view, command, this.deps.clock.monotonic());
    const greet = (): MaybePromise<void> => commands.greet(this, command);
    const onTurn = (): void => {
      if (!this.isClosed) this.flow.track(watch ? watch.within(observed, greet) : greet(), command.id);
    };
    if (!turns.isOver(false)) onTurn();
    else if (!turns.add({ owner: this, isRead: false, onTurn })) this.close('overloaded', RETRY_AFTER_MS);
  }

  refuse(ref: string | undefined, error: RealtimeError): void {
    // That this node had no time for it costs its client nothing.
    this.sendError(ref, error, 'pushData', error.code !== 'unavailable');
  }

  /**
   * Asked when the work of a command that costs much begins after a wait.
   *
   * @throws RealtimeError `rate_limited` for a client whose answers so far were too many bytes (G16).
   */
  requirePaid(type: ClientCommand['type']): void {
    const refusal = this.inbound.refuseInDebt(type, this);
    if (refusal !== undefined) throw refusal;
  }

  /** What a client may learn of an error (G25): unless it is a `RealtimeError`, only the id under which it is logged. */
  toClientError(error: unknown): RealtimeError {
    return toClientError(error, this.view.about, this.deps);
  }

  /** @returns the code that was sent; `undefined` when the session is closed. */
  private sendError(ref: string | undefined, error: unknown, lane: ErrorLane = 'pushData', isCharged = true) {
    if (this.isClosed) return undefined;
    const known = this.toClientError(error);
    try {
      const bytes = this.outbox[lane](errorEnvelope(ref, known, this.deps.clock));
      // A refusal for what answers cost must not put off its own end.
      if (isCharged && known.code !== 'rate_limited') this.chargeAnswer(bytes);
      return known.code;
    } catch (cause) {
      // Message and `details` are the application's. Nobody catches what this method throws, so it would end the process.
      const problem = new Error(`An error "${known.code}" of the application cannot be sent`, { cause });
      this.outbox[lane](errorEnvelope(ref, this.toClientError(problem), this.deps.clock));
      return 'internal';
    }
  }
}
