import type { Moment } from './commands.js';

/** The moment of the running command: one for all, as the hot path makes none. */
export class RunningMoment implements Moment {
  now = 0;
  ts = 0;
  local = 0;
  place = 0;

  /** Sets it to another, without a place. */
  set(now: number, ts: number, local: number): this {
    this.now = now;
    this.ts = ts;
    this.local = local;
    return this;
  }
}
