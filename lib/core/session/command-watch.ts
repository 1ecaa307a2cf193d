import type { ClientCommand } from '../../protocol/commands.js';
import type { Envelope } from '../../protocol/envelope.js';
import type { Clock } from '../ports/clock.js';
import type { ObservedCommand, Observer, Outcome } from '../ports/observer.js';
import type { RealtimeConnection } from '../ports/realtime-connection.js';
import type { CommandSpan, EngineTracer } from '../ports/tracer.js';

/** Finds the pattern of a channel's definition. */
type PatternOf = (channel: string) => string | undefined;

/** Commands of one connection that are under way, in the order of their starts. It is kept when there is none: most come one by one. */
interface Running {
  first: Observed | undefined;
  last: Observed | undefined;
}

/** Follows commands from their start to their answer. Made only where an observer, or a tracer, is to know of them. */
export class CommandWatch {
  private readonly running = new Map<RealtimeConnection, Running>();
  private readonly isObserved: boolean;

  constructor(
    private readonly observer: Observer,
    private readonly clock: Clock,
    private readonly patternOf: PatternOf,
    private readonly tracer?: Pick<EngineTracer, 'starting' | 'within'>,
  ) {
    this.isObserved = observer.onCommandStart !== undefined || observer.onCommandEnd !== undefined;
  }

  /**
   * @param now monotonic time, read for it.
   * @returns the command for {@link within}; `undefined` for one that nobody follows.
   */
  start(connection: RealtimeConnection, command: ClientCommand, now: number): Observed | undefined {
    if (command.type === 'ping' || command.type === 'pong' || command.type === 'bye') return undefined;
    const span = this.tracer?.starting(connection, command, this.patternOf);
    if (span === undefined && !this.isObserved) return undefined;
    const observed = new Observed(command, command.type, this.patternOf, now, span);
    let running = this.running.get(connection);
    if (running === undefined)
      this.running.set(connection, (running = { first: undefined, last: undefined }));
    if (running.last === undefined) running.first = observed;
    else running.last.next = observed;
    running.last = observed;
    this.observer.onCommandStart?.(connection, observed);
    return observed;
  }

  /** Runs the work of a command that was started: what it starts belongs to the command. */
  within<T>(observed: Observed | undefined, work: () => T): T {
    return this.tracer === undefined ? work() : this.tracer.within(observed?.span, work);
  }

  /** The first of this id was answered. A client may send a command again while the first is under way. */
  end(connection: RealtimeConnection, ref: string, outcome: Outcome): void {
    const running = this.running.get(connection);
    let before: Observed | undefined;
    for (let command = running?.first; command !== undefined; command = command.next) {
      if (command.id === ref) {
        remove(running as Running, before, command);
        return this.notify(connection, command, outcome);
      }
      before = command;
    }
  }

  closed(connection: RealtimeConnection): void {
    const running = this.running.get(connection);
    this.running.delete(connection);
    for (let command = running?.first; command !== undefined; command = command.next)
      this.notify(connection, command, 'closed');
  }

  private notify(connection: RealtimeConnection, command: Observed, outcome: Outcome | 'closed'): void {
    command.span?.end(outcome);
    this.observer.onCommandEnd?.(connection, command, outcome, this.clock.monotonic() - command.startedAt);
  }
}

/** @param before the one that started before `command`, if any. */
function remove(running: Running, before: Observed | undefined, command: Observed): void {
  if (before === undefined) running.first = command.next;
  else before.next = command.next;
  if (running.last === command) running.last = before;
}

class Observed implements ObservedCommand {
  readonly id: string;
  readonly channel: string | undefined;
  readonly event: string | undefined;
  readonly trace: string | undefined;
  // Not fields of what observers are given.
  readonly #startedAt: number;
  readonly #patternOf: PatternOf;
  readonly #span: CommandSpan | undefined;
  #next: Observed | undefined;

  constructor(
    { id = '', channel, event, trace }: Envelope,
    readonly type: ObservedCommand['type'],
    patternOf: PatternOf,
    startedAt: number,
    span: CommandSpan | undefined,
  ) {
    this.id = id;
    this.channel = channel;
    this.event = event;
    this.trace = trace;
    this.#startedAt = startedAt;
    this.#patternOf = patternOf;
    this.#span = span;
  }

  get startedAt(): number {
    return this.#startedAt;
  }

  get span(): CommandSpan | undefined {
    return this.#span;
  }

  /** The one of its connection that started after it, while both are under way. */
  get next(): Observed | undefined {
    return this.#next;
  }

  set next(command: Observed | undefined) {
    this.#next = command;
  }

  // Looked up where somebody asks: most observers do not.
  get pattern(): string | undefined {
    return this.channel === undefined ? undefined : this.#patternOf(this.channel);
  }
}
