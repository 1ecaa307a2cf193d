import type { ClientCommandType } from '../protocol/commands.js';
import type { Envelope } from '../protocol/envelope.js';
import { omitUndefined } from '../protocol/omit-undefined.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import { toWireValue } from '../protocol/wire-value.js';
import type { ClientTimer } from './clock.js';
import type { Wire } from './connection/connection.js';
import type { HelloFrame } from './connection/frames.js';
import { errorFromPayload, outcomeUnknown } from './errors.js';
import type { ClientSettings } from './options.js';
import type { Pacer } from './pacer.js';
import { deferred } from './promises.js';

/** One command that has one answer (P7), and how it may be treated. */
export interface CommandSpec {
  readonly type: Exclude<ClientCommandType, 'publish' | 'pong' | 'hello' | 'bye'>;
  readonly channel?: string;
  readonly event?: string;
  readonly payload?: unknown;
  /** Sent on this connection or not at all. Default: it waits for a live one. */
  readonly immediate?: boolean;
  /** Sent again after a reconnect, as it only reads. Default: the outcome of an interrupted command is unknown. */
  readonly idempotent?: boolean;
  /** Whether it may be sent yet; asked again at each `flush`. */
  readonly ready?: () => boolean;
  /** Milliseconds to wait for the answer. Default `requestTimeoutMs`. */
  readonly timeoutMs?: number;
}

/**
 * Called once with the outcome of a command, in the middle of the frame that holds the answer: the messages behind it
 * there must find its effect done, for which a promise would come too late.
 */
export type OnAnswer = (error: RealtimeError | undefined, payload?: unknown) => void;

interface PendingCommand {
  readonly id: string;
  readonly spec: CommandSpec;
  readonly onAnswer: OnAnswer;
  readonly timer: ClientTimer;
  readonly ignoreRejection: (() => void) | undefined;
}

/** Those that change what the connection holds: they may go with `hello`. */
function isJoinOrLeave(type: CommandSpec['type']): boolean {
  return type === 'subscribe' || type === 'unsubscribe';
}

/** What the queue needs. */
export interface CommandQueueDeps extends Pick<
  ClientSettings,
  'clock' | 'ids' | 'maxPendingCommands' | 'requestTimeoutMs'
> {
  readonly pacer: Pick<Pacer, 'spend'>;
  readonly wire: () => Wire | undefined;
  /** Defined between `hello` and `welcome`. */
  readonly helloFrame: () => HelloFrame | undefined;
}

/** Commands that wait for a connection or for their answer, except publishes. */
export class CommandQueue {
  private readonly pending = new Map<string, PendingCommand>();
  /** Those of them that were not sent, in the order in which they were dispatched. */
  private readonly unsent = new Set<PendingCommand>();
  /** Those that count against `maxPendingCommands`. */
  private counted = 0;

  constructor(private readonly deps: CommandQueueDeps) {}

  /** Whether commands are sent at once. */
  get isLive(): boolean {
    return this.deps.wire()?.accepting === true;
  }

  /** Whether subscribes are sent at once, also together with `hello`. */
  get isJoinable(): boolean {
    return this.isLive || this.deps.helloFrame() !== undefined;
  }

  /** Like {@link dispatch}, with a promise. */
  request(spec: CommandSpec): Promise<unknown> {
    const { promise, resolve, reject, ignoreRejection } = deferred<unknown>();
    const onAnswer: OnAnswer = (error, payload) => (error === undefined ? resolve(payload) : reject(error));
    this.dispatch(spec, onAnswer, ignoreRejection);
    return promise;
  }

  /** Sends the command, now or as soon as it may be sent. */
  dispatch(given: CommandSpec, onAnswer: OnAnswer, ignoreRejection?: () => void): void {
    const { clock, ids, maxPendingCommands, requestTimeoutMs } = this.deps;
    if (given.immediate === true && !this.isJoinable) {
      onAnswer(new RealtimeError('unavailable', 'There is no live connection; nothing was sent'));
      return;
    }
    // Subscribes have a bound of their own, and an unsubscribe that is not sent would leave a subscription on the server.
    const isFree = isJoinOrLeave(given.type);
    if (!isFree && this.counted >= maxPendingCommands) {
      const message = `${maxPendingCommands} commands already wait (maxPendingCommands); this one was not sent`;
      onAnswer(new RealtimeError('rate_limited', message));
      return;
    }
    let spec: CommandSpec;
    try {
      // As it is now: it may be sent later, and again.
      spec = { ...given, payload: toWireValue(given.payload) };
    } catch (error) {
      onAnswer(error as RealtimeError);
      return;
    }
    const timeoutMs = spec.timeoutMs ?? requestTimeoutMs;
    const timer = clock.schedule(timeoutMs, () => this.expire(command, timeoutMs));
    const command: PendingCommand = { id: ids(), spec, onAnswer, timer, ignoreRejection };
    this.pending.set(command.id, command);
    this.unsent.add(command);
    if (!isFree) this.counted++;
    this.send(command);
  }

  /**
   * Sends what waits and may be sent, in the order in which it was dispatched.
   *
   * @param onlyImmediate Only what had no place in the frame of `hello`.
   */
  flush(onlyImmediate = false): void {
    for (const command of this.unsent)
      if (!onlyImmediate || command.spec.immediate === true) this.send(command);
  }

  /** @returns Whether the message answers one of these commands. */
  answer(message: Envelope): boolean {
    const command = message.ref === undefined ? undefined : this.pending.get(message.ref);
    if (command === undefined) return false;
    if (message.type === 'error') this.settle(command, errorFromPayload(message.payload));
    else this.settle(command, undefined, message.payload);
    return true;
  }

  /** The connection is gone: reads wait for the next one, the outcome of everything else is unknown (P17). */
  interrupted(): void {
    for (const command of [...this.pending.values()]) {
      const { spec } = command;
      const isUnsent = this.unsent.has(command);
      // What had no place in the frame of `hello` was for that connection too.
      if (spec.idempotent === true || (isUnsent && spec.immediate !== true)) {
        // Added anew, so that all are in their order.
        this.unsent.delete(command);
        this.unsent.add(command);
        continue;
      }
      const error = isUnsent
        ? new RealtimeError('unavailable', 'The connection was lost; nothing was sent')
        : outcomeUnknown(`The connection was lost before the answer to ${spec.type}`);
      this.settle(command, error);
    }
  }

  /**
   * The client has another user now: nothing that waits is sent in the new user's name. The subscribes of this very
   * connection, sent with `hello` or about to follow it, are the new user's.
   */
  disown(error: RealtimeError): void {
    for (const command of [...this.pending.values()])
      if (command.spec.immediate !== true) this.abandon(command, error);
  }

  /**
   * The client is closed: nothing that waits will be sent.
   *
   * @param quietly Whether the application asked for it: a promise that it does not await is then no uncaught error.
   */
  stop(error: RealtimeError, quietly: boolean): void {
    for (const command of [...this.pending.values()]) {
      if (quietly) command.ignoreRejection?.();
      this.abandon(command, error);
    }
  }

  private abandon(command: PendingCommand, error: RealtimeError): void {
    const unknown = !this.unsent.has(command) && command.spec.idempotent !== true;
    this.settle(command, unknown ? outcomeUnknown(error.message, error) : error);
  }

  private send(command: PendingCommand): void {
    const { id, spec } = command;
    const { type, channel, event, payload } = spec;
    if (spec.ready?.() === false) return;
    const wire = this.deps.wire();
    const helloFrame = isJoinOrLeave(type) ? this.deps.helloFrame() : undefined;
    const envelope = omitUndefined({ type, id, channel, event, payload });
    try {
      if (wire?.accepting === true) wire.send(envelope);
      else if (helloFrame?.tryAdd(envelope) !== true) return;
    } catch (error) {
      this.settle(command, error as RealtimeError);
      return;
    }
    // The server does not count subscribes after a reconnect (G16), so they do not delay publishes either.
    if (type !== 'subscribe') this.deps.pacer.spend();
    this.unsent.delete(command);
  }

  private expire(command: PendingCommand, timeoutMs: number): void {
    const { spec } = command;
    const { type, idempotent, immediate } = spec;
    const noAnswer = `No answer to ${type} within ${timeoutMs} ms`;
    const error = this.unsent.has(command)
      ? new RealtimeError('timeout', `No connection took the ${type} within ${timeoutMs} ms; it was not sent`)
      : idempotent === true || immediate === true
        ? new RealtimeError('timeout', noAnswer)
        : outcomeUnknown(noAnswer);
    this.settle(command, error);
  }

  private settle(command: PendingCommand, error: RealtimeError | undefined, payload?: unknown): void {
    if (!this.pending.delete(command.id)) return;
    this.unsent.delete(command);
    if (!isJoinOrLeave(command.spec.type)) this.counted--;
    command.timer.cancel();
    command.onAnswer(error, payload);
  }
}
