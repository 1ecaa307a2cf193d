import type { ClientCommand } from '../../protocol/commands.js';
import type { Envelope } from '../../protocol/envelope.js';
import type { Clock } from '../ports/clock.js';
import type { ObservedCommand, Observer, Outcome } from '../ports/observer.js';
import type { RealtimeConnection } from '../ports/realtime-connection.js';

interface Running {
  readonly command: ObservedCommand;
  readonly startedAt: number;
}

/** Follows commands from their start to their answer. Made only where an observer is to know of them. */
export class CommandWatch {
  private readonly running = new Map<RealtimeConnection, Running[]>();

  constructor(
    private readonly observer: Observer,
    private readonly clock: Clock,
  ) {}

  start(connection: RealtimeConnection, command: ClientCommand): void {
    const observed = observedOf(command);
    if (observed === undefined) return;
    const commands = this.running.get(connection);
    const started = { command: observed, startedAt: this.clock.monotonic() };
    if (commands === undefined) this.running.set(connection, [started]);
    else commands.push(started);
    this.observer.onCommandStart?.(connection, observed);
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
}

function observedOf(command: ClientCommand): ObservedCommand | undefined {
  if (command.type === 'ping' || command.type === 'pong' || command.type === 'bye') return undefined;
  const { type, id } = command;
  const { channel, event } = command as Envelope;
  return { type, id, channel, event };
}
