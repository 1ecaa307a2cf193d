import type { CircuitPolicy } from '../ports/settings.js';

/** Trials that have to succeed in a row before everything passes again. */
const TRIALS = 2;
/** Advice while a trial of somebody else runs, in milliseconds. */
const TRYING_MS = 1_000;

/** How long a gate stays open. */
export type TrialPolicy = Pick<CircuitPolicy, 'openForMs' | 'maxOpenForMs' | 'windowMs'>;

/** How much a gate lets through: all, nothing, or one trial at a time. */
export type GateState = 'closed' | 'open' | 'half_open';

/**
 * What keeps failing is left alone for a time, then tried one call at a time (a circuit breaker: current flows while it is closed).
 * Each time that it opens again soon it stays open twice as long. The caller gives the time, on the monotonic clock.
 */
export class TrialGate {
  private current: GateState = 'closed';
  private until = 0;
  private openForMs = 0;
  private closedAt = Number.NEGATIVE_INFINITY;
  private isTrying = false;
  private succeededInRow = 0;
  private failedBy: string | undefined;

  get state(): GateState {
    return this.current;
  }

  /**
   * Asks for a trial, where the gate is not closed.
   *
   * @returns 0 where this is a trial, whose outcome has to be told; else milliseconds until one may be free.
   */
  try(client: string, now: number): number {
    if (this.current === 'open' && now < this.until) return this.until - now;
    this.current = 'half_open';
    if (this.isTrying) return TRYING_MS;
    // One client whose input fails must not use up the trials of all.
    if (client === this.failedBy && now < this.until) return this.until - now;
    this.isTrying = true;
    return 0;
  }

  /** A trial did not take place. */
  release(): void {
    this.isTrying = false;
  }

  /** It failed too often. */
  open(now: number, { openForMs, maxOpenForMs, windowMs }: TrialPolicy): void {
    const isSoon = this.current !== 'closed' || now - this.closedAt < windowMs;
    this.openForMs = isSoon && this.openForMs > 0 ? Math.min(maxOpenForMs, 2 * this.openForMs) : openForMs;
    this.current = 'open';
    this.until = now + this.openForMs;
    this.isTrying = false;
    this.succeededInRow = 0;
    this.failedBy = undefined;
  }

  /** A trial succeeded. @returns whether the gate closed. */
  succeeded(now: number): boolean {
    this.isTrying = false;
    if (++this.succeededInRow < TRIALS) return false;
    this.current = 'closed';
    this.closedAt = now;
    this.succeededInRow = 0;
    this.failedBy = undefined;
    return true;
  }

  /**
   * A trial failed. It opens again once those of two clients did; until then the others may try.
   *
   * @param client whose trial it was; `undefined` where the gate is of one client.
   * @returns whether the gate opened.
   */
  failed(client: string | undefined, now: number, policy: TrialPolicy): boolean {
    this.isTrying = false;
    this.succeededInRow = 0;
    if (client === undefined || (this.failedBy !== undefined && this.failedBy !== client)) {
      this.open(now, policy);
      return true;
    }
    this.failedBy = client;
    this.until = now + this.openForMs;
    return false;
  }
}
