import { CLOSE_CODES, closeReason, type CloseName } from '../../protocol/close-codes.js';
import { FrameError, type Encoded } from '../../protocol/codecs/codec.js';
import type { ClientCommand, HelloCommand } from '../../protocol/commands.js';
import type { ErrorCode } from '../../protocol/error-codes.js';
import type { Envelope } from '../../protocol/envelope.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { validateCommand } from '../../protocol/validation/validate-command.js';
import type { Timed, TimerWheel } from '../async/timer-wheel.js';
import type { ChannelMatch } from '../channel/registry.js';
import { Outbox, type OutboxOwner, type OutboxShared } from '../outbox/outbox.js';
import type { Flow } from '../outbox/queue.js';
import type { HandlerCall } from '../ports/channel-definition.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import type { Connection, ConnectionHandler } from '../ports/connection.js';
import type { Entropy } from '../ports/entropy.js';
import type { Authentication, RealtimeIdentity } from '../ports/identity.js';
import type { EngineLogger } from '../ports/logger.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import {
  RealtimeConnection,
  type ConnectionListener,
  type ConnectionOwner,
} from '../ports/realtime-connection.js';
import type { Outcome } from '../ports/observer.js';
import type { EngineSettings } from '../ports/settings.js';
import type { Opening } from '../ports/transport-host.js';
import { SessionChannels } from './channels.js';
import type { CommandWatch } from './command-watch.js';
import { toRealtimeError } from './errors.js';
import { Heartbeat, type HeartbeatOwner } from './heartbeat.js';
import { InboundLimiter, type InboundDeps, type InboundOwner } from './inbound-limiter.js';
import { PublishLanes } from './publish-lanes.js';
import { ReadingPause } from './reading-pause.js';
import { TokenWatch, type TokenWatchOwner } from './token-watch.js';

/** Shared: most fields of an idle session cost nothing of its own. */
const NONE: readonly string[] = [];

/** A command that is answered with an error without being looked at further. */
interface Refused {
  readonly ref: string | undefined;
  readonly error: RealtimeError;
}

/** What runs the commands of a session. */
export interface SessionCommands {
  /** `hello`: ends in {@link Session.goLive}, or in the end of the session. */
  greet(session: Session, command: HelloCommand): MaybePromise<void>;
  /** Any other command. It answers itself, or throws what becomes the `error` answer (P7). */
  run(session: Session, command: ClientCommand): MaybePromise<void>;
  /** Takes a session that ended with this code out of its channels. */
  leave(session: Session, code: number): void;
}

/** What the sessions of one engine share. */
export interface SessionDeps extends InboundDeps {
  readonly commands: SessionCommands;
  /** There where an observer is to know of commands. */
  readonly watch: CommandWatch | undefined;
  readonly settings: EngineSettings;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly logger: EngineLogger;
  readonly wheel: TimerWheel;
  readonly outboxes: OutboxShared;
  readonly sessions: { remove(session: Session): void };
  readonly listeners: ReadonlySet<ConnectionListener>;
  /** Called before what was queued is written: revokes that came late must be noticed first (G11). */
  readonly beforeWrite: () => void;
}

const JUDGED: Opening = {};

type State = 'hello' | 'authenticating' | 'live' | 'closed';

/**
 * One client: who it is, what it may do, how much it can take. A state machine from `hello` over `live` to closed;
 * the commands themselves live in `commands/`.
 */
export class Session
  implements
    ConnectionHandler,
    ConnectionOwner,
    OutboxOwner,
    HeartbeatOwner,
    TokenWatchOwner,
    InboundOwner,
    Timed
{
  readonly id: string;
  readonly outbox: Outbox;
  readonly view: RealtimeConnection;
  readonly connectedAt: number;
  readonly channels = new SessionChannels();
  readonly heartbeat: Heartbeat;
  readonly tokenWatch: TokenWatch;
  readonly reading: ReadingPause;
  private state: State = 'hello';
  private readonly inbound: InboundLimiter;
  private identity: RealtimeIdentity | undefined;
  /** What came with the upgrade; nothing once it was judged, for an idle session keeps no more than it must. */
  private unjudged: Opening;
  private agreed = NONE;
  private lineageId = '';
  private generationNumber = 0;
  private closeCode: number | undefined;
  /** Commands that came before `welcome`. */
  private waiting: (ClientCommand | Refused)[] | undefined;
  private helloTimer: Scheduled | undefined;
  private inFlight = 0;
  private publishLanes: PublishLanes | undefined;
  private transportClosed = false;

  constructor(
    private readonly deps: SessionDeps,
    readonly connection: Connection,
    opening: Opening,
  ) {
    this.unjudged = opening;
    const { settings, clock, entropy, wheel, outboxes } = deps;
    this.id = entropy.id();
    this.connectedAt = clock.now();
    this.view = new RealtimeConnection(this.id, connection.handshake, this);
    this.outbox = new Outbox(connection, this, outboxes);
    this.inbound = new InboundLimiter(deps, connection.handshake.ip);
    this.reading = new ReadingPause(connection, clock);
    this.tokenWatch = new TokenWatch(deps, this);
    this.heartbeat = new Heartbeat(wheel, settings.heartbeat, this);
    this.helloTimer = wheel.schedule(settings.helloTimeoutMs, this);
  }

  /** Who the client was verified to be; `undefined` for an anonymous one. */
  get user(): RealtimeIdentity | undefined {
    return this.identity;
  }

  get opening(): Opening {
    return this.unjudged;
  }

  /** Optional features that both sides named (P22). */
  get features(): readonly string[] {
    return this.agreed;
  }

  /** What connections of one client that follow one another have in common (P28). */
  get lineage(): string {
    return this.lineageId;
  }

  /** Which of them this one is. */
  get generation(): number {
    return this.generationNumber;
  }

  /** The code that it ended with; `undefined` before. */
  get closedWith(): number | undefined {
    return this.closeCode;
  }

  get isLive(): boolean {
    return this.state === 'live';
  }

  get isClosed(): boolean {
    return this.state === 'closed';
  }

  /** Whether commands are under way that the client waits for; never before `welcome`. */
  get isAnswering(): boolean {
    return this.isLive && this.inFlight > 0;
  }

  /** Keeps publishes in order; there from the first one on, as most connections never publish. */
  get lanes(): PublishLanes {
    return (this.publishLanes ??= new PublishLanes());
  }

  /** Who is responsible for ids of this session's publishes (P15). */
  get producer(): string {
    return this.user === undefined ? `s:${this.lineage}` : `u:${this.user.id}`;
  }

  /** The member that this session's presence counts for (G19). */
  get member(): string {
    return this.user?.id ?? this.lineage;
  }

  /** Takes over a verified credential: in `hello`, and again in every `auth` (G12). */
  identify(authentication: Authentication, token: string | undefined): void {
    this.identity = authentication.user;
    this.view.user = authentication.user;
    this.unjudged = JUDGED;
    this.tokenWatch.follow(authentication);
    if (token !== undefined) this.view.setToken(token);
  }

  agreeOn(features: readonly string[]): void {
    this.agreed = features;
  }

  continueLineage(lineage: string, generation: number): void {
    this.lineageId = lineage;
    this.generationNumber = generation;
  }

  onFrame(frame: Encoded, size?: number): void {
    if (this.isClosed) return;
    this.heartbeat.received();
    const { settings, clock } = this.deps;
    const { limits } = settings;
    const bytes = size ?? (typeof frame === 'string' ? Buffer.byteLength(frame) : frame.length);
    if (bytes > limits.maxFrameBytes) return this.close('message_too_large');
    let values: unknown[];
    try {
      values = this.connection.variant.codec.decode(frame, limits);
    } catch (error) {
      return this.close(error instanceof FrameError ? error.close : 'protocol_error');
    }
    const now = clock.monotonic();
    this.inbound.countBytes(bytes, now);
    for (const value of values) {
      this.onEnvelope(value, now);
      if (this.isClosed) return;
    }
  }

  onDrain(): void {
    this.deps.beforeWrite();
    this.outbox.onDrain();
  }

  onClose(code: number): void {
    if (this.transportClosed) return;
    this.transportClosed = true;
    this.end(code);
  }

  get sentStamp(): number {
    return this.outbox.sentStamp;
  }

  sendPing(): void {
    const { clock, entropy } = this.deps;
    this.outbox.pushControl({ type: 'ping', id: entropy.id(), ts: clock.now() });
  }

  onHeartbeatTimeout(): void {
    // A client that we do not read from cannot answer: its silence proves nothing.
    if (this.reading.isPaused) this.heartbeat.received();
    else this.close('heartbeat_timeout');
  }

  /** The time for `hello` is over. */
  onTimer(): void {
    if (this.state === 'hello') this.close('protocol_error');
    else if (this.state === 'authenticating') this.close('internal');
  }

  onTokenExpired(): void {
    this.close('token_expired');
  }

  requireAuth(withinMs: number): void {
    this.outbox.pushControl({ type: 'auth_required', ts: this.deps.clock.now(), payload: { withinMs } });
  }

  onRateAbuse(retryAfterMs: number): void {
    this.close('rate_abuse', retryAfterMs);
  }

  onFailed(): void {
    this.close('internal');
  }

  kick(): void {
    this.close('kicked');
  }

  onSlowConsumer(): void {
    this.close('slow_consumer');
  }

  /** What handlers of the application are given. */
  call(
    match: Pick<ChannelMatch, 'channel' | 'params'>,
    id: string,
    event: string,
    payload: unknown,
  ): HandlerCall {
    return {
      connection: this.view,
      user: this.user,
      channel: match.channel,
      params: match.params,
      id,
      event,
      payload,
    };
  }

  /** Answers a command in the channel lane. */
  reply(ref: string, payload: unknown, flow?: Flow): void {
    this.outbox.pushData({ type: 'reply', ref, ts: this.deps.clock.now(), payload }, flow);
    this.answered(ref, 'ok');
  }

  /** Answers a command in the connection lane (P24). */
  replyControl(ref: string, payload: unknown): void {
    this.outbox.pushControl({ type: 'reply', ref, ts: this.deps.clock.now(), payload });
    this.answered(ref, 'ok');
  }

  /** Answers a command with an error; everything that is not meant for clients becomes `internal` (G25). */
  fail(ref: string | undefined, error: unknown): void {
    this.answered(
      ref,
      this.sendError(ref, error, (envelope) => this.outbox.pushData(envelope)),
    );
  }

  /** The same in the connection lane, for the commands that are answered there (P24). */
  failControl(ref: string, error: unknown): void {
    this.answered(
      ref,
      this.sendError(ref, error, (envelope) => this.outbox.pushControl(envelope)),
    );
  }

  /** Called with each answer to a command; those above do it themselves. */
  answered(ref: string | undefined, outcome: Outcome | undefined): void {
    if (ref !== undefined && outcome !== undefined) this.deps.watch?.end(this.view, ref, outcome);
  }

  /** From `welcome` on: runs what waited for it, in the order it came (P3). */
  goLive(): void {
    this.state = 'live';
    this.helloTimer?.cancel();
    this.helloTimer = undefined;
    this.heartbeat.start(this.deps.entropy.random());
    for (const listener of this.deps.listeners) listener.opened(this.view);
    const { waiting } = this;
    this.waiting = undefined;
    for (const command of waiting ?? []) {
      if (!this.isLive) return;
      this.run(command);
    }
  }

  /** Says why in a close frame, flushes what waits, and ends the session at once on this side. */
  close(name: CloseName, retryAfterMs = 0): void {
    if (this.isClosed) return;
    this.outbox.flush();
    const { code } = CLOSE_CODES[name];
    this.end(code);
    this.connection.close(code, closeReason(name, retryAfterMs));
  }

  private onEnvelope(value: unknown, now: number): void {
    const validation = validateCommand(value);
    if (this.state === 'hello') {
      // Before `welcome` a client has said nothing that deserves a friendly answer (P3).
      if (!('command' in validation) || validation.command.type !== 'hello')
        return this.close('protocol_error');
      return this.startHello(validation.command);
    }
    const type = 'command' in validation ? validation.command.type : undefined;
    const refusal = this.inbound.admit(type, this, now);
    if (this.isClosed) return;
    if (refusal !== undefined) {
      const ref = 'command' in validation ? (validation.command as { id?: string }).id : validation.ref;
      return this.runOrQueue({ ref, error: refusal });
    }
    if ('command' in validation) return this.runOrQueue(validation.command);
    const { ref, message, details } = validation;
    this.runOrQueue({ ref, error: new RealtimeError('bad_request', message, { details }) });
  }

  /** Acts on a command at once, or behind `welcome`; so with one that is refused, whose answer must not come before it. */
  private runOrQueue(command: ClientCommand | Refused): void {
    if (this.state === 'live') return this.run(command);
    this.waiting ??= [];
    if (this.waiting.length >= this.deps.settings.limits.maxEnvelopesPerFrame)
      return this.close('protocol_error');
    this.waiting.push(command);
  }

  private run(command: ClientCommand | Refused): void {
    if ('error' in command) {
      // Not `fail`: a command of the same id may be under way, which this does not answer.
      this.sendError(command.ref, command.error, (envelope) => this.outbox.pushData(envelope));
    } else this.dispatch(command);
  }

  private startHello(command: HelloCommand): void {
    this.state = 'authenticating';
    this.deps.watch?.start(this.view, command);
    this.track(this.deps.commands.greet(this, command), command.id);
  }

  private dispatch(command: ClientCommand): void {
    const ref = command.type === 'pong' ? undefined : command.id;
    this.deps.watch?.start(this.view, command);
    try {
      const result = this.deps.commands.run(this, command);
      if (isPromise(result)) this.track(result, ref);
    } catch (error) {
      this.fail(ref, error);
    }
  }

  /** Follows a command that is under way; at the bound, reading pauses until some are done (G16). */
  track(work: MaybePromise<void>, ref: string | undefined): void {
    if (!isPromise(work)) return;
    const { maxInFlight } = this.deps.settings.limits;
    this.inFlight++;
    if (this.inFlight >= maxInFlight) this.reading.pause('in_flight');
    const done = (): void => {
      this.inFlight--;
      if (this.inFlight <= maxInFlight / 2) this.reading.resume('in_flight');
    };
    work.then(done, (error: unknown) => {
      done();
      this.fail(ref, error);
    });
  }

  /** @returns the code that was sent; `undefined` when the session is closed. */
  private sendError(
    ref: string | undefined,
    error: unknown,
    push: (envelope: Envelope) => void,
  ): ErrorCode | undefined {
    if (this.isClosed) return undefined;
    const known = toRealtimeError(error, this.deps, this.id);
    try {
      push(this.errorEnvelope(ref, known));
      return known.code;
    } catch (notSerializable) {
      // Its `details` are the application's: nobody waits for this, so what it throws would end the process.
      push(this.errorEnvelope(ref, toRealtimeError(notSerializable, this.deps, this.id)));
      return 'internal';
    }
  }

  private errorEnvelope(ref: string | undefined, error: RealtimeError): Envelope {
    const payload = error.toBody();
    return { type: 'error', ts: this.deps.clock.now(), payload, ...(ref === undefined ? {} : { ref }) };
  }

  private end(code: number): void {
    if (this.isClosed) return;
    const wasLive = this.isLive;
    this.state = 'closed';
    this.closeCode = code;
    this.helloTimer?.cancel();
    this.heartbeat.stop();
    this.tokenWatch.stop();
    this.reading.stop();
    this.waiting = undefined;
    this.outbox.close();
    this.deps.sessions.remove(this);
    this.deps.commands.leave(this, code);
    this.deps.watch?.closed(this.view);
    this.deps.observer.onConnectionClose?.(this.view, code);
    if (wasLive) for (const listener of this.deps.listeners) listener.closed(this.view, code);
  }
}
