import type { ClientCommandType } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { noTurnInTime, tooMuchWaits, type TurnClient, type Turns, type WaitingWork } from '../async/turns.js';
import type { Timed, TimerWheel } from '../async/timer-wheel.js';
import type { Clock } from '../ports/clock.js';
import type { EngineSettings } from '../ports/settings.js';
import type { CommandValidation } from '../../protocol/validation/validate-command.js';
import type { ReadingPause } from './reading-pause.js';
import type { WaitingBytes } from './waiting-bytes.js';

/** When a client whose commands find no room may try again, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

/** More commands than this, or bytes of them, that wait for a turn of the event loop: reading pauses. */
const HOLD_COMMANDS = 32;
const HOLD_BYTES = 256 * 1024;
/** Commands that read what may be large. */
const READS: ReadonlySet<ClientCommandType> = new Set<ClientCommandType>(['history', 'presence', 'snapshot']);

/** One envelope of a client, as it came. */
export interface Received {
  readonly validation: CommandValidation;
  /** Bytes that it takes of the memory, parsed as it is. */
  readonly weight: number;
  /** Bytes of its frame when they exceeded the rate, else 0. */
  readonly overBytes: number;
}

/** A command that waits for its turn. */
export interface WaitingCommand {
  readonly received: Received;
  /** Monotonic time at which it came. */
  readonly receivedAt: number;
  /** Whether it is counted already. */
  readonly isAdmitted: boolean;
}

/** Whether an envelope asks to read what may be large: it waits behind everything else. */
export function isRead({ validation }: Received): boolean {
  return 'command' in validation && READS.has(validation.command.type);
}

export interface BacklogDeps {
  readonly clock: Clock;
  readonly settings: Pick<EngineSettings, 'limits' | 'handlerTimeoutMs'>;
  readonly turns: Turns;
  readonly wheel: Pick<TimerWheel, 'schedule'>;
  /** What commands hold on all connections. */
  readonly waiting: WaitingBytes;
}

/** The session whose commands wait. */
export interface BacklogSession extends TurnClient {
  readonly isLive: boolean;
  readonly reading: Pick<ReadingPause, 'inFlight' | 'holdForTurn' | 'endHoldForTurn'>;
  /** Runs a command that waited, and gives back the bytes that it holds. */
  start(waiting: WaitingCommand): void;
  /** Answers one that finds no room, or has waited for as long as a handler may run. */
  refuse(received: Received, error: RealtimeError): void;
  /** Nothing has waited for some time: the backlog may be dropped. */
  onIdle(): void;
}

/**
 * Commands of one connection that wait, in their order, because `maxInFlight` others run, or because this turn of the event
 * loop took long enough (G16). Bounded in number, bytes and time: a handler that never ends must not keep the commands behind it
 * for ever.
 */
export class CommandBacklog implements WaitingWork, Timed {
  private readonly waiting: WaitingCommand[] = [];
  private bytes = 0;
  private hasTimer = false;
  private awaitsTurn = false;

  constructor(
    private readonly deps: BacklogDeps,
    readonly owner: BacklogSession,
  ) {}

  get length(): number {
    return this.waiting.length;
  }

  get isRead(): boolean {
    const [oldest] = this.waiting;
    return oldest !== undefined && isRead(oldest.received);
  }

  push(waiting: WaitingCommand): void {
    const { maxQueuedCommands, maxQueuedBytes } = this.deps.settings.limits;
    const { received } = waiting;
    if (this.waiting.length >= maxQueuedCommands || this.bytes + received.weight > maxQueuedBytes) {
      const advice = { retryAfterMs: RETRY_AFTER_MS };
      const error = new RealtimeError('rate_limited', 'Too many commands wait on this connection', advice);
      return this.owner.refuse(received, error);
    }
    if (!this.deps.waiting.take(this.owner.client, received.weight))
      return this.owner.refuse(received, tooMuchWaits());
    this.waiting.push(waiting);
    this.bytes += received.weight;
    this.arm();
    this.awaitTurn();
  }

  /** Called when a command is done: starts the next ones while there is room and time for them. */
  startNext(): void {
    const { turns } = this.deps;
    while (this.canStart && !this.awaitsTurn) {
      if (turns.isOver(this.isRead)) return this.awaitTurn();
      this.startOne();
    }
  }

  /** A turn of the event loop is this connection's. */
  onTurn(): void {
    this.awaitsTurn = false;
    if (this.canStart) this.startOne();
    this.awaitTurn();
  }

  /** Drops everything: nobody waits for an answer any more. */
  clear(): void {
    this.waiting.length = 0;
    this.deps.waiting.give(this.owner.client, this.bytes);
    this.bytes = 0;
  }

  private get canStart(): boolean {
    const { isLive, reading } = this.owner;
    return isLive && this.waiting.length > 0 && reading.inFlight < this.deps.settings.limits.maxInFlight;
  }

  private startOne(): void {
    const next = this.shift();
    if (next !== undefined) this.owner.start(next);
  }

  /** Asks for a turn, if one is what it waits for; reading pauses while that is much. */
  private awaitTurn(): void {
    const { reading } = this.owner;
    this.awaitsTurn ||= this.canStart && this.deps.turns.add(this);
    // Its client has as much waiting on other connections as it may.
    while (!this.awaitsTurn && this.canStart) this.refuseOldest(tooMuchWaits());
    const isMuch = this.waiting.length > HOLD_COMMANDS || this.bytes > HOLD_BYTES;
    if (this.awaitsTurn && isMuch) reading.holdForTurn();
    else reading.endHoldForTurn();
  }

  private shift(): WaitingCommand | undefined {
    const next = this.waiting.shift();
    if (next !== undefined) this.bytes -= next.received.weight;
    return next;
  }

  /** The time of the oldest may be over. */
  onTimer(): void {
    this.hasTimer = false;
    this.expire();
    this.arm();
    if (!this.hasTimer && !this.awaitsTurn) this.owner.onIdle();
  }

  /** One timer: all wait equally long. What waits no longer leaves it running: under load the next one comes before it ends. */
  private arm(): void {
    const [oldest] = this.waiting;
    if (this.hasTimer || oldest === undefined) return;
    const { clock, settings, wheel } = this.deps;
    const leftMs = oldest.receivedAt + settings.handlerTimeoutMs - clock.monotonic();
    this.hasTimer = true;
    wheel.schedule(Math.max(0, leftMs), this);
  }

  private expire(): void {
    const { clock, settings } = this.deps;
    const before = clock.monotonic() - settings.handlerTimeoutMs;
    for (;;) {
      const [oldest] = this.waiting;
      if (oldest === undefined || oldest.receivedAt > before) return;
      this.refuseOldest(this.awaitsTurn ? noTurnInTime() : tooLate());
    }
  }

  private refuseOldest(error: RealtimeError): void {
    const oldest = this.shift();
    if (oldest === undefined) return;
    this.deps.waiting.give(this.owner.client, oldest.received.weight);
    this.owner.refuse(oldest.received, error);
  }
}

function tooLate(): RealtimeError {
  return new RealtimeError('timeout', 'It waited too long for the commands before it');
}
