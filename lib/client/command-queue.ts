import type { ClientCommandType } from '../protocol/commands.js';
import type { Envelope } from '../protocol/envelope.js';
import { RealtimeError } from '../protocol/realtime-error.js';
import type { ClientClock, ClientTimer } from './clock.js';
import { errorFromFrame, outcomeUnknown } from './errors.js';
import type { EarlyWire, Wire } from './connection/wire.js';
import { deferred } from './deferred.js';
import type { Pacer } from './pacer.js';

/** One command that is answered once (P7), and how it may be treated. */
export interface CommandSpec {
  readonly type: Exclude<ClientCommandType, 'publish' | 'pong' | 'hello' | 'bye'>;
  readonly channel?: string;
  readonly event?: string;
  readonly payload?: unknown;
  /** Sent on this connection or not at all. Default: it waits for a live one. */
  readonly now?: boolean;
  /** A read, sent again after a reconnect. Default: an interrupted command has an unknown outcome. */
  readonly again?: boolean;
  /** Whether it may be sent yet; asked again at each `flush`. */
  readonly ready?: () => boolean;
  readonly timeoutMs?: number;
}

/**
 * Told once, and at once: in the middle of the frame that holds the answer, so that what follows it there finds
 * its effect done. A promise would come too late.
 */
export type Done = (error: RealtimeError | undefined, payload: unknown) => void;

interface Pending {
  readonly spec: CommandSpec;
  readonly done: Done;
  readonly timer: ClientTimer;
  /** Makes a rejection nobody awaits harmless. */
  readonly quiet: () => void;
  sent: boolean;
}

/** Commands that wait for a connection or for their answer, publishes apart. */
export class CommandQueue {
  private readonly pending = new Map<string, Pending>();

  constructor(
    private readonly setup: {
      readonly clock: ClientClock;
      readonly ids: () => string;
      readonly max: number;
      readonly timeoutMs: number;
      readonly pacer: Pacer;
      readonly wire: () => Wire | undefined;
      /** There between `hello` and `welcome`. */
      readonly early: () => EarlyWire | undefined;
    },
  ) {}

  /** Like {@link dispatch}, for those who are not in a hurry. */
  request(spec: CommandSpec): Promise<unknown> {
    const { promise, resolve, reject, quiet } = deferred<unknown>();
    this.dispatch(
      spec,
      (error, payload) => {
        if (error === undefined) resolve(payload);
        else reject(error);
      },
      quiet,
    );
    return promise;
  }

  dispatch(spec: CommandSpec, done: Done, quiet: () => void = () => undefined): void {
    const { wire, early } = this.setup;
    if (spec.now === true && wire()?.accepting !== true && early() === undefined) {
      done(new RealtimeError('unavailable', 'There is no live connection; nothing was sent'), undefined);
      return;
    }
    if (this.pending.size >= this.setup.max) {
      const message = `${this.setup.max} commands already wait (maxPendingCommands); this one was not sent`;
      done(new RealtimeError('rate_limited', message), undefined);
      return;
    }
    const id = this.setup.ids();
    const timeoutMs = spec.timeoutMs ?? this.setup.timeoutMs;
    const timer = this.setup.clock.schedule(timeoutMs, () => this.expire(id, timeoutMs));
    const entry: Pending = { spec, done, timer, quiet, sent: false };
    this.pending.set(id, entry);
    this.send(id, entry);
  }

  /** Sends what waits and may go, in the order of its making. */
  flush(): void {
    for (const [id, entry] of [...this.pending]) this.send(id, entry);
  }

  /** Sends what had no place in the frame of `hello`. */
  flushEarly(): void {
    for (const [id, entry] of [...this.pending]) if (entry.spec.now === true) this.send(id, entry);
  }

  /** @returns Whether the message answers one of these commands. */
  answer(message: Envelope): boolean {
    const { ref } = message;
    const entry = ref === undefined ? undefined : this.pending.get(ref);
    if (ref === undefined || entry === undefined) return false;
    if (message.type === 'error') this.settle(ref, errorFromFrame(message.payload), undefined);
    else this.settle(ref, undefined, message.payload);
    return true;
  }

  /** The connection is gone: reads wait for the next one, the outcome of everything else is unknown (P17). */
  interrupted(): void {
    for (const [id, entry] of [...this.pending]) {
      const { sent, spec } = entry;
      // What had no place in the frame of `hello` was for that connection too.
      if (!sent && spec.now !== true) continue;
      if (spec.again === true) {
        entry.sent = false;
        continue;
      }
      const error = sent
        ? outcomeUnknown(`The connection was lost before the answer to ${spec.type}`)
        : new RealtimeError('unavailable', 'The connection was lost; nothing was sent');
      this.settle(id, error, undefined);
    }
  }

  /**
   * The client is another user now: nothing of what waits is sent in the new one's name. The subscribes of this very
   * connection, sent with `hello` or about to follow it, are the new one's.
   */
  disown(error: RealtimeError): void {
    for (const [id, entry] of [...this.pending])
      if (entry.spec.now !== true) this.giveUp(id, entry, error, false);
  }

  /**
   * The client is closed: nothing of what waits will be sent.
   *
   * @param quietly The application wanted it so: a promise that nobody awaits is no uncaught error then.
   */
  stop(error: RealtimeError, quietly: boolean): void {
    for (const [id, entry] of [...this.pending]) this.giveUp(id, entry, error, quietly);
  }

  private giveUp(id: string, { spec, sent, quiet }: Pending, error: RealtimeError, quietly: boolean): void {
    if (quietly) quiet();
    const unknown = sent && spec.again !== true;
    this.settle(id, unknown ? outcomeUnknown(error.message, error) : error, undefined);
  }

  private send(id: string, { spec, sent }: Pending): void {
    const { type } = spec;
    const wire = this.setup.wire();
    const early = type === 'subscribe' || type === 'unsubscribe' ? this.setup.early() : undefined;
    if (sent || spec.ready?.() === false) return;
    try {
      if (wire?.accepting === true) wire.send(envelopeOf(id, spec));
      else if (early?.take(envelopeOf(id, spec)) !== true) return;
    } catch (error) {
      this.settle(id, error as RealtimeError, undefined);
      return;
    }
    // Re-subscribing after a reconnect is not counted by the server (G16), so it does not delay publishes either.
    if (type !== 'subscribe') this.setup.pacer.spend();
    const current = this.pending.get(id);
    if (current !== undefined) current.sent = true;
  }

  private expire(id: string, timeoutMs: number): void {
    const entry = this.pending.get(id);
    if (entry === undefined) return;
    const { type } = entry.spec;
    const error = !entry.sent
      ? new RealtimeError('timeout', `No connection took the ${type} within ${timeoutMs} ms; it was not sent`)
      : entry.spec.again === true || entry.spec.now === true
        ? new RealtimeError('timeout', `No answer to ${type} within ${timeoutMs} ms`)
        : outcomeUnknown(`No answer to ${type} within ${timeoutMs} ms`);
    this.settle(id, error, undefined);
  }

  private settle(id: string, error: RealtimeError | undefined, payload: unknown): void {
    const entry = this.pending.get(id);
    if (entry === undefined) return;
    this.pending.delete(id);
    entry.timer.cancel();
    entry.done(error, payload);
  }
}

function envelopeOf(id: string, { type, channel, event, payload }: CommandSpec): Envelope {
  return {
    type,
    id,
    ...(channel === undefined ? {} : { channel }),
    ...(event === undefined ? {} : { event }),
    ...(payload === undefined ? {} : { payload }),
  };
}
