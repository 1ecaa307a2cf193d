import type { Clock, Scheduled } from '../../core/ports/clock.js';
import type { FrameVerdict } from '../../core/ports/connection.js';
import type { Position } from '../../protocol/position.js';

/** How long no channel is asked for after the rate was exceeded, at least: each further excess would count against the client. */
const RATE_HOLD_MS = 1_000;
/**
 * Subscribes that have no answer yet: on a busy node they wait, and when the rate is exceeded all of them may be refused, each of
 * which counts against the client. The streams of one client together have to stay below what ends its connections (G16).
 */
const MAX_UNANSWERED = 8;

/** What askers share. */
export interface AskerDeps {
  readonly clock: Clock;
  readonly random: () => number;
  readonly retry: { readonly baseMs: number; readonly maxMs: number };
}

/** For whom it is asked. */
export interface AskingClient {
  /** Hands one command to the engine. */
  send(command: object): FrameVerdict;
  /** Where the client stands in a channel. */
  positionOf(channel: string): Position | undefined;
}

interface Asked {
  failures: number;
  isSubscribed: boolean;
  timer: Scheduled | undefined;
}

/** When something can succeed again, as far as the engine says. */
export interface RetryAdvice {
  readonly retryAfterMs?: number | undefined;
  readonly spreadMs?: number | undefined;
}

/**
 * Subscribes to the channels of a client that cannot: one after the other, as fast as the engine takes them, and again where it
 * refused for a time.
 */
export class ChannelAsker {
  private readonly asked = new Map<string, Asked>();
  private waiting: string[] = [];
  private readonly unanswered = new Set<string>();
  /** Times that the rate was exceeded since all channels were answered. */
  private excesses = 0;
  private paused = false;
  private pumping = false;
  private holdTimer: Scheduled | undefined;

  constructor(
    private readonly channels: readonly string[],
    private readonly deps: AskerDeps,
    private readonly client: AskingClient,
  ) {
    for (const channel of channels)
      this.asked.set(channel, { failures: 0, isSubscribed: false, timer: undefined });
  }

  /** Whether a channel is, or will be, subscribed to. */
  get isNeeded(): boolean {
    return this.asked.size > 0;
  }

  start(): void {
    this.waiting = [...this.channels];
    this.pump();
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.pump();
  }

  /** The channel of an answer; `undefined` where it is none of a subscribe. */
  channelOf(ref: string | undefined): string | undefined {
    return ref === undefined ? undefined : this.channels[Number(ref.slice(1))];
  }

  /** Whether it was answered, and neither refused nor taken away since. */
  isSubscribed(channel: string): boolean {
    return this.asked.get(channel)?.isSubscribed === true;
  }

  succeeded(channel: string): void {
    const asked = this.asked.get(channel);
    if (asked !== undefined) {
      asked.failures = 0;
      asked.isSubscribed = true;
    }
    this.answered(channel);
    if (this.isDone) this.excesses = 0;
  }

  /** Asks again later. @param isRate whether the rate of the client was exceeded, which concerns all channels. */
  failedForNow(channel: string, { retryAfterMs = 0, spreadMs = 0 }: RetryAdvice, isRate: boolean): void {
    const asked = this.asked.get(channel);
    if (asked === undefined) return;
    const { clock, random, retry } = this.deps;
    if (isRate) this.hold(retryAfterMs);
    this.answered(channel);
    const doubled = retry.baseMs * 2 ** asked.failures;
    asked.failures++;
    asked.isSubscribed = false;
    const delayMs = retryAfterMs + random() * Math.max(spreadMs, Math.min(retry.maxMs, doubled));
    asked.timer?.cancel();
    asked.timer = clock.schedule(delayMs, () => {
      this.waiting.push(channel);
      this.pump();
    });
  }

  /** It is refused, or was taken away, for good. */
  drop(channel: string): void {
    this.asked.get(channel)?.timer?.cancel();
    this.asked.delete(channel);
    this.answered(channel);
  }

  stop(): void {
    for (const { timer } of this.asked.values()) timer?.cancel();
    this.asked.clear();
    this.unanswered.clear();
    this.holdTimer?.cancel();
    this.waiting = [];
  }

  /** Whether every channel is subscribed to. */
  private get isDone(): boolean {
    if (this.unanswered.size > 0 || this.waiting.length > 0) return false;
    return [...this.asked.values()].every(({ failures }) => failures === 0);
  }

  private answered(channel: string): void {
    if (!this.unanswered.delete(channel) || this.waiting.length === 0) return;
    // The engine is in the middle of the answer.
    queueMicrotask(() => this.pump());
  }

  /** What was on its way when the rate was exceeded is refused, too, and makes it no longer. */
  private hold(retryAfterMs: number): void {
    if (this.holdTimer !== undefined) return;
    const { clock, retry } = this.deps;
    const doubled = Math.min(RATE_HOLD_MS * 2 ** this.excesses, retry.maxMs);
    this.excesses++;
    this.holdTimer = clock.schedule(Math.max(doubled, retryAfterMs), () => {
      this.holdTimer = undefined;
      this.pump();
    });
  }

  /** An answer may come, and change all of this, before the engine returns. */
  private pump(): void {
    if (this.pumping) return;
    this.pumping = true;
    while (!this.paused && this.holdTimer === undefined && this.unanswered.size < MAX_UNANSWERED) {
      const channel = this.waiting.shift();
      if (channel === undefined) break;
      if (!this.asked.has(channel)) continue;
      const position = this.client.positionOf(channel);
      const payload = { presence: false, ...(position === undefined ? {} : { position }) };
      const id = `s${this.channels.indexOf(channel)}`;
      // It may be answered before `send` returns.
      this.unanswered.add(channel);
      const { outcome } = this.client.send({ type: 'subscribe', id, channel, payload });
      if (outcome === 'refused') break;
      if (outcome === 'paused') this.paused = true;
    }
    this.pumping = false;
  }
}
