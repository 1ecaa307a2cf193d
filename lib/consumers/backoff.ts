import type { Clock } from '../core/ports/clock.js';
import type { Entropy } from '../core/ports/entropy.js';

/** The first pause, doubled up to the longest, in milliseconds; each is spread from half of it to one and a half. */
const FIRST_MS = 100;
const LONGEST_MS = 5_000;

/** Pauses between attempts at something that fails: for as long as it does. */
export class Backoff {
  private failures = 0;

  constructor(
    private readonly clock: Pick<Clock, 'schedule'>,
    private readonly entropy: Pick<Entropy, 'random'>,
  ) {}

  /** It worked. */
  reset(): void {
    this.failures = 0;
  }

  /** It worked for so long and then failed. What lasts no longer than the longest pause is tried no more often than what never works. */
  lasted(ms: number): void {
    if (ms > 1.5 * LONGEST_MS) this.reset();
  }

  /**
   * Waits before the next attempt, or until the signal.
   *
   * @param leastMs what the other side asked for.
   */
  async pause(signal: AbortSignal, leastMs = 0): Promise<void> {
    const ms = Math.min(FIRST_MS * 2 ** this.failures, LONGEST_MS);
    this.failures = Math.min(this.failures + 1, 10);
    await delay(this.clock, Math.max(leastMs, ms * (0.5 + this.entropy.random())), signal);
  }
}

/** Longest time between two looks whether what another node reads is free, in milliseconds; spread up to twice as long. */
const LOOK_MS = 1_000;

/** @param takeOverMs after which a node that is silent may be replaced. @returns how long to wait until the next look */
export function lookMs(takeOverMs: number, entropy: Pick<Entropy, 'random'>): number {
  return Math.min(LOOK_MS, takeOverMs / 4) * (1 + entropy.random());
}

/** Waits, or until the signal. */
export function delay(clock: Pick<Clock, 'schedule'>, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.schedule(ms, end);
    signal.addEventListener('abort', end);
  });
}
