import type { ClientCommand, ClientCommandType } from '../../protocol/commands.js';
import { RealtimeError } from '../../protocol/realtime-error.js';
import { tooMuchWaits } from '../async/turns.js';
import { isPromise, type MaybePromise } from '../ports/maybe-promise.js';
import {
  CommandBacklog,
  isRead,
  type BacklogDeps,
  type BacklogSession,
  type Received,
  type WaitingCommand,
} from './backlog.js';
import { idOf } from './client-errors.js';
import type { CommandWatch } from './command-watch.js';
import type { InboundLimiter, LimitedSession } from './inbound-limiter.js';
import type { ReadingPause } from './reading-pause.js';

/**
 * Commands that never wait for others: they start no handler of the application, and a connection lives by them. Not `bye`: what
 * was sent before it is still to be done.
 */
const UNQUEUED: ReadonlySet<ClientCommandType> = new Set<ClientCommandType>(['ping', 'pong', 'auth']);

/** Commands that are done when they have run. */
const ENDS_AT_ONCE: ReadonlySet<ClientCommandType> = new Set<ClientCommandType>(['ping', 'pong']);
/** What a command takes while it runs beside its own values: promises, a timer, what the handlers hold. */
const RUNNING_BYTES = 3 * 1024;

export interface CommandFlowDeps extends BacklogDeps {
  /** There where an observer is to know of commands. */
  readonly watch: CommandWatch | undefined;
}

/** A session whose commands run. */
export interface FlowSession extends LimitedSession {
  readonly isClosed: boolean;
  readonly reading: ReadingPause;
  /** Runs a command, which answers itself; what it throws becomes the answer. */
  execute(command: ClientCommand): MaybePromise<void>;
  fail(ref: string | undefined, error: unknown): void;
  /** Answers what did not run: a command of the same id may be under way, which this does not answer. */
  refuse(ref: string | undefined, error: RealtimeError): void;
}

/** The commands of one live session: counts each, lets it wait while others run, and runs it (G16). */
export class CommandFlow implements BacklogSession {
  /** Monotonic time at which the command came that runs now, in whole milliseconds. */
  receivedAt = 0;
  /** Made when a command must wait: those of most connections never do. */
  private backlog: CommandBacklog | undefined;

  constructor(
    private readonly deps: CommandFlowDeps,
    private readonly session: FlowSession,
    private readonly inbound: InboundLimiter,
  ) {}

  get client(): string {
    return this.session.client;
  }

  get isClosed(): boolean {
    return this.session.isClosed;
  }

  get isLive(): boolean {
    return this.session.isLive;
  }

  get reading(): ReadingPause {
    return this.session.reading;
  }

  /** Takes one envelope: now, or when those before it, and other clients, have had their turn. @param now monotonic time, read for it. */
  take(received: Received, now: number): void {
    const { validation } = received;
    if (!('command' in validation) || !UNQUEUED.has(validation.command.type)) {
      const { turns, settings } = this.deps;
      const isOver = turns.isOver(isRead(received), now);
      const isFull = this.reading.inFlight >= settings.limits.maxInFlight || (this.backlog?.length ?? 0) > 0;
      if (isOver || isFull) return this.queue(received, now, isOver);
    }
    const command = this.admit(received, now);
    if (command !== undefined) this.run(command, received, now, now);
  }

  /** Counts a command that is under way, and answers it with the error when it fails. @param held bytes that it gives back. */
  track(work: MaybePromise<void>, ref: string | undefined, held = 0): void {
    if (!isPromise(work)) return;
    this.reading.begin();
    work.then(
      () => this.finished(held),
      (error: unknown) => {
        this.finished(held);
        this.session.fail(ref, error);
      },
    );
  }

  /**
   * Counts work as a command that runs, until it ends: of a handler that nobody waits for any more.
   *
   * @param weight bytes of memory of what it was given.
   */
  holdUntil(work: Promise<unknown>, weight: number): void {
    const held = RUNNING_BYTES + weight;
    const ended = (): void => this.finished(held);
    this.deps.waiting.hold(this.client, held);
    this.reading.begin();
    work.then(ended, ended);
  }

  /** The backlog is made anew when a command has to wait again. */
  onIdle(): void {
    this.backlog = undefined;
  }

  /** Runs a command that waited. What it held while it waited it holds until it is done. */
  start({ received, receivedAt, isAdmitted }: WaitingCommand): void {
    const now = this.deps.clock.monotonic();
    const command = isAdmitted ? this.requirePaid(received, now) : this.admit(received, now);
    if (command !== undefined) this.run(command, received, now, receivedAt, received.weight);
    else this.giveBack(received.weight);
  }

  refuse({ validation }: Received, error: RealtimeError): void {
    this.session.refuse('command' in validation ? idOf(validation.command) : validation.ref, error);
  }

  /** Nobody waits for an answer any more. */
  clear(): void {
    this.backlog?.clear();
  }

  /** @param uncounted whether there is no time now to count it. */
  private queue(received: Received, receivedAt: number, uncounted: boolean): void {
    if (!uncounted && this.admit(received, receivedAt) === undefined) return;
    this.backlog ??= new CommandBacklog(this.deps, this);
    this.backlog.push({ received, receivedAt, isAdmitted: !uncounted });
  }

  /** Counts one envelope. @returns the command that may run; `undefined` where it was answered with a refusal. */
  private admit(received: Received, now: number): ClientCommand | undefined {
    const { validation, overBytes } = received;
    const command = 'command' in validation ? validation.command : undefined;
    const refusal = this.inbound.admit(command?.type, overBytes, this.session, now);
    if (this.isClosed) return undefined;
    if (refusal !== undefined) this.refuse(received, refusal);
    else if ('command' in validation) return command;
    else {
      const { message, details } = validation;
      this.refuse(received, new RealtimeError('bad_request', message, { details }));
    }
    return undefined;
  }

  /** Asked again after a wait: by now the client may have been answered too much. */
  private requirePaid(received: Received, now: number): ClientCommand | undefined {
    const command = 'command' in received.validation ? received.validation.command : undefined;
    const refusal = this.inbound.refuseInDebt(command?.type, this.session, now);
    if (refusal === undefined) return command;
    this.refuse(received, refusal);
    return undefined;
  }

  /** @param now monotonic time. @param holds bytes that it holds already. */
  private run(command: ClientCommand, received: Received, now: number, receivedAt: number, holds = 0): void {
    const { session } = this;
    const ref = idOf(command);
    const { waiting, watch } = this.deps;
    const held = ENDS_AT_ONCE.has(command.type) ? holds : RUNNING_BYTES + received.weight;
    if (held > holds && !waiting.hasRoom(this.client, held - holds)) {
      this.giveBack(holds);
      return this.refuse(received, tooMuchWaits());
    }
    // A fraction would be an object of its own, which an idle session keeps.
    this.receivedAt = Math.floor(receivedAt);
    const observed = watch?.start(session.view, command, now);
    try {
      const work =
        watch === undefined
          ? session.execute(command)
          : watch.within(observed, () => session.execute(command));
      if (isPromise(work)) {
        waiting.hold(this.client, held - holds);
        return this.track(work, ref, held);
      }
    } catch (error) {
      session.fail(ref, error);
    }
    // What is done already held nothing more while anything else ran.
    this.giveBack(holds);
  }

  /** A command is done: the next of those that wait may start. */
  private finished(held: number): void {
    this.giveBack(held);
    this.reading.done(this.backlog);
  }

  private giveBack(held: number): void {
    if (held > 0) this.deps.waiting.give(this.client, held);
  }
}
