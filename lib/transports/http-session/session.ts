import type { Clock, Scheduled } from '../../core/ports/clock.js';
import {
  ABNORMAL,
  type Connection,
  type ConnectionHandler,
  type FrameVerdict,
  type Handshake,
  type WireVariant,
} from '../../core/ports/connection.js';
import { CLOSE_CODES, closeReason, parseCloseReason, type CloseName } from '../../protocol/close-codes.js';
import type { Envelope } from '../../protocol/envelope.js';
import type { ByePayload, WelcomePayload } from '../../protocol/messages.js';
import type { FrameRate, Rated } from '../http/frame-rate.js';
import { lastWord } from '../http/last-word.js';
import type { SessionEnd } from './answer.js';
import type { Carrier, CarrierEvents } from './carrier.js';
import type { PollCarrier } from './poll-carrier.js';
import type { SessionTable } from './session-table.js';

/** What the sessions of a transport share. */
export interface HttpSessionDeps {
  readonly clock: Clock;
  readonly rate: FrameRate;
  readonly table: SessionTable<HttpSession>;
  readonly onError: (error: unknown) => void;
}

/**
 * One client over HTTP (P21): what it sends comes as bodies of requests with a number each, what it is sent goes by a stream or by
 * the answers to its polls.
 */
export class HttpSession implements Connection, CarrierEvents, Rated {
  readonly variant: WireVariant;
  readonly oneWay: boolean;
  /** @internal */
  credit = 0;
  /** @internal */
  paidAt = 0;
  /** Number of the last body that was taken. */
  taken = 0;
  private handler: ConnectionHandler | undefined;
  private state: 'opening' | 'open' | 'ended' = 'opening';
  private end: SessionEnd | undefined;
  private advice: ByePayload | undefined;
  private paused = false;
  private reader: ((reads: boolean) => void) | undefined;

  /** @param id the secret that its requests carry. @param polls its carrier, where that is one of polls. */
  constructor(
    readonly id: string,
    readonly handshake: Handshake,
    private readonly carrier: Carrier,
    readonly polls: PollCarrier | undefined,
    private readonly deps: HttpSessionDeps,
  ) {
    this.variant = carrier.variant;
    this.oneWay = !carrier.pings;
    deps.rate.begin(this);
  }

  get copiesFrames(): boolean {
    return this.carrier.copiesFrames;
  }

  get bufferedBytes(): number {
    return this.carrier.bufferedBytes;
  }

  get isPaused(): boolean {
    return this.paused && this.state !== 'ended';
  }

  /** Whom limits over several connections count. */
  get client(): string | undefined {
    return this.handler?.client;
  }

  /**
   * Begins the session with its first frame, whose refusal is a message as any other.
   *
   * @param open makes it.
   * @returns how it ended, where the engine refused it before that.
   */
  start(open: () => ConnectionHandler, frame: string, size: number): SessionEnd | undefined {
    const handler = open();
    this.handler = handler;
    if (this.end !== undefined) {
      this.leave();
      return this.end;
    }
    this.state = 'open';
    this.deps.table.add(this);
    this.carrier.begin(this);
    this.guard(() => handler.onFrame(frame, size));
    return undefined;
  }

  /** Takes the body with this number. @returns how the session ended, where it is over. */
  take(n: number, frame: string, size: number): SessionEnd | undefined {
    this.taken = n;
    this.guard((handler) => handler.onFrame(frame, size));
    return this.end;
  }

  /** Counts a request, before anything is done for it (G16), or what came with it beside that. */
  count(frames = 1): void {
    const waitMs = this.deps.rate.take(this, frames);
    if (waitMs === 0) return;
    this.guard((handler) => handler.onExcess(waitMs));
    // The handler must end it where the excess is too large to wait for.
    if (!Number.isFinite(waitMs)) this.fail('rate_abuse');
  }

  /** Waits until the engine reads again. @returns `false` where that takes longer, or a newer request waits instead. */
  whenReading(withinMs: number): Promise<boolean> {
    this.reader?.(false);
    return new Promise((resolve) => {
      const settle = (reads: boolean): void => {
        timer.cancel();
        if (this.reader === settle) this.reader = undefined;
        resolve(reads);
      };
      const timer: Scheduled = this.deps.clock.schedule(withinMs, () => settle(false));
      this.reader = settle;
    });
  }

  write(frame: Buffer): boolean {
    return this.carrier.write(frame);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.reader?.(true);
  }

  /** @internal */
  translate(envelope: Envelope): Envelope {
    if (envelope.type === 'bye') this.advice = envelope.payload as ByePayload;
    if (envelope.type !== 'welcome') return envelope;
    const { version, session, ...rest } = envelope.payload as WelcomePayload;
    return { ...envelope, payload: { version, session, connection: this.id, ...rest } };
  }

  /** @internal */
  onWithdrawn(): void {
    this.carrier.withdraw();
  }

  /** @internal */
  onErased(seqs: readonly number[]): void {
    if (this.carrier.mayHold(seqs)) this.carrier.withdraw();
  }

  close(code: number, reason: string): void {
    const wasOpen = this.state === 'open';
    const { retryAfterMs = 0 } = parseCloseReason(reason);
    if (!this.conclude({ code, retryAfterMs }) || !wasOpen) return;
    const last = this.carrier.end(this.lastWord(code, retryAfterMs), code);
    if (last !== undefined) this.deps.table.keep(this.id, { ...last, origin: this.handshake.headers.origin });
    // What it was sent has yet to be read to its end; of a stream, `onGone` follows.
    this.polls?.whenLeft(() => this.leave());
  }

  terminate(): void {
    this.conclude({ code: ABNORMAL, retryAfterMs: 0 });
    this.carrier.destroy();
    this.polls?.whenLeft(() => this.leave());
  }

  /** Ends it for what its client did, or did not do. */
  fail(name: CloseName): void {
    if (this.state !== 'open') return;
    // The engine forgets the session at once, and what a socket holds of it.
    this.polls?.cut();
    this.close(CLOSE_CODES[name].code, closeReason(name));
    this.leave();
  }

  /** The client cannot continue, and has to resume. */
  lose(): void {
    this.terminate();
    this.leave();
  }

  /** @internal */
  onDrain(): void {
    this.guard((handler) => handler.onDrain());
  }

  /** @internal */
  onRepeat(bytes: number, isRefusable: boolean): number {
    return this.handler?.onRepeat(bytes, isRefusable) ?? 0;
  }

  /** @internal */
  onGone(): void {
    this.conclude({ code: ABNORMAL, retryAfterMs: 0 });
    this.leave();
  }

  /** @internal */
  onSilent(): void {
    this.fail('heartbeat_timeout');
  }

  /** @internal The engine is in the middle of what withdraws it. */
  onLost(): void {
    queueMicrotask(() => this.lose());
  }

  /** What the client is told behind everything else: once more where it was told ahead. */
  private lastWord(code: number, retryAfterMs: number): Envelope {
    const ts = this.deps.clock.now();
    const last = lastWord(code, retryAfterMs, ts);
    return last.type === 'bye' && this.advice?.code === code ? { ...last, payload: this.advice } : last;
  }

  /** @returns `false` where it is over already. */
  private conclude(end: SessionEnd): boolean {
    if (this.state === 'ended') return false;
    this.state = 'ended';
    this.end = end;
    this.deps.table.end(this, end, this.taken);
    this.reader?.(true);
    return true;
  }

  /** The engine is notified of the end, once. */
  private leave(): void {
    const { handler, end } = this;
    this.handler = undefined;
    if (handler === undefined) return;
    try {
      handler.onClose(end?.code ?? ABNORMAL);
    } catch (error) {
      this.deps.onError(error);
    }
  }

  /** An exception in a listener of a socket would end the process. */
  private guard(step: (handler: ConnectionHandler) => FrameVerdict | void): void {
    const { handler } = this;
    if (handler === undefined) return;
    try {
      step(handler);
    } catch (error) {
      this.deps.onError(error);
      this.fail('internal');
    }
  }
}
