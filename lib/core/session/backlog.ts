import type { ClientCommand, ClientCommandType } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import type { Clock, Scheduled } from '../ports/clock.js';
import type { EngineSettings } from '../ports/settings.js';

/** When a client whose commands find no room may try again, in milliseconds. */
const RETRY_AFTER_MS = 1_000;

/**
 * Commands that never wait for others: they start no handler of the application, and a connection lives by them. Not `bye`: what
 * was sent before it is still to be done.
 */
export const UNQUEUED: ReadonlySet<ClientCommandType> = new Set<ClientCommandType>(['ping', 'pong', 'auth']);

/** A command that waits for its turn. */
export interface WaitingCommand {
  readonly command: ClientCommand;
  /** What it takes of the memory, roughly. */
  readonly bytes: number;
  /** Monotonic time at which it came. */
  readonly receivedAt: number;
}

export interface BacklogDeps {
  readonly clock: Clock;
  readonly settings: Pick<EngineSettings, 'limits' | 'handlerTimeoutMs'>;
}

/**
 * Commands of one connection that wait, in their order, because `maxInFlight` others run (G16). Bounded in number, bytes and
 * time: a handler that never ends must not keep the commands behind it for ever.
 */
export class CommandBacklog {
  private readonly waiting: WaitingCommand[] = [];
  private bytes = 0;
  private timer: Scheduled | undefined;

  /** @param onRefused called with each command that finds no room, or has waited for as long as a handler may run. */
  constructor(
    private readonly deps: BacklogDeps,
    private readonly onRefused: (command: ClientCommand, error: RealtimeError) => void,
  ) {}

  get length(): number {
    return this.waiting.length;
  }

  push(waiting: WaitingCommand): void {
    const { maxQueuedCommands, maxQueuedBytes } = this.deps.settings.limits;
    if (this.waiting.length >= maxQueuedCommands || this.bytes + waiting.bytes > maxQueuedBytes) {
      const advice = { retryAfterMs: RETRY_AFTER_MS };
      const error = new RealtimeError('rate_limited', 'Too many commands wait on this connection', advice);
      return this.onRefused(waiting.command, error);
    }
    this.waiting.push(waiting);
    this.bytes += waiting.bytes;
    this.arm();
  }

  shift(): WaitingCommand | undefined {
    const next = this.waiting.shift();
    if (next !== undefined) this.bytes -= next.bytes;
    if (this.waiting.length === 0) this.disarm();
    return next;
  }

  /** Drops everything: nobody waits for an answer any more. */
  clear(): void {
    this.waiting.length = 0;
    this.bytes = 0;
    this.disarm();
  }

  /** One timer, for the oldest: all wait equally long. */
  private arm(): void {
    const [oldest] = this.waiting;
    if (this.timer !== undefined || oldest === undefined) return;
    const { clock, settings } = this.deps;
    const leftMs = oldest.receivedAt + settings.handlerTimeoutMs - clock.monotonic();
    this.timer = clock.schedule(Math.max(0, leftMs), () => {
      this.timer = undefined;
      this.expire();
      this.arm();
    });
  }

  private disarm(): void {
    this.timer?.cancel();
    this.timer = undefined;
  }

  private expire(): void {
    const { clock, settings } = this.deps;
    const before = clock.monotonic() - settings.handlerTimeoutMs;
    for (;;) {
      const [oldest] = this.waiting;
      if (oldest === undefined || oldest.receivedAt > before) return;
      this.shift();
      const error = new RealtimeError('timeout', 'It waited too long for the commands before it');
      this.onRefused(oldest.command, error);
    }
  }
}
