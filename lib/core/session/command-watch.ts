import type { ClientCommand } from '../../protocol/commands.js';
import type { Envelope } from '../../protocol/envelope.js';
import type { Clock } from '../ports/clock.js';
import type { ObservedCommand, Observer, Outcome } from '../ports/observer.js';
import type { RealtimeConnection } from '../ports/realtime-connection.js';
import type { EngineTracer } from '../ports/tracer.js';

/** Finds the pattern of a channel's definition. */
type PatternOf = (channel: string) => string | undefined;

interface Running {
  readonly command: ObservedCommand;
  readonly startedAt: number;
}

/** Follows commands from their start to their answer. Made only where an observer, or a tracer, is to know of them. */
export class CommandWatch {
  private readonly running = new Map<RealtimeConnection, Running[]>();

  constructor(
    private readonly observer: Observer,
    private readonly clock: Clock,
    private readonly patternOf: PatternOf,
    private readonly tracer?: Pick<EngineTracer, 'within'>,
  ) {}

  /** @returns the command for {@link within}. */
  start(connection: RealtimeConnection, command: ClientCommand): ObservedCommand | undefined {
    const observed = this.observedOf(command);
    if (observed === undefined) return undefined;
    const commands = this.running.get(connection);
    const started = { command: observed, startedAt: this.clock.monotonic() };
    if (commands === undefined) this.running.set(connection, [started]);
    else commands.push(started);
    this.observer.onCommandStart?.(connection, observed);
    return observed;
  }

  /** Runs the work of a command that was started: what it starts belongs to the command. */
  within<T>(observed: ObservedCommand | undefined, work: () => T): T {
    return this.tracer === undefined || observed === undefined ? work() : this.tracer.within(observed, work);
  }

  /** The first of this id was answered. A client may send a command again while the first is under way. */
  end(connection: RealtimeConnection, ref: string, outcome: Outcome): void {
    const commands = this.running.get(connection);
    const index = commands?.findIndex(({ command }) => command.id === ref) ?? -1;
    for (const ended of commands?.splice(index, index === -1 ? 0 : 1) ?? [])
      this.notify(connection, ended, outcome);
  }

  closed(connection: RealtimeConnection): void {
    const commands = this.running.get(connection) ?? [];
    this.running.delete(connection);
    for (const ended of commands) this.notify(connection, ended, 'closed');
  }

  private notify(
    connection: RealtimeConnection,
    { command, startedAt }: Running,
    outcome: Outcome | 'closed',
  ): void {
    this.observer.onCommandEnd?.(connection, command, outcome, this.clock.monotonic() - startedAt);
  }

  private observedOf(command: ClientCommand): ObservedCommand | undefined {
    if (command.type === 'ping' || command.type === 'pong' || command.type === 'bye') return undefined;
    return new Observed(command, command.type, this.patternOf);
  }
}

class Observed implements ObservedCommand {
  readonly id: string;
  readonly channel: string | undefined;
  readonly event: string | undefined;
  readonly trace: string | undefined;
  readonly #patternOf: PatternOf;

  constructor(
    { id = '', channel, event, trace }: Envelope,
    readonly type: ObservedCommand['type'],
    patternOf: PatternOf,
  ) {
    this.id = id;
    this.channel = channel;
    this.event = event;
    this.trace = trace;
    this.#patternOf = patternOf;
  }

  // Looked up where somebody asks: most observers do not.
  get pattern(): string | undefined {
    return this.channel === undefined ? undefined : this.#patternOf(this.channel);
  }
}
