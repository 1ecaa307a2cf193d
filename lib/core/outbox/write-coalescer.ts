/** Frames of a flush from which on it tells whether staging pays. */
const SIGNIFICANT = 64;
/** Of so many staged frames at least one must have shared a write. */
const WORTHWHILE = 8;
/** Flushes until staging is tried again. */
const PROBE_AFTER = 16;

/**
 * Decides whether frames of several channels wait for the end of a flush, so that a session of more than one of them is
 * written to once. Where the channels of a turn have few sessions in common, waiting gains nothing and costs a second
 * look at each session; then it is left out, and tried again now and then.
 */
export class Staging {
  /** Whether frames of the present flush wait. */
  active = false;
  private frames = 0;
  private merged = 0;
  private resting = 0;

  begin(channels: number): void {
    this.active = false;
    if (channels <= 1) return;
    if (this.resting > 0) {
      this.resting--;
      return;
    }
    this.active = true;
    this.frames = 0;
    this.merged = 0;
  }

  /** @param shares whether another frame of the same session waits already. */
  note(shares: boolean): void {
    this.frames++;
    if (shares) this.merged++;
  }

  end(): void {
    if (!this.active) return;
    this.active = false;
    if (this.frames >= SIGNIFICANT && this.merged * WORTHWHILE < this.frames) this.resting = PROBE_AFTER;
  }
}
