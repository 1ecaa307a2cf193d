import type { AbusePolicy } from '../ports/settings.js';

/** What a violation leads to (G16). */
export type AbuseVerdict = 'warn' | 'throttle' | 'close';

/** Counts a connection's violations of limits in a window that starts anew when it has passed. */
export class AbuseMeter {
  private count = 0;
  private windowStart = 0;

  constructor(private readonly policy: AbusePolicy) {}

  violation(now: number): AbuseVerdict {
    if (now - this.windowStart >= this.policy.windowMs) {
      this.windowStart = now;
      this.count = 0;
    }
    this.count++;
    if (this.count >= this.policy.closeAfter) return 'close';
    return this.count >= this.policy.throttleAfter ? 'throttle' : 'warn';
  }
}
