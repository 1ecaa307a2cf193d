import type { ClientClock } from '../clock.js';

/** For how long a session is watched for a moment at which no command is under way. */
const CALM_MS = 3_000;

/** Who waits for a moment at which no command of a session is under way: what it answers then is answered, and nothing is held back. */
export class CalmWaits {
  private readonly waits = new Map<() => void, () => void>();

  constructor(
    private readonly clock: ClientClock,
    private readonly session: { readonly isIdle: boolean },
  ) {}

  /** @param onBusy Called when there was no such moment in time. @returns Ends the wait. */
  wait(run: () => void, onBusy: () => void): () => void {
    const timer = this.clock.schedule(CALM_MS, () => {
      end();
      onBusy();
    });
    const end = (): void => {
      timer.cancel();
      this.waits.delete(end);
    };
    this.waits.set(end, run);
    this.look();
    return end;
  }

  /** An answer came. */
  look(): void {
    for (const [end, run] of [...this.waits]) {
      // Who ran may have sent something, or ended the others.
      if (!this.session.isIdle || !this.waits.has(end)) continue;
      end();
      run();
    }
  }

  stop(): void {
    for (const end of [...this.waits.keys()]) end();
  }
}
