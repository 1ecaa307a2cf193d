import { TrialGate, type TrialPolicy } from '../core/access/trial-gate.js';

/** Failures in a row after which a target is left alone for a time. */
const FAILURES_IN_ROW = 5;
const POLICY: TrialPolicy = { openForMs: 1_000, maxOpenForMs: 60_000, windowMs: 60_000 };

/** Whether a target may be called: not while it asked for a pause, and one attempt at a time while it fails. */
export class TargetGate {
  private readonly gate = new TrialGate();
  private failuresInRow = 0;
  private pausedUntil = Number.NEGATIVE_INFINITY;

  /** Whether it fails: every attempt is a trial. */
  get isTried(): boolean {
    return this.gate.state !== 'closed';
  }

  /**
   * Asks for an attempt. Where {@link isTried} is set, 0 begins a trial, whose outcome has to be told.
   *
   * @returns 0 where it may begin; else milliseconds until one may.
   */
  enter(now: number): number {
    if (now < this.pausedUntil) return this.pausedUntil - now;
    return this.isTried ? this.gate.try('', now) : 0;
  }

  /** An attempt worked. @param isTrial whether it began as one: others say nothing of a target that failed since. @returns whether it works again. */
  succeeded(isTrial: boolean, now: number): boolean {
    if (isTrial) return this.gate.succeeded(now);
    if (!this.isTried) this.failuresInRow = 0;
    return false;
  }

  /** An attempt failed. @param isTrial see {@link succeeded}. @returns whether it is left alone from now on. */
  failed(isTrial: boolean, now: number): boolean {
    if (isTrial) {
      this.gate.failed(undefined, now, POLICY);
      return false;
    }
    if (this.isTried || ++this.failuresInRow < FAILURES_IN_ROW) return false;
    this.failuresInRow = 0;
    this.gate.open(now, POLICY);
    return true;
  }

  /** An attempt showed nothing of the target. @param isTrial see {@link succeeded}. */
  showedNothing(isTrial: boolean): void {
    if (isTrial) this.gate.release();
  }

  /** The target is not called for so long. */
  pause(ms: number, now: number): void {
    this.pausedUntil = Math.max(this.pausedUntil, now + ms);
  }
}
