import type { ClientCommandType } from '../protocol/commands.js';
import type { Envelope } from '../protocol/envelope.js';
import { omitUndefined } from '../protocol/omit-undefined.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import { toWireValue } from '../protocol/wire-value.js';
import type { ClientTimer } from './clock.js';
import type { Wire } from './connection/connection.js';
import type { HelloFrame } from './connection/frames.js';
import { about, describe, errorFromPayload, outcomeUnknown } from './errors.js';
import type { ClientSettings } from './options.js';
import type { Pacer } from './pacer.js';
import { abortWith, deferred } from './promises.js';

/** One command that has one answer (P7), and how it may be treated. */
export interface CommandSpec {
  readonly type: Exclude<ClientCommandType, 'publish' | 'pong' | 'hello' | 'bye'>;
  readonly channel?: string;
  readonly event?: string;
  readonly payload?: unknown;
  readonly trace?: string | undefined;
  /** Sent on this connection or not at all. Default: it waits for a live one. */
  readonly immediate?: boolean;
  /** Sent again after a reconnect, as it only reads. Default: the outcome of an interrupted command is unknown. */
  readonly idempotent?: boolean;
  /** Whether it may be sent yet; asked again at each `flush`. */
  readonly ready?: () => boolean;
  /** Milliseconds to wait for the answer. Default `requestTimeoutMs`. */
  readonly timeoutMs?: number;
}

/** Forgets a command: its answer is not waited for any more. */
type Forget = () => void;

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
  'clock' | 'ids' | 'log' | 'maxPendingCommands' | 'requestTimeoutMs' | 'trace'
> {
  readonly pacer: Pick<Pacer, 'spend'>;
  readonly wire: () => Wire | undefined;
  /** Defined between `hello` and `welcome`. */
  readonly helloFrame: () => HelloFrame | undefined;
}

/** Commands that wait for a connection or for their answer, except publishes. */
export type CommandQueue = ReturnType<typeof createCommandQueue>;

export function createCommandQueue(deps: CommandQueueDeps) {
  const { clock, ids, log, maxPendingCommands, requestTimeoutMs, pacer, wire, helloFrame } = deps;
  const pending = new Map<string, PendingCommand>();
  /** Those of them that were not sent, in the order in which they were dispatched. */
  const unsent = new Set<PendingCommand>();
  /** Those that count against `maxPendingCommands`. */
  let counted = 0;

  const isLive = (): boolean => wire()?.accepting === true;
  const isJoinable = (): boolean => isLive() || helloFrame() !== undefined;

  function request<Result>(
    spec: CommandSpec,
    signal: AbortSignal | undefined,
    read: (payload: unknown) => Result,
  ): Promise<Result> {
    const result = deferred<Result>();
    let forget: Forget = () => undefined;
    const unwatch = abortWith(signal, result, () => forget());
    const onAnswer: OnAnswer = (error, payload) => {
      unwatch();
      if (error === undefined) result.settle(() => read(payload));
      else result.reject(error);
    };
    forget = dispatch(spec, onAnswer, result.ignoreRejection);
    return result.promise;
  }

  function dispatch(given: CommandSpec, onAnswer: OnAnswer, ignoreRejection?: () => void): Forget {
    // Subscribes have a bound of their own, and an unsubscribe that is not sent would leave a subscription on the server.
    const isFree = isJoinOrLeave(given.type);
    const { timeoutMs = requestTimeoutMs } = given;
    let spec: CommandSpec;
    try {
      if (given.immediate === true && !isJoinable())
        throw new RealtimeError('unavailable', 'There is no connection');
      if (!isFree && counted >= maxPendingCommands)
        throw new RealtimeError(
          'rate_limited',
          `${maxPendingCommands} commands already wait (maxPendingCommands)`,
        );
      // As it is now: it may be sent later, and again.
      spec = { ...given, payload: toWireValue(given.payload), trace: deps.trace?.() };
    } catch (error) {
      onAnswer(named(error as RealtimeError, given));
      return () => undefined;
    }
    const timer = clock.schedule(timeoutMs, () => expire(command, timeoutMs));
    const command: PendingCommand = { id: ids(), spec, onAnswer, timer, ignoreRejection };
    pending.set(command.id, command);
    unsent.add(command);
    if (!isFree) counted++;
    send(command);
    return () => void remove(command);
  }

  function answer({ type, ref = '', payload }: Envelope): boolean {
    const command = pending.get(ref);
    if (command === undefined) return false;
    if (type === 'error') settle(command, named(errorFromPayload(payload), command.spec));
    else settle(command, undefined, payload);
    return true;
  }

  function interrupted(): void {
    for (const command of [...pending.values()]) {
      const { spec } = command;
      const isUnsent = unsent.has(command);
      // What had no place in the frame of `hello` was for that connection too.
      if (spec.idempotent === true || (isUnsent && spec.immediate !== true)) {
        // Added anew, so that all are in their order.
        unsent.delete(command);
        unsent.add(command);
        continue;
      }
      const what = `The connection was lost before ${describe(spec)} was`;
      const error = isUnsent
        ? new RealtimeError('unavailable', `${what} sent`)
        : outcomeUnknown(`${what} answered`);
      settle(command, named(error, spec));
    }
  }

  function abandon(command: PendingCommand, error: RealtimeError): void {
    const isUnknown = !unsent.has(command) && command.spec.idempotent !== true;
    settle(command, isUnknown ? outcomeUnknown(error.message, error) : error);
  }

  function send(command: PendingCommand): void {
    const { id, spec } = command;
    const { type, channel, event, payload, trace } = spec;
    if (spec.ready?.() === false) return;
    const live = wire();
    const envelope = omitUndefined({ type, id, channel, event, trace, payload });
    try {
      if (live?.accepting === true) live.send(envelope);
      else if (!isJoinOrLeave(type) || helloFrame()?.tryAdd(envelope) !== true) return;
    } catch (error) {
      settle(command, named(error as RealtimeError, spec));
      return;
    }
    // The server does not count subscribes after a reconnect (G16), so they do not delay publishes either.
    if (type !== 'subscribe') pacer.spend();
    unsent.delete(command);
  }

  function named(error: RealtimeError, spec: CommandSpec): RealtimeError {
    // The subscription tells what becomes of it.
    if (spec.type !== 'subscribe') log('warn', `${describe(spec)}: ${error.message}`, error);
    return about(error, spec);
  }

  function expire(command: PendingCommand, timeoutMs: number): void {
    const { spec } = command;
    const isUnsent = unsent.has(command);
    const what = `${describe(spec)} was not ${isUnsent ? 'sent' : 'answered'} within ${timeoutMs} ms`;
    const isKnown = isUnsent || spec.idempotent === true || spec.immediate === true;
    const error = isKnown ? new RealtimeError('timeout', what) : outcomeUnknown(what);
    settle(command, named(error, spec));
  }

  function settle(command: PendingCommand, error: RealtimeError | undefined, payload?: unknown): void {
    if (remove(command)) command.onAnswer(error, payload);
  }

  function remove(command: PendingCommand): boolean {
    if (!pending.delete(command.id)) return false;
    unsent.delete(command);
    if (!isJoinOrLeave(command.spec.type)) counted--;
    command.timer.cancel();
    return true;
  }

  return {
    /** Whether commands are sent at once. */
    isLive,
    /** Whether subscribes are sent at once, also together with `hello`. */
    isJoinable,
    /**
     * Like `dispatch`, with a promise.
     *
     * @param read makes of the answer what the promise resolves with; it may throw.
     */
    request,
    /** Sends the command, now or as soon as it may be sent. */
    dispatch,
    /**
     * Sends what waits and may be sent, in the order in which it was dispatched.
     *
     * @param onlyImmediate Only what had no place in the frame of `hello`.
     */
    flush(onlyImmediate = false): void {
      for (const command of unsent) if (!onlyImmediate || command.spec.immediate === true) send(command);
    },
    /** @returns Whether the message answers one of these commands. */
    answer,
    /** The connection is gone: reads wait for the next one, the outcome of everything else is unknown (P17). */
    interrupted,
    /**
     * The client has another user now: nothing that waits is sent in the new user's name. The subscribes of this very
     * connection, sent with `hello` or about to follow it, are the new user's.
     */
    disown(error: RealtimeError): void {
      for (const command of [...pending.values()])
        if (command.spec.immediate !== true) abandon(command, error);
    },
    /**
     * The client is closed: nothing that waits will be sent.
     *
     * @param quietly Whether the application asked for it: a promise that it does not await is then no uncaught error.
     */
    stop(error: RealtimeError, quietly: boolean): void {
      for (const command of [...pending.values()]) {
        if (quietly) command.ignoreRejection?.();
        abandon(command, error);
      }
    },
  };
}
